"""Lists: what single-valued inputs are mapped over."""

from __future__ import annotations

import re
from math import isfinite
from typing import Annotated, Any, Literal, NamedTuple

from nodegraph import InvalidValue, Multiline, Range, Seed, node

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
    values = (item_1, item_2, item_3, item_4, item_5, item_6, item_7, item_8)
    items: list[Any] = []
    for value in values:
        if value is not None:
            items.extend(value if isinstance(value, list) else [value])
    return items


@node(category="list", tags=("index", "pick", "first", "last", "pick random", "random choice"))
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


@node(category="list", tags=("count", "size", "StringLength", "number of"))
def Length(items: list[Any]) -> int:
    """How many items a list has.

    Args:
        items: The list.
    """
    return len(items)


@node(category="list", tags=("constant", "floats", "numbers", "csv"))
def NumberList(numbers: Annotated[str, Multiline()] = "1, 2, 3") -> list[float]:
    """A list of numbers as they are written.

    Args:
        numbers: With commas, semicolons or space between them.
    """
    parsed: list[float] = []
    for part in re.split(r"[\s,;]+", numbers.strip()):
        try:
            if part:
                parsed.append(float(part))
        except ValueError:
            raise InvalidValue("is no number", port="numbers", given=part[:40]) from None
    return parsed


@node(category="list", tags=("linspace", "floats", "steps", "sweep", "interpolate"))
def NumberRange(
    start: float = 0.0, end: float = 1.0, count: Annotated[int, Range(1, _LONGEST)] = 5
) -> list[float]:
    """Numbers evenly spaced between two, both of them included.

    Args:
        start: The first.
        end: The last.
        count: How many; of one alone it is the first.
    """
    if count == 1:
        return [start]
    if isfinite(start) and isfinite(end) and not isfinite(end - start):
        raise InvalidValue(
            "start and end are too far apart", port="end", given=f"{start:g} to {end:g}"
        )
    return [start + (end - start) * at / (count - 1) for at in range(count)]


@node(id="Slice", category="list", tags=("part", "first", "last", "sublist", "take", "skip"))
def PartOfList(
    items: list[Any], start: int = 0, stop: int | None = None, step: int = 1
) -> list[Any]:
    """A part of a list.

    Args:
        items: The list.
        start: The first item, counted from 0; -2 is the last but one.
        stop: The first that isn't in it any more; left out, all that follow are.
        step: Every so many; below 0 they come in the other order, from the start backwards.
    """
    if step == 0:
        raise InvalidValue("items can't be 0 apart", port="step", given="0")
    first = None if step < 0 and start == 0 else start
    return items[first:stop:step]


@node(category="list", tags=("sort", "reverse", "shuffle", "random order"))
def ReorderList(
    items: list[Any],
    order: Literal["reversed", "sorted", "sorted downwards", "shuffled"] = "reversed",
    seed: Annotated[int, Seed()] = 0,
) -> list[Any]:
    """The items of a list in another order.

    Args:
        items: The list.
        order: Sorted are numbers by size and texts by letters, capitals like small ones.
        seed: Another order for each, where they are shuffled.
    """
    from random import Random

    if order == "reversed":
        return items[::-1]
    if order == "shuffled":
        return Random(seed).sample(items, len(items))  # noqa: S311 - to be drawn again
    try:
        return sorted(items, key=_sort_key, reverse=order == "sorted downwards")
    except TypeError:
        raise InvalidValue(
            "only lists of numbers or of texts can be sorted", port="items"
        ) from None


def _sort_key(item: Any) -> Any:
    if isinstance(item, str):
        return item.casefold(), item
    if isinstance(item, (int, float)):
        return item
    raise TypeError("has no order")


@node(category="list", tags=("distinct", "duplicates", "set"))
def UniqueItems(items: list[Any]) -> list[Any]:
    """The items of a list, each once: where it came first.

    Args:
        items: The list. Pictures and other tensors are told apart by their content.
    """
    from nodegraph.core.digests import digest_value

    by_digest: dict[str, Any] = {}
    for item in items:
        by_digest.setdefault(digest_value(item), item)
    return list(by_digest.values())


@node(category="list", tags=("duplicate", "times", "copy", "fill"))
def RepeatItems(
    items: list[Any],
    times: Annotated[int, Range(0, 10_000)] = 2,
    each: bool = False,
) -> list[Any]:
    """A list several times over.

    Args:
        items: The list.
        times: How often.
        each: Each item so often before the next one comes, in place of the whole list.
    """
    if len(items) * times > _LONGEST:
        raise InvalidValue(
            "would be too many items",
            port="times",
            given=str(len(items) * times),
            expected=f"{_LONGEST} at most",
        )
    return [item for item in items for _ in range(times)] if each else items * times


class CrossedLists(NamedTuple):
    first: list[Any]
    second: list[Any]


@node(category="list", tags=("cross product", "combinations", "pairs", "grid", "sweep", "xy"))
def CrossLists(first: list[Any], second: list[Any]) -> CrossedLists:
    """Every item of a list with every item of another: two lists of the same length.

    Linked to two inputs of a node, it runs for each pair. They come row by row: the first item of
    the first list with all of the second, then its next one.

    Args:
        first: What changes slowly.
        second: What changes from pair to pair.
    """
    if len(first) * len(second) > _LONGEST:
        raise InvalidValue(
            "would be too many pairs",
            port="second",
            given=str(len(first) * len(second)),
            expected=f"{_LONGEST} at most",
        )
    rows = [item for item in first for _ in second]
    return CrossedLists(rows, second * len(first))


@node(category="list", tags=("batch", "group", "split", "rows"))
def ChunkList(items: list[Any], size: Annotated[int, Range(1, _LONGEST)] = 4) -> list[list[Any]]:
    """A list in parts: a list of lists, each of so many items and the last of what is left.

    Linked to a list input, such as that of ImageStrip, the node runs once for each part.

    Args:
        items: The list.
        size: Items of a part.
    """
    return [items[at : at + size] for at in range(0, len(items), size)]
