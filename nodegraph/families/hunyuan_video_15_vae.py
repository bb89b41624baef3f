"""Latents of HunyuanVideo 1.5, and the file layout of its autoencoder. Imports no torch.

Source: https://github.com/Tencent-Hunyuan/HunyuanVideo-1.5; the names are those of diffusers'
``scripts/convert_hunyuan_video1_5_to_diffusers.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.families import latent_colours as colours
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.weights.memory import CodingMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.autoencoders import PREFIXES
from nodegraph.weights.single_files.base import FileLayout, check_downscale, count_of, has_marks

if TYPE_CHECKING:
    from torch import Tensor

_SPATIAL, _TEMPORAL, _SCALING = 16, 4, 1.03682
_WITH_FRAMES = 8
"""Values that become channels in a step to half the size, if it halves the frames, too; else 4."""

_MARKS = (
    (
        "encoder.down.0.block.0.norm1.gamma",
        "decoder.up.0.block.0.norm1.gamma",
        "decoder.conv_in.conv.weight",
    ),
    (
        "encoder.down_blocks.0.resnets.0.norm1.gamma",
        "decoder.up_blocks.0.resnets.0.norm1.gamma",
        "decoder.conv_in.conv.weight",
    ),
)
"""Tensors in the names of the original code, and in those of diffusers."""
_NAMES = (
    (r"^(encoder\.down|decoder\.up)\.(\d+)\.block\.(\d+)\.", r"\1_blocks.\2.resnets.\3."),
    (r"^encoder\.down\.(\d+)\.downsample\.", r"encoder.down_blocks.\1.downsamplers.0."),
    (r"^decoder\.up\.(\d+)\.upsample\.", r"decoder.up_blocks.\1.upsamplers.0."),
    (r"\.mid\.block_1\.", ".mid_block.resnets.0."),
    (r"\.mid\.block_2\.", ".mid_block.resnets.1."),
    (r"\.mid\.attn_1\.([qkv])\.", r".mid_block.attentions.0.to_\1."),
    (r"\.mid\.attn_1\.", ".mid_block.attentions.0."),
)
"""Patterns of the original names, and what diffusers has there; the first match counts."""


def _names(names: Iterable[str]) -> dict[str, str]:
    """The names of diffusers, by the file's."""
    return {name: _name(name) for name in names}


def _name(name: str) -> str:
    for pattern, replacement in _NAMES:
        new_name, count = re.subn(pattern, replacement, name)
        if count:
            return new_name
    return name


def _config(vae: Shapes) -> dict[str, Any]:
    named = {new: vae[old] for old, new in _names(vae).items()}
    count = count_of(named, r"encoder\.down_blocks\.(\d+)\.")
    widths = tuple(
        named[f"encoder.down_blocks.{at}.resnets.0.conv1.conv.weight"][0] for at in range(count)
    )
    convs = [
        named.get(f"encoder.down_blocks.{at}.downsamplers.0.conv.conv.weight")
        for at in range(count)
    ]
    factors = [
        width // conv[0] for conv, width in zip(convs, widths[1:], strict=False) if conv is not None
    ]
    check_downscale(2 ** len(factors), _SPATIAL)
    check_downscale(2 ** factors.count(_WITH_FRAMES), _TEMPORAL)
    return {
        "in_channels": named["encoder.conv_in.conv.weight"][1],
        "out_channels": named["decoder.conv_out.conv.weight"][0],
        "latent_channels": named["decoder.conv_in.conv.weight"][1],
        "block_out_channels": widths,
        "layers_per_block": count_of(named, r"encoder\.down_blocks\.0\.resnets\.(\d+)\."),
        "spatial_compression_ratio": _SPATIAL,
        "temporal_compression_ratio": _TEMPORAL,
        "downsample_match_channel": True,
        "upsample_match_channel": True,
        "scaling_factor": _SCALING,
    }


def _convert(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    return {new: tensors[old] for old, new in _names(tensors).items()}


HUNYUAN_VIDEO_15_VAE = FileLayout(
    "hunyuan-video-15-vae",
    "the VAE of HunyuanVideo 1.5",
    "AutoencoderKLHunyuanVideo15",
    lambda vae: has_marks(vae, _MARKS),
    _config,
    _convert,
    PREFIXES,
)


class HunyuanVideo15Format(LatentFormat):
    """Videos, or images, whose autoencoder has one scale for all channels."""

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        # All frames are decoded at once: what goes into the last block, what it makes of it, and
        # one more, for each frame.
        return CodingMemory(6, 0, 6).times(_first_width(config))

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        return CodingMemory(6, 0, 6).times(_first_width(config))


def _first_width(config: Mapping[str, Any]) -> int:
    return int((config.get("block_out_channels") or (128,))[0])


HUNYUAN_VIDEO_15_LATENTS = HunyuanVideo15Format(
    "hunyuan-video-15",
    32,
    spatial=_SPATIAL,
    temporal=_TEMPORAL,
    autoencoders=("AutoencoderKLHunyuanVideo15",),
    files=(HUNYUAN_VIDEO_15_VAE,),
    rgb=colours.HUNYUAN_VIDEO_15,
    rgb_bias=colours.HUNYUAN_VIDEO_15_BIAS,
)
"""HunyuanVideo 1.5."""
