"""Parts of a file that a client asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from nodegraph.server.http.errors import Refused

_ONE = re.compile(r"(\d+)-(\d*)|-(\d+)", re.ASCII)
_ENDLESS = 1 << 62


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes from `start`, `stop` not included."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        return self.stop - self.start


class NoSuchRange(Refused):
    """No byte of the file is in the range."""

    code = "range-not-satisfiable"
    status = 416

    def __init__(self, given: str, size: int) -> None:
        super().__init__(
            "the file ends before this range begins", given=given[:100], expected=f"0-{size - 1}"
        )
        self.size = size

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Content-Range": f"bytes */{self.size}"}


def read_range(header: str | None, size: int) -> Part | None:
    """The part that a ``Range`` header asks for; None for the whole file.

    What can't be read, other units and several ranges at once stand for the whole, as the standard
    allows.

    Args:
        size: Bytes of the file.
    Raises:
        NoSuchRange: It lies behind the file's end.
    """
    unit, equals, ranges = (header or "").partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    found = _ONE.fullmatch(ranges.strip())
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        part = Part(max(size - _number(suffix), 0), size)
    else:
        start, end = _number(first), _number(last) if last else _ENDLESS
        if end < start:
            return None
        part = Part(start, min(end + 1, size))
    if part.start >= part.stop:
        raise NoSuchRange(ranges, size)
    return part


def _number(digits: str) -> int:
    """A number; one that no file reaches where Python won't read so many digits."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) < 19 else _ENDLESS
