"""What a worker writes to its standard output and error: kept as evidence, and logged."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

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
            _LOG.warning("%s: %d lines of its output left out here", self._name, self._left_out)
            self._left_out = 0

    def last(self) -> list[str]:
        """The last lines, the one that wasn't ended included."""
        if self._part:
            self.feed(b"\n")
        return list(self._lines)


def _last(line: bytes) -> bytes:
    """What stands there in the end, where a progress bar writes over itself; its beginning."""
    return line.rpartition(b"\r")[2][:_MOST_BYTES]
