"""A sheet of a dataset's pictures, with what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nodegraph.core.dataset_values import Dataset, LabeledBox
from nodegraph.datasets.pictures import kept_mask, kept_picture
from nodegraph.datasets.reading import read_example
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from torch import Tensor

Told = Literal["caption", "label", "tags", "name", "split", "nothing"]
_BOX = (1.0, 0.2, 0.1, 1.0)
_HIDDEN = 0.65
"""How much of what a mask leaves out is shown darker."""


def dataset_sheet(
    dataset: Dataset,
    count: int = 16,
    *,
    columns: int = 0,
    size: int = 128,
    told: Told = "caption",
    parts: bool = True,
    epoch: int | None = None,
) -> Tensor:
    """The first pictures of a dataset in one.

    Args:
        size: Of the longer side of each, in pixels.
        told: What stands under it.
        parts: Whether boxes are drawn, and what masks leave out is darker.
        epoch: As they are learned from then; None: as they are kept.
    Returns:
        float32 in 0..1, shape (1, height, width, 3).
    Raises:
        InvalidValue: There are no examples.
        InvalidFile: A file is missing, damaged, or has changed.
    """
    from nodegraph.images.sheets import contact_sheet

    shown = range(min(count, len(dataset.examples)))
    if not shown:
        raise InvalidValue("the dataset has no examples to show", port="dataset")
    pictures = [_shown(dataset, at, size, epoch, parts) for at in shown]
    captions = [_said(dataset, at, told) for at in shown]
    return contact_sheet(pictures, columns=columns, captions=captions)


def _said(dataset: Dataset, at: int, told: Told) -> str:
    example = dataset.examples[at]
    texts = {"tags": ", ".join(example.tags), "nothing": ""}
    return texts[told] if told in texts else str(getattr(example, told))


def _shown(dataset: Dataset, at: int, size: int, epoch: int | None, parts: bool) -> Tensor:
    from nodegraph.images.resizing import resize_image

    picture, mask, boxes = _read(dataset, at, epoch)
    height, width = picture.shape[1:3]
    factor = size / max(width, height)
    to = max(1, round(width * factor)), max(1, round(height * factor))
    if parts and mask is not None:
        picture = picture * (1 - _HIDDEN * (1 - mask[..., None]))
    small = resize_image(picture, *to, method="nearest" if factor >= 2 else "lanczos")
    return _with_boxes(small, boxes, factor) if parts else small


def _read(
    dataset: Dataset, at: int, epoch: int | None
) -> tuple[Tensor, Tensor | None, tuple[LabeledBox, ...]]:
    """Shapes (1, height, width, 3) and (1, height, width)."""
    example = dataset.examples[at]
    if epoch is None:
        return kept_picture(example), kept_mask(example), example.boxes
    found = read_example(dataset, at, epoch=epoch)
    mask = None if found.mask is None else found.mask[None]
    return found.picture.movedim(0, -1)[None], mask, found.boxes


def _with_boxes(image: Tensor, boxes: tuple[LabeledBox, ...], factor: float) -> Tensor:
    from nodegraph.images.editing.boxes import draw_boxes

    if not boxes:
        return image
    places = [
        (box.x * factor, box.y * factor, box.width * factor, box.height * factor) for box in boxes
    ]
    return draw_boxes(image, places, [box.label for box in boxes], _BOX, line=2, size=11)
