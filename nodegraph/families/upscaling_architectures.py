"""Which networks that enlarge pictures a file may hold, by its tensors' names and shapes.

Imports no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_FIRST, _SLOPES = "body.0.weight", "body.1.weight"
_OTHERS = (
    ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"),
    ("conv_first.weight", "body.0.rdb1.conv1.weight"),
    ("conv_first.weight", "RRDB_trunk.0.RDB1.conv1.weight"),
    ("conv_first.weight", "layers.0.residual_group.blocks.0.norm1.weight"),
    ("conv_first.weight", "layers.0.residual_group.blocks.0.attn.qkv.weight"),
    ("block_1.c1_r.sk.weight", "conv_1.sk.weight"),
)
"""Tensors by which what spandrel reads is told: ESRGAN in three namings, SwinIR, HAT and DAT, SPAN.
It reads many more, which are tried."""


@dataclass(frozen=True)
class CompactShape:
    """What tells one compact network from another.

    Attributes:
        channels: Of the pictures that it takes.
        outputs: Of those that it gives.
        width: Channels within.
        layers: Convolutions between the first and the last.
        scale: How many times larger its pictures are.
    """

    channels: int
    outputs: int
    width: int
    layers: int
    scale: int


def compact_shape(shapes: Mapping[str, Sequence[int]]) -> CompactShape | None:
    """The compact network that tensors of these names and shapes are of; None of any other's."""
    first, slopes = shapes.get(_FIRST), shapes.get(_SLOPES)
    numbers = [_number(name) for name in shapes]
    if first is None or slopes is None or None in numbers or len(first) != 4 or len(slopes) != 1:
        return None
    last = max(number for number in numbers if number is not None)
    bias = shapes.get(f"body.{last}.bias")
    if bias is None or len(bias) != 1 or last % 2:
        return None
    channels = first[1]
    for outputs in (channels, 3, 1):
        scale = math.isqrt(bias[0] // outputs)
        if scale >= 1 and outputs * scale**2 == bias[0]:
            return CompactShape(channels, outputs, first[0], (last - 2) // 2, scale)
    return None


def is_upscaler(shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether tensors are surely of a network that enlarges pictures."""
    return compact_shape(shapes) is not None or any(
        all(name in shapes for name in names) for names in _OTHERS
    )


def _number(name: str) -> int | None:
    """Of the layer that a compact network's tensor belongs to."""
    parts = name.split(".")
    known = len(parts) == 3 and parts[0] == "body" and parts[2] in ("weight", "bias")
    return int(parts[1]) if known and parts[1].isdecimal() else None
