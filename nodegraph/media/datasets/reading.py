"""Training examples: load images and masks, augment, crop, resize."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nodegraph.core.context import MAX_IMAGE_PIXELS
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.training_values import Augmentation, Dataset, Example, ExampleFile, LabeledBox
from nodegraph.errors import InvalidFile

if TYPE_CHECKING:
    from torch import Tensor

_WHITE = (1.0, 1.0, 1.0, 1.0)


def example_file(
    path: Path, *, max_pixels: int = MAX_IMAGE_PIXELS, names: bool = True
) -> ExampleFile:
    """A file with an image, with its digest and size; no pixel is read.

    Args:
        max_pixels: A larger one is refused.
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, no image, or too large.
    """
    from nodegraph.media.images.images import picture_size

    width, height = picture_size(path, max_pixels=max_pixels, names=names)
    return ExampleFile(str(path.absolute()), FILE_DIGESTS.digest(path), width, height)


def load_picture(example: Example) -> Tensor:
    """An example's image as it is kept; what is transparent is white.

    Returns:
        float32 in 0..1, shape (1, height, width, 3).
    Raises:
        InvalidFile: The file is missing, damaged, or has changed since the dataset was made.
    """
    from nodegraph.media.images.editing.compositing import flatten

    picture = example.picture
    return flatten(_read(picture) if isinstance(picture, ExampleFile) else picture[None], _WHITE)


def load_mask(example: Example) -> Tensor | None:
    """An example's mask, of its image's size; None for all of it.

    Returns:
        float32 in 0..1, shape (1, height, width).
    Raises:
        InvalidFile: As `load_picture`.
    """
    from nodegraph.media.images.resizing import resize_image

    if example.mask is None:
        return None
    if isinstance(example.mask, ExampleFile):
        mask = _read(example.mask)[..., :3].mean(-1)
    else:
        mask = example.mask[None]
    width, height = example.size
    if mask.shape[1:] != (height, width):
        mask = resize_image(mask[..., None], width, height)[..., 0]
    return mask


def _read(file: ExampleFile) -> Tensor:
    """Shape (1, height, width, 3 or 4)."""
    import torch

    from nodegraph.media.images.images import read_image

    path = Path(file.path)
    if FILE_DIGESTS.digest(path) != file.digest:
        raise InvalidFile(
            f"{path} was changed after the dataset was created",
            hint="Run the workflow again to update the dataset.",
        )
    # It was let in by the limit of whoever made the dataset.
    most = max(MAX_IMAGE_PIXELS, file.width * file.height)
    colors, hidden = read_image(path, max_pixels=most)
    return torch.cat([colors, 1 - hidden[..., None]], -1) if hidden.any() else colors


NO_AUGMENTATION = Augmentation()
"""Changes nothing."""


@dataclass(frozen=True, slots=True)
class AugmentationParams:
    """What one reading of an example is changed by.

    Attributes:
        share: Part that is cut out, as a share of the largest one with its proportions.
        left, top: Where that lies: 0 at one edge, 1 at the other.
        flip_horizontal, flip_vertical: Whether left and right, top and bottom are exchanged.
        angle: Degrees, clockwise.
        brightness, contrast, saturation: Factors.
        hue: Degrees.
        tag_order: Seeds the order of the tags; None leaves it.
        drop_caption: Whether the caption is left out.
    """

    crop_share: float = 1.0
    left: float = 0.5
    top: float = 0.5
    flip_horizontal: bool = False
    flip_vertical: bool = False
    angle: float = 0.0
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0
    tag_order: float | None = None
    drop_caption: bool = False


def sample_augmentation(
    settings: Augmentation, epoch: int, index: int, repeat: int = 0
) -> AugmentationParams:
    """What is changed in one reading of an example; a function of its arguments alone.

    Each kind of change has its own random numbers: to switch one on changes no other.

    Args:
        epoch, index, repeat: Which reading of which example.
    """

    def draw(name: str) -> float:
        """0 up to 1. A text as seed goes through SHA-512, alike in every version of Python."""
        seed_text = f"{settings.seed} {epoch} {index} {repeat} {name}"
        return random.Random(seed_text).random()  # noqa: S311 - nothing secret

    def around(middle: float, most: float, name: str) -> float:
        return middle + most * (2 * draw(name) - 1) if most else middle

    cropped = settings.crop < 1
    return AugmentationParams(
        crop_share=settings.crop + (1 - settings.crop) * draw("crop") if cropped else 1.0,
        left=draw("left") if cropped else 0.5,
        top=draw("top") if cropped else 0.5,
        flip_horizontal=draw("flip") < settings.flip,
        flip_vertical=draw("flip_vertical") < settings.flip_vertical,
        angle=around(0.0, settings.rotate, "rotate"),
        brightness=around(1.0, settings.brightness, "brightness"),
        contrast=around(1.0, settings.contrast, "contrast"),
        saturation=around(1.0, settings.saturation, "saturation"),
        hue=around(0.0, settings.hue, "hue"),
        tag_order=draw("tags") if settings.shuffle_tags else None,
        drop_caption=draw("caption") < settings.drop_caption,
    )


def augment_geometry(image: Tensor, changes: AugmentationParams) -> Tensor:
    """Images mirrored and rotated; what comes into view at the corners is a reflection.

    Args:
        image: (batch, height, width, channels).
    """
    from nodegraph.media.images.editing import transforms as moving

    if changes.flip_horizontal:
        image = moving.flip(image, "horizontal")
    if changes.flip_vertical:
        image = moving.flip(image, "vertical")
    if not changes.angle:
        return image
    height, width = image.shape[1:3]
    margin = math.ceil((math.hypot(width, height) - min(width, height)) / 2)
    black = (0.0, 0.0, 0.0, 1.0)
    wide = moving.pad(image, margin, margin, margin, margin, "reflect", black)
    whole = moving.rotate(wide, changes.angle, expand=False, color=black, method="bilinear")
    return whole[:, margin : margin + height, margin : margin + width].contiguous()


def augment_colors(image: Tensor, changes: AugmentationParams) -> Tensor:
    """Images in other colors, in 0..1.

    Args:
        image: (batch, height, width, 3).
    """
    from nodegraph.media.images.editing import adjustments as hues
    from nodegraph.media.images.editing import adjustments as tones

    if (changes.brightness, changes.contrast) != (1, 1):
        image = tones.adjust_brightness_contrast(image, changes.brightness, changes.contrast).clamp(
            0, 1
        )
    if (changes.saturation, changes.hue) != (1, 0):
        image = hues.adjust_hue_saturation(image, changes.hue, changes.saturation, 0.0, 0.0).clamp(
            0, 1
        )
    return image


def augment_box(
    box: LabeledBox, changes: AugmentationParams, width: int, height: int
) -> LabeledBox:
    """Where a thing is once its image was mirrored and rotated: the smallest box around it.

    Args:
        width, height: Of the image, in pixels.
    """
    x = width - box.x - box.width if changes.flip_horizontal else box.x
    y = height - box.y - box.height if changes.flip_vertical else box.y
    if not changes.angle:
        return replace(box, x=x, y=y)
    angle = math.radians(changes.angle)
    corners = [(x + across, y + down) for across in (0, box.width) for down in (0, box.height)]
    moved = [
        (
            width / 2 + (a - width / 2) * math.cos(angle) - (b - height / 2) * math.sin(angle),
            height / 2 + (a - width / 2) * math.sin(angle) + (b - height / 2) * math.cos(angle),
        )
        for a, b in corners
    ]
    low = min(a for a, _ in moved), min(b for _, b in moved)
    high = max(a for a, _ in moved), max(b for _, b in moved)
    return replace(box, x=low[0], y=low[1], width=high[0] - low[0], height=high[1] - low[1])


class ReadExample(NamedTuple):
    """An example as it is learned from.

    Attributes:
        picture: float32 in 0..1, shape (3, height, width).
        mask: float32 in 0..1, shape (height, width); None for all of it.
        boxes: In pixels of the image; those that were cut off aren't there.
        caption: As `training_caption`.
    """

    picture: Tensor
    mask: Tensor | None
    boxes: tuple[LabeledBox, ...]
    caption: str


class _Crop(NamedTuple):
    """The part of an image that is kept, in pixels, and what size it is brought to.

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
    """The image of an example as it is learned from.

    The same bits for the same arguments, whatever was read before. Examples of other splits than
    ``train`` are never changed at random.

    Args:
        index: Of the example.
        epoch: How often all were learned from before.
        repeat: How often this one was in this epoch, see `Example.repeats`.
    Returns:
        float32 in 0..1, shape (3, height, width), of the size that `training_size` says.
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
    """Read an example for training: `read_training_picture`, and its mask, boxes and caption alike.

    Raises:
        InvalidFile: See `read_training_picture`.
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
    """The part of an image, (1, height, width, channels), at its size; around it black."""
    from nodegraph.media.images.editing.transforms import pad
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
    """The part of a box that lies in an image."""
    left, top = max(0.0, box.x), max(0.0, box.y)
    right, bottom = min(float(width), box.x + box.width), min(float(height), box.y + box.height)
    if right <= left or bottom <= top:
        return None
    return replace(box, x=left, y=top, width=right - left, height=bottom - top)
