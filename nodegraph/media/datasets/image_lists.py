"""Datasets from lists of images, masks and captions, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from nodegraph.core.training_values import Dataset, Example, LabeledBox
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from torch import Tensor

_INSIDE = 0.5
"""What a mask is at least where a thing is."""


def dataset_from_images(
    images: Sequence[Tensor],
    captions: Sequence[str] = (),
    labels: Sequence[str] = (),
    masks: Sequence[Tensor] = (),
    *,
    boxes: bool = False,
    name: str = "",
) -> Dataset:
    """One example for each image, in their order.

    Args:
        images: Each (batch, height, width, 1, 3 or 4); a batch counts as that many images.
        captions, labels: One an image, or one for all, or none.
        masks: Each (batch, height, width), together as many as images, of their sizes; or none.
        boxes: Whether the box around each mask is one of the example's, with its label.
    Raises:
        InvalidValue: There is no image, or not as many of something as images.
    """
    pictures = [picture for image in images for picture in _colored(image)]
    if not pictures:
        raise InvalidValue("there are no images to create a dataset from", port="images")
    texts = _broadcast_texts(captions, len(pictures), "captions")
    classes = _broadcast_texts(labels, len(pictures), "labels")
    parts = list(chain.from_iterable(masks))
    if parts and len(parts) != len(pictures):
        raise _count_mismatch_error("masks", len(parts), len(pictures))
    if boxes and not parts:
        raise InvalidValue("boxes are created from masks, and there are no masks", port="boxes")
    digits = len(str(len(pictures)))
    examples = []
    for at, picture in enumerate(pictures):
        mask = parts[at].contiguous() if parts else None
        if mask is not None and mask.shape != picture.shape[:2]:
            raise InvalidValue(
                f"mask {at + 1} has another size than its image",
                port="masks",
                given=f"{mask.shape[1]} x {mask.shape[0]} pixels",
                expected=f"{picture.shape[1]} x {picture.shape[0]} pixels",
                hint="Put a ResizeMask before this node.",
            )
        box = mask_box(mask, classes[at]) if boxes and mask is not None else None
        examples.append(
            Example(
                picture,
                f"{at + 1:0{digits}}",
                texts[at],
                label=classes[at],
                mask=mask,
                boxes=() if box is None else (box,),
            )
        )
    return Dataset(tuple(examples), name)


def mask_box(mask: Tensor, label: str) -> LabeledBox | None:
    """The smallest box around a mask, (height, width); None around an empty one."""
    inside = mask >= _INSIDE
    rows, columns = inside.any(1).nonzero()[:, 0], inside.any(0).nonzero()[:, 0]
    if not len(rows):
        return None
    left, top = int(columns[0]), int(rows[0])
    return LabeledBox(label, left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)


def _colored(image: Tensor) -> Sequence[Tensor]:
    """Its images with 3 or 4 channels, each in memory of its own."""
    from nodegraph.media.images.editing.pixel_formats import with_channels

    wide = with_channels(image, 3) if image.shape[-1] == 1 else image
    return [picture.clone() for picture in wide.float().clamp(0, 1)]


def _broadcast_texts(texts: Sequence[str], count: int, port: str) -> Sequence[str]:
    if len(texts) == count:
        return texts
    if len(texts) < 2:
        return [texts[0] if texts else ""] * count
    raise _count_mismatch_error(port, len(texts), count)


def _count_mismatch_error(port: str, count: int, pictures: int) -> InvalidValue:
    return InvalidValue(
        f"the number of {port} differs from the number of images",
        port=port,
        given=str(count),
        expected=f"{pictures}, or 1 for all" if port != "masks" else str(pictures),
    )


def dataset_to_lists(
    dataset: Dataset,
    *,
    resized: bool = False,
    epoch: int = -1,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> tuple[list[Tensor], list[Tensor], list[str], list[str], list[str]]:
    """A dataset's images, masks, captions, labels and names, each in a list.

    Args:
        resized: At the sizes that they are learned from.
        epoch: From 0: as they are learned from in that epoch, changed at random.
        on_progress: Told how many images of how many were read.
    Returns:
        Images of shape (1, height, width, 3), masks of (1, height, width), 1 where there is none.
    Raises:
        InvalidFile: A file is missing, damaged, or has changed.
        InvalidValue: They take more memory than there is.
    """
    from nodegraph.media.datasets.reading import NO_AUGMENTATION, read_example, training_size
    from nodegraph.media.images.memory_checks import check_memory

    if epoch < 0:
        dataset = replace(dataset, augmentation=NO_AUGMENTATION)
    if not resized and epoch < 0:
        examples = tuple(replace(each, bucket=None) for each in dataset.examples)
        dataset = replace(dataset, examples=examples, size=None)
    count = len(dataset.examples)
    sizes = [training_size(dataset, at) for at in range(count)]
    needed = sum(16 * width * height for width, height in sizes)
    if sizes:
        check_memory(*max(sizes), count, needed, port="dataset")
    images, masks, captions = [], [], []
    for at in range(count):
        prepared = read_example(dataset, at, epoch=max(0, epoch))
        images.append(prepared.picture.movedim(0, -1)[None].contiguous())
        mask = (
            prepared.picture.new_ones(prepared.picture.shape[1:])
            if prepared.mask is None
            else prepared.mask
        )
        masks.append(mask[None])
        captions.append(prepared.caption)
        on_progress(at + 1, count)
    labels = [example.label for example in dataset.examples]
    return images, masks, captions, labels, [example.name for example in dataset.examples]
