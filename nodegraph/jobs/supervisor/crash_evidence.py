"""Evidence of a worker's death: the nodes that it had begun, and its last log lines."""

from __future__ import annotations

import logging
import mmap
import os
import tempfile
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

import psutil

from nodegraph.jobs.supervisor.worker_spec import MOST_JOBS

_LOG = logging.getLogger(__name__)

KEPT = 200
"""Lines."""
LONGEST = 400
"""Characters of a line that are kept."""
_MOST_BYTES = 4 * LONGEST
_LOGGED = 100
"""Lines that are logged between two calls of `LogLines.breathe`."""
_CONTROL = dict.fromkeys((*range(32), 127, *range(128, 160)), "\N{REPLACEMENT CHARACTER}")
_CONTROL[ord("\t")] = "\t"


class LogLines:
    """The last lines that a process wrote; a flood of them costs little.

    Args:
        name: Whose they are.

    Attributes:
        jobs: That the process has.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.jobs: Sequence[str] = ()
        self._lines: deque[str] = deque(maxlen=KEPT)
        self._part = b""
        self._allowed = _LOGGED
        self._left_out = 0

    def clear(self) -> None:
        """The process has another job: what it wrote before is none of the new one's."""
        self._lines.clear()

    def feed(self, data: bytes) -> None:
        """Take what was written, wherever its lines end."""
        *lines, part = (self._part + data).split(b"\n")
        # A return that ends it may be the first half of a line's end.
        self._part = _last(part[:-1]) + b"\r" if part.endswith(b"\r") else _last(part)
        skipped = max(0, len(lines) - KEPT - self._allowed)
        self._left_out += skipped
        for line in lines[skipped:]:
            self._take(line)

    def _take(self, line: bytes) -> None:
        text = _last(line.removesuffix(b"\r")).decode("utf-8", "replace")[:LONGEST]
        text = text.translate(_CONTROL).rstrip()
        if not text:
            return
        self._lines.append(text)
        if self._allowed:
            self._allowed -= 1
            fields = {"worker": self._name, "job": ", ".join(self.jobs) or None}
            _LOG.info("%s: %s", self._name, text, extra={"fields": fields})
        else:
            self._left_out += 1

    def reset_log_limit(self) -> None:
        """Some time has passed: more may be logged."""
        self._allowed = _LOGGED
        if self._left_out:
            _LOG.warning(
                "%s: %d lines of its output are not shown here", self._name, self._left_out
            )
            self._left_out = 0

    def last(self) -> list[str]:
        """The last lines, the one that wasn't ended included."""
        if self._part:
            self.feed(b"\n")
        return list(self._lines)


def _last(line: bytes) -> bytes:
    """What stands there in the end, where a progress bar writes over itself; its beginning."""
    return line.rpartition(b"\r")[2][:_MOST_BYTES]


_LENGTH = 2
_JOB, _NODE = 128, 1024
"""Bytes for the name of a job and of a node, with the length before each."""
_SLOT = _JOB + _NODE
_SIZE = MOST_JOBS * _SLOT

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
    """Holds each job that a worker has begun and not ended, in memory that two processes share.

    With it is the name of the node that began last in that job. A worker that was dead before it
    had begun a job, or was killed before it looked, says nothing about that job.

    Events are sent in batches, so that of a process that is killed the last ones are lost; and what
    holds up its interpreter keeps it from sending any.

    Args:
        path: Of a file that `create` has made.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._places: dict[str, int] = {}
        self._lock = Lock()
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
            os.write(descriptor, bytes(_SIZE))
        finally:
            os.close(descriptor)
        return cls(path)

    def begin(self, job: str) -> None:
        """The worker begins a job, of which no node has begun."""
        with self._lock:
            taken = self._places.values()
            offset = next(at for at in range(0, _SIZE, _SLOT) if at not in taken)
            self._places[job] = offset
        self._write(offset + _JOB, _NODE, "")
        self._write(offset, _JOB, job)

    def note(self, job: str, node: str) -> None:
        """A node of a job begins."""
        offset = self._places.get(job)
        if offset is not None:
            self._write(offset + _JOB, _NODE, node)

    def end(self, job: str) -> None:
        """The worker hasn't a job any more."""
        with self._lock:
            offset = self._places.pop(job, None)
        if offset is not None:
            self._write(offset, _JOB, "")

    def _write(self, start: int, size: int, text: str) -> None:
        written = text.encode("utf-8", "replace")[: size - _LENGTH]
        after = start + _LENGTH
        # Who dies in between leaves no name rather than a wrong one.
        self._memory[start:after] = bytes(_LENGTH)
        self._memory[after : after + len(written)] = written
        self._memory[start:after] = len(written).to_bytes(_LENGTH, "big")

    @property
    def begun(self) -> dict[str, str | None]:
        """The jobs that the worker has begun and not ended, each with its node that began last."""
        slots = range(0, _SIZE, _SLOT)
        nodes_by_job = {self._read(offset): self._read(offset + _JOB) or None for offset in slots}
        return {job: node for job, node in nodes_by_job.items() if job}

    def _read(self, start: int) -> str:
        after = start + _LENGTH
        length = int.from_bytes(self._memory[start:after], "big")
        return self._memory[after : after + length].decode("utf-8", "replace")

    def unlink(self) -> None:
        """Remove the file's name once both processes have it open; where that can't be, later."""
        with suppress(OSError):
            Path(self.path).unlink()

    def close(self) -> None:
        """Let go of it."""
        self._memory.close()
        self.unlink()
