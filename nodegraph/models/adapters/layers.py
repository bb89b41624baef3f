"""Modules whose layers are changed by adapters, over weights that they share with others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from nodegraph.models.adapters.changes import LayerChange, LowRank, ReplacedWeight
from nodegraph.models.adapters.matching import ModuleLayers
from nodegraph.models.adapters.parts import Shape
from nodegraph.models.adapters.widening import widen
from nodegraph.weights.precision.choices import fused_adapter_error
from nodegraph.weights.precision.layers import quantized_shape

Module = TypeVar("Module", bound=nn.Module)
Changes = Mapping[str, Sequence[LayerChange]]
"""Changes of a module's layers, by their paths, in the order that they are added in."""

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def layers_of(module: nn.Module) -> ModuleLayers:
    """The layers of a module that an adapter may change; it may be on the meta device."""
    shapes = {}
    for path, layer in module.named_modules():
        shape = _weight_shape(layer)
        if shape is not None and path:
            shapes[path] = shape
    return ModuleLayers(type(module).__name__, shapes)


def _weight_shape(layer: nn.Module) -> Shape | None:
    # Not the weight's own, which may be packed.
    if isinstance(layer, nn.Linear):
        return layer.out_features, layer.in_features
    held = quantized_shape(layer)
    if held is not None:
        return held
    weight = layer._parameters.get("weight")
    return None if weight is None or not weight.dim() else tuple(weight.shape)


def with_changes(module: Module, changes: Changes) -> Module:
    """A module with changed layers; the given one stays as it is, and shares its weights.

    Args:
        changes: Paths are the module's, see `layers_of`.
    """
    twin = structural_copy(module)
    for path, of_layer in changes.items():
        layer = _wide_enough(twin, path, of_layer)
        # What a norm and the like have are so few numbers that a copy costs nothing.
        is_large = isinstance(layer, (nn.Linear, *_CONVOLUTIONS))
        fused = [change for change in of_layer if change.is_fused or not is_large]
        apart = [change for change in of_layer if change not in fused]
        if fused:
            _fuse(layer, fused)
        if apart:
            _adapt(layer, apart)
    return twin


def _wide_enough(module: nn.Module, path: str, changes: Sequence[LayerChange]) -> nn.Module:
    """The layer of a module's copy, as wide as what changes it."""
    layer = module.get_submodule(path)
    columns = max((item.columns for item in changes if isinstance(item, LowRank)), default=0)
    if isinstance(layer, nn.Linear) and columns > layer.in_features:
        widen(module, path, columns)
    return module.get_submodule(path)


def structural_copy(module: Module) -> Module:
    """A module of the same structure, with the same parameters and buffers in it."""
    weights = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    # Copies of the weights are said to exist already: they themselves.
    return deepcopy(module, weights)


class _Adapted:
    """What makes a layer's class one whose output is changed by adapters."""

    adapter_changes: nn.ModuleList

    def forward(self, x: Tensor, *args: Any, **options: Any) -> Tensor:
        own: Tensor = super().forward(x, *args, **options)  # type: ignore[misc]
        output = own
        for change in self.adapter_changes:
            output = output + change(x, self, own)
        return output.to(own.dtype)


@cache
def _adapted(kind: type[Any]) -> type[Any]:
    return type(f"Adapted{kind.__name__}", (_Adapted, kind), {})


def _adapt(layer: nn.Module, changes: Sequence[LayerChange]) -> None:
    device = layer.weight.device if isinstance(layer.weight, Tensor) else None
    # By its class, not around it: its parameters keep their names, and those who look for a
    # linear layer find one.
    kind: Any = type(layer)
    layer.__class__ = _adapted(kind)
    layer.adapter_changes = nn.ModuleList(change.to(device) for change in changes)


@torch.no_grad()
def _fuse(layer: nn.Module, changes: Sequence[LayerChange]) -> None:
    if quantized_shape(layer) is not None:
        raise fused_adapter_error()
    own = layer.get_parameter("weight")
    weight, bias = own.float(), layer._parameters.get("bias")
    for change in (change.to(own.device) for change in changes):
        if isinstance(change, ReplacedWeight):
            weight = change.weight.float()
            continue
        weight = weight + change.weight_delta(own) * change.strength
        shift = change.bias_delta()
        if shift is not None:
            added = shift.float() * change.strength
            bias = nn.Parameter(added if bias is None else bias + added, requires_grad=False)
    layer._parameters["weight"] = nn.Parameter(weight.to(own.dtype), requires_grad=False)
    if bias is not None:
        layer._parameters["bias"] = nn.Parameter(bias.to(own.dtype), requires_grad=False)
