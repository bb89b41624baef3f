"""Oobleck autoencoders of sound in files: those of ACE-Step 1.5 and Stable Audio Open. No torch.

A file has the names of stable-audio-tools, which counts layers, or those of diffusers.

Source of the names: diffusers, ``scripts/convert_stable_audio.py``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, Tensors, count_of

if TYPE_CHECKING:
    from torch import Tensor

CLASS_NAME = "AutoencoderOobleck"
"""Class of diffusers."""

PREFIXES = ("pretransform.model.", "first_stage_model.", "autoencoder.", "vae.", "")

_UNIT_LAYERS = ("snake1", "conv1", "snake2", "conv2")
_BLOCK_LAYERS = {
    "encoder": ("res_unit1", "res_unit2", "res_unit3", "snake1", "conv1"),
    "decoder": ("snake1", "conv_t1", "res_unit1", "res_unit2", "res_unit3"),
}
_LAYER = re.compile(r"(encoder|decoder)\.layers\.(\d+)\.(?:layers\.(\d+)\.)?(?:layers\.(\d+)\.)?")
_NORM_PARTS = {
    "parametrizations.weight.original0": "weight_g",
    "parametrizations.weight.original1": "weight_v",
}
"""Newer names of torch for the two parts of a weight, lengths and directions."""


_FIRST = ("conv1.weight_v", *(f"layers.0.{part}" for part in ("weight_v", *_NORM_PARTS)))
"""Names of the encoder's first layer."""


def _new_name(name: str, last: Mapping[str, int]) -> str:
    """The name in diffusers of a tensor.

    Args:
        last: By half: the number of its last layer in the names of stable-audio-tools.
    """
    for new_part, part in _NORM_PARTS.items():
        name = name.replace(new_part, part)
    match = _LAYER.match(name)
    if match is None:
        return name
    half, layer, inner, innermost = match.groups()
    end, at = name[match.end() :], int(layer)
    if inner is None:
        ends = {0: "conv1", last[half] - 1: "snake1", last[half]: "conv2"}
        return f"{half}.{ends.get(at, layer)}.{end}"
    part = _BLOCK_LAYERS[half][int(inner)]
    unit = "" if innermost is None else f"{_UNIT_LAYERS[int(innermost)]}."
    return f"{half}.block.{at - 1}.{part}.{unit}{end}"


def _new_names(names: Mapping[str, object]) -> dict[str, str]:
    """The names in diffusers, by those of a file."""
    last = {
        half: max(
            (int(match[2]) for name in names if (match := _LAYER.match(name)) and match[1] == half),
            default=0,
        )
        for half in _BLOCK_LAYERS
    }
    return {name: _new_name(name, last) for name in names}


def _shapes(vae: Shapes) -> dict[str, tuple[int, ...]]:
    return {new: vae[name] for name, new in _new_names(vae).items()}


def _strides(named: Shapes) -> list[int]:
    """The factors that the encoder shortens a sound by; a kernel is twice as long as its stride."""
    count = count_of(named, r"encoder\.block\.(\d+)\.")
    return [named[f"encoder.block.{at}.conv1.weight_v"][2] // 2 for at in range(count)]


def _config(vae: Shapes, rate: int) -> dict[str, Any]:
    named = _shapes(vae)
    width, channels = named["encoder.conv1.weight_v"][:2]
    strides = _strides(named)
    widths = [named[f"encoder.block.{at}.conv1.weight_v"][0] for at in range(len(strides))]
    return {
        "encoder_hidden_size": width,
        "downsampling_ratios": strides,
        "channel_multiples": [each // width for each in widths],
        "decoder_channels": named["decoder.conv2.weight_v"][1],
        "decoder_input_channels": named["decoder.conv1.weight_v"][1],
        "audio_channels": channels,
        "sampling_rate": rate,
    }


def _convert(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Tensor]:
    return {
        new: tensors[name].reshape(1, -1, 1) if ".snake" in new else tensors[name]
        for name, new in _new_names(tensors).items()
    }


def oobleck_layout(
    name: str, title: str, rate: int, has_length: Callable[[int], bool]
) -> FileLayout:
    """The layout of an autoencoder in a file.

    Args:
        name, title: As of `FileLayout`.
        rate: Samples per second, which no tensor shows.
        has_length: Whether a latent frame of it has a number of samples.
    """

    def matches(vae: Shapes) -> bool:
        # Cheap, as every file is tried.
        if not any(f"encoder.{first}" in vae for first in _FIRST):
            return False
        try:
            strides = _strides(_shapes(vae))
        except (KeyError, IndexError):
            return False
        return bool(strides) and has_length(math.prod(strides))

    return FileLayout(
        name,
        title,
        CLASS_NAME,
        matches,
        lambda vae: _config(vae, rate),
        _convert,
        PREFIXES,
    )
