"""Sana's autoencoder in a file of its own, in the original names or in diffusers'.

Source: https://github.com/mit-han-lab/efficientvit (``models/efficientvit/dc_ae.py``); the factor
is that of dc-ae-f32c32-sana-1.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, check_downscale, count_of, select_prefix
from nodegraph.weights.single_files.kl_vae import PREFIXES

if TYPE_CHECKING:
    from torch import Tensor

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
