"""Image filters: blur, sharpen, grain, vignette, emboss, glow.

Beyond the edge, an image continues with its outermost pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from nodegraph.media.images.colors import Color, paint
from nodegraph.media.images.editing.pixel_formats import (
    luma,
    map_colors,
    map_images,
    to_nchw,
    to_nhwc,
)

if TYPE_CHECKING:
    from torch import Tensor


def add_grain(image: Tensor, strength: float, size: float, seed: int, *, in_color: bool) -> Tensor:
    """Film grain: normal noise that is strongest in middle tones.

    Args:
        strength: Its deviation in middle gray.
        size: Of grains, in pixels; 1 is noise in each pixel by itself.
        seed: Of the first image; each further one has the next, so that its grain doesn't depend
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


def add_noise(image: Tensor, strength: float, seed: int, *, at_once: bool = False) -> Tensor:
    """Add normal noise to the colors, and clamp the result to 0..1.

    Args:
        strength: Standard deviation of the noise.
        seed: Seed of the first image. Each further one has the next.
        at_once: Draw the noise of all images from the seed, in one tensor. Alpha has a share of
            the draw as in ComfyUI, but is not changed.
    """
    import torch

    colors = 1 if image.shape[-1] == 1 else 3

    def draw(at: int, count: int) -> Tensor:
        generator = torch.Generator("cpu").manual_seed((seed + at) % 2**64)
        # Channels lie innermost, so a channel that is drawn but not used shifts all others.
        drawn = image.shape[-1] if at_once else colors
        return torch.randn(count, *image.shape[1:-1], drawn, generator=generator)[..., :colors]

    count = len(image)
    drawn = torch.split(draw(0, count), 1) if at_once else [draw(at, 1) for at in range(count)]
    items = zip(torch.split(image, 1), drawn, strict=True)
    return torch.cat([map_colors(item, (strength * noise).add) for item, noise in items])


MorphologicalOperation = Literal[
    "erode", "dilate", "open", "close", "gradient", "top hat", "bottom hat"
]


def morph(image: Tensor, operation: MorphologicalOperation, radius: int) -> Tensor:
    """Apply a morphological operation with a square to each color channel.

    Source: Serra 1982, "Image Analysis and Mathematical Morphology". Pixels outside the image are
    ignored.

    Args:
        operation: Dilation takes the maximum in the square, erosion the minimum. To open is to
            erode, then dilate; to close is the reverse. The gradient is dilation - erosion. A top
            hat is image - opening, a bottom hat closing - image.
        radius: Pixels that the square reaches to each side.
    """

    def work(colors: Tensor) -> Tensor:
        pixels = to_nchw(colors)
        return to_nhwc(_morphed(pixels, operation, radius))

    return map_colors(image, work)


def _morphed(pixels: Tensor, operation: MorphologicalOperation, radius: int) -> Tensor:
    if operation in ("erode", "dilate"):
        return _dilated(pixels, radius) if operation == "dilate" else -_dilated(-pixels, radius)
    if operation == "gradient":
        return _morphed(pixels, "dilate", radius) - _morphed(pixels, "erode", radius)
    if operation in ("open", "top hat"):
        opened = _morphed(_morphed(pixels, "erode", radius), "dilate", radius)
        return opened if operation == "open" else pixels - opened
    closed = _morphed(_morphed(pixels, "dilate", radius), "erode", radius)
    return closed if operation == "close" else closed - pixels


def _dilated(pixels: Tensor, radius: int) -> Tensor:
    """The maximum in a square around each pixel: of rows, then of columns, which is as exact."""
    from torch.nn import functional

    # max_pool2d pads with -inf, so pixels outside the image are ignored.
    side = 2 * radius + 1
    rows = functional.max_pool2d(pixels, (1, side), 1, (0, radius))
    return functional.max_pool2d(rows, (side, 1), 1, (radius, 0))


