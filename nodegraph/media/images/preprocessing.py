"""What control networks are led by, made of images: edges, lines, colors, slopes.

Thin edges are Canny's (1986), in plain torch: smooth, take the gradient of the color channel that
changes most, keep what is greatest across the edge, keep weak edges only where they touch strong
ones. The embedded edge ControlNet was trained with these edges, by these thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.training_values import Preprocessor
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.media.images.editing.adjustments import posterize
from nodegraph.media.images.editing.filters import blur
from nodegraph.media.images.mask_morphology import gaussian_blur, grow_mask
from nodegraph.media.images.masks import as_rgb, mask_from_channel, mask_to_image
from nodegraph.media.images.resizing import resize_image

LOW, HIGH = 0.045, 0.105
"""Gradient, in parts of the range of values per pixel, of the weakest and of a strong edge."""
_SMOOTH = (0.0545, 0.2442, 0.4026, 0.2442, 0.0545)
"""Gaussian of deviation 1 pixel."""
_STEEP = 2.414
"""Tangent of 67.5 degrees: beyond it a gradient counts as along one axis."""
_GROWTH = 48
"""Most pixels that a weak edge may lead away from a strong one."""


def find_edges(pictures: Tensor, low: float = LOW, high: float = HIGH) -> Tensor:
    """Edges of images.

    Args:
        pictures: (n, channels, h, w), 0..1.
        low, high: Thresholds, as `LOW` and `HIGH`.

    Returns:
        (n, 1, h, w), 0 or 1.
    """
    down, right = _gradient(_smooth(pictures.float()))
    strength = (down.square() + right.square()).sqrt()
    most = strength.argmax(dim=1, keepdim=True)
    down, right, strength = (part.gather(1, most) for part in (down, right, strength))
    weak = _suppress_non_maxima(strength, down, right) & (strength > low)
    return _hysteresis(weak & (strength > high), weak).float()


def _grown(edges: Tensor, reach: int) -> Tensor:
    return functional.max_pool2d(edges, 2 * reach + 1, 1, reach)


def _smooth(pictures: Tensor) -> Tensor:
    channels = pictures.shape[1]
    row = torch.tensor(_SMOOTH, device=pictures.device).expand(channels, 1, 1, -1)
    padded = functional.pad(pictures, (2, 2, 2, 2), mode="replicate")
    across = functional.conv2d(padded, row, groups=channels)
    return functional.conv2d(across, row.transpose(2, 3), groups=channels)


def _gradient(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Change per pixel downwards and to the right (Sobel), each in the shape of `pictures`."""
    channels = pictures.shape[1]
    kernel = torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]], device=pictures.device) / 8
    padded = functional.pad(pictures, (1, 1, 1, 1), mode="replicate")
    both = []
    for way in (kernel, kernel.T):
        both.append(functional.conv2d(padded, way.expand(channels, 1, 3, 3), groups=channels))
    return both[0], both[1]


