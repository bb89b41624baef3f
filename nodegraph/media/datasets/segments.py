"""Masks as COCO has them: run lengths and polygons, there and back, exactly.

Source of the forms: Lin et al. 2014, arXiv:1405.0312, and its tools (cocodataset/cocoapi).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bits = NDArray[np.bool_]
    """Of a mask, shape (height, width)."""


Corner = tuple[int, int]
"""Of pixels: x and y."""


def encode_rle(mask: Bits) -> dict[str, Any]:
    """A mask as run lengths: of what is out and in by turns, column by column."""
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [len(flat)]])).tolist()
    return {
        "size": list(mask.shape),
        "counts": [0, *counts] if len(flat) and flat[0] else counts,
    }


def mask_to_polygons(mask: Bits) -> list[list[float]]:
    """The outlines of a mask along the edges of its pixels, each x, y, x, y, …

    Holes are outlines of their own: what lies in an odd number of outlines is in.
    """
    steps = _edges(mask)
    outlines = []
    while steps:
        start = next(iter(steps))
        corners, at, heading = [start], start, (0, 0)
        while True:
            heading = _next_heading(steps, at, heading)
            at = at[0] + heading[0], at[1] + heading[1]
            if at == start:
                break
            corners.append(at)
        outlines.append(_drop_collinear(corners))
    return outlines


def _edges(mask: Bits) -> dict[Corner, list[Corner]]:
    """From each corner of pixels the ways on along an outline, the inside at the right hand."""
    wide = np.pad(mask, 1)
    steps: dict[Corner, list[Corner]] = {}

    def add(edge: Bits, start: Corner, heading: Corner) -> None:
        rows, columns = np.nonzero(edge)
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            steps.setdefault((column + start[0], row + start[1]), []).append(heading)

    inside = wide[1:-1, 1:-1]
    add(inside & ~wide[:-2, 1:-1], (0, 0), (1, 0))  # above is out: to the right
    add(inside & ~wide[1:-1, 2:], (1, 0), (0, 1))
    add(inside & ~wide[2:, 1:-1], (1, 1), (-1, 0))
    add(inside & ~wide[1:-1, :-2], (0, 1), (0, -1))
    return steps


def _next_heading(steps: dict[Corner, list[Corner]], at: Corner, heading: Corner) -> Corner:
    ways = steps[at]
    # Where two pixels touch at a corner only: to the right, so that each has an outline of its own.
    right = (-heading[1], heading[0])
    way = right if right in ways else ways[0]
    ways.remove(way)
    if not ways:
        del steps[at]
    return way


def _drop_collinear(corners: list[Corner]) -> list[float]:
    kept: list[float] = []
    for at, (x, y) in enumerate(corners):
        before, after = corners[at - 1], corners[(at + 1) % len(corners)]
        if not (before[0] == x == after[0] or before[1] == y == after[1]):
            kept += [float(x), float(y)]
    return kept


def decode_segmentation(segmentation: Any, width: int, height: int) -> Bits:
    """The mask that an annotation's segmentation says.

    Raises:
        InvalidValue: It is of no known form, or of another size.
    """
    if isinstance(segmentation, Mapping):
        size = list(segmentation.get("size") or [])
        if size != [height, width]:
            raise InvalidValue("run lengths are of another size than the picture", given=str(size))
        counts = segmentation.get("counts")
        counts = _decode_counts(counts) if isinstance(counts, str) else counts
        return _decode_rle(counts, width, height)
    mask = np.zeros((height, width), bool)
    if not isinstance(segmentation, Sequence) or isinstance(segmentation, str):
        raise InvalidValue("a segmentation is neither polygons nor run lengths")
    for outline in segmentation:
        mask ^= _fill_polygon(outline, width, height)
    return mask


def _decode_rle(counts: Any, width: int, height: int) -> Bits:
    try:
        lengths = np.asarray(counts, np.int64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidValue(f"run lengths can't be read: {error}") from error
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != width * height:
        raise InvalidValue("run lengths don't fill their picture")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape((height, width), order="F")


def _decode_counts(text: str) -> list[int]:
    """Counts from their short form: five bits a letter, from the third on as differences."""
    counts: list[int] = []
    at = 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            if at == len(text) or shift > 60:
                raise InvalidValue("run lengths are cut short")
            letter = ord(text[at]) - 48
            value |= (letter & 0x1F) << shift
            more, shift, at = bool(letter & 0x20), shift + 5, at + 1
            if not more and letter & 0x10:
                value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts


def _fill_polygon(outline: Any, width: int, height: int) -> Bits:
    """Pixels whose middle lies in an outline."""
    try:
        corners = np.asarray(outline, np.float64).reshape(-1, 2)
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"a polygon can't be read: {error}") from error
    if len(corners) < 3 or not np.isfinite(corners).all():
        raise InvalidValue("a polygon has fewer than three corners, or no finite ones")
    crossings = np.zeros((height, width + 1), bool)
    x, y = corners.T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    first = max(0, int(np.floor(y.min())))
    for row in range(first, min(height, int(np.ceil(y.max())) + 1)):
        middle = row + 0.5
        crossed = (y <= middle) != (next_y <= middle)
        share = (middle - y[crossed]) / (next_y[crossed] - y[crossed])
        places = x[crossed] + share * (next_x[crossed] - x[crossed])
        starts = np.clip(np.ceil(places - 0.5), 0, width).astype(int)
        np.logical_xor.at(crossings[row], starts, True)
    return np.logical_xor.accumulate(crossings, axis=1)[:, :width]
