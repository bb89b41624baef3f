"""What a subscriber hasn't taken yet: bounded, and of progress and previews only the newest."""

from __future__ import annotations

from nodegraph.errors import NodegraphError
from nodegraph.server.events.hub.live import NODE_ENDS, PROGRESS
from nodegraph.server.events.hub.message import HubMessage, first_within

_Key = int | tuple[str, str | None, str]


class SlowConsumer(NodegraphError):
    """A subscriber that takes events more slowly than they happen, for too long."""

    code = "slow-consumer"


class Pending:
    """Messages in the order in which they happened.

    Args:
        most: Numbered ones.
        most_bytes: Of all of them. Before it is too much, progress and previews go.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        # In order: what is put anew under a key goes to the end.
        self._messages: dict[_Key, HubMessage] = {}
        self._bytes = 0
        self._numbered = 0

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return self._bytes

    def __bool__(self) -> bool:
        return bool(self._messages)

    def add(self, message: HubMessage) -> None:
        """Take in a message.

        Raises:
            SlowConsumer: There are more than may be.
        """
        if message.seq is None:
            key: _Key = (message.job, message.node, message.kind)
            self._drop(key)
        else:
            key = message.seq
            self._numbered += 1
            if message.kind in NODE_ENDS:
                self._drop((message.job, message.node, PROGRESS))
        self._messages[key] = message
        self._bytes += message.size
        if self._numbered > self._most or self._bytes > self._most_bytes:
            self._shrink()

    def take(self, most_bytes: int) -> tuple[HubMessage, ...]:
        """The oldest messages, of so many bytes or one."""
        if self._bytes <= most_bytes:
            all_ = tuple(self._messages.values())
            self.clear()
            return all_
        taken = first_within(self._messages.values(), most_bytes)
        for key in list(self._messages)[: len(taken)]:
            self._drop(key)
        return tuple(taken)

    def clear(self) -> None:
        """Forget all."""
        self._messages.clear()
        self._bytes = self._numbered = 0

    def _drop(self, key: _Key) -> None:
        dropped = self._messages.pop(key, None)
        if dropped is not None:
            self._bytes -= dropped.size
            self._numbered -= dropped.seq is not None

    def _shrink(self) -> None:
        for key in [key for key, message in self._messages.items() if message.seq is None]:
            self._drop(key)
        if self._numbered > self._most or self._bytes > self._most_bytes:
            raise SlowConsumer(
                "events happen faster than they are taken",
                given=f"{self._numbered} events, {self._bytes} bytes waiting",
                expected=f"at most {self._most} events, {self._most_bytes} bytes",
                hint="Come back and go on from the last number; see fewer jobs, or no previews.",
            )
