"""Examples as models learn from them: of one size, changed at random, as tensors."""

from __future__ import annotations

import random
from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from nodegraph.core.dataset_values import Dataset, Example, LabeledBox
from nodegraph.media.datasets.augmenting import (
    NO_AUGMENTATION,
    AugmentationParams,
    augment_box,
    augment_colors,
    augment_geometry,
    sample_augmentation,
)
from nodegraph.media.datasets.pictures import load_mask, load_picture

if TYPE_CHECKING:
    from torch import Tensor


class ReadExample(NamedTuple):
    """An example as it is learned from.

    Attributes:
        picture: float32 in 0..1, shape (3, height, width).
        mask: float32 in 0..1, shape (height, width); None for all of it.
        boxes: In pixels of the picture; those that were cut off aren't there.
        caption: As `caption_of`.
    """

    picture: Tensor
    mask: Tensor | None
    boxes: tuple[LabeledBox, ...]
    caption: str


class _Crop(NamedTuple):
    """The part of a picture that is kept, in pixels, and what size it is brought to.

    Attributes:
        margin: Left and above of the part, where that is padded.
    """

    x: float
    y: float
    width: float
    height: float
    size: tuple[int, int]
    inner: tuple[int, int]
    margin: tuple[int, int]


def read_training_picture(
    dataset: Dataset, index: int, *, epoch: int = 0, repeat: int = 0
) -> Tensor:
    """The picture of an example as it is learned from.

    The same bits for the same arguments, whatever was read before. Examples of other splits than
    ``train`` are never changed at random.

    Args:
        index: Of the example.
        epoch: How often all were learned from before.
        repeat: How often this one was in this epoch, see `Example.repeats`.
    Returns:
        float32 in 0..1, shape (3, height, width), of the size that `size_of` says.
    Raises:
        InvalidFile: Its file is missing, damaged, or has changed since the dataset was made.
    """
    example, changes = _example_and_augmentation(dataset, index, epoch, repeat)
    cut = _crop_of(dataset, example, changes)
    picture = augment_colors(
        augment_geometry(_crop_and_resize(load_picture(example), cut), changes), changes
    )
    return picture[0].movedim(-1, 0).contiguous()


def read_example(dataset: Dataset, index: int, *, epoch: int = 0, repeat: int = 0) -> ReadExample:
    """An example as it is learned from: as `picture_of`, with mask, boxes and caption alike.

    Raises:
        InvalidFile: See `picture_of`.
    """
    example, changes = _example_and_augmentation(dataset, index, epoch, repeat)
    cut = _crop_of(dataset, example, changes)
    mask = load_mask(example)
    if mask is not None:
        mask = augment_geometry(_crop_and_resize(mask[..., None], cut), changes)[
            0, ..., 0
        ].contiguous()
    boxes = (_transform_box(box, cut, changes) for box in example.boxes)
    return ReadExample(
        read_training_picture(dataset, index, epoch=epoch, repeat=repeat),
        mask,
        tuple(box for box in boxes if box is not None),
        training_caption(dataset, index, epoch=epoch, repeat=repeat),
    )


def training_size(dataset: Dataset, index: int) -> tuple[int, int]:
    """Width and height in pixels of an example as it is learned from."""
    example = dataset.examples[index]
    return example.bucket or dataset.size or example.size


def training_caption(dataset: Dataset, index: int, *, epoch: int = 0, repeat: int = 0) -> str:
    """What an example is said to show: its caption, else its tags, else its class."""
    example, changes = _example_and_augmentation(dataset, index, epoch, repeat)
    if changes.drop_caption:
        return ""
    tags = list(example.tags)
    if changes.tag_order is not None:
        random.Random(str(changes.tag_order)).shuffle(tags)  # noqa: S311 - nothing secret
    return example.caption or ", ".join(tags) or example.label


def _example_and_augmentation(
    dataset: Dataset, index: int, epoch: int, repeat: int
) -> tuple[Example, AugmentationParams]:
    example = dataset.examples[index]
    settings = dataset.augmentation if example.split == "train" else NO_AUGMENTATION
    return example, sample_augmentation(settings, epoch, index, repeat)


def _crop_of(dataset: Dataset, example: Example, changes: AugmentationParams) -> _Crop:
    from nodegraph.media.images.resizing import fitted_size

    width, height = example.size
    goal = example.bucket or dataset.size or example.size
    size, inner = fitted_size((width, height), *goal, fit=dataset.fit)
    wide, high = float(width), float(height)
    if dataset.fit == "crop":
        part = min(width / size[0], height / size[1])
        wide, high = size[0] * part, size[1] * part
    wide, high = wide * sqrt(changes.crop_share), high * sqrt(changes.crop_share)
    x, y = (width - wide) * changes.left, (height - high) * changes.top
    margin = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    return _Crop(max(0.0, x), max(0.0, y), wide, high, size, inner, margin)


def _crop_and_resize(image: Tensor, cut: _Crop) -> Tensor:
    """The part of a picture, (1, height, width, channels), at its size; around it black."""
    from nodegraph.media.images.editing.moving import pad
    from nodegraph.media.images.resizing import resize_part

    size = (image.shape[2], image.shape[1])
    if cut.inner != size or (cut.width, cut.height) != size:
        image = resize_part(image, (cut.x, cut.y, cut.width, cut.height), cut.inner)
    if cut.inner == cut.size:
        return image
    left, top = cut.margin
    right, bottom = cut.size[0] - cut.inner[0] - left, cut.size[1] - cut.inner[1] - top
    return pad(image, left, top, right, bottom, "color", (0.0, 0.0, 0.0, 1.0))


def _transform_box(box: LabeledBox, cut: _Crop, changes: AugmentationParams) -> LabeledBox | None:
    across, down = cut.inner[0] / cut.width, cut.inner[1] / cut.height
    moved = LabeledBox(
        box.label,
        (box.x - cut.x) * across + cut.margin[0],
        (box.y - cut.y) * down + cut.margin[1],
        box.width * across,
        box.height * down,
    )
    return _clip_box(augment_box(moved, changes, *cut.size), *cut.size)


def _clip_box(box: LabeledBox, width: int, height: int) -> LabeledBox | None:
    """The part of a box that lies in a picture."""
    left, top = max(0.0, box.x), max(0.0, box.y)
    right, bottom = min(float(width), box.x + box.width), min(float(height), box.y + box.height)
    if right <= left or bottom <= top:
        return None
    return replace(box, x=left, y=top, width=right - left, height=bottom - top)
