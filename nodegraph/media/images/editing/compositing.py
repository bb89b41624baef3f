"""Compositing of two images: blend modes, layers, side by side.

Source: W3C Compositing and Blending, Level 1; add, subtract and divide as in other editors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, get_args

from nodegraph.errors import InvalidValue
from nodegraph.media.images.colors import Color, paint
from nodegraph.media.images.editing.pixel_formats import (
    as_rgb,
    check_channels,
    split_alpha,
    with_channels,
)
from nodegraph.media.images.editing.transforms import Anchor, Size, anchor_position
from nodegraph.media.images.memory_checks import check_memory, resizing_bytes

if TYPE_CHECKING:
    from torch import Tensor

StitchSide = Literal["right", "below", "left", "above"]


def stitched_sizes(
    first: Size, second: Size, side: StitchSide, *, match: bool
) -> tuple[Size, Size]:
    """Width and height that both have beside each other.

    Args:
        match: Scale the second so that the edges at which they meet are alike.
    """
    if not match:
        return first, second
    if side in ("right", "left"):
        return first, (max(1, round(second[0] * first[1] / second[1])), first[1])
    return first, (first[0], max(1, round(second[1] * first[0] / second[0])))


def stitch(
    image: Tensor, other: Tensor, side: StitchSide, *, match: bool, gap: int, color: Color
) -> Tensor:
    """One image with another one at its side, in the middle of it.

    Args:
        other: As many, or one for all; gray becomes colors and alpha comes in where one has it.
        side: Where the other one is.
        match: See `stitched_sizes`.
        gap: Pixels between them.
        color: Of what is between and around.
    Raises:
        InvalidValue: They are of different numbers, or take more memory than there is.
    """
    from nodegraph.media.images.masks import broadcast_batches
    from nodegraph.media.images.resizing import resize_image

    check_channels(image)
    check_channels(other, "other")
    sizes = ((image.shape[2], image.shape[1]), (other.shape[2], other.shape[1]))
    own, other_size = stitched_sizes(*sizes, side, match=match)
    if other_size != sizes[1]:
        other = resize_image(other, *other_size)
    channels = max(image.shape[-1], other.shape[-1], 4 if color[3] < 1 else 1)
    image, other = broadcast_batches(
        with_channels(image, channels), with_channels(other, channels), "other"
    )
    flat = side in ("right", "left")
    width = own[0] + gap + other_size[0] if flat else max(own[0], other_size[0])
    height = max(own[1], other_size[1]) if flat else own[1] + gap + other_size[1]
    check_memory(width, height, len(image), resizing_bytes(width, height, len(image) * channels),
               port="other")  # fmt: skip
    made = paint(color, channels).expand(len(image), height, width, channels).clone()
    parts = (image, other) if side in ("right", "below") else (other, image)
    start = 0
    for part in parts:
        rows, columns = part.shape[1:3]
        top = (height - rows) // 2 if flat else start
        left = start if flat else (width - columns) // 2
        made[:, top : top + rows, left : left + columns] = part
        start += (columns if flat else rows) + gap
    return made


BlendMode = Literal[
    "normal", "multiply", "screen", "overlay", "darken", "lighten", "color dodge", "color burn",
    "hard light", "soft light", "difference", "exclusion", "add", "subtract", "divide", "hue",
    "saturation", "color", "luminosity",
]  # fmt: skip
_Formula = Callable[["Tensor", "Tensor"], "Tensor"]


def _screen(below: Tensor, above: Tensor) -> Tensor:
    return below + above - below * above


def _hard_light(below: Tensor, above: Tensor) -> Tensor:
    return (2 * below * above).where(above <= 0.5, _screen(below, 2 * above - 1))


def _soft_light(below: Tensor, above: Tensor) -> Tensor:
    curve = (((16 * below - 12) * below + 4) * below).where(below <= 0.25, below.sqrt())
    darker = below - (1 - 2 * above) * below * (1 - below)
    return darker.where(above <= 0.5, below + (2 * above - 1) * (curve - below))


def _dodge(below: Tensor, above: Tensor) -> Tensor:
    import torch

    ratio = torch.where(above >= 1, torch.ones_like(below), below / (1 - above).clamp(min=1e-12))
    return torch.where(below == 0, torch.zeros_like(below), ratio.clamp(max=1))


def _burn(below: Tensor, above: Tensor) -> Tensor:
    import torch

    burned = 1 - ((1 - below) / above.clamp(min=1e-12)).clamp(max=1)
    return torch.where(below == 1, torch.ones_like(below), burned)


def _divide(below: Tensor, above: Tensor) -> Tensor:
    import torch

    ratio = (below / above.clamp(min=1e-12)).clamp(max=1)
    return torch.where((above == 0) & (below == 0), torch.zeros_like(below), ratio)


def _light(colors: Tensor) -> Tensor:
    """Brightness as these formulas weigh it, which isn't quite that of video."""
    return (colors * colors.new_tensor((0.3, 0.59, 0.11))).sum(-1, keepdim=True)


