"""Pictures and masks of examples as they are kept, read when they are needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.core.context import MAX_IMAGE_PIXELS
from nodegraph.core.dataset_values import Example, ExampleFile
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.errors import InvalidFile

if TYPE_CHECKING:
    from torch import Tensor

_WHITE = (1.0, 1.0, 1.0, 1.0)


def example_file(
    path: Path, *, max_pixels: int = MAX_IMAGE_PIXELS, names: bool = True
) -> ExampleFile:
    """A file with a picture, with its digest and size; no pixel is read.

    Args:
        max_pixels: A larger one is refused.
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, no picture, or too large.
    """
    from nodegraph.media.images.images import picture_size

    width, height = picture_size(path, max_pixels=max_pixels, names=names)
    return ExampleFile(str(path.absolute()), FILE_DIGESTS.digest(path), width, height)


def load_picture(example: Example) -> Tensor:
    """An example's picture as it is kept; what is transparent is white.

    Returns:
        float32 in 0..1, shape (1, height, width, 3).
    Raises:
        InvalidFile: The file is missing, damaged, or has changed since the dataset was made.
    """
    from nodegraph.media.images.editing.blending import flatten

    picture = example.picture
    return flatten(_read(picture) if isinstance(picture, ExampleFile) else picture[None], _WHITE)


def load_mask(example: Example) -> Tensor | None:
    """An example's mask, of its picture's size; None for all of it.

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
            f"{path} has changed since the dataset was made.",
            hint="Run the workflow again, so that the dataset is made anew.",
        )
    # It was let in by the limit of whoever made the dataset.
    most = max(MAX_IMAGE_PIXELS, file.width * file.height)
    colors, hidden = read_image(path, max_pixels=most)
    return torch.cat([colors, 1 - hidden[..., None]], -1) if hidden.any() else colors
