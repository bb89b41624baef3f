"""How deep and how large a JSON text is, found while it arrives and before anything reads it.

A parser may need a stack frame for each level and sixty bytes for each of two characters. So levels
and values are counted first, by the brackets and commas outside of strings. What is no JSON at all
is left to the parser to say.
"""

from __future__ import annotations

import re

from nodegraph.server.http.errors import TooLarge

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_INSIDE = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_OPENING, _CLOSING = b"[{", b"]}"
_NO_MARKS = bytes(set(range(256)) - set(b"[]{},"))


class JsonGauge:
    """Is fed a JSON text piece by piece.

    Args:
        depth: Levels that there may be.
        values: Values that there may be.
    """

    def __init__(self, depth: int, values: int) -> None:
        self._most_levels = depth
        self._most_values = values
        self._depth = 0
        self._values = 0
        self._in_string = False
        self._is_escaped = False

    def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            TooLarge: There are more levels or values than may be.
        """
        if not piece:
            return
        marks = self._outside(piece).translate(None, _NO_MARKS)
        opened = marks.count(b"[") + marks.count(b"{")
        self._values += opened + marks.count(b",")
        if self._values > self._most_values:
            raise TooLarge(
                "the JSON holds too many values", expected=f"at most {self._most_values}"
            )
        if self._depth + opened > self._most_levels:
            self._walk(marks)
        else:
            # Even if all of them open before the first one closes, that is no level too many.
            closed = len(marks) - opened - marks.count(b",")
            self._depth = max(0, self._depth + opened - closed)

    def _walk(self, marks: bytes) -> None:
        depth = self._depth
        for mark in marks:
            if mark in _OPENING:
                depth += 1
                if depth > self._most_levels:
                    raise TooLarge(
                        "the JSON is nested too deeply",
                        expected=f"at most {self._most_levels} levels",
                    )
            elif mark in _CLOSING:
                depth = max(0, depth - 1)
        self._depth = depth

    def _outside(self, piece: bytes) -> bytes:
        """What of a piece is outside of strings."""
        start = 0
        if self._in_string:
            start = self._end_of_string(piece, 1 if self._is_escaped else 0)
            if self._in_string:
                return b""
        bare = _STRING.sub(b"", piece[start:] if start else piece)
        quote = bare.find(b'"')
        if quote < 0:
            return bare
        self._in_string = True
        self._end_of_string(bare, quote + 1)
        return bare[:quote]

    def _end_of_string(self, piece: bytes, start: int) -> int:
        """Where the string ends that goes on at `start`; notes if it doesn't within the piece."""
        match = _INSIDE.match(piece, start)
        end = match.end() if match else start
        self._is_escaped = piece[end : end + 1] == b"\\"
        self._in_string = piece[end : end + 1] != b'"'
        return end + 1
