"""Matrix products of quantized weights by torchao, in place of widening the weights.

The weights stay plain tensors in nodegraph's own storage, so they are counted, moved, shared and
offloaded as before. Only for a product, torchao is handed them in a tensor of its own, which shares
their memory. It quantizes the layer's input, each row by itself, and multiplies in 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from nodegraph.errors import InvalidValue
from nodegraph.weights.precision.quantized_weights import ScaledNarrow, StoredWeight

MULTIPLE = 16
"""Numbers of rows and columns of a weight are multiples of it, as the kernels need on CUDA."""
FEWEST_ROWS = 17
"""Of a layer's input. torch multiplies fewer of them in int8 on no CUDA device."""

Kernel = Callable[[Tensor, Tensor, torch.dtype], Tensor]
"""Makes torchao's tensor of stored numbers, the factor of each row, shape (rows, 1) in float32, and
the type that is computed in."""


def multiply_by_torchao(module: nn.Module) -> int:
    """Let layers of a module multiply in 8 bits, in place.

    These are the linear layers whose weights are kept in int8 or float8 (e4m3) with one factor for
    each row or for all. The others still widen their weights, and so do all layers for an input of
    fewer than `FEWEST_ROWS` rows.

    Returns:
        The number of these layers.
    Raises:
        InvalidValue: The installed torchao lacks what is needed.
    """
    count = 0
    for layer in module.modules():
        if _can_multiply(layer):
            kind: Any = type(layer)
            layer.__class__ = _multiplying(kind)
            count += 1
    if count:
        _kernels()
    return count


def _can_multiply(layer: Any) -> bool:
    stored = getattr(layer, "holding", None)
    if not isinstance(layer, nn.Linear) or not isinstance(stored, StoredWeight):
        return False
    if not isinstance(stored.format, ScaledNarrow) or stored.types["stored"] not in _FORMS:
        return False
    scale = layer._parameters.get("scale")
    rows, columns = stored.shape
    is_scaled_by_row = scale is None or scale.numel() in (1, rows)
    return is_scaled_by_row and rows % MULTIPLE == 0 and columns % MULTIPLE == 0


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


@cache
def _multiplying(kind: type[Any]) -> type[Any]:
    return type(f"Multiplied{kind.__name__}", (_Multiplied, kind), {})


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
        raise InvalidValue(
            f"the installed torchao lacks what is needed: {error}",
            port="matmul",
            given="torchao",
            hint="Install a version that nodegraph knows: pip install 'torchao>=0.17,<0.19'",
        ) from error
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