def _clipped(colors: Tensor) -> Tensor:
    """Colors moved towards their gray until all channels are in 0..1."""
    light = _light(colors)
    low, high = colors.amin(-1, keepdim=True), colors.amax(-1, keepdim=True)
    up = light + (colors - light) * light / (light - low).clamp(min=1e-12)
    colors = up.where(low < 0, colors)
    down = light + (colors - light) * (1 - light) / (high - light).clamp(min=1e-12)
    return down.where(high > 1, colors)


def _with_luma(colors: Tensor, light: Tensor) -> Tensor:
    return _clipped(colors + light - _light(colors))


def _with_saturation(colors: Tensor, span: Tensor) -> Tensor:
    low, high = colors.amin(-1, keepdim=True), colors.amax(-1, keepdim=True)
    own = high - low
    stretched = (colors - low) * span / own.clamp(min=1e-12)
    return stretched.where(own > 0, colors * 0)


def _span(colors: Tensor) -> Tensor:
    return colors.amax(-1, keepdim=True) - colors.amin(-1, keepdim=True)


_FORMULAS: Mapping[str, _Formula] = {
    "normal": lambda below, above: above,
    "multiply": lambda below, above: below * above,
    "screen": _screen,
    "overlay": lambda below, above: _hard_light(above, below),
    "darken": lambda below, above: below.minimum(above),
    "lighten": lambda below, above: below.maximum(above),
    "color dodge": _dodge,
    "color burn": _burn,
    "hard light": _hard_light,
    "soft light": _soft_light,
    "difference": lambda below, above: (below - above).abs(),
    "exclusion": lambda below, above: below + above - 2 * below * above,
    "add": lambda below, above: (below + above).clamp(max=1),
    "subtract": lambda below, above: (below - above).clamp(min=0),
    "divide": _divide,
    "hue": lambda below, above: _with_luma(_with_saturation(above, _span(below)), _light(below)),
    "saturation": lambda below, above: _with_luma(
        _with_saturation(below, _span(above)), _light(below)
    ),
    "color": lambda below, above: _with_luma(above, _light(below)),
    "luminosity": lambda below, above: _with_luma(below, _light(above)),
}
_OF_COLORS = ("hue", "saturation", "color", "luminosity")


def blend(below: Tensor, above: Tensor, mode: BlendMode) -> Tensor:
    """The blend formula alone, of colors in 0..1 of one shape.

    Raises:
        InvalidValue: There is no such mode.
    """
    if mode not in _FORMULAS:
        modes = ", ".join(get_args(BlendMode))
        raise InvalidValue(f"there is no blend mode {mode!r}", port="mode", expected=modes)
    if mode in _OF_COLORS and below.shape[-1] == 1:
        return _FORMULAS[mode](as_rgb(below), as_rgb(above))[..., :1]
    return _FORMULAS[mode](below, above)


