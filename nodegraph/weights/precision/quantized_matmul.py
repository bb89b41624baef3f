"""Matrix products of quantized weights by torchao, in place of widening the weights.

The weights stay plain tensors in nodegraph's own storage, so they are counted, moved, shared and
offloaded as before. Only for a product, torchao is handed them in a tensor of its own. For weights
in 8 bits, that shares their memory; torchao quantizes the layer's input, each row by itself, and
multiplies in 8 bits. Weights in 4 bits are arranged anew for the kernel of the device; the input
stays in bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from nodegraph.errors import InvalidValue
from nodegraph.weights.precision.groupwise_int4 import GroupwiseInt4, unpack_levels
from nodegraph.weights.precision.quantized_weights import ScaledNarrow, StoredWeight
from nodegraph.weights.precision.storage import UINT4_GROUP

MULTIPLE = 16
"""Numbers of rows and columns of a weight are multiples of it, as the kernels need on CUDA."""
FEWEST_ROWS = 17
"""Of a layer's input. torch multiplies fewer of them in int8 on no CUDA device."""

Kernel = Callable[[Tensor, Tensor, torch.dtype], Tensor]
"""Makes torchao's tensor of stored numbers, the factor of each row, shape (rows, 1) in float32, and
the type that is computed in."""


def multiply_by_torchao(module: nn.Module) -> int:
    """Let layers of a module multiply in 8 or 4 bits, in place.

    These are the linear layers whose weights are kept in groupwise int4, or in int8 or float8
    (e4m3) with one factor for each row or for all. The others still widen their weights. So do
    layers in 8 bits for an input of fewer than `FEWEST_ROWS` rows, and layers in 4 bits for an
    input that is not in bfloat16.

    Returns:
        The number of these layers.
    Raises:
        InvalidValue: The installed torchao lacks what is needed.
    """
    widths: set[int] = set()
    count = 0
    for layer in module.modules():
        if width := _bits(layer):
            kind: Any = type(layer)
            layer.__class__ = _multiplying(kind, width)
            widths.add(width)
            count += 1
    if 8 in widths:
        _kernels()
    if 4 in widths:
        _int4_tensors()
    return count


def _bits(layer: Any) -> int:
    """The bits of a layer's weights that torchao multiplies; 0 where it does not."""
    stored = getattr(layer, "holding", None)
    if not isinstance(layer, nn.Linear) or not isinstance(stored, StoredWeight):
        return 0
    rows, columns = stored.shape
    if rows % MULTIPLE or columns % MULTIPLE:
        return 0
    if isinstance(stored.format, GroupwiseInt4):
        return 4
    if not isinstance(stored.format, ScaledNarrow) or stored.types["stored"] not in _FORMS:
        return 0
    scale = layer._parameters.get("scale")
    return 8 if scale is None or scale.numel() in (1, rows) else 0


class _Multiplied:
    """What makes a layer's class one that multiplies in 8 bits."""

    holding: StoredWeight
    bias: Tensor | None
    _parameters: dict[str, Tensor]

    def forward(self, x: Tensor, *args: Any, **options: Any) -> Tensor:
        own = self.holding
        needs_gradient = torch.is_grad_enabled() and x.requires_grad
        if x.numel() // own.shape[1] < FEWEST_ROWS or needs_gradient:
            widened: Tensor = super().forward(x, *args, **options)  # type: ignore[misc]
            return widened
        parts = {name: self._parameters[name].view(kind) for name, kind in own.types.items()}
        stored, rows = parts["stored"], own.shape[0]
        scale = parts.get("scale", torch.ones((), device=stored.device))
        factors = scale.float().reshape(-1, 1).expand(rows, 1).contiguous()
        return linear(x, _kernels()[stored.dtype](stored, factors, x.dtype), self.bias)


class _MultipliedInt4:
    """What makes a layer's class one that multiplies groupwise int4 weights by a bfloat16 input."""

    holding: StoredWeight
    bias: Tensor | None
    _parameters: dict[str, Tensor]

    def forward(self, x: Tensor, *args: Any, **options: Any) -> Tensor:
        needs_gradient = torch.is_grad_enabled() and x.requires_grad
        if x.dtype != torch.bfloat16 or needs_gradient:
            widened: Tensor = super().forward(x, *args, **options)  # type: ignore[misc]
            return widened
        own = self.holding
        parts = {name: self._parameters[name].view(kind) for name, kind in own.types.items()}
        factors = torch.stack([parts["group_scale"], parts["group_zero"]], -1)
        arrange = _int4_tensors()["cpu" if x.device.type == "cpu" else "cuda"]
        weight = arrange(parts["stored"], factors.transpose(0, 1).contiguous(), own.shape)
        return linear(x, weight, self.bias)


