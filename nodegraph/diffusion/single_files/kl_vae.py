"""Autoencoders in single files, alone or with a whole model: as the original training code names
them, or as diffusers does."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import FileLayout, count_of
from nodegraph.diffusion.single_files.unet import NORM_GROUPS

if TYPE_CHECKING:
    from torch import Tensor

PREFIXES = ("first_stage_model.", "vae.", "")
"""Before the names of an autoencoder's tensors in a file of its own."""
_MARK = "decoder.conv_in.weight"


def vae_prefix(shapes: Shapes) -> str | None:
    """What the names of an autoencoder's tensors begin with; None if the file holds none."""
    return next((prefix for prefix in PREFIXES if f"{prefix}{_MARK}" in shapes), None)


def vae_channels(shapes: Shapes, prefix: str) -> int:
    """Channels of its latents."""
    return shapes[f"{prefix}{_MARK}"][1]


def kl_layout(title: str, scaling: tuple[float, float]) -> FileLayout:
    """How an AutoencoderKL lies in a file, in the original names or in diffusers'.

    Args:
        scaling: Published factor and shift of its latents.
    """
    return FileLayout(
        "kl-vae",
        title,
        "AutoencoderKL",
        lambda vae: _MARK in vae,
        partial(vae_config, scaling=scaling),
        convert_vae,
        PREFIXES,
    )


def vae_config(vae: Shapes, scaling: tuple[float, float]) -> dict[str, Any]:
    """The diffusers configuration of an AutoencoderKL; arguments as of `kl_layout`.

    Raises:
        KeyError: A tensor that every such autoencoder has is missing.
    """
    level, layer = (
        ("encoder.down_blocks.{}", "resnets")
        if _is_diffusers(vae)
        else ("encoder.down.{}", "block")
    )
    levels = count_of(vae, re.escape(level).replace(r"\{\}", r"(\d+)"))
    factor, shift = scaling
    widths = [vae[f"{level.format(at)}.{layer}.0.conv1.weight"][0] for at in range(levels)]
    return {
        "in_channels": vae["encoder.conv_in.weight"][1],
        "out_channels": vae["decoder.conv_out.weight"][0],
        "block_out_channels": tuple(widths),
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "layers_per_block": count_of(vae, rf"{re.escape(level.format(0))}\.{layer}\.(\d+)\."),
        "latent_channels": vae[_MARK][1],
        "norm_num_groups": NORM_GROUPS,
        "use_quant_conv": "quant_conv.weight" in vae,
        "use_post_quant_conv": "post_quant_conv.weight" in vae,
        "scaling_factor": factor,
        "shift_factor": shift or None,
    }


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