def composite_layer(
    image: Tensor,
    layer: Tensor,
    mask: Tensor | None = None,
    *,
    anchor: Anchor = "top left",
    x: int = 0,
    y: int = 0,
    mode: BlendMode = "normal",
    opacity: float = 1.0,
) -> Tensor:
    """Images with a layer on them; what reaches beyond is cut off.

    Args:
        image, layer: As many, or one for all; alpha of both is heeded, and gray becomes colors
            where the other has some.
        mask: Of the layer, scaled to it: 1 where it shows; None for all of it.
        anchor, x, y: Where it lies, see `placed`.
    Returns:
        As large as `image`, with alpha if that has some; where nothing shows, to the same bits.
    Raises:
        InvalidValue: They are of different numbers.
    """
    import torch

    from nodegraph.media.images.masks import broadcast_batches, match_mask

    check_channels(image)
    check_channels(layer, "layer")
    if mask is not None:
        broadcast_batches(image, mask, "mask")
    coverage = torch.ones(1, *layer.shape[1:3]) if mask is None else mask
    layer, coverage = match_mask(layer, coverage)
    image, layer = broadcast_batches(image, layer, "layer")
    coverage = coverage.expand(len(layer), *coverage.shape[1:])
    size, own = (image.shape[2], image.shape[1]), (layer.shape[2], layer.shape[1])
    left, top = anchor_position(size, own, anchor, x, y)
    rows = slice(max(top, 0), max(0, min(top + own[1], size[1])))
    columns = slice(max(left, 0), max(0, min(left + own[0], size[0])))
    grows = image.shape[-1] == 1 and layer.shape[-1] != 1
    result = (as_rgb(image) if grows else image).float().clone()
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return result
    layer = layer[:, rows.start - top : rows.stop - top]
    layer = layer[:, :, columns.start - left : columns.stop - left].float()
    coverage = coverage[:, rows.start - top : rows.stop - top]
    coverage = coverage[:, :, columns.start - left : columns.stop - left]
    for at in range(len(result)):
        share = coverage[at : at + 1, ..., None] * opacity
        result[at : at + 1, rows, columns] = composite_over(
            result[at : at + 1, rows, columns].contiguous(),
            layer[at : at + 1].contiguous(),
            share.contiguous(),
            mode,
        )
    return result.clamp_(0, 1)


def composite_over(below: Tensor, above: Tensor, share: Tensor, mode: BlendMode) -> Tensor:
    """One image on another of its size; alpha of both counts.

    Where the lower one is fully transparent, the upper one shows to the same bits.

    Args:
        below, above: float32 in 0..1, shape (1, height, width, 1, 3 or 4).
        share: How much of the upper one shows, (1, height, width, 1).
    """
    import torch

    (colors, alpha), (layer, own) = split_alpha(below), split_alpha(above)
    if colors.shape[-1] == 3:
        layer = as_rgb(layer)
    share = share if own is None else share * own
    mixed = blend(colors, layer, mode)
    if alpha is None:
        return torch.where(share > 0, colors * (1 - share) + mixed * share, colors)
    if mode != "normal":
        # Where there is nothing below, the layer shows as it is.
        mixed = layer + (mixed - layer) * alpha
    total = share + alpha * (1 - share)
    composite = (share * mixed + (1 - share) * alpha * colors) / total.clamp(min=1e-12)
    composite = torch.where(alpha > 0, composite, layer)
    return torch.cat(
        [torch.where(share > 0, composite, colors), torch.where(share > 0, total, alpha)], dim=-1
    )


def blend_images(
    image: Tensor, other: Tensor, mask: Tensor | None, mode: BlendMode, opacity: float
) -> Tensor:
    """Images with another one on all of them, which is scaled to their size and cut."""
    from nodegraph.media.images.masks import broadcast_batches
    from nodegraph.media.images.resizing import resize_image

    check_channels(image)
    check_channels(other, "other")
    broadcast_batches(image, other, "other")
    if other.shape[1:3] != image.shape[1:3]:
        other = resize_image(other, image.shape[2], image.shape[1], fit="crop")
    return composite_layer(image, other, mask, mode=mode, opacity=opacity)


def flatten(image: Tensor, color: tuple[float, float, float, float]) -> Tensor:
    """Images without alpha, on a color.

    Returns:
        3 channels of 4; as they are otherwise.
    """
    from nodegraph.media.images.colors import paint
    from nodegraph.media.images.editing.pixel_formats import map_images

    def work(item: Tensor) -> Tensor:
        colors, alpha = split_alpha(item)
        return colors if alpha is None else paint(color, 3) + (colors - paint(color, 3)) * alpha

    return map_images(image, work)
