"""Lists: what single-valued inputs are mapped over."""

from __future__ import annotations

from typing import Annotated, Any

from nodegraph import InvalidValue, Multiline, node

_LONGEST = 1_000_000


@node(category="list", tags=("prompts", "batch", "split"))
def Lines(text: Annotated[str, Multiline()]) -> list[str]:
    """The lines of a text, without empty ones: linked to a text input, the node runs for each.

    Args:
        text: One item a line; space around it doesn't count.
    """
    return [line.strip() for line in text.splitlines() if line.strip()]


@node(id="Range", category="list", tags=("numbers", "count", "loop"))
def Numbers(stop: int = 4, start: int = 0, step: int = 1) -> list[int]:
    """Whole numbers, evenly spaced.

    Args:
        stop: Where they end; it is not one of them.
        start: The first one.
        step: From one to the next; below 0 to count down.
    """
    if step == 0:
        raise InvalidValue("numbers can't be 0 apart", port="step", given="0")
    numbers = range(start, stop, step)
    if len(numbers) > _LONGEST:
        raise InvalidValue(
            "would be too many numbers",
            port="stop",
            given=str(len(numbers)),
            expected=f"{_LONGEST} at most",
        )
    return list(numbers)


@node(id="List", category="list", tags=("make", "join", "collect", "combine", "append", "array"))
def MakeList(
    item_1: Any | None = None,
    item_2: Any | None = None,
    item_3: Any | None = None,
    item_4: Any | None = None,
    item_5: Any | None = None,
    item_6: Any | None = None,
    item_7: Any | None = None,
    item_8: Any | None = None,
) -> list[Any]:
    """Put values, or the items of several lists, into one list.

    Args:
        item_1, item_2, item_3, item_4, item_5, item_6, item_7, item_8: What comes into the list, in
            this order; of a list its items.
    """
    given = (item_1, item_2, item_3, item_4, item_5, item_6, item_7, item_8)
    items: list[Any] = []
    for value in given:
        if value is not None:
            items.extend(value if isinstance(value, list) else [value])
    return items


@node(category="list", tags=("index", "pick", "first", "last"))
def Item(items: list[Any], index: int = 0) -> Any:
    """One item of a list.

    Args:
        items: The list.
        index: Which one, counted from 0; -1 is the last, -2 the one before.
    """
    if not -len(items) <= index < len(items):
        raise InvalidValue(
            "the list has no such item",
            port="index",
            given=str(index),
            expected=f"{-len(items)} to {len(items) - 1}" if items else "a list with items",
        )
    return items[index]


@node(category="list", tags=("count", "size"))
def Length(items: list[Any]) -> int:
    """How many items a list has.

    Args:
        items: The list.
    """
    return len(items)
