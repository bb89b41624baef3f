"""Writing log lines from a thread of its own, with stars in place of secrets."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, TextIO

from nodegraph.server.operations.logs.context import noted

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
    return _SECRETS.sub(lambda found: f"{found[found.lastgroup or 0]}{STARS}", text)


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
_PATIENCE = 2.0
"""Seconds that the end of the process waits for a reader who doesn't read."""
_Item = logging.LogRecord | Event | None
"""Something to write, somebody who waits until what came before is written, or the end."""


class LineWriter(logging.Handler):
    """Writes records to a stream, in order.

    A pipe that nobody reads, or a slow disk, holds up this thread and not the server. Whatever is
    wrong with the stream, nothing is raised where something is logged.

    Args:
        most: Records that may wait.
    """

    def __init__(self, stream: TextIO, most: int = _MOST) -> None:
        super().__init__()
        self._stream = stream
        self._descriptor = _descriptor(stream)
        self._most = most
        self._waiting: SimpleQueue[_Item] = SimpleQueue()
        self._left_out = 0
        self._is_open = True
        self._thread = Thread(target=self._work, name="nodegraph-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        if not self._is_open:
            return
        if self._waiting.qsize() >= self._most:
            self._left_out += 1
            return
        try:
            noted(record)
            # Now, as what it tells of may be something else in a moment.
            record.msg, record.args = record.getMessage(), None
        except Exception:  # noqa: BLE001 - as handlers do: what is logged wrongly breaks nothing
            self.handleError(record)
        else:
            self._waiting.put(record)

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
            self._waiting.put(None)
            self._thread.join(_PATIENCE)
        super().close()

    def _work(self) -> None:
        taken: list[_Item] = []
        while None not in taken:
            taken = self._taken()
            self._write([each for each in taken if isinstance(each, logging.LogRecord)])
            for each in taken:
                if isinstance(each, Event):
                    each.set()

    def _taken(self) -> list[_Item]:
        taken = [self._waiting.get()]
        while len(taken) < _AT_ONCE:
            try:
                taken.append(self._waiting.get_nowait())
            except Empty:
                break
        return taken

    def _write(self, records: Sequence[logging.LogRecord]) -> None:
        lines = [self._line(record) for record in records]
        if self._left_out:
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


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None  # it lies in memory


def _record(text: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, "", 0, text, (), None)
