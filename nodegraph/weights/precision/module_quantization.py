"""Quantize a module's layers after loading, or keep the quantized weights of its file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from nodegraph.weights.lazy import diffusers
from nodegraph.weights.precision.groupwise_int4 import quantize_groupwise_int4
from nodegraph.weights.precision.quantized_weights import FLOAT8 as FLOAT8_TYPES
from nodegraph.weights.precision.quantized_weights import (
    HOLDING_LAYERS,
    QUANTIZABLE_LAYERS,
    QuantizedWeight,
    dequantize,
    find_quantized,
    quantize_float8,
    quantize_int4,
    quantize_int8,
    set_compute_device,
    share_quantized,
    store_quantized,
)
from nodegraph.weights.precision.storage import (
    FLOAT8,
    INT4,
    INT8,
    LINEAR_ONLY,
    STORED,
    UINT4,
    fits_blocks,
)

_KEPT = {STORED: {*FLOAT8_TYPES, torch.int8, torch.uint8}, FLOAT8: FLOAT8_TYPES}
"""Types that are kept as a file has them."""

_Pack = Callable[[Tensor], QuantizedWeight]

_PACK: dict[str, _Pack] = {
    FLOAT8: lambda weight: quantize_float8(dequantize(weight)),
    INT8: lambda weight: quantize_int8(dequantize(weight)),
    INT4: lambda weight: quantize_int4(dequantize(weight)),
    UINT4: lambda weight: quantize_groupwise_int4(dequantize(weight)),
}


def apply_storage(module: nn.Module, storage: str, dtype: torch.dtype) -> None:
    """Let a module hold its weights in a form, and compute in a type.

    What a file holds in that form already stays as it is, bit for bit. Otherwise layers are
    brought into it one by one, but for those that `sensitive_patterns` names: norms and the like
    decide much and take little.

    Args:
        module: Its weights are on the CPU; some may be carried.
        storage: See `recipe_storage`; empty for none.
    """
    kept = _kept(module, storage)
    if storage in _PACK and not kept:
        kept = {path: _PACK[storage] for path, _ in iter_quantizable(module, storage)}
    widened: _Widened = {}
    holders: dict[int, nn.Module] = {}
    for path, layer in module.named_modules():
        if path in kept:
            # All weights exist before the first is replaced, so no two have one id.
            key = id(layer._parameters["weight"])
            if key in holders:
                share_quantized(layer, holders[key])
            else:
                _hold(layer, kept[path], storage)
                holders[key] = layer
        _unpack(layer, widened)
    if storage:
        # Libraries ask the first parameter that they find.
        set_compute_device(module, "cpu", dtype)


def _kept(module: nn.Module, storage: str) -> dict[str, _Pack]:
    """Layers whose weights are in that form in the file."""
    types = _KEPT.get(storage, frozenset())
    stored = {
        path: layer
        for path, layer in module.named_modules()
        if (packed := find_quantized(layer._parameters.get("weight"))) is not None
        and packed.stored.dtype in types
    }
    others = {
        id(item)
        for layer in module.modules()
        for name, item in layer._parameters.items()
        if name != "weight" or not isinstance(layer, HOLDING_LAYERS)
    }
    return {
        path: _as_it_is
        for path, layer in stored.items()
        if id(layer._parameters["weight"]) not in others
    }


def _as_it_is(weight: Tensor) -> QuantizedWeight:
    packed = find_quantized(weight)
    assert packed is not None
    return packed


def _quantizable(module: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """Layers whose weight could be brought into another form: no other has the same."""
    uses = Counter(id(item) for layer in module.modules() for item in layer._parameters.values())
    for path, layer in module.named_modules():
        if isinstance(layer, QUANTIZABLE_LAYERS) and uses[id(layer._parameters.get("weight"))] == 1:
            yield path, layer  # type: ignore[misc]


def iter_quantizable(module: nn.Module, storage: str) -> Iterator[tuple[str, nn.Linear]]:
    """The layers that are brought into a form where their file has them otherwise, by paths.

    Args:
        module: May be on the meta device.
        storage: ``float8``, ``int8``, ``int4`` or ``uint4``.
    """
    patterns = [re.compile(pattern) for pattern in sensitive_patterns(module)]
    for path, layer in _quantizable(module):
        # What is in a delicate part is delicate, too.
        parts = accumulate(path.split("."), lambda before, name: f"{before}.{name}")
        is_delicate = any(pattern.search(part) for part in parts for pattern in patterns)
        if not is_delicate and _fits_storage(layer, storage):
            yield path, layer


def _fits_storage(layer: Any, storage: str) -> bool:
    # Of convolutions, which have few numbers, bitsandbytes leaves the weights as they are, too.
    is_kind = storage not in LINEAR_ONLY or isinstance(layer, nn.Linear)
    return is_kind and fits_blocks(layer.weight.shape, storage)


def sensitive_patterns(module: nn.Module) -> tuple[str, ...]:
    """Patterns of paths of a module's layers that stay as they are: those of diffusers' layerwise
    casting."""
    usual = diffusers.hooks.layerwise_casting.DEFAULT_SKIP_MODULES_PATTERN
    if not isinstance(module, diffusers.ModelMixin):
        return (*usual,)
    own = (
        getattr(module, name, None) or ()
        for name in ("_keep_in_fp32_modules", "_skip_layerwise_casting_patterns")
    )
    return (*usual, *(pattern for patterns in own for pattern in patterns))


def _hold(layer: Any, pack: _Pack, storage: str) -> None:
    weight = layer.weight.detach()
    if pack is _as_it_is or storage != FLOAT8:
        # Some layers compute in float32 among others that don't.
        store_quantized(layer, pack(weight), weight.dtype)
        return
    bias = None if layer.bias is None else dequantize(layer.bias.detach())
    if not all(_fits_float8(item) for item in (dequantize(weight), bias) if item is not None):
        return
    store_quantized(layer, pack(weight), weight.dtype)
    if bias is not None:
        # As diffusers has it; widened again, as it takes next to nothing.
        rounded = bias.to(torch.float8_e4m3fn).to(bias.dtype)
        layer.bias = nn.Parameter(rounded, requires_grad=False)


def _fits_float8(numbers: Tensor) -> bool:
    """Whether none is beyond what float8 reaches to: it would become that, or no number at all."""
    return bool(numbers.abs().amax() <= torch.finfo(torch.float8_e4m3fn).max)


_Widened = dict[int, tuple[nn.Parameter, nn.Parameter]]
"""Carried parameters by their ids, and what they were widened to: layers that share one, such as
T5's embeddings of words, still do."""


def _unpack(layer: nn.Module, widened: _Widened) -> None:
    for name, item in layer.named_parameters(recurse=False):
        if find_quantized(item) is None:
            continue
        if id(item) not in widened:
            widened[id(item)] = item, nn.Parameter(dequantize(item.detach()), requires_grad=False)
        layer._parameters[name] = widened[id(item)][1]
    for name, buffer in layer.named_buffers(recurse=False):
        layer._buffers[name] = dequantize(buffer)
