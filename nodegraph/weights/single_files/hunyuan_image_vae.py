"""HunyuanImage's autoencoder in a file of its own, in the original names or in diffusers'.

Source: https://github.com/Tencent-Hunyuan/HunyuanImage-2.1 (``hyimage/models/vae``); the factor is
that of its configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, check_downscale, count_of
from nodegraph.weights.single_files.kl_vae import PREFIXES, makes_channels

if TYPE_CHECKING:
    from torch import Tensor

_HUNYUAN_SPATIAL, _HUNYUAN_SCALING = 32, 0.75289
_SAMPLE_SIZE = 384
"""Of the published configuration: pixels of a tile, where diffusers itself works in tiles."""

_HUNYUAN_NAMES = {
    ".mid.block_1.": ".mid_block.resnets.0.",
    ".mid.block_2.": ".mid_block.resnets.1.",
    ".mid.attn_1.q.": ".mid_block.attentions.0.to_q.",
    ".mid.attn_1.k.": ".mid_block.attentions.0.to_k.",
    ".mid.attn_1.v.": ".mid_block.attentions.0.to_v.",
    ".mid.attn_1.proj_out.": ".mid_block.attentions.0.proj.",
    ".mid.attn_1.norm.": ".mid_block.attentions.0.norm.",
    ".nin_shortcut.": ".conv_shortcut.",
}
_BLOCK = re.compile(
    r"((?:encoder\.down|decoder\.up))\.(\d+)\.(block\.(\d+)|(?:down|up)sample)\.(.+)"
)


def _is_hunyuan(vae: Shapes) -> bool:
    return makes_channels(vae) or "encoder.down_blocks.0.norm1.weight" in vae


def _hunyuan_config(vae: Shapes) -> dict[str, Any]:
    named = {new: vae[old] for old, new in _names(vae).items()}
    count = count_of(named, r"encoder\.down_blocks\.(\d+)\.")
    ends = [at for at in range(count) if f"encoder.down_blocks.{at}.conv.weight" in named]
    check_downscale(2 ** len(ends), _HUNYUAN_SPATIAL)
    firsts = (0, *(end + 1 for end in ends))
    return {
        "in_channels": named["encoder.conv_in.weight"][1],
        "out_channels": named["decoder.conv_out.weight"][0],
        "latent_channels": named["decoder.conv_in.weight"][1],
        "block_out_channels": tuple(
            named[f"encoder.down_blocks.{at}.conv1.weight"][0] for at in firsts
        ),
        "layers_per_block": ends[0] if ends else count,
        "spatial_compression_ratio": _HUNYUAN_SPATIAL,
        "sample_size": _SAMPLE_SIZE,
        "scaling_factor": _HUNYUAN_SCALING,
        "downsample_match_channel": True,
        "upsample_match_channel": True,
    }


def _convert_hunyuan(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    # Files in circulation hold weights for videos of a single frame.
    return {new: _flat(tensors[old]) for old, new in _names(tensors).items()}


def _flat(tensor: Tensor) -> Tensor:
    return tensor.squeeze(2) if tensor.ndim == 5 else tensor


def _names(names: Iterable[str]) -> dict[str, str]:
    """The names of diffusers, by the file's."""
    originals = list(names)
    matches = [match for match in map(_BLOCK.fullmatch, originals) if match]
    places = {side: _begins(matches, side) for side in {match[1] for match in matches}}
    return {name: _name(name, places) for name in originals}


def _begins(matches: list[re.Match[str]], side: str) -> list[int]:
    """How many blocks of diffusers lie before each resolution, and how many in all."""
    sizes = [
        len({match[3] for match in matches if match[1] == side and int(match[2]) == level})
        for level in range(1 + max(int(match[2]) for match in matches if match[1] == side))
    ]
    return [0, *accumulate(sizes)]


def _name(name: str, begins: Mapping[str, list[int]]) -> str:
    block = _BLOCK.fullmatch(name)
    if block is not None:
        side, level = block[1], int(block[2])
        # What changes the size comes last.
        block_index = (
            begins[side][level] + int(block[4]) if block[4] else begins[side][level + 1] - 1
        )
        name = f"{side}_blocks.{block_index}.{block[5]}"
    for old, new in _HUNYUAN_NAMES.items():
        name = name.replace(old, new)
    return name


HUNYUAN_IMAGE_VAE = FileLayout(
    "hunyuan-image-vae",
    "the VAE of HunyuanImage 2.1",
    "AutoencoderKLHunyuanImage",
    _is_hunyuan,
    _hunyuan_config,
    _convert_hunyuan,
    PREFIXES,
)
