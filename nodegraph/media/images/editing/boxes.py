"""Boxes on pictures, with what they are of."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from typing import TYPE_CHECKING

from nodegraph.media.images.colors import Color
from nodegraph.media.images.editing.fills import draw_shape
from nodegraph.media.images.editing.pictures import with_channels
from nodegraph.media.images.editing.text import TextStyle, draw_text

if TYPE_CHECKING:
    from torch import Tensor

Box = tuple[float, float, float, float]
"""Left, top, width and height in pixels."""

_DARK = 0.5
"""Brightness up to which letters on a colour are white."""


def draw_boxes(
    image: Tensor,
    boxes: Sequence[Box],
    labels: Sequence[str],
    color: Color,
    *,
    line: float,
    size: float,
) -> Tensor:
    """Pictures with boxes on them, and a label at the upper left corner of each.

    Args:
        labels: For the boxes in their order; those that are left over have none.
        line: Pixels of the boxes' lines; 0 fills them.
        size: Height of the labels' letters in pixels.
    Returns:
        Grey becomes colours where the colour isn't grey.
    """
    if image.shape[-1] == 1 and len(set(color[:3])) > 1:
        image = with_channels(image, 3)
    drawn = image.clone()
    for box in boxes:
        _drawn_within(drawn, box, color, line)
    ink = 1.0 if sum(color[:3]) / 3 <= _DARK else 0.0
    style = TextStyle(size, (ink, ink, ink, 1.0), background=(*color[:3], 1.0), margin=2)
    for box, label in zip(boxes, labels, strict=False):
        corner = max(0, floor(box[0])), max(0, floor(box[1]))
        if label.strip() and corner[0] < image.shape[2] and corner[1] < image.shape[1]:
            x, y = corner
            drawn = draw_text(drawn, label, style, anchor="top left", x=x, y=y, wrap=False)
    return drawn


def _drawn_within(image: Tensor, box: Box, color: Color, line: float) -> None:
    """Draw on the part alone that the box lies in: of a large picture the rest is left."""
    height, width = image.shape[1:3]
    x, y, wide, high = box
    left, top = max(0, floor(x - line)), max(0, floor(y - line))
    right, bottom = min(width, ceil(x + wide + line)), min(height, ceil(y + high + line))
    if left < right and top < bottom:
        part = image[:, top:bottom, left:right]
        moved = (x - left, y - top, wide, high)
        image[:, top:bottom, left:right] = draw_shape(part, "rectangle", moved, color, line, 0.0)
