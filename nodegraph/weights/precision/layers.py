"""Layers whose weights are stored in fewer bits, and read anew whenever they are used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from nodegraph.weights.precision.forms import NumberFormat, QuantizedWeight

QUANTIZABLE_LAYERS = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
"""Layers that can hold their weights so."""


_MARK = "_computes_here"
_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""By their bytes."""


@dataclass(frozen=True, slots=True)
class StoredWeight:
    """What a layer's parameters are read as.

    Attributes:
        types: Of those that are read, by name; they lie there as whole numbers of their size.
        shape, dtype: Of the weight that is read.
    """

    format: NumberFormat
    types: Mapping[str, torch.dtype]
    shape: tuple[int, ...]
    dtype: torch.dtype


class _Held:
    """What makes a layer's class one that reads its weight when it is asked for."""

    holding: StoredWeight
    _parameters: dict[str, Tensor]

    @property
    def weight(self) -> Tensor:
        """The weight in the type that is computed in, made for whoever asks."""
        holding = self.holding
        parts = {name: self._parameters[name].view(kind) for name, kind in holding.types.items()}
        return holding.format.dequantize(parts, holding.shape, holding.dtype)


@cache
def _held(kind: type[Any]) -> type[Any]:
    return type(f"Held{kind.__name__}", (_Held, kind), {})


def store_quantized(layer: Any, packed: QuantizedWeight, dtype: torch.dtype) -> None:
    """Let a layer hold its weight as it is stored, and compute in a type.

    Args:
        layer: One of `QUANTIZABLE_LAYERS`.
    """
    del layer._parameters["weight"]
    kind: Any = type(layer)
    layer.__class__ = _held(kind)
    for name, part in packed.parts.items():
        # No buffer, as diffusers' offloading leaves those on the accelerator. Whole numbers, as
        # libraries take the first floating point type that they find for what is computed in.
        whole = part.view(_WHOLE[part.element_size()])
        layer.register_parameter(name, nn.Parameter(whole, requires_grad=False))
    types = {name: part.dtype for name, part in packed.parts.items()}
    layer.holding = StoredWeight(packed.format, types, packed.shape, dtype)


def quantized_shape(layer: nn.Module) -> tuple[int, ...] | None:
    """The shape of a weight that is held so; None of other layers."""
    holding = getattr(layer, "holding", None)
    return holding.shape if isinstance(holding, StoredWeight) else None


def set_compute_device(module: nn.Module, device: str, dtype: torch.dtype) -> None:
    """Let `module.device` and `module.dtype` say where it computes and in what.

    The libraries take both from the first parameter, and a module's own come before those of the
    modules in it.
    """
    mark = torch.empty(0, device=device, dtype=dtype)
    own = dict(module._parameters)
    own.pop(_MARK, None)
    module._parameters.clear()
    module._parameters[_MARK] = nn.Parameter(mark, requires_grad=False)
    module._parameters.update(own)
    module.register_state_dict_post_hook(_leave_out_mark)  # type: ignore[no-untyped-call]


def _leave_out_mark(_: nn.Module, state: dict[str, Any], prefix: str, __: Any) -> None:
    state.pop(prefix + _MARK, None)
