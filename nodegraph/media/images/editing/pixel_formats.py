"""Channel layouts, alpha and color spaces of image tensors.

An image is float32, shape (batch, height, width, channels), in 0..1; 1 channel is gray, 3 are
red, green and blue, and a fourth is alpha, 1 where the image is opaque. Color operations leave
alpha unchanged, and expand one channel to three where they need colors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from nodegraph.errors import InvalidValue, NumericalError

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)
"""Of values as they are stored: ITU-R BT.601, as Pillow and JPEG take it."""
_LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Of linear light: ITU-R BT.709, IEC 61966-2-1."""
_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
"""Linear sRGB to CIE XYZ, as scikit-image has it."""
_WHITE = (0.95047, 1.0, 1.08883)
"""D65, 2 degrees."""


def luma(colors: Tensor) -> Tensor:
    """Brightness of stored values, shape (…, 1); of one channel, that channel."""
    if colors.shape[-1] == 1:
        return colors
    return (colors * colors.new_tensor(_LUMA)).sum(-1, keepdim=True)


def luminance(linear: Tensor) -> Tensor:
    """Brightness of linear light, shape (…, 1); of one channel, that channel."""
    if linear.shape[-1] == 1:
        return linear
    return (linear * linear.new_tensor(_LUMINANCE)).sum(-1, keepdim=True)


def to_linear(stored: Tensor) -> Tensor:
    """sRGB values as linear light. Source: IEC 61966-2-1."""
    return (stored / 12.92).where(stored <= 0.04045, ((stored.clamp(min=0) + 0.055) / 1.055) ** 2.4)


def from_linear(linear: Tensor) -> Tensor:
    """Linear light as sRGB values. Source: IEC 61966-2-1."""
    return (linear * 12.92).where(
        linear <= 0.0031308, 1.055 * linear.clamp(min=1e-12) ** (1 / 2.4) - 0.055
    )


def rgb_to_hsv(colors: Tensor) -> Tensor:
    """Hue, saturation and value, each in 0..1; gray has hue 0. Source: Python's colorsys."""
    import torch

    high, low = colors.amax(-1), colors.amin(-1)
    span = high - low
    saturation = span / high.where(high > 0, torch.ones_like(high))
    return torch.stack([_hue(colors, high, span), saturation, high], dim=-1)


def hsv_to_rgb(values: Tensor) -> Tensor:
    """The inverse of `rgb_to_hsv`."""
    hue, saturation, value = values.unbind(-1)
    return _of_hue(hue, value, value * saturation)


def rgb_to_hsl(colors: Tensor) -> Tensor:
    """Hue, saturation and lightness, each in 0..1; gray has hue 0."""
    import torch

    high, low = colors.amax(-1), colors.amin(-1)
    span, lightness = high - low, (high + low) / 2
    most = 1 - (2 * lightness - 1).abs()
    saturation = (span / most.clamp(min=1e-6)).clamp(0, 1)
    return torch.stack([_hue(colors, high, span), saturation, lightness], dim=-1)


def hsl_to_rgb(values: Tensor) -> Tensor:
    """The inverse of `rgb_to_hsl`."""
    hue, saturation, lightness = values.unbind(-1)
    span = saturation * (1 - (2 * lightness - 1).abs())
    return _of_hue(hue, lightness + span / 2, span)


