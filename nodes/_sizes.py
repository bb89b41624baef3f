"""Training sizes of models, by family and aspect ratio. Imports no torch."""

from __future__ import annotations

from math import log, sqrt

from nodegraph.families.base import Resolutions
from nodegraph.families.index import INDEX

LARGEST = 16_384
CHOICES = {name: family for family, entry in INDEX.items() for name in entry.resolutions}
"""The families with selectable sizes, by the name of the choice."""


def resolutions_of(choice: str) -> Resolutions:
    """The sizes that a family, or a variant of it, was trained on.

    Args:
        choice: One of `CHOICES`.
    """
    return INDEX[CHOICES[choice]].family().resolutions[choice]


def size_for(
    family: str, wide: float, high: float, *, megapixels: float = 0.0, multiple: int = 0
) -> tuple[int, int]:
    """Width and height in pixels of a family's training sizes, nearest to an aspect ratio.

    Args:
        family: One of `CHOICES`.
        wide, high: The aspect ratio, above 0.
        megapixels: Total size in megapixels. 0 uses the training size of the family.
        multiple: Make the sides multiples of this. 0 uses the multiple of the family.
    """
    trained = resolutions_of(family)
    pixels, step = trained.area, trained.multiple
    ratio = wide / high
    if not megapixels and not multiple and trained.buckets:
        sizes = [*trained.buckets, *((height, width) for width, height in trained.buckets)]
        return min(sizes, key=lambda size: abs(log(size[0] / size[1] / ratio)))
    if megapixels:
        pixels = round(megapixels * 1_000_000)
    step = multiple or step
    width = sqrt(pixels * ratio)
    return _nearest(width, step), _nearest(width / ratio, step)


def _nearest(length: float, step: int) -> int:
    return min(max(step, round(length / step) * step), LARGEST // step * step)
