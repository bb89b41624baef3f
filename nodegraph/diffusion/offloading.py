"""Modules that compute on a device while their weights lie elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

_MARK = "_computes_here"
Module = TypeVar("Module", bound=nn.Module)


def offloaded(module: Module, device: str) -> Module:
    """A module that computes on a device and holds there the weights of one layer at a time.

    It shares its weights with the given one, which stays as it is: others may use it at the same
    time. Weights are copied to the device when a layer begins and forgotten when it ends; as they
    don't change, nothing has to be copied back.

    Args:
        module: With all of its weights in one place, such as the host's memory.
        device: Where to compute.
    """
    weights = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    # Copies the structure alone, as copies of the weights are said to exist: they themselves.
    twin = deepcopy(module, weights)
    for layer in twin.modules():
        if any(tensor is not None for tensor in _own(layer).values()):
            _bring_along(layer, device)
    pretend_to_compute(twin, device, _dtype(module))
    return twin


def _dtype(module: nn.Module) -> torch.dtype:
    """What a module computes in: not what the first of its weights is in, where some are kept in
    float32 among others that aren't."""
    said = getattr(module, "dtype", None)
    if isinstance(said, torch.dtype):
        return said
    kinds = (tensor.dtype for tensor in module.parameters() if tensor.is_floating_point())
    return next(kinds, torch.float32)


def _bring_along(layer: nn.Module, device: str) -> None:
    away = _own(layer)

    def bring(_: nn.Module, __: Any) -> None:
        _set(layer, away, lambda tensor: tensor.to(device, non_blocking=True))

    def forget(_: nn.Module, __: Any, ___: Any) -> None:
        _set(layer, away, lambda tensor: tensor)

    layer.register_forward_pre_hook(bring)
    # Also when it fails: what it holds then may be what memory ran out for.
    layer.register_forward_hook(forget, always_call=True)


def _own(layer: nn.Module) -> dict[str, Tensor | None]:
    """Parameters and buffers of a layer itself, without those of the layers in it."""
    return {**layer._parameters, **layer._buffers}


def _set(
    layer: nn.Module, tensors: dict[str, Tensor | None], place: Callable[[Tensor], Tensor]
) -> None:
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        placed = place(tensor)
        if name in layer._buffers:
            layer._buffers[name] = placed
        elif isinstance(placed, nn.Parameter):
            layer._parameters[name] = placed
        else:
            layer._parameters[name] = nn.Parameter(placed, requires_grad=False)


def pretend_to_compute(module: nn.Module, device: str, dtype: torch.dtype) -> None:
    """Let `module.device` and `module.dtype` say where it computes and in what.

    The libraries take both from the first parameter, and a module's own come before those of the
    modules in it.
    """
    mark = torch.empty(0, device=device, dtype=dtype)
    own = dict(module._parameters)
    module._parameters.clear()
    module._parameters[_MARK] = nn.Parameter(mark, requires_grad=False)
    module._parameters.update(own)
    module.register_state_dict_post_hook(_leave_out_mark)  # type: ignore[no-untyped-call]


def _leave_out_mark(_: nn.Module, state: dict[str, Any], prefix: str, __: Any) -> None:
    state.pop(prefix + _MARK, None)
