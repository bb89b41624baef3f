"""Flux.2's autoencoder: its latents, and its file in the original names or in diffusers'.

Latents are patches of 2 x 2 cells, brought to mean 0 and variance 1. Imports no torch.

Source: https://github.com/black-forest-labs/flux2 (``src/flux2/autoencoder.py``): Flux.1's with a
batch norm of the latents' patches, and what belongs to each half within it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.families.latent_formats import LatentFormat
from nodegraph.weights.lazy import torch
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, check_downscale
from nodegraph.weights.single_files.kl_vae import (
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


def _vae_config(vae: Shapes) -> dict[str, Any]:
    named = {_name(name): item for name, item in vae.items()}
    config = vae_config(named, (1.0, 0.0))
    kept = {name: item for name, item in config.items() if not name.endswith("_factor")}
    check_downscale(2 ** len(kept["block_out_channels"]), 2 * 8)
    return {
        **kept,
        "decoder_block_out_channels": decoder_widths(named),
        "patch_size": (2, 2),
        "use_quant_conv": True,
        "use_post_quant_conv": True,
    }


def _convert_vae(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
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
    _vae_config,
    _convert_vae,
    PREFIXES,
)


class NormalisedPatches(LatentFormat):
    """Each patch's channels are normalised by what a batch norm in the autoencoder has learnt."""

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        patches = patchify(vae.encode(pixels).latent_dist.mode())
        mean, deviation = _statistics(vae, patches)
        return (patches - mean) / deviation

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        mean, deviation = _statistics(vae, latents)
        pixels: Tensor = vae.decode(unpatchify(latents * deviation + mean), return_dict=False)[0]
        return pixels

    def to_cells(self, latents: Tensor) -> Tensor:
        return unpatchify(latents)

    def from_cells(self, cells: Tensor) -> Tensor:
        return patchify(cells)

    def latent_channels(self, config: Mapping[str, Any]) -> int:
        height, width = config["patch_size"]
        return int(config["latent_channels"]) * int(height) * int(width)


def patchify(latents: Tensor) -> Tensor:
    """Latents (n, channels, height, width) with 2 x 2 cells in one: (n, channels · 4, height / 2,
    width / 2), the four of a channel one after the other."""
    n, channels, height, width = latents.shape
    cut = latents.view(n, channels, height // 2, 2, width // 2, 2)
    return cut.permute(0, 1, 3, 5, 2, 4).reshape(n, channels * 4, height // 2, width // 2)


def unpatchify(patches: Tensor) -> Tensor:
    """What `patched` made patches of."""
    n, channels, height, width = patches.shape
    cut = patches.reshape(n, channels // 4, 2, 2, height, width)
    return cut.permute(0, 1, 4, 2, 5, 3).reshape(n, channels // 4, height * 2, width * 2)


def _statistics(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, shape (1, channels, 1, 1)."""
    mean: Tensor = vae.bn.running_mean.view(1, -1, 1, 1)
    variance: Tensor = vae.bn.running_var.view(1, -1, 1, 1)
    return mean.to(like), (variance + vae.config.batch_norm_eps).sqrt().to(like)


# Of the autoencoder's own channels. Source: https://github.com/Comfy-Org/ComfyUI,
# comfy/latent_formats.py, `Flux2`.
_CELL_RGB = (
    (0.0058, 0.0113, 0.0073),
    (0.0495, 0.0443, 0.0836),
    (-0.0099, 0.0096, 0.0644),
    (0.2144, 0.3009, 0.3652),
    (0.0166, -0.0039, -0.0054),
    (0.0157, 0.0103, -0.0160),
    (-0.0398, 0.0902, -0.0235),
    (-0.0052, 0.0095, 0.0109),
    (-0.3527, -0.2712, -0.1666),
    (-0.0301, -0.0356, -0.0180),
    (-0.0107, 0.0078, 0.0013),
    (0.0746, 0.0090, -0.0941),
    (0.0156, 0.0169, 0.0070),
    (-0.0034, -0.0040, -0.0114),
    (0.0032, 0.0181, 0.0080),
    (-0.0939, -0.0008, 0.0186),
    (0.0018, 0.0043, 0.0104),
    (0.0284, 0.0056, -0.0127),
    (-0.0024, -0.0022, -0.0030),
    (0.1207, -0.0026, 0.0065),
    (0.0128, 0.0101, 0.0142),
    (0.0137, -0.0072, -0.0007),
    (0.0095, 0.0092, -0.0059),
    (0.0000, -0.0077, -0.0049),
    (-0.0465, -0.0204, -0.0312),
    (0.0095, 0.0012, -0.0066),
    (0.0290, -0.0034, 0.0025),
    (0.0220, 0.0169, -0.0048),
    (-0.0332, -0.0457, -0.0468),
    (-0.0085, 0.0389, 0.0609),
    (-0.0076, 0.0003, -0.0043),
    (-0.0111, -0.0460, -0.0614),
)

FLUX2_LATENTS = NormalisedPatches(
    "flux2",
    128,
    spatial=16,
    autoencoders=("AutoencoderKLFlux2",),
    files=(FLUX2_VAE,),
    # a patch has the mean colour of its four cells, whose channels follow each other
    rgb=tuple((red / 4, green / 4, blue / 4) for red, green, blue in _CELL_RGB for _ in range(4)),
    rgb_bias=(-0.0329, -0.0718, -0.0851),
)
