"""Number formats of ComfyUI's packed layers, see `packed_layers`.

What is stored is read row by row, so that layers that a file joins can be split. Rotated weights
are whole numbers until their rows' factors: sums of 4,096 of them are exact in float32, so the
factor is the only rounding, and no order of adding matters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isqrt

import torch
from torch import Tensor

from nodegraph.weights.packed_layers import FACTOR_TILE, MXFP8, NVFP4, PackedLayer
from nodegraph.weights.precision.quantized_weights import (
    PAIRS,
    SMOOTHING,
    NumberFormat,
    Parts,
    QuantizedWeight,
    widen,
)

_E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""Its positive numbers, by their bits. Source: OCP Microscaling Formats 1.0, section 5.3.3."""
_H4 = ((1, 1, 1, -1), (1, 1, -1, 1), (1, -1, 1, 1), (-1, 1, 1, 1))
"""The smallest regular Hadamard matrix. Source: section 3 of arXiv:2512.03673."""


@dataclass(frozen=True, slots=True)
class BlockScaled(NumberFormat):
    """Numbers of 8 bits, or of 4 that `PAIRS` lists, in blocks that share one of the ``factors``:
    E4M3, or the exponent of a power of two. All are multiplied by ``scale`` where there is one, and
    each column by its ``smoothing``. ComfyUI multiplies the input of the layer by that instead,
    which gives the same up to rounding.

    Their products are exact in float32, but for those with ``scale`` and ``smoothing``.

    Attributes:
        block: Numbers that share a factor.
    """

    block: int

    def dequantize(self, parts: Parts, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        stored, factors = parts["stored"], parts["factors"]
        values = _from_pairs(parts) if PAIRS in parts else widen(stored, torch.float32)
        wide = (
            # An exponent of 0 is that of blocks of zeros.
            (factors.int() << 23).view(torch.float32)
            if factors.dtype == torch.uint8
            else widen(factors, torch.float32)
        )
        values = values.view(-1, self.block).mul_(wide.reshape(-1, 1)).view(*shape)
        for name in ("scale", SMOOTHING):
            if name in parts:
                values.mul_(parts[name])
        return values.to(dtype)


@dataclass(frozen=True, slots=True)
class RotatedIntegers(NumberFormat):
    """Whole numbers, rotated by a Hadamard matrix; each row is multiplied by its ``scale``.

    Attributes:
        rotation: Numbers that are rotated together: a power of 4.
        group: Numbers of 4 or 6 bits that share one of the ``factors``; 0 where the whole numbers
            are what is stored.
    """

    rotation: int
    group: int = 0

    def dequantize(self, parts: Parts, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        if PAIRS in parts:
            values = _from_pairs(parts)
        elif self.group:
            values = _from_6_bits(parts["stored"], shape)
        else:
            values = widen(parts["stored"], torch.float32)
        if self.group:
            factors = widen(parts["factors"], torch.float32).reshape(-1, 1)
            # The format is that of multiplying whole numbers of 8 bits.
            values = values.view(-1, self.group).mul_(factors).round_().clamp_(-127, 127)
        signs = _hadamard_signs(self.rotation, values.device)
        # Mixed precision would round the sums to a half type.
        with torch.autocast(values.device.type, enabled=False):
            turned = (values.view(-1, self.rotation) @ signs).view(*shape)
        # The root is a power of two.
        return turned.mul_(parts["scale"] / isqrt(self.rotation)).to(dtype)


def pack_layer(layer: PackedLayer, tensors: Mapping[str, Tensor]) -> QuantizedWeight:
    """A layer's weight as it is kept in memory.

    Args:
        tensors: Those of a file by what they are for, as `PackedLayer.parts` names them. ``scale``
            is float32: one number, or one for each row. ``smoothing`` is float32, too.
    """
    parts = dict(tensors)
    if layer.form in (NVFP4, MXFP8):
        columns = layer.shape[1] // layer.group
        parts["factors"] = _untile(parts["factors"], layer.shape[0], columns)
        if layer.form == NVFP4:
            levels = torch.tensor([*_E2M1, *(-level for level in _E2M1)], dtype=torch.float32)
            parts[PAIRS] = _pairs(levels, is_upper_first=True)
        return QuantizedWeight(BlockScaled(layer.group), parts, layer.shape)
    codebook = parts.pop("levels", None)
    if layer.kind == "W4A4":
        # Two's complement.
        levels = torch.tensor([*range(8), *range(-8, 0)], dtype=torch.float32)
        parts[PAIRS] = _pairs(levels, is_upper_first=False)
    elif layer.kind == "W4A8":
        integers = torch.arange(-8, 8, dtype=torch.float32)
        levels = integers if codebook is None else codebook
        parts[PAIRS] = _pairs(levels, is_upper_first=False)
    return QuantizedWeight(RotatedIntegers(layer.rotation, layer.group), parts, layer.shape)


def _untile(factors: Tensor, rows: int, columns: int) -> Tensor:
    """Factors row by row, out of tiles in which a row's four follow those of the row 32 above."""
    tile_rows, tile_columns = FACTOR_TILE
    high, wide = factors.shape[0] // tile_rows, factors.shape[1] // tile_columns
    tiles = factors.view(torch.uint8).view(high, wide, 32, 4, 4)
    plain = tiles.permute(0, 3, 2, 1, 4).reshape(factors.shape)
    return plain[:rows, :columns].contiguous().view(factors.dtype)


def _pairs(levels: Tensor, *, is_upper_first: bool) -> Tensor:
    """The two numbers of each byte, as 8 bytes, of shape (1, 256).

    Args:
        levels: float32, of the 16 patterns of half a byte.
    """
    upper, lower = levels.repeat_interleave(16), levels.repeat(16)
    both = (upper, lower) if is_upper_first else (lower, upper)
    return torch.stack(both, 1).view(torch.int64).view(1, 256)


def _from_pairs(parts: Parts) -> Tensor:
    bytes_of_pairs = parts["stored"].reshape(-1).int()
    return parts[PAIRS].view(-1).index_select(0, bytes_of_pairs).view(torch.float32)


def _from_6_bits(stored: Tensor, shape: Sequence[int]) -> Tensor:
    """Whole numbers whose lower 4 bits lie before the upper 2 of all of a row."""
    rows, columns = shape
    low, high = stored[:, : columns // 2], stored[:, columns // 2 :]
    bits = torch.stack([low & 15, low >> 4], 2).view(rows, columns)
    upper = torch.stack([high >> shift & 3 for shift in (0, 2, 4, 6)], 2).view(rows, columns)
    return (bits | upper << 4).to(torch.float32).sub_(32)


@cache
def _hadamard_signs(size: int, device: torch.device) -> Tensor:
    """The matrix of ones and minus ones, float32: symmetric, and its square is `size` times one."""
    # A tensor of inference mode could not be used where gradients are.
    with torch.inference_mode(False):
        smallest = torch.tensor(_H4, dtype=torch.float32)
        signs = smallest
        while len(signs) < size:
            signs = torch.kron(signs, smallest)
        return signs.to(device)
