"""Layers whose weights are stored in fewer bits, and read anew whenever they are used."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from nodegraph.diffusion.precision.forms import Form, Packed

HOLDING = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
"""Layers that can hold their weights so."""


@dataclass(frozen=True, slots=True)
class Holding:
    """What a layer's parameters are read as.

    Attributes:
        names: Of those that are read.
        shape, dtype: Of the weight that is read.
    """

    form: Form
    names: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: torch.dtype


class _Held:
    """What makes a layer's class one that reads its weight when it is asked for."""

    holding: Holding
    _parameters: dict[str, Tensor]

    @property
    def weight(self) -> Tensor:
        """The weight in the type that is computed in, made for whoever asks."""
        said = self.holding
        parts = {name: self._parameters[name] for name in said.names}
        return said.form.wide(parts, said.shape, said.dtype)


@cache
def _held(kind: type[Any]) -> type[Any]:
    return type(f"Held{kind.__name__}", (_Held, kind), {})


def hold(layer: Any, packed: Packed, dtype: torch.dtype) -> None:
    """Let a layer hold its weight as it is stored, and compute in a type.

    Args:
        layer: One of `HOLDING`.
    """
    del layer._parameters["weight"]
    kind: Any = type(layer)
    layer.__class__ = _held(kind)
    for name, part in packed.parts.items():
        # No buffer, as diffusers' offloading leaves those on the accelerator.
        layer.register_parameter(name, nn.Parameter(part, requires_grad=False))
    layer.holding = Holding(packed.form, tuple(packed.parts), packed.shape, dtype)


def held_shape(layer: nn.Module) -> tuple[int, ...] | None:
    """The shape of a weight that is held so; None of other layers."""
    found = getattr(layer, "holding", None)
    return found.shape if isinstance(found, Holding) else None
