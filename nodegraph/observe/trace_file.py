"""A file of trace events that is whole at any time, also if the process is killed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

from nodegraph.errors import OutputError

_START = b'{"displayTimeUnit":"ms","traceEvents":['
_END = b"\n]}\n"
_HELD_BYTES = 1 << 16
_HELD_SECONDS = 1.0


class TraceFile:
    """Trace events in the JSON object format, written as they come, from any thread.

    Each write ends the document, and the next one goes on where its end began, so that there is
    valid JSON in the file after every write and little of a long run in memory.

    Args:
        path: Overwritten.
    Raises:
        OutputError: It can't be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise OutputError(f"can't write the trace {path}: {error.strerror or error}") from error
        self._held = bytearray(_START)
        self._separator = b"\n"
        self._end = 0
        self._written = monotonic()
        self._fault: OSError | None = None
        self._lock = Lock()

    def add(self, event: Mapping[str, Any]) -> None:
        """Add an event; it reaches the file within about a second of other events."""
        text = json.dumps(event, separators=(",", ":"), default=str).encode()
        with self._lock:
            self._held += self._separator + text
            self._separator = b",\n"
            if len(self._held) >= _HELD_BYTES or monotonic() - self._written >= _HELD_SECONDS:
                self._write()

    def flush(self) -> None:
        """Write what was added."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        if self._held and self._fault is None:
            try:
                self._put(self._held + _END)
            except OSError as error:
                # Whoever is watched has no part in it: told once, when the file is closed.
                self._fault = error
                self._mend()
            else:
                self._end += len(self._held)
        self._held.clear()
        self._written = monotonic()

    def _put(self, data: bytes | bytearray) -> None:
        self._file.seek(self._end)
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def _mend(self) -> None:
        """Leave what was whole before; it had room."""
        with suppress(OSError):
            self._file.truncate(self._end)
            if self._end:
                self._put(_END)

    def close(self) -> None:
        """Write the rest.

        Raises:
            OSError: Something couldn't be written; what stands in the file is whole.
        """
        if not self._file.closed:
            self.flush()
            self._file.close()
            if self._fault is not None:
                raise self._fault
