"""The video autoencoder of HunyuanVideo, which Kandinsky 5 uses, too. Imports no torch.

Source: Kong et al. 2024, arXiv:2412.03603, and diffusers' ``AutoencoderKLHunyuanVideo``. The names
in the original file are diffusers' own, as its ``scripts/convert_hunyuan_video_to_diffusers.py``
shows: it renames none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.families import latent_colours as colours
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.weights.memory import CodingMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.autoencoders import PREFIXES
from nodegraph.weights.single_files.base import FileLayout, check_downscale, count_of, has_marks

_CLASS = "AutoencoderKLHunyuanVideo"
_SCALING = 0.476986
_SPATIAL, _TEMPORAL = 8, 4
_WIDTH = 128
"""Channels of the published decoder at full size."""
_MARKS = (
    (
        "encoder.conv_in.conv.weight",
        "decoder.up_blocks.0.upsamplers.0.conv.conv.weight",
        "decoder.mid_block.attentions.0.to_q.weight",
        "post_quant_conv.weight",
    ),
)


class HunyuanVideoFormat(LatentFormat):
    """Videos, or images, whose autoencoder has one scale for all channels.

    The first latent frame holds one frame of the video, each further one four.
    """

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        # It takes 16 frames at a time.
        return CodingMemory(6, 70, 6).times(_first_width(config))

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        return CodingMemory(5, 60, 6).times(_first_width(config))


def _first_width(config: Mapping[str, Any]) -> int:
    """Channels of an autoencoder's layers at full size."""
    widths = config.get("block_out_channels") or (_WIDTH,)
    return int(widths[0])


def _vae_config(vae: Shapes) -> dict[str, Any]:
    """The diffusers configuration of an autoencoder; how it halves time is what was published.

    Raises:
        KeyError: A tensor that every such autoencoder has is missing.
        ValueError: It has cells of another size.
    """
    count = count_of(vae, r"encoder\.down_blocks\.(\d+)\.")
    downs = [f"encoder.down_blocks.{at}" for at in range(count)]
    halvings = sum(f"{block}.downsamplers.0.conv.conv.weight" in vae for block in downs)
    check_downscale(2**halvings, _SPATIAL)
    return {
        "in_channels": vae["encoder.conv_in.conv.weight"][1],
        "out_channels": vae["decoder.conv_out.conv.weight"][0],
        "latent_channels": vae["decoder.conv_in.conv.weight"][1],
        "down_block_types": ("HunyuanVideoDownBlock3D",) * count,
        "up_block_types": ("HunyuanVideoUpBlock3D",) * count,
        "block_out_channels": tuple(
            vae[f"{block}.resnets.0.conv1.conv.weight"][0] for block in downs
        ),
        "layers_per_block": count_of(vae, r"encoder\.down_blocks\.0\.resnets\.(\d+)\."),
        "scaling_factor": _SCALING,
        "spatial_compression_ratio": _SPATIAL,
        "temporal_compression_ratio": _TEMPORAL,
    }


HUNYUAN_VIDEO_VAE = FileLayout(
    "hunyuan-video-vae",
    "the VAE of HunyuanVideo",
    _CLASS,
    lambda vae: has_marks(vae, _MARKS),
    _vae_config,
    lambda tensors, _: dict(tensors),
    PREFIXES,
)
HUNYUAN_VIDEO = HunyuanVideoFormat(
    "hunyuan-video",
    16,
    spatial=_SPATIAL,
    temporal=_TEMPORAL,
    autoencoders=(_CLASS,),
    files=(HUNYUAN_VIDEO_VAE,),
    rgb=colours.HUNYUAN_VIDEO,
    rgb_bias=colours.HUNYUAN_VIDEO_BIAS,
)
"""HunyuanVideo and Kandinsky 5."""
