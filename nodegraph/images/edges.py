"""Thin edges of pictures, after Canny (1986), in plain torch: no further library is needed.

Smooth, take the gradient of the colour channel that changes most, keep what is greatest across the
edge, keep weak edges only where they touch strong ones. The embedded edge ControlNet was trained
with the edges that this finds, by these thresholds.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

LOW, HIGH = 0.045, 0.105
"""Gradient, in parts of the range of values per pixel, of the weakest and of a strong edge."""
_SMOOTH = (0.0545, 0.2442, 0.4026, 0.2442, 0.0545)
"""Gaussian of deviation 1 pixel."""
_STEEP = 2.414
"""Tangent of 67.5 degrees: beyond it a gradient counts as along one axis."""
_GROWTH = 48
"""Most pixels that a weak edge may lead away from a strong one."""


def find_edges(pictures: Tensor, low: float = LOW, high: float = HIGH) -> Tensor:
    """Edges of pictures.

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
    weak = _ridges(strength, down, right) & (strength > low)
    return _touching(weak & (strength > high), weak).float()


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


def _ridges(strength: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Where the gradient is greatest among its two neighbours in its own direction; bool."""
    upright = down.abs() > _STEEP * right.abs()
    level = right.abs() > _STEEP * down.abs()
    falling = (down * right > 0) & ~upright & ~level
    rising = ~(upright | level | falling)
    height, width = strength.shape[2:]
    padded = functional.pad(strength, (1, 1, 1, 1))

    def highest(rows: int, columns: int) -> Tensor:
        before = padded[:, :, 1 - rows : 1 - rows + height, 1 - columns : 1 - columns + width]
        after = padded[:, :, 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]
        # Of two equal neighbours, one only.
        return (strength > before) & (strength >= after)

    return (
        (upright & highest(1, 0))
        | (level & highest(0, 1))
        | (falling & highest(1, 1))
        | (rising & highest(1, -1))
    )


def _touching(strong: Tensor, weak: Tensor) -> Tensor:
    """Those weak edges that are connected with strong ones; bool."""
    kept = strong
    for _ in range(_GROWTH):
        grown = weak & (_grown(kept.float(), 1) > 0)
        if torch.equal(grown, kept):
            break
        kept = grown
    return kept
