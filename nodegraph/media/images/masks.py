"""Masks: brought to pictures, put together, measured, and looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.media.images.colors import color_levels
from nodegraph.media.images.regions import Rectangle
from nodegraph.media.images.resizing import Method, resize_image

Combination = Literal["union", "intersect", "subtract", "xor", "multiply", "add"]

_COMBINATIONS: Mapping[Combination, Callable[[Tensor, Tensor], Tensor]] = {
    "union": torch.maximum,
    "intersect": torch.minimum,
    "subtract": lambda first, second: torch.minimum(first, 1 - second),
    "xor": lambda first, second: torch.maximum(
        torch.minimum(first, 1 - second), torch.minimum(1 - first, second)
    ),
    "multiply": torch.mul,
    "add": lambda first, second: (first + second).clamp(max=1),
}


class EmptyMask(InvalidValue):
    """A mask that masks nothing, where something is needed."""

    code = "empty-mask"


def resize_mask(mask: Tensor, width: int, height: int, method: Method = "bilinear") -> Tensor:
    """A mask scaled to a size in pixels; as it is if it has that size."""
    if mask.shape[1:] == (height, width):
        return mask
    return resize_image(mask[..., None], width, height, method=method)[..., 0]


def match_mask(image: Tensor, mask: Tensor, port: str = "mask") -> tuple[Tensor, Tensor]:
    """Pictures and their masks, as many and as large; a mask of another size is scaled.

    Args:
        image: (batch, height, width, channels).
        mask: (batch, height, width); one is for all pictures, and several may be for one picture.
        port: That the mask comes from.
    Raises:
        InvalidValue: They are of different numbers.
    """
    mask = resize_mask(mask, image.shape[2], image.shape[1])
    return broadcast_batches(image, mask, port)


def broadcast_batches(first: Tensor, second: Tensor, port: str) -> tuple[Tensor, Tensor]:
    """Two batches, the one of a single item repeated to the other's number.

    Args:
        port: That the second comes from.
    Raises:
        InvalidValue: Neither is single, and they are of different numbers.
    """
    counts = first.shape[0], second.shape[0]
    if 1 not in counts and counts[0] != counts[1]:
        raise InvalidValue(
            "the batches are of different numbers",
            port=port,
            given=str(counts[1]),
            expected=f"1 or {counts[0]}",
        )
    most = max(counts) if 0 not in counts else 0
    return first.expand(most, *first.shape[1:]), second.expand(most, *second.shape[1:])


def combine_masks(
    first: Tensor, second: Tensor, how: Combination, corner: tuple[int, int] | None = None
) -> Tensor:
    """Two masks as one; the second is scaled to the first's size.

    Soft masks are combined as fuzzy sets: union is the larger value, intersect the smaller one.

    Args:
        corner: Where the second one's upper left corner comes, which keeps its size then. Beside it
            the first one stays as it is.
    """
    if corner is not None:
        return _combined_at(first, second, how, *corner)
    second = resize_mask(second, first.shape[2], first.shape[1])
    return _COMBINATIONS[how](*broadcast_batches(first, second, "second"))


def _combined_at(first: Tensor, second: Tensor, how: Combination, x: int, y: int) -> Tensor:
    first, second = broadcast_batches(first, second, "second")
    result = first.clone()
    height, width = first.shape[1:]
    rows = slice(max(0, y), max(0, min(height, y + second.shape[1])))
    columns = slice(max(0, x), max(0, min(width, x + second.shape[2])))
    part = second[:, max(0, -y) :, max(0, -x) :]
    part = part[:, : max(0, rows.stop - rows.start), : max(0, columns.stop - columns.start)]
    if part.numel():
        result[:, rows, columns] = _COMBINATIONS[how](result[:, rows, columns], part)
    return result


def threshold_mask(mask: Tensor, low: float, high: float) -> Tensor:
    """1 from `low` to `high`, both included, and 0 elsewhere."""
    return ((mask >= low) & (mask <= high)).float()


def mask_box(mask: Tensor, port: str = "mask") -> Rectangle:
    """The smallest box that holds all pixels above 0, of all masks of a batch together.

    Raises:
        EmptyMask: There are none.
    """
    inside = (mask > 0).any(0)
    rows, columns = inside.any(1).nonzero()[:, 0], inside.any(0).nonzero()[:, 0]
    if not len(rows):
        raise EmptyMask(
            "the mask is empty: it is 0 everywhere",
            port=port,
            expected="at least one pixel above 0",
            hint="MaskOverlay shows a mask over its picture.",
        )
    top, left = int(rows[0]), int(columns[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def mask_share(mask: Tensor) -> float:
    """The share of the picture that a mask covers, 0 to 1."""
    return float(mask.mean()) if mask.numel() else 0.0


def mask_to_image(mask: Tensor) -> Tensor:
    """White where a mask is 1, black where it is 0; (batch, height, width, 3)."""
    return mask.clamp(0, 1)[..., None].repeat(1, 1, 1, 3)


def with_alpha(image: Tensor, mask: Tensor, *, transparent: bool) -> Tensor:
    """Pictures with a fourth channel.

    Args:
        transparent: Whether a mask of 1 is to be transparent; else it is what stays opaque.
    Returns:
        (batch, height, width, 4).
    """
    image, mask = match_mask(image, mask)
    alpha = 1 - mask if transparent else mask
    return torch.cat((as_rgb(image), alpha[..., None]), dim=-1)


def as_rgb(image: Tensor) -> Tensor:
    """Pictures in three channels: gray is repeated, transparency dropped."""
    return image.expand(*image.shape[:3], 3) if image.shape[3] == 1 else image[..., :3]


def composite(base: Tensor, overlay: Tensor, mask: Tensor) -> Tensor:
    """One picture where a mask is 1, another where it is 0, bit for bit; a mixture in between.

    Args:
        base: (batch, height, width, channels); its transparency is kept.
        overlay, mask: As large, or scaled to it.
    """
    width, height = base.shape[2], base.shape[1]
    if overlay.shape[1:3] != base.shape[1:3]:
        overlay = resize_image(overlay, width, height)
    base, overlay = broadcast_batches(base, overlay, "overlay")
    base, mask = match_mask(base, mask)
    overlay = overlay.expand(len(base), *overlay.shape[1:])
    return alpha_blend(base, overlay, mask)


def alpha_blend(base: Tensor, overlay: Tensor, mask: Tensor) -> Tensor:
    """The same of pictures and masks that are alike in size and number."""
    colors = as_rgb(base) if overlay.shape[3] > 1 or base.shape[3] == 4 else base
    layer = as_rgb(overlay) if colors.shape[3] == 3 else overlay
    share = mask[..., None]
    mixed = colors * (1 - share) + layer * share
    # What the mask leaves out keeps its bits, whatever the overlay holds there.
    result = torch.where(share > 0, mixed, colors)
    return torch.cat((result, base[..., 3:]), -1) if base.shape[3] == 4 else result


def overlay_mask(image: Tensor, mask: Tensor, color: str, opacity: float) -> Tensor:
    """Pictures with what is masked tinted."""
    image, mask = match_mask(image, mask)
    tint = torch.tensor(color_levels(color)).expand(*image.shape[:3], 3)
    return alpha_blend(image, tint, mask * opacity)
