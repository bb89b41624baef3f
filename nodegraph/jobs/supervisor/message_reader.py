"""Making messages of the bytes that a process says."""

from __future__ import annotations

from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.jobs.supervisor.frames import Decoder
from nodegraph.jobs.supervisor.messages import read_report
from nodegraph.jobs.supervisor.starting import ProcessListener


class MessageReader:
    """Hands on what a process says, until it says what can't be read."""

    def __init__(self, ears: ProcessListener) -> None:
        self._ears = ears
        self._decoder: Decoder | None = Decoder()

    def feed(self, data: bytes) -> None:
        """Take what it said, wherever its messages end."""
        if self._decoder is None:
            return
        try:
            for message in self._decoder.feed(data):
                self._ears.on_message(read_report(message))
        except ProtocolFault as fault:
            self._decoder = None
            self._ears.on_fault(fault)
