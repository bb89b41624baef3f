"""Small pictures of what is being sampled, while it is.

A model may bring a small decoder of its own for this, and users may have one of its latent format.
Where there is none, a linear map gives the colours that a format's latents have on the whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nodegraph.core.context import Preview
from nodegraph.core.values import DiffusionModel
from nodegraph.errors import InvalidFile, ModelNotFound, NodegraphError
from nodegraph.families.latent_colours import latent_rgb
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.registry import FAMILIES
from nodegraph.media.images.previews import fit_within, grid_preview, resize_planes
from nodegraph.models.preview_files import PreviewDecoder, find_preview_decoder

if TYPE_CHECKING:
    from nodegraph.core.context import Context
    from nodegraph.families.components import TinyAutoencoder

LONGEST = 256
"""Pixels along a preview's longer side at most."""
MOST = 4
"""Pictures of a batch that are shown, in a grid."""
_MOST_CELLS = 128
"""Latent cells along a side that are decoded at most; more are averaged first, to bound memory."""


class Previews:
    """Shows what a sampling is about to give; never a reason for it to fail.

    Nothing here draws random numbers or changes a latent. Where neither a decoder nor a linear
    map fits there is no preview. What is wrong with a decoder is told once.

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
                text = f"previews do without {whose}: {error_lines[0]}"
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
    """The frame in the middle of videos' latents; pictures' as they are."""
    return latents[:, :, latents.shape[2] // 2] if latents.ndim == 5 else latents


def decoded(decoder: TinyAutoencoder, latents: Tensor) -> Tensor:
    """What a small decoder makes of latents, in -1..1, shape (batch, 3, height, width).

    The pictures are smaller where the latents are very large.

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
    """The colours of latents' cells by the format's linear map, in -1..1, at full size or less.

    Returns:
        Shape (batch, 3, height, width) in pixels; None where no map fits.
    """
    factors = pixels.rgb
    if factors is None or len(factors) != latents.shape[1]:
        return None
    # On the CPU, where the few numbers go anyway: in all the same way whatever the device.
    colours = latent_rgb(latents, factors, pixels.rgb_bias)
    height, width = (side * pixels.spatial for side in latents.shape[-2:])
    return resize_planes(colours, *fit_within(height, width, LONGEST))
