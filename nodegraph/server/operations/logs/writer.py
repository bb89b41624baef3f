"""Writing log lines from a thread of its own, with stars in place of secrets."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from threading import Event
from typing import Any, TextIO

from nodegraph.server.operations.logs.context import attach_request

STARS = "***"

_SECRETS = re.compile(
    r"""
    (?P<own>ng_[0-9a-f]{4,12}_)[0-9a-zA-Z_-]+       # a token of ours
    | (?P<session>nodegraph_session(?:_[0-9]{1,5})?=)[0-9a-zA-Z_-]+
    | (?P<bearer>\b(?:bearer|basic)\s+)[^\s'",;]+   # whatever stands for a user
    | (?P<known>\b(?:hf|sk|ghp|gho|glpat)[_-])[0-9A-Za-z_-]{16,}
    | (?P<user>\b[a-z][a-z0-9+.-]{1,15}://[^\s/@:]{0,80}:)[^\s/@]+(?=@)  # of a URL
    | (?P<named>["']?\b(?:authorization|password|passwd|secret|api[_-]?key|access[_-]?token
        |token)["']?\s*[=:]\s*["']?)(?!bearer|basic)[^\s"',;&]+
    """,
    re.IGNORECASE | re.VERBOSE,
)
_NAMES = re.compile(r"authorization|password|passwd|secret|api_?key|token|cookie", re.IGNORECASE)


def redacted(text: str) -> str:
    """The text with stars in place of what looks like a secret."""
    return _SECRETS.sub(lambda match: f"{match[match.lastgroup or 0]}{STARS}", text)


def redacted_field(name: str, value: Any) -> Any:
    """A field of a record: numbers as they are, everything else as text without secrets."""
    if _NAMES.fullmatch(name):
        return STARS
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return redacted(str(value))


_MOST = 10_000
"""Records that wait; more are left out, and how many that were is told."""
_AT_ONCE = 500
"""Records after which it is told at the latest."""
_PATIENCE = 2.0
"""Seconds that the end of the process waits for a reader who doesn't read."""


class LineWriter(QueueHandler):
    """Writes records to a stream, in order, from a thread of its own.

    A pipe that nobody reads, or a slow disk, holds up that thread and not the server. Whatever is
    wrong with the stream, nothing is raised where something is logged.

    Args:
        most: Records that may wait.
    """

    def __init__(self, stream: TextIO, most: int = _MOST) -> None:
        self._waiting: SimpleQueue[Any] = SimpleQueue()
        super().__init__(self._waiting)
        self._stream = stream
        self._descriptor = _descriptor(stream)
        self._most = most
        self._left_out = self._written = 0
        self._is_open = True
        self._listener = _Listener(self._waiting, self._write)
        self._listener.start()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record with its text as it is now: what it tells of may soon be something else."""
        attach_request(record)
        record.msg, record.args = record.getMessage(), None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Take a record, or leave it out."""
        if self._is_open and self._waiting.qsize() < self._most:
            self._waiting.put(record)
        elif self._is_open:
            self._left_out += 1

    def flush(self) -> None:
        """Wait until all that was taken is written, or for as long as it makes sense."""
        if self._is_open:
            written = Event()
            self._waiting.put(written)
            written.wait(_PATIENCE)

    def close(self) -> None:
        """Write what was taken, and end."""
        if self._is_open:
            self._is_open = False
            self._listener.stop()
        super().close()

    def _write(self, record: logging.LogRecord) -> None:
        self._written += 1
        lines = [self._line(record)]
        if self._left_out and (self._waiting.empty() or self._written % _AT_ONCE == 0):
            left_out, self._left_out = self._left_out, 0
            text = f"{left_out} lines are left out here: more came than could be written"
            lines.append(self._line(_record(text)))
        try:
            self._put("".join(f"{line}\n" for line in lines))
        except (OSError, ValueError):
            return  # a full disk, a closed stream: there is nowhere to tell it

    def _put(self, text: str) -> None:
        if self._descriptor is None:
            self._stream.write(text)
            self._stream.flush()
            return
        # Not through the stream: who is stuck in it keeps the whole process from ending.
        data = memoryview(text.encode("utf-8", "backslashreplace"))
        while data:
            data = data[os.write(self._descriptor, data) :]

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except Exception as error:  # noqa: BLE001 - the others' lines are written all the same
            return f"a line of {record.name} can't be written: {type(error).__name__}"


class _Listener(QueueListener):
    """Has records written, and tells those who wait that it has come so far."""

    def __init__(
        self, waiting: SimpleQueue[Any], write: Callable[[logging.LogRecord], None]
    ) -> None:
        super().__init__(waiting)
        self._write = write

    def handle(self, record: logging.LogRecord | Event) -> None:
        """Do what is next."""
        if isinstance(record, Event):
            record.set()
        else:
            self._write(record)

    def stop(self) -> None:
        """End, once all is written or nobody seems to read it."""
        self.enqueue_sentinel()
        if self._thread is not None:
            self._thread.join(_PATIENCE)


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None  # it lies in memory


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, "", 0, text, (), None)
