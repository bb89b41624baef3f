"""Latents as images: live previews of a sampling, and latents drawn cell by cell.

A model may ship with a small preview decoder, and users may add one for its latent format. Without
one, a linear map of the format approximates the colors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.context import Preview
from nodegraph.core.values import DiffusionModel, Latent
from nodegraph.errors import InvalidFile, InvalidValue, ModelNotFound, NodegraphError
from nodegraph.families.embedded_models import embedded_colours
from nodegraph.families.latent_colours import Colour, Factors, latent_rgb
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.registry import FAMILIES, get_latent_format
from nodegraph.media.images.resizing import fit_within, grid_preview, resize_planes
from nodegraph.models.vae_files import PreviewDecoder, find_preview_decoder
from nodegraph.sampling.latents.combination import require_samples
from nodegraph.sampling.latents.transforms import cell_side

if TYPE_CHECKING:
    from nodegraph.core.context import Context
    from nodegraph.families.components import TinyAutoencoder

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
        InvalidValue: The latent is empty, or nobody knows the colors of its format.
    """
    samples, cell = middle_frame(require_samples(latent, "latent")).float(), cell_side(latent)
    cells = _colours(latent, samples) if shown == "colors" else _channels(samples)
    large = functional.interpolate(cells.clamp(0, 1), scale_factor=cell, mode="nearest")
    return large.movedim(1, -1).contiguous()


def _colours(latent: Latent, samples: Tensor) -> Tensor:
    rgb_map = _map(latent.format, samples.shape[1])
    if rgb_map is None:
        raise InvalidValue(
            "no color mapping is known for the channels of this latent format",
            port="shown",
            given=f"a latent of format {latent.format} with {samples.shape[1]} channels",
            expected="channels",
        )
    return latent_rgb(samples, *rgb_map) * 0.5 + 0.5


def _map(name: str | None, channels: int) -> tuple[Factors, Colour] | None:
    """The color in -1..1 of each channel, (channels, 3), and of a cell of zeros, (3,)."""
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


LONGEST = 256
"""Pixels along a preview's longer side at most."""
MOST = 4
"""Images of a batch that are shown, in a grid."""
_MOST_CELLS = 128
"""Latent cells along a side that are decoded at most; more are averaged first, to bound memory."""


class Previews:
    """Shows what a sampling is about to give; never a reason for it to fail.

    Nothing here draws random numbers or changes a latent. Where neither a decoder nor a linear
    map fits there is no preview. A fault of a decoder is reported once.

    Args:
        ctx: Of the node that samples; its `weights` give the decoder, and its `environment` says
            where users have theirs.
        model: What it samples with.
    """

    def __init__(self, ctx: Context, model: DiffusionModel) -> None:
        self._ctx = ctx
        family = FAMILIES.get(model.family)
        self._format = family.latent if family else None
        self._model = model
        self._decoder: PreviewDecoder | None = PreviewDecoder.of(model)

    def of(self, latents: Tensor) -> Callable[[], Preview | None]:
        """What makes a preview once it is called, for `Context.progress`.

        Args:
            latents: The clean latents that the model predicts by now, scaled as it was trained
                on, shape (batch, channels, height, width) in cells, or with frames.
        """
        return lambda: self._preview(latents)

    @torch.no_grad()
    def _preview(self, latents: Tensor) -> Preview | None:
        latents = middle_frame(latents[:MOST])
        if self._format is not None and self._format.only_size is not None:
            own = self._format.pictures(latents)
            return None if own is None else grid_preview((own + 1) / 2, LONGEST)
        pictures = self._decoded(latents)
        if pictures is None:
            pictures = None if self._format is None else map_colours(latents, self._format)
        return None if pictures is None else grid_preview((pictures + 1) / 2, LONGEST)

    def _decoded(self, latents: Tensor) -> Tensor | None:
        while self._decoder is not None:
            try:
                with self._ctx.weights(self._decoder, calls_only=True) as decoder:
                    return decoded(decoder, latents)
            except ModelNotFound:
                pass
            except (NodegraphError, RuntimeError, MemoryError, TypeError, ValueError) as error:
                error_lines = str(error).strip().splitlines() or [type(error).__name__]
                whose = self._decoder.file or "the model's own decoder"
                text = f"previews do not use {whose}: {error_lines[0]}"
                self._ctx.log(text, "warning", about="run")
            self._decoder = self._users(latents) if self._decoder.file is None else None
        return None

    def _users(self, latents: Tensor) -> PreviewDecoder | None:
        """A user's decoder, for when the model's own doesn't do."""
        if self._format is None or self._format.channels != latents.shape[1]:
            return None
        path = find_preview_decoder(self._format, self._ctx.environment.models)
        try:
            return None if path is None else PreviewDecoder.in_file(path, self._model)
        except InvalidFile:
            return None


def middle_frame(latents: Tensor) -> Tensor:
    """The frame in the middle of videos' latents; images' as they are."""
    return latents[:, :, latents.shape[2] // 2] if latents.ndim == 5 else latents


def decoded(decoder: TinyAutoencoder, latents: Tensor) -> Tensor:
    """What a small decoder makes of latents, in -1..1, shape (batch, 3, height, width).

    The images are smaller where the latents are very large.

    Raises:
        RuntimeError: They don't fit together, or memory ran out.
    """
    vae = decoder.module
    height, width = latents.shape[-2:]
    shrink = math.ceil(max(height, width) / _MOST_CELLS)
    inputs = latents.to(vae.device, vae.dtype) / vae.config.scaling_factor
    if shrink > 1:
        inputs = resize_planes(inputs, max(1, height // shrink), max(1, width // shrink))
    # One by one, which bounds the memory.
    return torch.cat([vae.decode(item[None], return_dict=False)[0] for item in inputs])


def map_colours(latents: Tensor, pixels: LatentFormat) -> Tensor | None:
    """The colors of latents' cells by the format's linear map, in -1..1, at full size or less.

    Returns:
        Shape (batch, 3, height, width) in pixels; None where no map fits.
    """
    factors = pixels.rgb
    if factors is None or len(factors) != latents.shape[1]:
        return None
    # On the CPU, where the few numbers go anyway: the same way on every device.
    colours = latent_rgb(latents, factors, pixels.rgb_bias)
    height, width = (side * pixels.spatial for side in latents.shape[-2:])
    return resize_planes(colours, *fit_within(height, width, LONGEST))
