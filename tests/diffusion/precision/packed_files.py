"""Weights in ComfyUI's packed forms, written from their descriptions in plain steps.

Each writer takes a matrix of float64 and returns the tensors that follow ``weight`` in a file by
the ends of their names, the layer's settings, and the numbers that they stand for in float64. Ends
that begin with a dot follow the name of the layer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Packed = tuple[dict[str, Tensor], dict[str, Any], Tensor]
Writer = Callable[[Tensor], Packed]

E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def hadamard(size: int) -> Tensor:
    """The regular one, by Kronecker products; normalized."""
    small = torch.ones(4, 4, dtype=torch.float64)
    for at in range(4):
        small[at, 3 - at] = -1
    matrix = torch.ones(1, 1, dtype=torch.float64)
    while len(matrix) < size:
        matrix = torch.kron(matrix, small)
    return matrix / size**0.5


def rotate(matrix: Tensor, size: int) -> Tensor:
    rows, columns = matrix.shape
    return (matrix.view(rows, columns // size, size) @ hadamard(size)).view(rows, columns)


def nearest(numbers: Tensor, levels: Tensor) -> Tensor:
    return (numbers[..., None] - levels).abs().argmin(-1)


def tile(factors: Tensor) -> Tensor:
    """Factors of blocks, as bytes, in cuBLAS's tiles: 512 for 128 rows and 4 columns."""
    rows, columns = factors.shape
    high, wide = -(-rows // 128), -(-columns // 4)
    row, column = torch.arange(rows)[:, None], torch.arange(columns)
    start = ((row // 128) * wide + column // 4) * 512
    flat = torch.zeros(high * wide * 512, dtype=torch.uint8)
    flat[start + (row % 32) * 16 + (row % 128 // 32) * 4 + column % 4] = factors
    return flat.view(high * 128, wide * 4)


def nvfp4(matrix: Tensor) -> Packed:
    rows, columns = matrix.shape
    for_all = (matrix.abs().max() / (448 * 6)).float()
    blocks = matrix.view(rows, -1, 16)
    factors = (blocks.abs().amax(-1) / 6 / for_all.double()).to(torch.float8_e4m3fn)
    whole = factors.double() * for_all.double()
    levels = torch.tensor([*E2M1, *(-level for level in E2M1)], dtype=torch.float64)
    codes = nearest(blocks / whole[..., None].clamp(min=1e-30), levels)
    numbers = (levels[codes] * whole[..., None]).view(rows, columns)
    codes = codes.view(rows, columns).to(torch.uint8)
    tensors = {
        "": codes[:, ::2] * 16 + codes[:, 1::2],
        "_scale": tile(factors.view(torch.uint8)).view(torch.float8_e4m3fn),
        "_scale_2": for_all,
    }
    return tensors, {"format": "nvfp4"}, numbers


def smoothing(columns: int) -> Tensor:
    """What the inputs of a layer are multiplied by."""
    return torch.linspace(0.4, 2.5, columns).to(torch.bfloat16)


def nvfp4_awq(matrix: Tensor) -> Packed:
    """Of the weight divided by what the layer's inputs are multiplied by."""
    factors = smoothing(matrix.shape[1])
    tensors, settings, numbers = nvfp4(matrix / factors.double())
    # The second product is rounded, too.
    smoothed = (numbers.float() * factors.float()).double()
    return {**tensors, ".pre_quant_scale": factors}, settings, smoothed


def mxfp8(matrix: Tensor) -> Packed:
    rows, columns = matrix.shape
    blocks = matrix.view(rows, -1, 32)
    exponents = (blocks.abs().amax(-1) / 448).clamp(min=1e-30).log2().ceil()
    stored = (blocks / exponents.exp2()[..., None]).to(torch.float8_e4m3fn)
    numbers = (stored.double() * exponents.exp2()[..., None]).view(rows, columns)
    biased = (exponents + 127).to(torch.uint8)
    tensors = {
        "": stored.view(rows, columns),
        "_scale": tile(biased),
    }
    return tensors, {"format": "mxfp8"}, numbers


def integers(bits: int, rotation: int) -> Writer:
    """8 or 4 bits with a factor for each row, rotated."""

    def write(matrix: Tensor) -> Packed:
        most = 2 ** (bits - 1) - 1
        turned = rotate(matrix, rotation)
        factor = (turned.abs().amax(1, keepdim=True) / most).float().clamp(min=1e-8)
        whole = (turned / factor.double()).round().clamp(-most, most)
        numbers = rotate(whole, rotation) * factor.double()
        if bits == 8:
            stored, form = whole.to(torch.int8), "int8_tensorwise"
            settings = {"format": form, "convrot": True, "convrot_groupsize": rotation}
            return {"": stored, "_scale": factor}, settings, numbers
        codes = whole.to(torch.int64) & 15
        stored = (codes[:, ::2] + codes[:, 1::2] * 16).to(torch.uint8).view(torch.int8)
        settings = {"format": "convrot_w4a4", "convrot_groupsize": rotation}
        return {"": stored, "_scale": factor.view(-1)}, settings, numbers

    return write


def grouped(bits: int, rotation: int, group: int, *, has_codebook: bool = False) -> Writer:
    """4 or 6 bits with a factor for each group and each row, rotated."""

    def write(matrix: Tensor) -> Packed:
        rows, columns = matrix.shape
        codes_count = 2**bits
        levels = torch.arange(codes_count, dtype=torch.float64) - codes_count // 2
        if has_codebook:
            levels = torch.linspace(-1, 1, 16).sign() * torch.linspace(-1, 1, 16).abs() ** 1.5
            levels = levels.double()
        turned = rotate(matrix, rotation)
        of_row = (turned.abs().amax(1) / 127).float().clamp(min=1e-8)
        target = (turned / of_row.double()[:, None]).view(rows, -1, group)
        factors = (target.abs().amax(-1) / levels.abs().max()).to(torch.float8_e4m3fn)
        codes = nearest(target / factors.double()[..., None].clamp(min=1e-9), levels)
        whole = (levels[codes] * factors.double()[..., None]).round().clamp(-127, 127)
        numbers = rotate(whole.view(rows, columns), rotation) * of_row.double()[:, None]
        codes = codes.view(rows, columns)
        stored = (codes[:, ::2] & 15) + (codes[:, 1::2] & 15) * 16
        if bits == 6:
            upper = codes >> 4
            high = sum(upper[:, at::4] << (2 * at) for at in range(4))
            stored = torch.cat([stored, torch.as_tensor(high)], 1)
        tensors = {
            "": stored.to(torch.uint8).view(torch.int8),
            "_s_rel": factors,
            "_s_channel": of_row,
        }
        if has_codebook:
            tensors["_codebook"] = levels.float()
        settings = {
            "format": "asym_w4a8_int8",
            "convrot_groupsize": rotation,
            "group_size": group,
        }
        return tensors, settings, numbers

    return write


FORMS: dict[str, Writer] = {
    "nvfp4": nvfp4,
    "nvfp4 with AWQ": nvfp4_awq,
    "mxfp8": mxfp8,
    "int8 with convrot": integers(8, 16),
    "w4a4": integers(4, 16),
    "w4a8": grouped(4, 16, 16),
    "w4a8 with a codebook": grouped(4, 16, 16, has_codebook=True),
    "w6a8": grouped(6, 16, 16),
}


def settings_tensor(settings: Mapping[str, Any]) -> Tensor:
    return torch.tensor(list(json.dumps(settings).encode()), dtype=torch.uint8)


def named_tensors(layer: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A layer's tensors in a file, without its settings."""
    return {
        f"{layer}{end}" if end.startswith(".") else f"{layer}.weight{end}": item
        for end, item in tensors.items()
    }


def layer_tensors(layer: str, packed: Packed) -> dict[str, Tensor]:
    """A layer's tensors in a file."""
    tensors, settings, _ = packed
    return {
        **named_tensors(layer, tensors),
        f"{layer}.comfy_quant": settings_tensor(settings),
    }


def pack_matrices(
    tensors: Mapping[str, Tensor], write: Writer
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Tensors with matrices in a form, as a file has them, and what they stand for in float32.

    What a form can't hold is written in bfloat16, as files of mixed precision have it.
    """
    stored: dict[str, Tensor] = {}
    numbers: dict[str, Tensor] = {}
    for name, item in tensors.items():
        if name.endswith(".weight") and item.dim() == 2 and item.shape[1] % 32 == 0:
            packed = write(item.double())
            stored |= layer_tensors(name.removesuffix(".weight"), packed)
            numbers[name] = packed[2].float()
        else:
            stored[name] = item.to(torch.bfloat16) if item.is_floating_point() else item
            numbers[name] = stored[name].float() if item.is_floating_point() else item
    return stored, numbers
