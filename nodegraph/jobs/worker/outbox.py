"""What goes to the server, from any thread."""

from __future__ import annotations

from collections.abc import Callable

from nodegraph.jobs.supervisor.frames import FrameWriter
from nodegraph.jobs.supervisor.message import Message


class Outbox:
    """Sends messages until nobody reads them any more; then it is silent.

    Args:
        descriptor: To write to.
        broken: Is called, once, when nobody reads any more.
    """

    def __init__(self, descriptor: int, broken: Callable[[], object]) -> None:
        self._writer = FrameWriter(descriptor)
        self._broken = broken
        self._is_open = True

    def send(self, *messages: Message) -> None:
        """Send messages, one after the other; returns once they are in the pipe.

        Raises:
            ProtocolFault: One can't be sent; nothing was.
        """
        if not self._is_open:
            return
        try:
            self._writer.write(*[message.as_dict() for message in messages])
        except OSError:
            self._is_open = False
            self._broken()
