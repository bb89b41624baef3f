"""The diffusion decoder of LTX-2.5: it denoises the pixels of a video. Imports no torch.

It reads the same latents as the VAE, and encodes nothing.

Source: diffusers' pipeline ``LTX2VideoDiffusionDecodePipeline`` and its model
``LTX2VideoDiffusionDecoderModel``, by Lightricks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Config
from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

DIFFUSION_DECODER = "LTX2VideoDiffusionDecoderModel"
"""Its class in diffusers."""
_SEED = 0
"""Of its noise: the same latent always becomes the same video."""
_AXES = ("frames", "rows", "columns")


def is_diffusion_decoder(vae: Any) -> bool:
    """Return whether an autoencoder is the diffusion decoder."""
    return type(vae).__name__ == DIFFUSION_DECODER


def decoder_width(config: Config) -> int | None:
    """Return the width of the decoder's layers at full size, or None for other autoencoders."""
    widths = config.get("decoder_stage_channels")
    return int(widths[-1]) if widths else None


def check_encodes(vae: Any) -> None:
    """Refuse to encode with the diffusion decoder; on port ``vae``."""
    if is_diffusion_decoder(vae):
        raise InvalidValue(
            "the diffusion decoder of LTX-2.5 encodes nothing",
            port="vae",
            hint="Encode with the VAE of the same model, and decode with this one.",
        )


def denoise_pixels(vae: Any, latents: Tensor) -> Tensor:
    """Decode latents to pixels in -1..1, shape (batch, 3, frames, height, width).

    Args:
        latents: Unscaled, shape (batch, channels, frames, height, width) in cells.
    Raises:
        InvalidValue: The latent has fewer cells than a layer attends to; on port ``latent``.
    """
    _check_cells(vae.config, latents.shape[2:])
    vae.set_attn_processor(WindowAttention())
    generator = torch.Generator().manual_seed(_SEED)
    pixels: Tensor = vae.decode(latents.to(vae.dtype), generator=generator, return_dict=False)[0]
    return pixels


class WindowAttention:
    """Attention processor of the decoder's layers: each token attends to a window around it.

    Windows at the border are shifted inward, so that all have the same size. diffusers' processor
    computes the scores of all pairs of tokens unless it is compiled, which no video of a usual size
    has memory for. This one takes blocks of tokens with the part of the grid that they attend to.
    It has no learned state and may be shared.
    """

    block: tuple[int, int, int] = (4, 8, 8)
    """Tokens of a block: frames, rows, columns."""

    def __call__(self, attn: Any, hidden_states: Tensor, block_mask: None = None) -> Tensor:
        """Return what a layer gives.

        Args:
            attn: ``LTX2VideoVaeNeighborhoodAttention``.
            hidden_states: Shape (batch, frames, rows, columns, width).
        """
        grid = hidden_states.shape[1:4]
        query, key, value = attn.project_qkv(hidden_states)
        output = torch.empty_like(query)
        axes = [
            [
                _AxisBlock.of(start, step, size, window, query.device)
                for start in range(0, size, step)
            ]
            for size, step, window in zip(grid, self.block, attn.kernel_size, strict=True)
        ]
        for frames, rows, columns in itertools.product(*axes):
            own = (slice(None), frames.own, rows.own, columns.own)
            visible = (slice(None), frames.visible, rows.visible, columns.visible)
            # Whether each token of the block sees each token of the part.
            mask = (
                frames.mask[:, None, None, :, None, None]
                & rows.mask[None, :, None, None, :, None]
                & columns.mask[None, None, :, None, None, :]
            )
            tokens = math.prod(mask.shape[:3])
            # The layer has scaled the query.
            attended = torch.nn.functional.scaled_dot_product_attention(
                _heads_first(query[own]),
                _heads_first(key[visible]),
                _heads_first(value[visible]),
                attn_mask=mask.reshape(tokens, -1),
                scale=1.0,
            )
            output[own] = attended.transpose(1, 2).reshape(output[own].shape)
        joined: Tensor = attn.to_out[0](output.flatten(-2))
        return joined


@dataclass(frozen=True, slots=True)
class _AxisBlock:
    """A part of one axis.

    Attributes:
        own: Its tokens.
        visible: The tokens that these attend to.
        mask: Which of these each of them attends to; bool, (own tokens, visible tokens).
    """

    own: slice
    visible: slice
    mask: Tensor

    @classmethod
    def of(cls, start: int, step: int, size: int, window: int, device: torch.device) -> _AxisBlock:
        """The block that begins at a token, on an axis of a size."""
        end = min(start + step, size)
        first = (torch.arange(start, end) - window // 2).clamp(0, size - window)
        begin, stop = int(first[0]), int(first[-1]) + window
        offsets = torch.arange(begin, stop)[None] - first[:, None]
        mask = (offsets >= 0) & (offsets < window)
        return cls(slice(start, end), slice(begin, stop), mask.to(device))


def _heads_first(part: Tensor) -> Tensor:
    """Return (batch, frames, rows, columns, heads, width) as (batch, heads, tokens, width)."""
    return part.flatten(1, 3).transpose(1, 2)


def _check_cells(config: Config, cells: Sequence[int]) -> None:
    """Refuse latents that become smaller grids than the windows of attention.

    Args:
        cells: Frames, rows and columns of the latent.
    """
    kernels = [*config["decoder_stage_kernels"], config["decoder_stage5_kernel"]]
    # The decoder repeats the last frame this many times in its first stages.
    padding = kernels[0][0] // 2 * 2
    grid = [cells[0] + padding, *cells[1:]]
    for kernel, stride in zip(kernels, [*config["decoder_upsample_strides"], None], strict=True):
        if stride is None:
            grid[0] -= padding * int(config["temporal_compression_ratio"])
        for axis, size, least in zip(_AXES, grid, kernel, strict=True):
            if size < least:
                raise InvalidValue(
                    "the video is too small for the diffusion decoder of LTX-2.5",
                    port="latent",
                    given=f"{size} {axis} in a layer that needs {least}",
                    hint="Decode it with the VAE of the same model, or sample a larger video.",
                )
        if stride is not None:
            # Doubling the frames drops the first of them.
            first = 1 if stride[0] == 2 else 0
            grid = [size * by for size, by in zip(grid, stride, strict=True)]
            grid[0] -= first
