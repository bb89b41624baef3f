"""Private copies of modules and tokenizers for one pipeline call.

Pipelines swap attention processors, add hooks, widen autoencoders and tell tokenizers how to pad.
Where one is cancelled in the middle, it puts nothing back. So each call is given copies of the
structure, which share the weights; what it leaves behind goes with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy, deepcopy
from itertools import chain
from threading import Lock
from typing import Any

import torch
from torch import Tensor, nn

_REGISTRY, _IN_PARTS = "_diffusers_hook", "group_offloading"


def copy_module(module: nn.Module) -> nn.Module:
    """A module of the same weights, whose structure is its own.

    One whose weights are brought to a device in parts was made for a single use: it is given back.
    """
    if _comes_in_parts(module):
        return module
    # The deep copy takes the weights for copied already.
    held = chain(module.parameters(), module.buffers(), _besides(module))
    memo: dict[int, Any] = {id(tensor): _alike(tensor) for tensor in held}
    return deepcopy(module, memo)


def _besides(module: nn.Module) -> Iterator[Tensor]:
    """Tensors that layers hold without saying so: tables, and weights that are worked out."""
    for layer in module.modules():
        yield from (value for value in vars(layer).values() if isinstance(value, Tensor))


def _comes_in_parts(module: nn.Module) -> bool:
    registries = (getattr(layer, _REGISTRY, None) for layer in module.modules())
    if any(item is not None and item.get_hook(_IN_PARTS) is not None for item in registries):
        return True
    device = getattr(module, "device", None)
    lies = {tensor.device.type for tensor in module.parameters() if tensor.numel()}
    return isinstance(device, torch.device) and bool(lies) and device.type not in lies


def _alike(tensor: Tensor) -> Tensor:
    """Another tensor of the same bytes: what is made of it later leaves the first one alone."""
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(tensor.detach(), requires_grad=False)
    return tensor.detach()


def copy_tool(tool: Any, turn: Lock) -> Any:
    """A tokenizer or processor with settings of its own, over the same words.

    Args:
        turn: Of all who share the words: how the library under them pads and cuts is set by each
            call, and is one for all.
    """
    own = copy(tool)
    for name in ("_encode_plus", "_batch_encode_plus"):
        if hasattr(tool, name):
            vars(own)[name] = _in_turn(getattr(own, name), turn)
    inner = vars(own).get("tokenizer")
    if inner is not None:
        own.tokenizer = copy_tool(inner, turn)
    return own


def _in_turn(function: Any, turn: Lock) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        with turn:
            return function(*args, **kwargs)

    return call


def with_own_precision(module: Any, dtype: torch.dtype) -> None:
    """Let an autoencoder take what comes in another precision than it computes in.

    Pipelines hold all of their parts in one; here an autoencoder that overflows in half precision
    is held in float32 from the beginning.
    """
    for name in ("encode", "decode"):
        method = getattr(module, name, None)
        if method is not None:
            setattr(module, name, _widening(method, dtype))


def _widening(method: Any, dtype: torch.dtype) -> Any:
    def call(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(tensor, Tensor) and tensor.is_floating_point():
            tensor = tensor.to(dtype)
        return method(tensor, *args, **kwargs)

    return call
