"""Autoencoders in single files, alone or with a whole model: as the original training code names
them, or as diffusers does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, count_of
from nodegraph.weights.single_files.unet import NORM_GROUPS

if TYPE_CHECKING:
    from torch import Tensor

PREFIXES = ("first_stage_model.", "vae.", "")
"""Before the names of an autoencoder's tensors in a file of its own."""
BATCH_NORM = "bn.running_mean"
"""A tensor that tells Flux.2's, which has the same names otherwise."""

_MARK = "decoder.conv_in.weight"
_HALVING = "encoder.down.0.downsample.conv.weight"
_DOUBLING = re.compile(
    r"decoder\.(?:up\.\d+\.upsample|up_blocks\.\d+\.upsamplers\.0)\.conv\.weight"
)
_DOUBLINGS = 3
"""Of the size, to pixels from cells of 8 x 8; there are such of 4 x 4 with as many channels."""


def kl_layout(title: str, channels: int, scaling: tuple[float, float]) -> FileLayout:
    """How an AutoencoderKL lies in a file, in the original names or in diffusers'.

    Args:
        channels: Of its latents.
        scaling: Published factor and shift of its latents.
    """
    return FileLayout(
        "kl-vae",
        title,
        "AutoencoderKL",
        partial(_is_kl, channels=channels),
        partial(vae_config, scaling=scaling),
        convert_vae,
        PREFIXES,
    )


def _is_kl(vae: Shapes, *, channels: int) -> bool:
    first = vae.get(_MARK, ())
    if len(first) != 4 or first[1] != channels or BATCH_NORM in vae or makes_channels(vae):
        return False
    return sum(map(bool, map(_DOUBLING.fullmatch, vae))) == _DOUBLINGS


def makes_channels(vae: Shapes) -> bool:
    """Whether it makes channels of pixels, as HunyuanImage's, which has the same original names."""
    halving = vae.get(_HALVING, ())
    return len(halving) > 3 and halving[0] != halving[1]


def vae_config(vae: Shapes, scaling: tuple[float, float]) -> dict[str, Any]:
    """The diffusers configuration of an AutoencoderKL; arguments as of `kl_layout`.

    Raises:
        KeyError: A tensor that every such autoencoder has is missing.
    """
    widths = _widths(vae, "encoder.down")
    layers = r"encoder\.down(?:_blocks)?\.0\.(?:resnets|block)\.(\d+)\."
    factor, shift = scaling
    return {
        "in_channels": vae["encoder.conv_in.weight"][1],
        "out_channels": vae["decoder.conv_out.weight"][0],
        "block_out_channels": widths,
        "down_block_types": ("DownEncoderBlock2D",) * len(widths),
        "up_block_types": ("UpDecoderBlock2D",) * len(widths),
        "layers_per_block": count_of(vae, layers),
        "latent_channels": vae[_MARK][1],
        "norm_num_groups": NORM_GROUPS,
        "use_quant_conv": "quant_conv.weight" in vae,
        "use_post_quant_conv": "post_quant_conv.weight" in vae,
        "scaling_factor": factor,
        "shift_factor": shift or None,
    }


def decoder_widths(vae: Shapes) -> tuple[int, ...]:
    """Channels of the decoder's resolutions, the largest resolution first."""
    widths = _widths(vae, "decoder.up")
    return widths[::-1] if _is_diffusers(vae) else widths


def _widths(vae: Shapes, side: str) -> tuple[int, ...]:
    """Channels of a half's resolutions, as the file counts them."""
    stem, layer = (f"{side}_blocks", "resnets") if _is_diffusers(vae) else (side, "block")
    levels = range(count_of(vae, rf"{re.escape(stem)}\.(\d+)\."))
    return tuple(vae[f"{stem}.{at}.{layer}.0.conv1.weight"][0] for at in levels)


def convert_vae(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The autoencoder's weights under diffusers' names.

    Args:
        config: Of `vae_config`.
    """
    if _is_diffusers(tensors):
        return dict(tensors)
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    converted: dict[str, Tensor] = convert_ldm_vae_checkpoint(dict(tensors), config)
    return converted


def _is_diffusers(names: Mapping[str, object]) -> bool:
    return any(name.startswith("encoder.down_blocks.") for name in names)
