"""Tables that modules compute once and keep beside their weights and buffers.

Those of rotary positions, mostly. torch doesn't know of them: it leaves them where they are when a
module moves, and diffusers keeps some of them in caches of the process. There they would take an
accelerator's memory for as long as it runs, for each model that was there and each picture's size.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

from torch import Tensor, nn

_CACHED = ("_get_device_freqs", "_compute_video_freqs", "_compute_condition_freqs")
"""Methods of Qwen-Image's rotary positions whose results, and modules, diffusers never forgets.
Computed anew they take a few small operations for each evaluation of the model."""


def move_with_tables(module: nn.Module, device: str) -> None:
    """Move a module, and its tables with it."""
    module.to(device)
    for layer in module.modules():
        _forget(layer)
        for holder in (layer, *_helpers(layer)):
            _move_tables(holder, device)


def _helpers(layer: nn.Module) -> list[object]:
    """Objects of diffusers that a layer holds and that are no modules themselves."""
    return [
        value
        for value in vars(layer).values()
        if type(value).__module__.startswith("diffusers.models.")
        and not isinstance(value, nn.Module)
        and hasattr(value, "__dict__")
    ]


def _move_tables(holder: object, device: str) -> None:
    for name, value in vars(holder).items():
        if _is_table(value):
            setattr(holder, name, value.to(device))
        elif isinstance(value, list) and value and all(map(_is_table, value)):
            setattr(holder, name, [table.to(device) for table in value])


def _is_table(value: Any) -> bool:
    return isinstance(value, Tensor) and not value.is_meta


def _forget(layer: nn.Module) -> None:
    """Let a layer compute what its class would cache."""
    for name in _CACHED:
        plain = getattr(getattr(type(layer), name, None), "__wrapped__", None)
        if plain is not None:
            setattr(layer, name, MethodType(plain, layer))
