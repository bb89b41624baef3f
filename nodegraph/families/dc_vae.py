"""Autoencoders with 32-pixel cells (Sana, HunyuanImage): latent formats and file layouts.

Sources: https://github.com/mit-han-lab/efficientvit (``models/efficientvit/dc_ae.py``), with the
scaling factor of dc-ae-f32c32-sana-1.0; https://github.com/Tencent-Hunyuan/HunyuanImage-2.1
(``hyimage/models/vae``), with the factor of its configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from nodegraph.families.latent_formats import LatentFormat, decoding_memory, encoding_memory
from nodegraph.weights.memory import CodingMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.autoencoders import PREFIXES, makes_channels
from nodegraph.weights.single_files.base import FileLayout, check_downscale, count_of, select_prefix

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


_CHANNELS, _DC_SPATIAL, _DC_SCALING = 32, 32, 0.41407
_HEAD_WIDTH = 32

_ORIGINAL = "encoder.stages."
_DC_NAMES = {
    "main.": "",
    "op_list.": "",
    "encoder.stages.": "encoder.down_blocks.",
    "decoder.stages.": "decoder.up_blocks.",
    "project_in.conv.": "conv_in.",
    "encoder.project_out.0.conv.": "encoder.conv_out.",
    "decoder.project_out.2.conv.": "decoder.conv_out.",
    "context_module.": "attn.",
    "conv.conv.": "conv.",
}
"""What names have that tell sizes; the tensors themselves are diffusers' converter's."""
_SCALES = re.compile(r"\.(?:aggreg|to_qkv_multiscale)\.(\d+)\.(0|1|proj_in|proj_out)\.weight$")


def _is_dc(vae: Shapes) -> bool:
    named = _named(vae)
    blocks = {f"encoder.down_blocks.0.0.{name}weight" for name in ("conv1.", "conv1.conv.")}
    first = named.get("decoder.conv_in.weight", ())
    return first[1:2] == (_CHANNELS,) and not blocks.isdisjoint(named)


def _dc_config(vae: Shapes) -> dict[str, Any]:
    named = _named(vae)
    encoder, decoder = _side(named, "encoder.down_blocks"), _side(named, "decoder.up_blocks")
    down, up = encoder.pop("samplers"), decoder.pop("samplers")
    widths = [*(shape[1] for shape in down), named["encoder.conv_out.weight"][1]]
    decoder_widths = [named["decoder.conv_out.weight"][1], *(shape[1] for shape in up)]
    for side, steps in ((encoder, down), (decoder, up)):
        check_downscale(2 ** len(steps), _DC_SPATIAL)
        check_downscale(2 ** (len(side["block_types"]) - 1), _DC_SPATIAL)
    halves = all(shape[0] == width for shape, width in zip(down, widths[1:], strict=True))
    doubles = all(shape[0] == width for shape, width in zip(up, decoder_widths, strict=False))
    return {
        "in_channels": named["encoder.conv_in.weight"][1],
        "latent_channels": named["decoder.conv_in.weight"][1],
        "attention_head_dim": _head_width(named),
        "encoder_block_out_channels": tuple(widths),
        "decoder_block_out_channels": tuple(decoder_widths),
        "downsample_block_type": "conv" if halves else "pixel_unshuffle",
        "upsample_block_type": "interpolate" if doubles else "pixel_shuffle",
        **{f"encoder_{name}": value for name, value in encoder.items()},
        **{f"decoder_{name}": value for name, value in decoder.items()},
        "scaling_factor": _DC_SCALING,
    }


def _side(named: Shapes, blocks: str) -> dict[str, Any]:
    """What one half says of each resolution, and the shapes of what changes from one to another."""
    kinds, layers, scales, samplers = [], [], [], []
    for level in range(count_of(named, rf"{re.escape(blocks)}\.(\d+)\.")):
        block = f"{blocks}.{level}."
        block_shapes = select_prefix(named, block)
        sampler = [
            item for name, item in block_shapes.items() if re.fullmatch(r"\d+\.conv\.weight", name)
        ]
        samplers += sampler
        layers.append(count_of(block_shapes, r"(\d+)\.") - len(sampler))
        kernels = {
            match[1]: block_shapes[match.string][-1]
            for match in map(_SCALES.search, block_shapes)
            if match and match[2] in ("0", "proj_in")
        }
        scales.append(tuple(kernels[at] for at in sorted(kernels)))
        sees = any(".attn." in name for name in block_shapes)
        kinds.append("EfficientViTBlock" if sees else "ResBlock")
    return {
        "block_types": tuple(kinds),
        "layers_per_block": tuple(layers),
        "qkv_multiscales": tuple(scales),
        "samplers": samplers,
    }


def _head_width(named: Shapes) -> int:
    matches = (match for match in map(_SCALES.search, named) if match)
    return next(
        (named[match.string][1] for match in matches if match[2] in ("1", "proj_out")), _HEAD_WIDTH
    )


def _named(vae: Shapes) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for name, shape in vae.items():
        for old, new in _DC_NAMES.items():
            name = name.replace(old, new)  # noqa: PLW2901
        shapes[name] = shape
    return shapes


def _convert_dc(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    if not any(name.startswith(_ORIGINAL) for name in tensors):
        return dict(tensors)
    from diffusers.loaders.single_file_utils import convert_autoencoder_dc_checkpoint_to_diffusers

    converted: dict[str, Tensor] = convert_autoencoder_dc_checkpoint_to_diffusers(dict(tensors))
    return converted


SANA_VAE = FileLayout(
    "sana-vae", "the VAE of Sana", "AutoencoderDC", _is_dc, _dc_config, _convert_dc, PREFIXES
)


class DeepCompression(LatentFormat):
    """Latents of an autoencoder that gives no distribution.

    Source: Chen et al. 2024, arXiv:2410.10733.
    """

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        return decoding_memory(config.get("decoder_block_out_channels"))

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        return encoding_memory(config.get("encoder_block_out_channels"))

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        latents: Tensor = vae.encode(pixels, return_dict=False)[0] * vae.config.scaling_factor
        return latents


SANA = DeepCompression("sana", 32, spatial=32, autoencoders=("AutoencoderDC",), files=(SANA_VAE,))
"""Sana."""

HUNYUAN_IMAGE = LatentFormat(
    "hunyuan-image",
    64,
    spatial=32,
    autoencoders=("AutoencoderKLHunyuanImage",),
    files=(HUNYUAN_IMAGE_VAE,),
)
"""HunyuanImage 2.1."""
