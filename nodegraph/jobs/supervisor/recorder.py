"""What a worker did last, where it can be read however it died."""

from __future__ import annotations

import mmap
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil

_SIZE = 1024
_LENGTH = 2
_NOT_BEGUN = b"\xff\xff"
"""In place of a length."""

_NAME = "nodegraph-"


def _sweep() -> None:
    """Remove what processes left that were killed before their worker had opened it."""
    for path in Path(tempfile.gettempdir()).glob(f"{_NAME}*-*"):
        owner = path.name.removeprefix(_NAME).partition("-")[0]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            with suppress(OSError):
                if path.lstat().st_size == _SIZE:
                    path.unlink()


class Recorder:
    """Holds the name of the node that began last, in memory that two processes share.

    It also tells whether the worker has begun the job that it was handed at all: one that was dead
    by then, or was killed before it looked, says nothing about that job.

    Events are sent in batches, so that of a process that is killed the last ones are lost; and what
    holds up its interpreter keeps it from sending any.

    Args:
        path: Of a file that `create` has made.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            self._memory = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)

    @classmethod
    def create(cls) -> Recorder:
        """A new one, for the supervisor."""
        _sweep()
        descriptor, path = tempfile.mkstemp(prefix=f"{_NAME}{os.getpid()}-")
        try:
            os.write(descriptor, _NOT_BEGUN.ljust(_SIZE, b"\0"))
        finally:
            os.close(descriptor)
        return cls(path)

    def expect(self) -> None:
        """The worker has no job; as long as it has had none it needn't say so."""
        self._memory[:_LENGTH] = _NOT_BEGUN

    @property
    def has_begun(self) -> bool:
        """Whether the worker has begun the job that it was handed last."""
        return self._memory[:_LENGTH] != _NOT_BEGUN

    def note(self, node: str) -> None:
        """A node begins; an empty name for none, as when a job begins."""
        text = node.encode("utf-8", "replace")[: _SIZE - _LENGTH]
        # Who dies in between leaves no name rather than a wrong one.
        self._memory[:_LENGTH] = bytes(_LENGTH)
        self._memory[_LENGTH : _LENGTH + len(text)] = text
        self._memory[:_LENGTH] = len(text).to_bytes(_LENGTH, "big")

    def read(self) -> str | None:
        """The node that began last."""
        if not self.has_begun:
            return None
        length = int.from_bytes(self._memory[:_LENGTH], "big")
        text = self._memory[_LENGTH : _LENGTH + length]
        return text.decode("utf-8", "replace") or None

    def unlink(self) -> None:
        """Remove the file's name once both processes have it open; where that can't be, later."""
        with suppress(OSError):
            Path(self.path).unlink()

    def close(self) -> None:
        """Let go of it."""
        self._memory.close()
        self.unlink()
