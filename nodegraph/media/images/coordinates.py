"""Points and boxes that are written as text. Imports no torch."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from nodegraph.errors import InvalidValue

MAX_ITEMS = 1000
"""Points or boxes in a text."""


_MOST_SHARE = 4
"""Of a picture's sides; what is beyond can only be meant as pixels."""


def parse_boxes(
    text: str, port: str = "boxes", unit: str = "pixels"
) -> list[tuple[float, float, float, float]]:
    """Boxes from a text: x, y, width and height each, as JSON or as plain numbers.

    Args:
        unit: pixels, or shares of a picture's sides.
    Raises:
        InvalidValue: There are none, or something else is in there, such as pixels for shares.
    """
    boxes = _numbers(text, 4, port, "[[x, y, width, height], …], or four numbers a line")
    for box in boxes:
        if box[2] <= 0 or box[3] <= 0:
            raise InvalidValue(
                "a box is without extent",
                port=port,
                given=str(list(box)),
                expected="a width and height above 0",
            )
        if unit == "shares" and max(map(abs, box)) > _MOST_SHARE:
            raise InvalidValue(
                "a box is far larger than the picture",
                port=port,
                given=str(list(box)),
                expected="shares of the picture's sides, 0 to 1",
                hint="If they are pixels, set unit to pixels.",
            )
    return [(box[0], box[1], box[2], box[3]) for box in boxes]


def parse_points(text: str, port: str = "points") -> list[tuple[float, float]]:
    """Points from a text: x and y each, as JSON or as plain numbers; none of an empty one.

    Raises:
        InvalidValue: Something else is in there.
    """
    if not text.strip():
        return []
    points = _numbers(text, 2, port, "[[x, y], …], or two numbers a line")
    return [(point[0], point[1]) for point in points]


def _numbers(text: str, each: int, port: str, expected: str) -> list[tuple[float, ...]]:
    flat = _flat(_read(text))
    if not flat or len(flat) % each or not all(map(math.isfinite, flat)):
        raise InvalidValue(
            f"no list of {'boxes' if each == 4 else 'points'}",
            port=port,
            given=text.strip()[:60] or "nothing",
            expected=expected,
        )
    if len(flat) > each * MAX_ITEMS:
        raise InvalidValue(
            "too many at once",
            port=port,
            given=str(len(flat) // each),
            expected=f"up to {MAX_ITEMS}",
        )
    return [tuple(flat[at : at + each]) for at in range(0, len(flat), each)]


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        try:
            return [float(word) for word in re.split(r"[\s,;\[\]()]+", text) if word]
        except ValueError:
            return None


def _flat(read: Any) -> list[float]:
    """Numbers, or lists of them; what else it may be makes it no list of numbers at all."""
    items = read if isinstance(read, list) else [None]
    flat: list[Any] = []
    for item in items:
        flat += item if isinstance(item, list) else [item]
    if not all(isinstance(part, (int, float)) and not isinstance(part, bool) for part in flat):
        return []
    try:
        return [float(part) for part in flat]
    except OverflowError:
        return []
