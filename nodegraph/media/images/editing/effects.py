"""What lenses, films and screens do to pictures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nodegraph.media.images.colors import Color, paint
from nodegraph.media.images.editing.blurring import gaussian
from nodegraph.media.images.editing.color_spaces import luma
from nodegraph.media.images.editing.pictures import map_colors, map_images, to_nchw, to_nhwc

if TYPE_CHECKING:
    from torch import Tensor


def add_grain(image: Tensor, strength: float, size: float, seed: int, *, in_color: bool) -> Tensor:
    """Film grain: normal noise that is strongest in middle tones.

    Args:
        strength: Its deviation in middle grey.
        size: Of grains, in pixels; 1 is noise in each pixel by itself.
        seed: Of the first picture; each further one has the next, so that its grain doesn't depend
            on how many there are.
        in_color: In each channel by itself.
    """
    import torch

    def of_one(item: Tensor, at: int) -> Tensor:
        def work(colors: Tensor) -> Tensor:
            grain = _noise(colors, size, (seed + at) % 2**64, in_color=in_color)
            light = luma(colors).clamp(0, 1)
            return colors + grain * strength * 2 * (light * (1 - light)).sqrt()

        return map_colors(item, work)

    return torch.cat([of_one(item, at) for at, item in enumerate(torch.split(image, 1))])


def _noise(colors: Tensor, size: float, seed: int, *, in_color: bool) -> Tensor:
    import torch

    generator = torch.Generator("cpu").manual_seed(seed)
    channels = colors.shape[-1] if in_color else 1
    noise = torch.randn(*colors.shape[:-1], channels, generator=generator)
    if size > 1:
        noise = gaussian(noise, (size - 1) / 2)
        # As strong as before: a mean of many is weaker than one.
        noise = noise / noise.std(correction=0).clamp(min=1e-6)
    return noise


def vignette(
    image: Tensor, strength: float, radius: float, softness: float, color: Color
) -> Tensor:
    """Darker, or of another colour, towards the corners.

    Args:
        strength: 0..1, how much of the colour is at the corners.
        radius: Where it begins, as a share of the way from the middle to a corner.
        softness: How wide the step is, as such a share.
    """
    import torch

    def work(item: Tensor) -> Tensor:
        _, height, width, channels = item.shape
        y = (torch.arange(height) + 0.5) / height * 2 - 1
        x = (torch.arange(width) + 0.5) / width * 2 - 1
        away = (x[None] ** 2 + y[:, None] ** 2).sqrt() / math.sqrt(2)
        share = ((away - radius) / max(softness, 1e-3)).clamp(0, 1)
        share = share * share * (3 - 2 * share) * strength
        return item.lerp(paint(color, channels).expand_as(item), share[None, ..., None])

    return map_colors(image, work)


def pixelate(image: Tensor, size: int) -> Tensor:
    """Squares of one colour: the mean of what is in them, alpha as well."""

    def work(item: Tensor) -> Tensor:
        import torch.nn.functional as F  # noqa: N812 - its usual name

        _, height, width, _ = item.shape
        # The last row and column of squares may be cut off.
        small = F.avg_pool2d(to_nchw(item), size, ceil_mode=True, count_include_pad=False)
        large = small.repeat_interleave(size, 2).repeat_interleave(size, 3)
        return to_nhwc(large[:, :, :height, :width])

    return map_images(image, work)


def emboss(image: Tensor, strength: float, angle: float) -> Tensor:
    """Relief about middle grey, lit from an angle: the slope in that direction."""

    def work(item: Tensor) -> Tensor:
        right, down = sobel(item)
        turned = math.radians(angle)
        return 0.5 + strength * (right * math.cos(turned) - down * math.sin(turned))

    return map_colors(image, work)


def find_edges(image: Tensor, strength: float) -> Tensor:
    """How steep values are in each place, black where they are flat."""

    def work(item: Tensor) -> Tensor:
        right, down = sobel(item)
        return strength * (right.square() + down.square()).sqrt()

    return map_colors(image, work)


def sobel(item: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the right and down, by Sobel's kernels; 1 for black beside white."""
    import torch
    import torch.nn.functional as F  # noqa: N812 - its usual name

    kernel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
    planes = F.pad(to_nchw(item).movedim(0, 1), (1, 1, 1, 1), mode="replicate")
    gradients = [F.conv2d(planes, part[None, None]) for part in (kernel, kernel.T.contiguous())]
    right, down = (to_nhwc(part.movedim(0, 1)) for part in gradients)
    return right, down


def glow(image: Tensor, strength: float, radius: float, threshold: float) -> Tensor:
    """Light that spreads from bright parts, added by the screen formula so that it never clips."""

    def work(item: Tensor) -> Tensor:
        light = luma(item)
        bright = item * ((light - threshold) / max(1 - threshold, 1e-3)).clamp(0, 1)
        return 1 - (1 - item) * (1 - strength * gaussian(bright, radius)).clamp(0, 1)

    return map_colors(image, work)


def chromatic_aberration(image: Tensor, amount: float) -> Tensor:
    """Red larger and blue smaller about the middle, as a simple lens shows them.

    Args:
        amount: Pixels that the corners of red and blue are moved, outwards and inwards.
    """
    import torch

    def work(item: Tensor) -> Tensor:
        red, green, blue = torch.split(item, 1, dim=-1)
        return torch.cat([_scaled(red, amount), green, _scaled(blue, -amount)], dim=-1)

    return map_colors(image, work, rgb=True)


def _scaled(plane: Tensor, amount: float) -> Tensor:
    import torch
    import torch.nn.functional as F  # noqa: N812 - its usual name

    _, height, width, _ = plane.shape
    half = math.hypot(width, height) / 2
    scale = half / (half + amount) if amount > -half else 1.0
    grid = F.affine_grid(
        torch.tensor([[[scale, 0, 0], [0, scale, 0]]]), [1, 1, height, width], align_corners=False
    )
    planes = F.grid_sample(to_nchw(plane), grid, padding_mode="border", align_corners=False)
    return to_nhwc(planes)