@cache
def _multiplying(kind: type[Any], bits: int) -> type[Any]:
    added: type[Any] = _Multiplied if bits == 8 else _MultipliedInt4
    return type(f"Multiplied{kind.__name__}", (added, kind), {})


_FORMS = (torch.int8, torch.float8_e4m3fn)
"""Types of stored numbers that torchao multiplies."""


@cache
def _kernels() -> dict[torch.dtype, Kernel]:
    """By the type of stored numbers.

    Source: torchao 0.17 and 0.18, ``quantization/quantize_/workflows``: what ``quantize_`` makes
    for ``Int8DynamicActivationInt8WeightConfig`` and, by rows, for
    ``Float8DynamicActivationFloat8WeightConfig``.
    """
    try:
        from torchao.float8.inference import Float8MMConfig
        from torchao.quantization import Float8Tensor, Int8Tensor, PerRow
        from torchao.quantization.quantize_.workflows import (
            QuantizeTensorToFloat8Kwargs,
            QuantizeTensorToInt8Kwargs,
        )
    except ImportError as error:
        raise _lack(error) from error
    int8, float8 = (
        kind(granularity=PerRow())
        for kind in (QuantizeTensorToInt8Kwargs, QuantizeTensorToFloat8Kwargs)
    )
    mode = Float8MMConfig(use_fast_accum=True)

    def by_int8(stored: Tensor, factors: Tensor, dtype: torch.dtype) -> Tensor:
        block = [1, stored.shape[1]]
        made: Tensor = Int8Tensor(stored, factors, block, dtype, act_quant_kwargs=int8)
        return made

    def by_float8(stored: Tensor, factors: Tensor, dtype: torch.dtype) -> Tensor:
        block = [1, stored.shape[1]]
        made: Tensor = Float8Tensor(stored, factors, block, mode, float8, dtype=dtype)
        return made

    return {torch.int8: by_int8, torch.float8_e4m3fn: by_float8}


Int4Arrangement = Callable[[Tensor, Tensor, tuple[int, ...]], Tensor]
"""Makes torchao's tensor of the bytes of `GroupwiseInt4`, of the scales and zero points, shape
(groups, rows, 2) in bfloat16, and of the shape of the weight."""

_CUDA_COLUMNS = 1024
"""Columns of a weight are filled up to a multiple of it, as torchao fills those of the input."""
_CUDA_TILES = 8
"""Of 16 columns that the kernel reads at once: what torchao uses."""


@cache
def _int4_tensors() -> dict[str, Int4Arrangement]:
    """By the kind of device.

    Source: torchao 0.17 and 0.18: ``from_hp`` of ``Int4TilePackedTo4dTensor``
    (``quantization/quantize_/workflows/int4``), which ``Int4WeightOnlyConfig`` uses on CUDA, and of
    ``Int4OpaqueTensor`` (``prototype/quantization/int4``) on a CPU.
    """
    try:
        from torchao.prototype.quantization.int4 import Int4OpaqueTensor
        from torchao.quantization import Int4TilePackedTo4dTensor
    except ImportError as error:
        raise _lack(error) from error
    block = [1, UINT4_GROUP]

    def on_cpu(stored: Tensor, factors: Tensor, shape: tuple[int, ...]) -> Tensor:
        levels = unpack_levels(stored).to(torch.int32)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(levels, 1)
        made: Tensor = Int4OpaqueTensor(packed, factors, block, torch.Size(shape))
        return made

    def on_cuda(stored: Tensor, factors: Tensor, shape: tuple[int, ...]) -> Tensor:
        # The input is 0 in the columns that are added, so any levels there do.
        added = -shape[1] % _CUDA_COLUMNS
        filled = pad(stored, (0, added // 2))
        factors = pad(factors, (0, 0, 0, 0, 0, added // UINT4_GROUP))
        packed = torch.ops.aten._convert_weight_to_int4pack(filled, _CUDA_TILES)
        made: Tensor = Int4TilePackedTo4dTensor(packed, factors, block, torch.Size(shape))
        return made

    return {"cpu": on_cpu, "cuda": on_cuda}


def _lack(error: ImportError) -> InvalidValue:
    return InvalidValue(
        f"the installed torchao lacks what is needed: {error}",
        port="matmul",
        given="torchao",
        hint="Install a version that nodegraph knows: pip install 'torchao>=0.17,<0.19'",
    )
