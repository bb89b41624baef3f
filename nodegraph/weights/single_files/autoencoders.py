"""Image autoencoders in files: AutoencoderKL and AutoencoderTiny (TAESD).

TAESD's original files hold one half each, and each counts its layers from the start. Some files
hold both halves, as those of ComfyUI and diffusers. Source: https://github.com/madebyollin/taesd
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, Tensors, count_of, select_prefix
from nodegraph.weights.single_files.unet import NORM_GROUPS

if TYPE_CHECKING:
    from torch import Tensor

TINY = "AutoencoderTiny"
"""Class of diffusers."""

ENCODER, DECODER = "encoder.layers.", "decoder.layers."
"""Before diffusers' names of the halves' layers."""

HALVES = ("encoder", "decoder")
DECODERS = ("decoder.", "taesd_decoder.")
"""Before the names of the decoder's tensors where both halves lie in one file."""
_BOTH = {"taesd_encoder.": ENCODER, "taesd_decoder.": DECODER}
_LAYER_NAME = re.compile(r"(\d+)\.(.+)")


def half_name(shapes: Shapes) -> str | None:
    """Which half a file holds alone, in the original names; None where it doesn't.

    Args:
        shapes: Of all tensors in the file.
    """
    if _is_first(shapes, "1.weight") and "3.conv.0.weight" in shapes:
        return "decoder"
    if _is_first(shapes, "0.weight") and "1.conv.0.weight" in shapes:
        return "encoder"
    return None


def half_prefix(shapes: Shapes) -> str:
    """What names are to have before them for both halves to lie in one file, as ComfyUI has them;
    nothing unless a file holds one half alone."""
    half = half_name(shapes)
    return "" if half is None else f"taesd_{half}."


def _is_first(shapes: Shapes, name: str) -> bool:
    return len(shapes.get(name, ())) == 4 and all(_LAYER_NAME.fullmatch(other) for other in shapes)


def tiny_layout(title: str, channels: int) -> FileLayout:
    """How both halves lie in one file, or in two behind what `half_prefix` says.

    Args:
        channels: Of its latents.
    """
    return FileLayout(
        "tiny-vae",
        f"the tiny VAE of {title}",
        TINY,
        partial(_is_tiny, channels=channels),
        tiny_config,
        convert_tiny,
    )


def _is_tiny(vae: Shapes, *, channels: int) -> bool:
    named = {_named(name): item for name, item in vae.items()}
    first = named.get(f"{DECODER}0.weight", ())
    return f"{DECODER}2.conv.0.weight" in named and first[1:2] == (channels,)


def tiny_config(vae: Shapes) -> dict[str, Any]:
    """The configuration of diffusers' AutoencoderTiny; of a decoder alone, the encoder is like it.

    Raises:
        KeyError: A tensor that every such autoencoder has is missing.
    """
    named = {_named(name): item for name, item in vae.items()}
    decoder = _stages(select_prefix(named, DECODER), begins=False)
    encoder = _stages(select_prefix(named, ENCODER), begins=True) or decoder[::-1]
    last = max(_convolutions(select_prefix(named, DECODER)))
    return {
        "out_channels": named[f"{DECODER}{last}.weight"][0],
        "latent_channels": named[f"{DECODER}0.weight"][1],
        "num_encoder_blocks": tuple(blocks for blocks, _ in encoder),
        "num_decoder_blocks": tuple(blocks for blocks, _ in decoder),
        "encoder_block_out_channels": tuple(width for _, width in encoder),
        "decoder_block_out_channels": tuple(width for _, width in decoder),
        # Latents are as models have them, and images in 0..1 between the halves' layers.
        "scaling_factor": 1.0,
    }


def _stages(half: Shapes, *, begins: bool) -> list[tuple[int, int]]:
    """Blocks and channels of each resolution of a half.

    Args:
        begins: Whether a resolution begins with what changes the size; else it ends with it.
    """
    places = _convolutions(half)
    return [
        (
            sum(f"{at}.conv.0.weight" in half for at in range(first, after)),
            half[f"{first}.weight"][0] if begins else half[f"{after}.weight"][1],
        )
        for first, after in pairwise(places)
    ]


def _convolutions(half: Shapes) -> list[int]:
    """Where layers that are no blocks stand."""
    matches = (re.fullmatch(r"(\d+)\.weight", name) for name in half)
    return sorted(int(match[1]) for match in matches if match)


def convert_tiny(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors under diffusers' names."""
    return {_named(name): item for name, item in tensors.items()}


def _named(name: str) -> str:
    """A tensor's name in diffusers, which leaves the decoder's first step out of the count."""
    for old, half in _BOTH.items():
        match = _LAYER_NAME.fullmatch(name.removeprefix(old)) if name.startswith(old) else None
        if match is not None:
            return f"{half}{int(match[1]) - (half == DECODER)}.{match[2]}"
    return name


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


_ORIGINAL = (
    (r"conv_norm_out\.", "norm_out."),
    (r"conv_shortcut\.", "nin_shortcut."),
    (r"mid_block\.attentions\.0\.", "mid.attn_1."),
    (r"mid_block\.resnets\.0\.", "mid.block_1."),
    (r"mid_block\.resnets\.1\.", "mid.block_2."),
    (r"\.resnets\.", ".block."),
    (r"(down|up)samplers\.0\.conv\.", r"\1sample.conv."),
)
_ORIGINAL_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def vae_to_original(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of an `AutoencoderKL` under their original names and shapes."""
    levels = len(config["block_out_channels"])
    renamed = {}
    for name, tensor in tensors.items():
        new = re.sub(r"down_blocks\.(\d+)\.", r"down.\1.", name)
        # The original counts the levels of the decoder from the smallest image's.
        new = re.sub(r"up_blocks\.(\d+)\.", lambda m: f"up.{levels - 1 - int(m[1])}.", new)
        for pattern, replacement in _ORIGINAL:
            new = re.sub(pattern, replacement, new)
        if ".attn_1." in new:
            for old, short in _ORIGINAL_ATTENTION.items():
                new = new.replace(f"attn_1.{old}.", f"attn_1.{short}.")
        # The original attends with 1 × 1 convolutions.
        is_convolution = ".attn_1." in new and tensor.ndim == 2
        renamed[new] = tensor[:, :, None, None] if is_convolution else tensor
    return renamed
