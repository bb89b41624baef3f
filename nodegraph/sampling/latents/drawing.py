"""Latents as they are: in colours, channel by channel, and in numbers."""

from __future__ import annotations

from typing import Literal

from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.embedded_models import embedded_colours
from nodegraph.families.latent_colours import Colour, Factors, latent_rgb
from nodegraph.families.registry import get_latent_format
from nodegraph.sampling.latents.combining import require_samples
from nodegraph.sampling.latents.moving import cell_side
from nodegraph.sampling.previews import middle_frame

Shown = Literal["colors", "channels"]

_SPREAD = 3.0
"""Standard deviations from the mean that a channel shows, from black to white."""
_EMBEDDED = ("sd", 8)
"""Format and channels of the embedded model's latents."""


def render_latent(latent: Latent, shown: Shown) -> Tensor:
    """The cells of latents, each as large as it is in pixels; of videos the frame in the middle.

    Args:
        shown: ``colors`` by the linear map that is known of the format; ``channels`` one after the
            other, black to white over three standard deviations on both sides of their mean, all
            of an item in a grid as square as can be.
    Returns:
        float32 in 0..1, shape (batch, height, width, 3).
    Raises:
        InvalidValue: The latent is empty, or nobody knows the colours of its format.
    """
    samples, cell = middle_frame(require_samples(latent, "latent")).float(), cell_side(latent)
    cells = _colours(latent, samples) if shown == "colors" else _channels(samples)
    large = functional.interpolate(cells.clamp(0, 1), scale_factor=cell, mode="nearest")
    return large.movedim(1, -1).contiguous()


def _colours(latent: Latent, samples: Tensor) -> Tensor:
    rgb_map = _map(latent.format, samples.shape[1])
    if rgb_map is None:
        raise InvalidValue(
            "it isn't known which colours its channels stand for",
            port="shown",
            given=f"a latent of format {latent.format} with {samples.shape[1]} channels",
            expected="channels",
        )
    return latent_rgb(samples, *rgb_map) * 0.5 + 0.5


def _map(name: str | None, channels: int) -> tuple[Factors, Colour] | None:
    """The colour in -1..1 of each channel, (channels, 3), and of a cell of zeros, (3,)."""
    known = None if name is None else get_latent_format(name)
    if known is not None and known.rgb is not None and len(known.rgb) == channels:
        return known.rgb, known.rgb_bias
    return embedded_colours() if (name, channels) == _EMBEDDED else None


def _channels(samples: Tensor) -> Tensor:
    """(batch, 3, rows · height, columns · width), the channels in a grid."""
    batch, channels, height, width = samples.shape
    columns = max(n for n in range(1, channels + 1) if channels % n == 0 and n * n <= channels)
    columns = channels // columns
    mean = samples.mean((-2, -1), keepdim=True)
    spread = samples.std((-2, -1), keepdim=True).clamp(min=1e-6)
    grey = (samples - mean) / (2 * _SPREAD * spread) + 0.5
    grid = grey.view(batch, channels // columns, columns, height, width).movedim(3, 2)
    return grid.reshape(batch, 1, -1, columns * width).expand(-1, 3, -1, -1)