def _hue(colors: Tensor, high: Tensor, span: Tensor) -> Tensor:
    import torch

    red, green, blue = colors.unbind(-1)
    safe = span.where(span > 0, torch.ones_like(span))
    hue = torch.where(
        high == red,
        (green - blue) / safe,
        torch.where(high == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    return (hue / 6 % 1).where(span > 0, torch.zeros_like(span))


def _of_hue(hue: Tensor, high: Tensor, span: Tensor) -> Tensor:
    """Colors whose largest value is `high`, and whose smallest is `span` below."""
    import torch

    turns = torch.stack([(shift + hue * 6) % 6 for shift in (5, 3, 1)], dim=-1)
    share = torch.minimum(turns, 4 - turns).clamp(0, 1)
    return high[..., None] - span[..., None] * share


def rgb_to_lab(colors: Tensor) -> Tensor:
    """CIE L*a*b*: L in 0..100, a and b about -128..127. Source: CIE 15, white D65."""
    import torch

    xyz = to_linear(colors) @ colors.new_tensor(_TO_XYZ).T / colors.new_tensor(_WHITE)
    scaled = (7.787 * xyz + 16 / 116).where(xyz <= 0.008856, xyz.clamp(min=1e-12) ** (1 / 3))
    x, y, z = scaled.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """The inverse of `rgb_to_lab`, clipped to what sRGB holds."""
    import torch

    lightness, a, b = lab.unbind(-1)
    y = (lightness + 16) / 116
    scaled = torch.stack([y + a / 500, y, (y - b / 200).clamp(min=0)], dim=-1)
    xyz = ((scaled - 16 / 116) / 7.787).where(scaled <= 0.2068966, scaled**3)
    inverse = torch.linalg.inv(lab.new_tensor(_TO_XYZ, dtype=torch.float64)).to(lab.dtype)
    linear = (xyz * lab.new_tensor(_WHITE)) @ inverse.T
    return from_linear(linear).clamp(0, 1)


def map_images(image: Tensor, work: Callable[[Tensor], Tensor]) -> Tensor:
    """A batch, worked on image by image, clipped to 0..1.

    Kernels round by the place that a number has in a tensor, so only what is computed by itself
    is the same alone and in a batch.

    Args:
        work: Is given float32 of shape (1, height, width, channels), not to be changed.
    """
    import torch

    check_channels(image)
    done = [work(item.float().contiguous()) for item in torch.split(image.detach(), 1)]
    return torch.cat(done).clamp(0, 1)


def map_colors(image: Tensor, work: Callable[[Tensor], Tensor], *, rgb: bool = False) -> Tensor:
    """The same for work on colors alone: alpha comes out as it went in.

    Args:
        work: Is given 1 or 3 channels.
        rgb: Make 3 of 1 before.
    """
    import torch

    def of_one(item: Tensor) -> Tensor:
        colors, alpha = split_alpha(item)
        done = work(as_rgb(colors) if rgb else colors)
        return done if alpha is None else torch.cat([done, alpha], dim=-1)

    return map_images(image, of_one)


def check_channels(image: Tensor, port: str = "image") -> None:
    """Refuse what is no batch of images.

    Raises:
        InvalidValue: It has other axes, no pixel, or neither 1, 3 nor 4 channels.
    """
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4) or 0 in image.shape:
        raise InvalidValue(
            "these are not images",
            port=port,
            given=f"shape {tuple(image.shape)}",
            expected="(batch, height, width, 1, 3 or 4 channels)",
        )


def check_finite(image: Tensor, port: str = "image") -> None:
    """Refuse images that can't be counted or sorted by their values.

    Raises:
        NumericalError: One has NaN or infinity.
    """
    if not image.isfinite().all():
        raise NumericalError("the image has NaN or infinity", port=port)


def split_alpha(image: Tensor) -> tuple[Tensor, Tensor | None]:
    """The colors, and alpha where there is one: (…, 1 or 3 channels) and (…, 1)."""
    if image.shape[-1] == 4:
        return image[..., :3].contiguous(), image[..., 3:].contiguous()
    return image, None


def as_rgb(colors: Tensor) -> Tensor:
    """Three channels of one."""
    return colors.expand(*colors.shape[:-1], 3).contiguous() if colors.shape[-1] == 1 else colors


def with_channels(image: Tensor, channels: int) -> Tensor:
    """Gray as colors, and opaque where there was no alpha; alpha and colors are never dropped.

    Args:
        channels: At least as many as it has.
    """
    import torch

    if channels > image.shape[-1] == 1:
        image = as_rgb(image)
    if channels > image.shape[-1]:
        image = torch.cat([image, torch.ones_like(image[..., :1])], dim=-1)
    return image


def map_planes(image: Tensor, work: Callable[[Image.Image, int], Image.Image]) -> Tensor:
    """Each channel of each image through Pillow, as floats: nothing is rounded to 8 bits.

    Args:
        work: Is given a plane of mode F and the number of its channel.
    """
    import numpy as np
    import torch
    from PIL import Image

    check_channels(image)
    pictures = []
    for item in image.detach().float():
        planes = [
            work(Image.fromarray(item[..., channel].contiguous().numpy()), channel)
            for channel in range(item.shape[-1])
        ]
        pictures.append(torch.stack([torch.from_numpy(np.array(plane)) for plane in planes], -1))
    return torch.stack(pictures).clamp(0, 1)


def to_nchw(item: Tensor) -> Tensor:
    """(batch, height, width, channels) as (batch, channels, height, width)."""
    return item.movedim(-1, 1).contiguous()


def to_nhwc(planes: Tensor) -> Tensor:
    """(batch, channels, height, width) as (batch, height, width, channels)."""
    return planes.movedim(1, -1).contiguous()


def check_shapes(shape: Sequence[int | None], other: Sequence[int | None]) -> None:
    """Refuse images that can't be compared, by what is known of them before they are made.

    Args:
        shape, other: Batch, height, width and channels; None is unknown.
    Raises:
        InvalidValue: They differ in size, number or channels.
    """
    differ = [None not in pair and len(set(pair)) > 1 for pair in zip(shape, other, strict=True)]
    differ[0] = differ[0] and other[0] != 1
    if any(differ):
        raise InvalidValue(
            "the images differ in size, number or channels",
            port="other",
            given=_shape_text(other),
            expected=_shape_text(shape),
            hint=_ALIKE_BY[differ.index(True)],
        )


_ALIKE_BY = (
    "Select the same number of images with ImageFromBatch.",
    *("Use ResizeImage with the other image linked to its `like`.",) * 2,
    "Use FlattenImage to give both three channels.",
)
"""What makes images alike in number, height, width and channels."""


def _shape_text(shape: Sequence[int | None]) -> str:
    return " x ".join("?" if side is None else str(side) for side in shape)
