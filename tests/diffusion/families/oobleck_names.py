"""The names that stable-audio-tools has for the tensors of an Oobleck autoencoder."""

from __future__ import annotations

import re

_UNIT = {"snake1": 0, "conv1": 1, "snake2": 2, "conv2": 3}
_ENCODER = {"res_unit1": 0, "res_unit2": 1, "res_unit3": 2, "snake1": 3, "conv1": 4}
_DECODER = {"snake1": 0, "conv_t1": 1, "res_unit1": 2, "res_unit2": 3, "res_unit3": 4}


def original_oobleck(name: str, blocks: int) -> str:
    """A tensor's name, by that in diffusers, in an autoencoder of so many blocks."""
    half, _, layer = name.partition(".")
    match = re.fullmatch(r"block\.(\d+)\.(\w+)\.(?:(\w+)\.)?(\w+)", layer)
    if match is None:
        part, end = layer.split(".")
        at = {"conv1": 0, "snake1": blocks + 1, "conv2": blocks + 2}[part]
        return f"{half}.layers.{at}.{end}"
    block, part, unit, end = match.groups()
    inner = (_ENCODER if half == "encoder" else _DECODER)[part]
    deeper = "" if unit is None else f"layers.{_UNIT[unit]}."
    return f"{half}.layers.{int(block) + 1}.layers.{inner}.{deeper}{end}"
