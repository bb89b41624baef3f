"""Sizes that pictures are brought to: one for all, or the nearest of a few. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import replace

from nodegraph.core.dataset_values import Dataset, Example, Fit

Size = tuple[int, int]
"""Width and height in pixels."""


def bucket_sizes(resolution: int, multiple: int, max_aspect: float) -> list[Size]:
    """Sizes of about one area, from upright to lying: in steps of one side.

    Args:
        resolution: The area is that of a square with this side, in pixels; none is larger.
        multiple: What sides are multiples of.
        max_aspect: The longer side in shorter ones, at most.
    Source: NovelAI 2022, "NovelAI Improvements on Stable Diffusion", aspect ratio bucketing.
    """
    area, sizes = resolution * resolution, set()
    side = multiple
    while side * side <= area:
        other = area // side // multiple * multiple
        if other <= max_aspect * side:
            sizes |= {(side, other), (other, side)}
        side += multiple
    square = max(multiple, resolution // multiple * multiple)
    return sorted(sizes | {(square, square)}, key=lambda size: (size[0] / size[1], size))


def nearest_bucket(size: Size, buckets: list[Size]) -> Size:
    """The bucket whose proportions are nearest; of two as near the larger one."""

    def distance(bucket: Size) -> tuple[float, int]:
        away = abs(math.log(bucket[0] / bucket[1]) - math.log(size[0] / size[1]))
        return round(away, 9), -bucket[0] * bucket[1]

    return min(buckets, key=distance)


def resize_to_one(dataset: Dataset, width: int, height: int, fit: Fit) -> Dataset:
    """All pictures of one size."""
    examples = tuple(replace(example, bucket=None) for example in dataset.examples)
    return replace(dataset, examples=examples, size=(width, height), fit=fit)


def resize_to_buckets(
    dataset: Dataset,
    resolution: int,
    *,
    multiple: int = 64,
    max_aspect: float = 2.0,
    enlarge: bool = True,
) -> Dataset:
    """Each picture in the bucket that its proportions are nearest to, cut to it.

    Args:
        resolution, multiple, max_aspect: See `bucket_sizes`.
        enlarge: Whether small pictures are made larger; else they come into buckets as much
            smaller.
    """
    known: dict[int, list[Size]] = {}

    def work(example: Example) -> Example:
        own = resolution
        if not enlarge:
            side = int(math.sqrt(math.prod(example.size)))
            own = max(multiple, min(resolution, side) // multiple * multiple)
        buckets = known.setdefault(own, bucket_sizes(own, multiple, max_aspect))
        return replace(example, bucket=nearest_bucket(example.size, buckets))

    examples = tuple(map(work, dataset.examples))
    return replace(dataset, examples=examples, size=None, fit="crop")
