"""Groupwise int4: 16 evenly spaced levels for each group of a row, which torchao multiplies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nodegraph.weights.precision.quantized_weights import NumberFormat, Parts, QuantizedWeight
from nodegraph.weights.precision.storage import UINT4_GROUP as GROUP

MIDDLE = 8
"""The level that the zero point stands for."""


@dataclass(frozen=True, slots=True)
class GroupwiseInt4(NumberFormat):
    """Levels 0 to 15, two in a byte, the first of both in the upper bits.

    A number is ``(level - MIDDLE) * group_scale + group_zero``. ``stored`` has shape (rows,
    columns / 2) in uint8, ``group_scale`` and ``group_zero`` have (rows, columns / GROUP) in
    bfloat16.

    Source: torchao 0.18, ``_choose_qparams_affine_tinygemm`` in
    ``quantization/quant_primitives.py``, and the byte order of
    ``aten._convert_weight_to_int4pack``.
    """

    def dequantize(self, parts: Parts, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        levels = unpack_levels(parts["stored"]).to(torch.float32).sub_(MIDDLE)
        values = levels.view(shape[0], -1, GROUP).mul_(parts["group_scale"].float()[..., None])
        return values.add_(parts["group_zero"].float()[..., None]).to(dtype).view(*shape)


def unpack_levels(stored: Tensor) -> Tensor:
    """Return the levels of bytes, shape (rows, columns) in uint8."""
    return torch.stack([stored >> 4, stored & 0xF], -1).flatten(1)


def quantize_groupwise_int4(weight: Tensor) -> QuantizedWeight:
    """Quantize a weight whose rows consist of whole groups.

    Each group spans its smallest to its largest number. The levels are chosen for the scale and the
    zero point after rounding to bfloat16.

    Args:
        weight: Shape (rows, columns), floating point.
    """
    groups = weight.float().view(weight.shape[0], -1, GROUP)
    low, high = groups.aminmax(dim=-1)
    # 1e-6 is torchao's smallest scale: a group of equal numbers has none.
    scale = ((high - low) / 15).clamp(min=1e-6).to(torch.bfloat16)
    zero = (low + scale.float() * MIDDLE).to(torch.bfloat16)
    lowest = zero.float() - scale.float() * MIDDLE
    levels = ((groups - lowest[..., None]) / scale.float()[..., None]).round_().clamp_(0, 15)
    levels = levels.to(torch.uint8).flatten(1)
    parts = {
        "stored": (levels[:, ::2] << 4) | levels[:, 1::2],
        "group_scale": scale,
        "group_zero": zero,
    }
    return QuantizedWeight(GroupwiseInt4(), parts, tuple(weight.shape))
