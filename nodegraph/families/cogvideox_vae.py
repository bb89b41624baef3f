"""The VAE of CogVideoX, and its latent format. Imports no torch.

Source: Yang et al. 2024, arXiv:2408.06072, section 2.1; diffusers' ``AutoencoderKLCogVideoX``,
whose tensor names published files have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.families.latent_formats import LatentFormat
from nodegraph.weights.memory import CodingMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.autoencoders import PREFIXES
from nodegraph.weights.single_files.base import FileLayout, check_downscale, count_of, has_marks

if TYPE_CHECKING:
    from torch import Tensor

_SPATIAL, _TEMPORAL = 8, 4
_PERIOD = 2 * _TEMPORAL
"""Frames that the VAE encodes at once, beside the first of an odd number."""
_SCALING = 0.7
"""Of CogVideoX 5B and 1.5. That of 2B is 1.15258426, which no tensor shows."""


class CogVideoXFormat(LatentFormat):
    """Videos, or images, whose autoencoder has one scale for all channels.

    Its frames come in eights, and an odd number has one more, before them. So an odd number of
    latent frames n is 4 (n - 1) + 1 frames, and an even number 4 n.
    """

    @property
    def frame_rule(self) -> str:
        return f"{_PERIOD}k or {_PERIOD}k + 1"

    def nearest_frames(self, frames: int) -> tuple[int, ...]:
        if frames < _PERIOD:
            return (1,) if frames <= 1 else (1, _PERIOD)
        below, beyond = frames // _PERIOD * _PERIOD, frames % _PERIOD
        return (frames,) if beyond <= 1 else (below + 1, below + _PERIOD)

    def pixel_frames(self, latent_frames: int) -> int:
        if latent_frames % 2 == 0:
            return latent_frames * _TEMPORAL
        return (latent_frames - 1) * _TEMPORAL + 1

    def encode_condition(self, vae: Any, pixels: Tensor) -> Tensor:
        if not vae.config.invert_scale_latents:
            return self.encode(vae, pixels)
        # The image-to-video model of 1.5 was trained on images scaled the other way.
        mode = vae.encode(pixels).latent_dist.mode()
        scaled: Tensor = 1 / vae.config.scaling_factor * mode
        return scaled

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        # Multiplied by the inverse, as the pipelines do, which rounds in another way.
        inputs = 1 / vae.config.scaling_factor * latents
        pixels: Tensor = vae.decode(inputs, return_dict=False)[0]
        return pixels

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        # At most nine frames are decoded at once; of the others there are pixels alone.
        return CodingMemory(6 * _first_width(config), 54 * _first_width(config), 6)

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        return CodingMemory(6 * _first_width(config), 54 * _first_width(config), 3)


def _first_width(config: Mapping[str, Any]) -> int:
    return int((config.get("block_out_channels") or (128,))[0])


_MARKS = (("encoder.conv_in.conv.weight", "decoder.norm_out.conv_y.conv.weight"),)


def _config(vae: Shapes) -> dict[str, Any]:
    count = count_of(vae, r"encoder\.down_blocks\.(\d+)\.")
    halvings = count_of(vae, r"encoder\.down_blocks\.(\d+)\.downsamplers\.")
    check_downscale(2**halvings, _SPATIAL)
    return {
        "in_channels": vae["encoder.conv_in.conv.weight"][1],
        "out_channels": vae["decoder.conv_out.conv.weight"][0],
        "down_block_types": ("CogVideoXDownBlock3D",) * count,
        "up_block_types": ("CogVideoXUpBlock3D",) * count,
        "block_out_channels": tuple(
            vae[f"encoder.down_blocks.{at}.resnets.0.conv1.conv.weight"][0] for at in range(count)
        ),
        "latent_channels": vae["decoder.conv_in.conv.weight"][1],
        "layers_per_block": count_of(vae, r"encoder\.down_blocks\.0\.resnets\.(\d+)\."),
        "temporal_compression_ratio": _TEMPORAL,
        "scaling_factor": _SCALING,
        "use_quant_conv": "quant_conv.weight" in vae,
        "use_post_quant_conv": "post_quant_conv.weight" in vae,
    }


COGVIDEOX_VAE = FileLayout(
    "cogvideox-vae",
    "the VAE of CogVideoX",
    "AutoencoderKLCogVideoX",
    lambda vae: has_marks(vae, _MARKS),
    _config,
    lambda tensors, _: dict(tensors),
    PREFIXES,
)
COGVIDEOX_LATENTS = CogVideoXFormat(
    "cogvideox",
    16,
    spatial=_SPATIAL,
    temporal=_TEMPORAL,
    autoencoders=("AutoencoderKLCogVideoX",),
    files=(COGVIDEOX_VAE,),
)
"""CogVideoX and CogVideoX 1.5."""
