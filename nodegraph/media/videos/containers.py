"""Containers of videos: whether a file holds all the bytes that it claims to."""

from __future__ import annotations

from io import SEEK_END
from typing import BinaryIO

MATROSKA = b"\x1aE\xdf\xa3"
"""What each of its files begins with, WebM's included."""
_SEGMENT = b"\x18S\x80g"
"""Name of the one large element of a Matroska."""
_MOST_BOXES = 1_000_000
"""Of an MP4, one after the other; one in fragments has two for each."""
_PACKET, _FEW = 188, 16
"""Bytes of one in an MPEG-TS, and how many are looked at."""
_TAIL = 64


def is_transport_stream(file: BinaryIO) -> bool:
    """Whether a file is an MPEG-TS: packets of 188 bytes, each of which begins with a G."""
    position = file.tell()
    start = file.read(_PACKET * _FEW)
    file.seek(position)
    is_gif = start.startswith(b"GIF8")
    return len(start) >= 4 * _PACKET and set(start[::_PACKET]) == {ord("G")} and not is_gif


def is_complete(file: BinaryIO) -> bool:
    """Whether all is there that an MP4, MOV, Matroska or WebM claims to hold.

    One whose end wasn't known when its beginning was written isn't whole, as it can't be told.
    """
    position = file.tell()
    try:
        total = file.seek(0, SEEK_END)
        file.seek(0)
        end = _matroska_end(file) if file.read(4) == MATROSKA else _mp4_end(file, total)
        if end is None or end > total:
            return False
        file.seek(max(0, end - _TAIL))
        # A download that was given its room before it came ends with zeros.
        return any(file.read(_TAIL))
    finally:
        file.seek(position)


def _matroska_end(file: BinaryIO) -> int | None:
    """Where the Segment ends.

    Source: RFC 8794, 4: the zero bits before the first one say how long a size is; of one that
    isn't known all others are ones.
    """
    file.seek(0)
    end = 0
    for name in (MATROSKA, _SEGMENT):
        file.seek(end)
        start = file.read(4 + 8)
        if len(start) < 4 + 8 or start[:4] != name or not start[4]:
            return None
        length = 9 - start[4].bit_length()
        unknown = (1 << 7 * length) - 1
        size = int.from_bytes(start[4 : 4 + length], "big") & unknown
        if size == unknown:
            return None
        end += 4 + length + size
    return end


def _mp4_end(file: BinaryIO, total: int) -> int | None:
    """Where the last box ends.

    Source: ISO/IEC 14496-12, 4.2: size and name, of 32 bits each, or of 64 bits behind the name; a
    last one without a size goes to the end.
    """
    end = 0
    for _ in range(_MOST_BOXES):
        file.seek(end)
        start = file.read(8 + 8)
        size, name = int.from_bytes(start[:4], "big"), start[4:8]
        if len(name) < 4 or not any(name):
            return None
        if size == 1:
            size = int.from_bytes(start[8:], "big")
        elif size == 0:
            return total
        if size < 8:
            return None
        end += size
        if end >= total:
            return end
    return None
