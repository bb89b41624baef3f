"""Lists, over which nodes run once per item."""

from __future__ import annotations

import re
from math import isfinite
from typing import Annotated, Any, Literal, NamedTuple

from nodegraph import InvalidValue, Multiline, Range, Seed, node

_LONGEST = 1_000_000


@node(category="list", tags=("prompts", "batch", "split"))
def Lines(text: Annotated[str, Multiline()]) -> list[str]:
    """Split a text into its non-empty lines. A node whose text input is linked to them runs for
    each.

    Args:
        text: One item per line. Spaces around it are removed.
    """
    return [line.strip() for line in text.splitlines() if line.strip()]


@node(id="Range", category="list", tags=("numbers", "count", "loop"))
def Numbers(stop: int = 4, start: int = 0, step: int = 1) -> list[int]:
    """Return evenly spaced whole numbers.

    Args:
        stop: The end, which is not included.
        start: The first number.
        step: Difference between neighbors. Negative values count down.
    """
    if step == 0:
        raise InvalidValue("the step is 0", port="step", given="0")
    numbers = range(start, stop, step)
    if len(numbers) > _LONGEST:
        raise InvalidValue(
            "there are too many numbers",
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
    """Make a list from values, or from the items of several lists.

    Args:
        item_1, item_2, item_3, item_4, item_5, item_6, item_7, item_8: Values for the list, in this
            order. A list adds its items.
    """
    values = (item_1, item_2, item_3, item_4, item_5, item_6, item_7, item_8)
    items: list[Any] = []
    for value in values:
        if value is not None:
            items.extend(value if isinstance(value, list) else [value])
    return items


@node(category="list", tags=("index", "pick", "first", "last", "pick random", "random choice"))
def Item(items: list[Any], index: int = 0) -> Any:
    """Return one item of a list.

    Args:
        items: The list.
        index: Index of the item, starting at 0. -1 is the last, -2 the one before it.
    """
    if not -len(items) <= index < len(items):
        raise InvalidValue(
            "the list does not have this item",
            port="index",
            given=str(index),
            expected=f"{-len(items)} to {len(items) - 1}" if items else "a list with items",
        )
    return items[index]


@node(category="list", tags=("count", "size", "StringLength", "number of"))
def Length(items: list[Any]) -> int:
    """Return the number of items of a list.

    Args:
        items: The list.
    """
    return len(items)


@node(category="list", tags=("constant", "floats", "numbers", "csv"))
def NumberList(numbers: Annotated[str, Multiline()] = "1, 2, 3") -> list[float]:
    """Make a list of numbers from text.

    Args:
        numbers: Numbers separated by commas, semicolons or spaces.
    """
    parsed: list[float] = []
    for part in re.split(r"[\s,;]+", numbers.strip()):
        try:
            if part:
                parsed.append(float(part))
        except ValueError:
            raise InvalidValue(
                "an entry is not a number", port="numbers", given=part[:40]
            ) from None
    return parsed


@node(category="list", tags=("linspace", "floats", "steps", "sweep", "interpolate"))
def NumberRange(
    start: float = 0.0, end: float = 1.0, count: Annotated[int, Range(1, _LONGEST)] = 5
) -> list[float]:
    """Return evenly spaced numbers between two limits, both included.

    Args:
        start: The first number.
        end: The last number.
        count: How many numbers. For 1, only the first is returned.
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
    """Return part of a list (slice).

    Args:
        items: The list.
        start: Index of the first item, starting at 0. -2 is the last but one.
        stop: Index after the last item. If left out, all following items are included.
        step: Take every n-th item. Negative values go backwards from start.
    """
    if step == 0:
        raise InvalidValue("the step is 0", port="step", given="0")
    first = None if step < 0 and start == 0 else start
    return items[first:stop:step]


@node(category="list", tags=("sort", "reverse", "shuffle", "random order"))
def ReorderList(
    items: list[Any],
    order: Literal["reversed", "sorted", "sorted downwards", "shuffled"] = "reversed",
    seed: Annotated[int, Seed()] = 0,
) -> list[Any]:
    """Sort, reverse or shuffle a list.

    Args:
        items: The list.
        order: Sorting orders numbers by value and texts alphabetically, without regard to case.
        seed: Seed of the shuffle.
    """
    from random import Random

    if order == "reversed":
        return items[::-1]
    if order == "shuffled":
        return Random(seed).sample(items, len(items))  # noqa: S311 - must be reproducible
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
    """Remove duplicates from a list. The first of equal items is kept.

    Args:
        items: The list. Images and other tensors are compared by content.
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
    """Repeat a list several times.

    Args:
        items: The list.
        times: Number of repetitions.
        each: Repeat each item before the next one, instead of repeating the whole list.
    """
    if len(items) * times > _LONGEST:
        raise InvalidValue(
            "the list has too many items",
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
    """Return every combination of the items of two lists, as two lists of the same length.

    Linked to two inputs of a node, they make it run for each pair. The first item of the first list
    comes with all items of the second, then its next item.

    Args:
        first: The list that changes slowly.
        second: The list that changes with each pair.
    """
    if len(first) * len(second) > _LONGEST:
        raise InvalidValue(
            "there are too many pairs",
            port="second",
            given=str(len(first) * len(second)),
            expected=f"{_LONGEST} at most",
        )
    rows = [item for item in first for _ in second]
    return CrossedLists(rows, second * len(first))


@node(category="list", tags=("batch", "group", "split", "rows"))
def ChunkList(items: list[Any], size: Annotated[int, Range(1, _LONGEST)] = 4) -> list[list[Any]]:
    """Split a list into chunks: a list of lists. The last chunk has the remaining items.

    A node with a list input, for example ImageStrip, runs once per chunk.

    Args:
        items: The list.
        size: Number of items per chunk.
    """
    return [items[at : at + size] for at in range(0, len(items), size)]
