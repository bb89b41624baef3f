"""Flux.2's autoencoder in a file of its own, in the original names or in diffusers'.

Source: https://github.com/black-forest-labs/flux2 (``src/flux2/autoencoder.py``): Flux.1's with a
batch norm of the latents' patches, and what belongs to each half within it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.diffusion.lazy import torch
from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import FileLayout, check_scale
from nodegraph.diffusion.single_files.kl_vae import (
    BATCH_NORM,
    PREFIXES,
    convert_vae,
    decoder_widths,
    vae_config,
)

if TYPE_CHECKING:
    from torch import Tensor

_MOVED = {
    "encoder.quant_conv.": "quant_conv.",
    "decoder.post_quant_conv.": "post_quant_conv.",
}
_CHANNELS = 32
"""Of its latents, of which four make one of a patch."""
_STATISTICS = "bn."
_COUNT = "bn.num_batches_tracked"
"""Of no use any more, and left out by some."""


def _config(vae: Shapes) -> dict[str, Any]:
    named = {_name(name): item for name, item in vae.items()}
    found = vae_config(named, (1.0, 0.0))
    kept = {name: item for name, item in found.items() if not name.endswith("_factor")}
    check_scale(2 ** len(kept["block_out_channels"]), 2 * 8)
    return {
        **kept,
        "decoder_block_out_channels": decoder_widths(named),
        "patch_size": (2, 2),
        "use_quant_conv": True,
        "use_post_quant_conv": True,
    }


def _convert(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    named = {_name(name): item for name, item in tensors.items()}
    statistics = {name: item for name, item in named.items() if name.startswith(_STATISTICS)}
    others = {name: item for name, item in named.items() if name not in statistics}
    statistics.setdefault(_COUNT, torch.tensor(0))
    return convert_vae(others, config) | statistics


def _name(name: str) -> str:
    for old, new in _MOVED.items():
        if name.startswith(old):
            return f"{new}{name.removeprefix(old)}"
    return name


FLUX2_VAE = FileLayout(
    "flux2-vae",
    "the VAE of Flux.2",
    "AutoencoderKLFlux2",
    lambda vae: BATCH_NORM in vae and vae.get("decoder.conv_in.weight", ())[1:2] == (_CHANNELS,),
    _config,
    _convert,
    PREFIXES,
)
