"""Pagination: cursors and page limits."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

from nodegraph.errors import InvalidValue


def write_cursor(number: int) -> str:
    """What stands for a place in a list."""
    return urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def read_cursor(cursor: str | None) -> int | None:
    """The place in a list that a cursor stands for; None for the beginning.

    Raises:
        InvalidValue: It stands for none.
    """
    if cursor is None:
        return None
    try:
        number = int(urlsafe_b64decode((cursor + "=" * (-len(cursor) % 4)).encode()))
        is_ours = 0 < number < 1 << 62
    except (ValueError, binascii.Error):
        is_ours = False
    if not is_ours:
        raise InvalidValue(
            "this cursor belongs to another list",
            given=ascii(cursor[:80]),
            hint="Use `next` of the previous page, or omit the cursor.",
        )
    return number


def check_limit(limit: int, largest: int) -> None:
    """Refuse a page of no, or too many, items.

    Raises:
        InvalidValue: It is one.
    """
    if not 1 <= limit <= largest:
        raise InvalidValue(
            "a page cannot have that many items", given=str(limit), expected=f"1 to {largest}"
        )
