"""What is changed in an example at random: drawn from seed, epoch and place, so always the same."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nodegraph.core.dataset_values import Augmentation, LabeledBox

if TYPE_CHECKING:
    from torch import Tensor

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
    """Pictures mirrored and rotated; what comes into view at the corners is a reflection.

    Args:
        image: (batch, height, width, channels).
    """
    from nodegraph.media.images.editing import moving

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
    """Pictures in other colours, in 0..1.

    Args:
        image: (batch, height, width, 3).
    """
    from nodegraph.media.images.editing import hues, tones

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
    """Where a thing is once its picture was mirrored and rotated: the smallest box around it.

    Args:
        width, height: Of the picture, in pixels.
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
