"""The last events, kept in memory for those who come back soon."""

from __future__ import annotations

from bisect import bisect_right

from nodegraph.server.events.hub.message import Message


class Ring:
    """The last messages, up to a number and a size of them.

    Args:
        start: Number of the last event before the first that will be added.
    """

    def __init__(self, start: int, most: int = 10_000, most_bytes: int = 16 << 20) -> None:
        self.start = start
        """All events with higher numbers are in it."""
        self._most = most
        self._most_bytes = most_bytes
        self._messages: list[Message] = []
        self._numbers: list[int] = []
        self._bytes = 0

    def add(self, seq: int, message: Message) -> None:
        """Keep the newest message; the oldest may go."""
        self._messages.append(message)
        self._numbers.append(seq)
        self._bytes += message.size
        # Some at a time, as each time all that stay are moved.
        if len(self._messages) > self._most + self._most // 10 or self._bytes > self._most_bytes:
            self._trim()

    def after(self, seq: int, limit: int | None = None) -> list[Message]:
        """The messages with higher numbers, the oldest first."""
        at = bisect_right(self._numbers, seq)
        return self._messages[at : None if limit is None else at + limit]

    def _trim(self) -> None:
        gone = max(0, len(self._messages) - self._most)
        left = self._bytes - sum(message.size for message in self._messages[:gone])
        while left > self._most_bytes * 9 // 10 and gone < len(self._messages):
            left -= self._messages[gone].size
            gone += 1
        self._bytes = left
        if gone:
            self.start = self._numbers[gone - 1]
        del self._messages[:gone]
        del self._numbers[:gone]
