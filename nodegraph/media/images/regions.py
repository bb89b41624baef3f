"""Boxes, points and regions of an image: parse from text, expand, fit. Imports no torch."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.core.ports import port_type
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from torch import Tensor

MAX_ITEMS = 1000
"""Points or boxes in a text."""


_MOST_SHARE = 4
"""Of an image's sides; what is beyond can only be meant as pixels."""


def parse_boxes(
    text: str, port: str = "boxes", unit: str = "pixels"
) -> list[tuple[float, float, float, float]]:
    """Boxes from a text: x, y, width and height each, as JSON or as plain numbers.

    Args:
        unit: pixels, or shares of an image's sides.
    Raises:
        InvalidValue: There are none, or something else is in there, such as pixels for shares.
    """
    boxes = _numbers(text, 4, port, "[[x, y, width, height], …], or four numbers per line")
    for box in boxes:
        if box[2] <= 0 or box[3] <= 0:
            raise InvalidValue(
                "a box has no area",
                port=port,
                given=str(list(box)),
                expected="a width and height above 0",
            )
        if unit == "shares" and max(map(abs, box)) > _MOST_SHARE:
            raise InvalidValue(
                "a box is far larger than the image",
                port=port,
                given=str(list(box)),
                expected="shares of the image's sides, 0 to 1",
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
    points = _numbers(text, 2, port, "[[x, y], …], or two numbers per line")
    return [(point[0], point[1]) for point in points]


def _numbers(text: str, each: int, port: str, expected: str) -> list[tuple[float, ...]]:
    flat = _flat(_read(text))
    if not flat or len(flat) % each or not all(map(math.isfinite, flat)):
        raise InvalidValue(
            f"this is not a list of {'boxes' if each == 4 else 'points'}",
            port=port,
            given=text.strip()[:60] or "nothing",
            expected=expected,
        )
    if len(flat) > each * MAX_ITEMS:
        raise InvalidValue(
            "there are too many",
            port=port,
            given=str(len(flat) // each),
            expected=f"at most {MAX_ITEMS}",
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


Rectangle = tuple[int, int, int, int]
"""Left and upper edge, width and height, in pixels."""
Box = tuple[float, float, float, float]
"""The same with fractions of pixels, as detectors return them."""


@port_type(color="#c7a25b")
@dataclass(frozen=True, slots=True)
class Region:
    """The part of an image that was cut out of it, and what of that part is to change.

    Attributes:
        x, y: Its left and upper edge in the image, in pixels; below 0 where it begins outside.
        width, height: In the image, in pixels; it may reach over the image's edges.
        picture_width, picture_height: Of the image.
        mask: float32 in 0..1, shape (batch, height, width) in the image's pixels.
        label: Class of the object in it, as its detector names it. Empty if it is not known.
        confidence: Of the detector, 0..1.
        box: Box of the object in the image. None for the whole region.
    """

    x: int
    y: int
    width: int
    height: int
    picture_width: int
    picture_height: int
    mask: Tensor
    label: str = ""
    confidence: float = 1.0
    box: Box | None = None

    @property
    def rectangle(self) -> Rectangle:
        return self.x, self.y, self.width, self.height

    @property
    def object_box(self) -> Box:
        """Box of the object, or the whole region."""
        return self.rectangle if self.box is None else self.box


Measure = Literal[
    "area", "width", "height", "left", "top", "right", "bottom", "elongation", "confidence"
]


def measure_region(region: Region, measure: Measure, of: str = "box") -> float:
    """A number to filter or sort regions by.

    Args:
        measure: Pixels or square pixels. elongation is the longer side in percent of the shorter
            one. confidence is that of the detector, 0..1.
        of: box of the object, or the whole crop.
    """
    if measure == "confidence":
        return region.confidence
    x, y, width, height = region.rectangle if of == "crop" else region.object_box
    if measure == "area":
        return width * height
    if measure == "elongation":
        shorter, longer = sorted((width, height))
        return 100 * longer / shorter if shorter else math.inf
    edges = {"left": x, "top": y, "right": x + width, "bottom": y + height}
    return {"width": width, "height": height, **edges}[measure]


def filter_regions(
    regions: Sequence[Region],
    labels: str,
    measure: Measure,
    least: float,
    most: float,
    *,
    of: str = "box",
) -> tuple[list[Region], list[Region]]:
    """Regions of some labels whose measure lies within bounds, and the others.

    Args:
        labels: Separated by commas; upper and lower case are the same. Empty for all.
        least, most: Both included.
    """
    wanted = {name.strip().lower() for name in labels.split(",") if name.strip()}
    kept: list[Region] = []
    others: list[Region] = []
    for region in regions:
        is_named = not wanted or region.label.lower() in wanted
        fits = is_named and least <= measure_region(region, measure, of) <= most
        (kept if fits else others).append(region)
    return kept, others


def enlarge_box(box: Box, factor: float, picture: tuple[int, int]) -> Rectangle:
    """A box enlarged about its middle, moved into the image, and cut to whole pixels.

    Args:
        factor: Of its sides.
        picture: Width and height.
    """
    x, width = _enlarged(box[0], box[2], factor, picture[0])
    y, height = _enlarged(box[1], box[3], factor, picture[1])
    return x, y, width, height


def _enlarged(start: float, side: float, factor: float, limit: int) -> tuple[int, int]:
    wanted = side * factor
    first = int(start + side / 2 - wanted / 2)
    if first < 0:
        first, last = 0, int(min(limit, wanted))
    elif first + wanted > limit:
        first, last = int(max(0, limit - wanted)), limit
    else:
        last = int(first + wanted)
    return first, max(1, last - first)


def tile_boxes(
    picture: tuple[int, int], tile: tuple[int, int], order: Literal["rows", "checkerboard"]
) -> list[Rectangle]:
    """Tiles that cover an image without overlap; those of the last column and row are cut.

    Args:
        picture, tile: Width and height.
        order: Row by row; or first every second tile, then those between them.
    """
    columns, rows = ceil(picture[0] / tile[0]), ceil(picture[1] / tile[1])
    cells = [(column, row) for row in range(rows) for column in range(columns)]
    if order == "checkerboard":
        cells.sort(key=lambda cell: sum(cell) % 2)
    boxes = []
    for column, row in cells:
        x, y = column * tile[0], row * tile[1]
        boxes.append((x, y, min(tile[0], picture[0] - x), min(tile[1], picture[1] - y)))
    return boxes


def expand_box(box: Rectangle, margin: int, picture: tuple[int, int]) -> Rectangle:
    """A box with a margin, as far as the image reaches.

    Args:
        picture: Width and height.
    """
    x, y, width, height = box
    left, top = max(0, x - margin), max(0, y - margin)
    right, bottom = min(picture[0], x + width + margin), min(picture[1], y + height + margin)
    return left, top, right - left, bottom - top


def fit_box(
    box: Rectangle, target: tuple[int, int], multiple: int, picture: tuple[int, int]
) -> tuple[Rectangle, tuple[int, int]]:
    """A box brought to proportions, moved into the image if it fits, and its size when cut out.

    Args:
        target: Width and height that it is scaled to; one that is 0 follows from the box, and if
            both are, it keeps its pixels.
        multiple: What the sides of the result are a multiple of.
        picture: Width and height.
    """
    width, height = box[2:]
    if target == (0, 0):
        size = _up(width, multiple), _up(height, multiple)
        wanted = size
    else:
        wide, high = target
        size = (
            _up(wide or round(width * high / height), multiple),
            _up(high or round(height * wide / width), multiple),
        )
        wanted = _in_proportion(width, height, size)
    x, wide = _placed(box[0], width, wanted[0], picture[0])
    y, high = _placed(box[1], height, wanted[1], picture[1])
    return (x, y, wide, high), size


def _in_proportion(width: int, height: int, size: tuple[int, int]) -> tuple[int, int]:
    """The smallest sides, not below these, that have the proportions of a size."""
    if width * size[1] < height * size[0]:
        return ceil(height * size[0] / size[1]), height
    return width, ceil(width * size[1] / size[0])


def _placed(start: int, side: int, wanted: int, picture: int) -> tuple[int, int]:
    """A side about the same middle, within the image if it is no longer than that."""
    middle = start - (wanted - side) // 2
    if wanted > picture:
        return -((wanted - picture) // 2), wanted
    return min(max(middle, 0), picture - wanted), wanted


def _up(pixels: int, multiple: int) -> int:
    return max(1, ceil(pixels / multiple)) * multiple