def _suppress_non_maxima(strength: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Where the gradient is greatest among its two neighbors in its own direction; bool."""
    upright = down.abs() > _STEEP * right.abs()
    level = right.abs() > _STEEP * down.abs()
    falling = (down * right > 0) & ~upright & ~level
    rising = ~(upright | level | falling)
    height, width = strength.shape[2:]
    padded = functional.pad(strength, (1, 1, 1, 1))

    def highest(rows: int, columns: int) -> Tensor:
        before = padded[:, :, 1 - rows : 1 - rows + height, 1 - columns : 1 - columns + width]
        after = padded[:, :, 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]
        # Of two equal neighbors, one only.
        return (strength > before) & (strength >= after)

    return (
        (upright & highest(1, 0))
        | (level & highest(0, 1))
        | (falling & highest(1, 1))
        | (rising & highest(1, -1))
    )


def _hysteresis(strong: Tensor, weak: Tensor) -> Tensor:
    """Those weak edges that are connected with strong ones; bool."""
    kept = strong
    for _ in range(_GROWTH):
        grown = weak & (_grown(kept.float(), 1) > 0)
        if torch.equal(grown, kept):
            break
        kept = grown
    return kept


def canny_edges(image: Tensor, low: float = LOW, high: float = HIGH) -> Tensor:
    """Thin white edges on black, as the embedded edge ControlNet was trained on.

    Args:
        image: (batch, height, width, channels).
        low, high: Gradients, in parts of the range of values per pixel, of the weakest edge that
            goes on from another and of one that stands by itself.
    Returns:
        0 or 1, (batch, height, width, 3).
    """
    edges = find_edges(as_rgb(image).movedim(-1, 1).contiguous(), low, high)
    return mask_to_image(edges[:, 0])


def soft_edges(image: Tensor, deviation: float = 1.0) -> Tensor:
    """Edges in gray, the strongest of each image white: where and how much it changes.

    Args:
        deviation: Pixels that it is smoothed by first; a large one leaves the outlines.
    """
    planes = as_rgb(image).movedim(-1, 1)
    batch, channels, height, width = planes.shape
    smooth = gaussian_blur(planes.reshape(-1, height, width), deviation)
    across, down = _slopes(smooth)
    strength = (across.square() + down.square()).sqrt().view(batch, channels, height, width)
    most = strength.amax(1)
    return mask_to_image(most / most.amax((1, 2), keepdim=True).clamp(min=1e-4))


def line_art(image: Tensor, deviation: float = 0.8, threshold: float = 0.02) -> Tensor:
    """White lines on black, drawn as with a pen: where an image is darker than around it.

    Args:
        deviation: Of the lines' width, in pixels.
        threshold: How much darker than its surroundings a line begins.
    Source: Winnemöller et al. 2012, Computers & Graphics 36, 6 (extended difference of Gaussians).
    """

    def drawn(gray: Tensor) -> Tensor:
        darker = gaussian_blur(gray, 1.6 * deviation) - gaussian_blur(gray, deviation)
        return torch.tanh((darker - threshold).clamp(min=0) * _STEEPNESS)

    # One by one: the kernels round by the place that a number has in a tensor, and what is so
    # steep makes that seen.
    gray = mask_from_channel(image, "luminance")
    return mask_to_image(torch.cat([drawn(item) for item in torch.split(gray, 1)]))


_STEEPNESS = 40.0
"""How fast a line gets white with its contrast."""


def scribble(image: Tensor, threshold: float = 0.12, thickness: int = 2) -> Tensor:
    """Rough thick outlines, as of a sketch by hand: white on black, 0 or 1.

    Args:
        threshold: Difference of brightness, 0..1, between fine and coarse at which a line is drawn.
        thickness: Pixels that lines are grown by.
    """
    planes = as_rgb(image).movedim(-1, 1)
    batch, channels, height, width = planes.shape
    flat = planes.reshape(-1, height, width)
    apart = gaussian_blur(flat, 5.0) - gaussian_blur(flat, 0.5)
    lines = apart.view(batch, channels, height, width).amax(1) > threshold
    return mask_to_image(grow_mask(lines.float(), thickness))


def tile_hint(image: Tensor, factor: float = 4.0) -> Tensor:
    """An image without its details: made smaller, and large again."""
    height, width = image.shape[1:3]
    small = max(1, round(width / factor)), max(1, round(height / factor))
    return resize_image(
        resize_image(as_rgb(image), *small, method="area"), width, height, method="bicubic"
    )


def color_blocks(image: Tensor, size: int = 32) -> Tensor:
    """An image in squares of one color each, the mean of what is there.

    Args:
        size: Pixels of a square's side; those at the right and lower edge may be narrower.
    """
    height, width = image.shape[1:3]
    planes = as_rgb(image).movedim(-1, 1)
    # Of a square that the image ends within, only what is there counts.
    means = functional.avg_pool2d(
        planes, (min(size, height), min(size, width)), size, ceil_mode=True
    )
    wide = means.repeat_interleave(size, 2).repeat_interleave(size, 3)
    return wide[:, :, :height, :width].movedim(1, -1).contiguous()


def normal_map(height_map: Tensor, strength: float = 4.0, *, green_up: bool = True) -> Tensor:
    """The directions that a surface faces, as colors, from how high it is.

    Red is to the right, green upwards (or downwards), blue towards the viewer; 0..1 stands for
    -1..1.

    Args:
        height_map: (batch, height, width, channels): bright is high, or near.
        strength: Height of white, in units of 25 pixels.
    """
    gray = mask_from_channel(height_map, "luminance")
    across, down = _slopes(gray)
    scale = strength * _HEIGHT
    up = down if green_up else -down
    normals = torch.stack((-across * scale, up * scale, torch.ones_like(gray)), -1)
    return (functional.normalize(normals, dim=-1) + 1) / 2


_HEIGHT = 25.0


def _slopes(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Change per pixel to the right and downwards (Sobel) of (number, height, width)."""
    # Not by a convolution, whose last bits depend on how many planes there are.
    wide = functional.pad(planes[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    right, below = wide[:, :, 2:] - wide[:, :, :-2], wide[:, 2:] - wide[:, :-2]
    across = right[:, :-2] + 2 * right[:, 1:-1] + right[:, 2:]
    down = below[:, :, :-2] + 2 * below[:, :, 1:-1] + below[:, :, 2:]
    return across / 8, down / 8


PREPROCESSORS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "canny edges": canny_edges,
    "soft edges": soft_edges,
    "line art": line_art,
    "scribble": scribble,
    "tile": tile_hint,
    "color blocks": color_blocks,
    "blur": lambda image: blur(as_rgb(image), "gaussian", 4.0, 0.0, 0.1),
    "posterize": lambda image: posterize(as_rgb(image), 4),
    "normal map": normal_map,
}
"""By the names of `nodes.preprocess.SelectPreprocessor`."""


def preprocess(image: Tensor, preprocessor: Preprocessor, shorter_side: int = 0) -> Tensor:
    """What a preprocessor makes of images, in their size and in three channels.

    Args:
        image: (batch, height, width, channels).
        shorter_side: Pixels that images are scaled to for it; 0 gives it them as they are.
    Raises:
        InvalidValue: It gave something else than as many images.
        NumericalError: There is NaN or infinity in what it gave.
    """
    height, width = image.shape[1:3]
    prepared = as_rgb(image).contiguous()
    if shorter_side and shorter_side != min(height, width):
        scale = shorter_side / min(height, width)
        prepared = resize_image(
            prepared, max(1, round(width * scale)), max(1, round(height * scale))
        )
    made = preprocessor.apply(prepared)
    right = isinstance(made, Tensor) and made.ndim == 4 and made.shape[3] in (1, 3)
    if not right or len(made) != len(image):
        raise InvalidValue(
            f"the preprocessor {preprocessor.name} did not return one image per input image",
            port="preprocessor",
            given=f"shape {tuple(made.shape)}" if isinstance(made, Tensor) else type(made).__name__,
            expected=f"shape ({len(image)}, height, width, 1 or 3)",
        )
    if not bool(made.isfinite().all()):
        raise NumericalError(f"the preprocessor {preprocessor.name} returned NaN or infinity")
    made = as_rgb(made.float())
    if made.shape[1:3] != (height, width):
        made = resize_image(made, width, height)
    return made.clamp(0, 1).contiguous()
