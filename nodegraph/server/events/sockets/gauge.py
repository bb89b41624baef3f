"""Whether packed bytes are plain values, not too deep and not too many, before they are unpacked.

A list of five bytes may say that it has four thousand million items, which an unpacker makes room
for; lists within lists may do so at each level. So heads are gone through first. Only what JSON has
is let through: no bytes, no extensions, no infinite numbers, and names of members are text.
"""

from __future__ import annotations

from nodegraph.server.events.sockets.closing import TOO_LARGE, Unreadable

_FIXED = {
    **dict.fromkeys(range(0x80), 0),
    **dict.fromkeys(range(0xE0, 0x100), 0),
    **dict.fromkeys((0xC0, 0xC2, 0xC3), 0),
    **dict(zip(range(0xCC, 0xD4), (1, 2, 4, 8) * 2, strict=True)),
}
"""Bytes after the first one, of values of a fixed size."""
_FLOATS = {0xCA: (4, 0x80), 0xCB: (8, 0xF0)}
"""Bytes after the first one, and which bits of the second one are set in what is no number."""
_TEXTS = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_LISTS = {0xDC: 2, 0xDD: 4}
_MAPS = {0xDE: 2, 0xDF: 4}
"""Bytes of the length."""


def check_packed(data: bytes, most_levels: int, most_values: int) -> None:
    """See that msgpack holds one plain value.

    Raises:
        Unreadable: It doesn't, or a larger one than may be.
    """
    at = values = 0
    left = [1]
    """Values that are still to come, at each level."""
    end = len(data)
    while left:
        if not left[-1]:
            left.pop()
            continue
        if at >= end:
            raise Unreadable("the message ends before its value does")
        left[-1] -= 1
        values += 1
        at, inside = _next(data, at)
        if inside is None:
            continue
        # Each value takes a byte at least: so much room is never made for nothing.
        if inside > end - at:
            raise Unreadable("the message ends before its value does")
        if values + inside > most_values:
            raise Unreadable("the message holds more values than it may", TOO_LARGE)
        if len(left) > most_levels:
            raise Unreadable(f"the message has more than {most_levels} levels", TOO_LARGE)
        left.append(inside)
    if at > end:
        raise Unreadable("the message ends before its value does")
    if at < end:
        raise Unreadable("the message goes on after its value")


def _next(data: bytes, at: int) -> tuple[int, int | None]:
    """Where what follows begins, and how many values are in the one at a place; None if it is one.

    A place behind the end is found out by what comes next, or at the end of all.
    """
    head = data[at]
    at += 1
    if head in _FIXED:
        return at + _FIXED[head], None
    if head & 0xE0 == 0xA0:
        return at + (head & 0x1F), None
    if head & 0xF0 == 0x90:
        return at, head & 0x0F
    if head & 0xF0 == 0x80:
        return at, 2 * (head & 0x0F)
    if head in _FLOATS:
        return _after_float(data, at, *_FLOATS[head]), None
    for kinds in (_TEXTS, _LISTS, _MAPS):
        if head in kinds:
            size = kinds[head]
            length = int.from_bytes(data[at : at + size], "big")
            at += size
            if kinds is _TEXTS:
                return at + length, None
            return at, length if kinds is _LISTS else 2 * length
    raise Unreadable("the message holds bytes or an extension: only what JSON has is read")


def _after_float(data: bytes, at: int, size: int, mark: int) -> int:
    if data[at : at + 1] and data[at] & 0x7F == 0x7F and data[at + 1 : at + 2] >= bytes([mark]):
        raise Unreadable("the message holds a number that is not finite")
    return at + size