def vignette(
    image: Tensor, strength: float, radius: float, softness: float, color: Color
) -> Tensor:
    """Darker, or of another color, towards the corners.

    Args:
        strength: 0..1, how much of the color is at the corners.
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
    """Squares of one color: the mean of what is in them, alpha as well."""

    def work(item: Tensor) -> Tensor:
        import torch.nn.functional as F  # noqa: N812 - its usual name

        _, height, width, _ = item.shape
        # The last row and column of squares may be cut off.
        small = F.avg_pool2d(to_nchw(item), size, ceil_mode=True, count_include_pad=False)
        large = small.repeat_interleave(size, 2).repeat_interleave(size, 3)
        return to_nhwc(large[:, :, :height, :width])

    return map_images(image, work)


def emboss(image: Tensor, strength: float, angle: float) -> Tensor:
    """Relief about middle gray, lit from an angle: the slope in that direction."""

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


BlurKind = Literal["gaussian", "box", "motion", "median", "surface"]
_VALUES = 1 << 24
"""Neighbors that are held at once, where each pixel needs all of its own."""
_WIDEST = 8
"""Radius up to which neighbors are looked at one by one, for median and surface."""


def blur(
    image: Tensor, kind: BlurKind, radius: float, angle: float = 0, edge: float = 0.1
) -> Tensor:
    """Images out of focus.

    Args:
        radius: Pixels: the deviation of ``gaussian``, half a side of ``box``, ``median`` and
            ``surface`` less half a pixel, half the way of ``motion``.
        angle: Degrees in which ``motion`` goes, 0 to the right, 90 up.
        edge: Differences in value that ``surface`` takes for edges and keeps (a bilateral filter:
            Tomasi and Manduchi 1998).
    """
    if radius == 0:
        return map_colors(image, lambda item: item)
    works = {
        "gaussian": lambda item: gaussian(item, radius),
        "box": lambda item: _box(item, round(radius)),
        "motion": lambda item: _motion(item, radius, angle),
        "median": lambda item: _median(item, min(round(radius), _WIDEST)),
        "surface": lambda item: _surface(item, min(round(radius), _WIDEST), edge),
    }
    return map_colors(image, works[kind])


def gaussian(item: Tensor, deviation: float) -> Tensor:
    """Weighted means, by a normal distribution that is cut off at four deviations.

    As SciPy's `gaussian_filter` with mode ``nearest`` computes it.

    Args:
        item: (1, height, width, channels).
        deviation: Pixels.
    """
    import torch

    reach = max(1, int(4 * deviation + 0.5))
    at = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (at / deviation) ** 2)
    return _separable(item, (weights / weights.sum()).float())


def _box(item: Tensor, reach: int) -> Tensor:
    import torch

    return _separable(item, torch.full((2 * reach + 1,), 1 / (2 * reach + 1)))


def _separable(item: Tensor, weights: Tensor) -> Tensor:
    """Means along rows, then along columns."""
    import torch.nn.functional as F  # noqa: N812 - its usual name

    planes = to_nchw(item).movedim(0, 1)  # (channels, 1, height, width)
    reach = len(weights) // 2
    wide = F.pad(planes, (reach, reach, 0, 0), mode="replicate")
    planes = F.conv2d(wide, weights.view(1, 1, 1, -1))
    high = F.pad(planes, (0, 0, reach, reach), mode="replicate")
    return to_nhwc(F.conv2d(high, weights.view(1, 1, -1, 1)).movedim(0, 1))


def _motion(item: Tensor, radius: float, angle: float) -> Tensor:
    """Means along a line."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    reach = math.ceil(radius)
    side = 2 * reach + 1
    kernel = torch.zeros(side, side)
    steps = 8 * reach
    for step in range(-steps, steps + 1):
        along = radius * step / steps
        x = reach + along * math.cos(math.radians(angle))
        y = reach - along * math.sin(math.radians(angle))
        # Each point of the line is shared among the four pixels around it.
        left, top = min(int(x), side - 2), min(int(y), side - 2)
        for row, down in ((top, 1 - y + top), (top + 1, y - top)):
            for column, across in ((left, 1 - x + left), (left + 1, x - left)):
                kernel[row, column] += down * across
    kernel /= kernel.sum()
    _, height, width, _ = item.shape
    wide = to_nhwc(F.pad(to_nchw(item), (reach,) * 4, mode="replicate"))
    total = torch.zeros_like(item)
    # Of a line nearly all of the kernel is empty: a convolution would go through all of it.
    for row, column in kernel.nonzero().tolist():
        part = wide[:, row : row + height, column : column + width]
        total.add_(part, alpha=float(kernel[row, column]))
    return total


def _neighbours(item: Tensor, reach: int, rows: slice) -> Tensor:
    """All pixels around each, shape (1, channels, side * side, rows, width)."""
    import torch.nn.functional as F  # noqa: N812

    side = 2 * reach + 1
    wide = F.pad(to_nchw(item), (reach,) * 4, mode="replicate")
    part = wide[:, :, rows.start : rows.stop + 2 * reach]
    windows = part.unfold(2, side, 1).unfold(3, side, 1)
    return windows.flatten(4).movedim(4, 2)


def _strips(item: Tensor, reach: int) -> list[slice]:
    _, height, width, channels = item.shape
    rows = max(1, _VALUES // (width * channels * (2 * reach + 1) ** 2))
    return [slice(top, min(height, top + rows)) for top in range(0, height, rows)]


def _median(item: Tensor, reach: int) -> Tensor:
    import torch

    strips = [_neighbours(item, reach, rows).median(dim=2).values for rows in _strips(item, reach)]
    return to_nhwc(torch.cat(strips, dim=2))


def _surface(item: Tensor, reach: int, edge: float) -> Tensor:
    import torch

    at = torch.arange(-reach, reach + 1) / max(1, reach / 2)
    near = torch.exp(-0.5 * (at[:, None] ** 2 + at[None] ** 2)).flatten().view(1, -1, 1, 1)
    strips = []
    for rows in _strips(item, reach):
        around = _neighbours(item, reach, rows)
        own = to_nchw(item)[:, :, rows][:, :, None]
        apart = (around - own).square().sum(1) / max(edge, 1e-4) ** 2
        weights = (near * torch.exp(-0.5 * apart))[:, None]
        strips.append((around * weights).sum(2) / weights.sum(2))
    return to_nhwc(torch.cat(strips, dim=2))


def sharpen(image: Tensor, amount: float, radius: float, threshold: float) -> Tensor:
    """What a blur takes away, added: an unsharp mask.

    Args:
        radius: Deviation of the blur, in pixels.
        threshold: Differences from the blur below it are left alone.
    """

    def work(item: Tensor) -> Tensor:
        detail = item - gaussian(item, radius)
        if threshold:
            detail = detail * (detail.abs() >= threshold)
        return item + amount * detail

    return map_colors(image, work)


def high_pass(image: Tensor, radius: float) -> Tensor:
    """What a blur takes away, about middle gray."""
    return map_colors(image, lambda item: item - gaussian(item, radius) + 0.5)
