"""Tiny autoencoders in files of their own: TAESD and its relatives, which decode in a hundredth of
the time.

Source: https://github.com/madebyollin/taesd. The original keeps the two halves in two files, which
count the layers of each; some files hold both, as ComfyUI's and diffusers' do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, select_prefix

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
        # Latents are as models have them, and pictures in 0..1 between the halves' layers.
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
