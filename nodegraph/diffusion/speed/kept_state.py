"""What hooks keep between steps, as tensors by name: so a sampling goes on to the same bits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_PLAIN = (bool, int, float, str)
_OUTLINE = "outline"


def as_tensors(value: Any) -> dict[str, Tensor]:
    """Nested plain values and tensors as tensors on the CPU, copied.

    Raises:
        TypeError: There is something else in it.
    """
    tensors: list[Tensor] = []
    outline = json.dumps(_outlined(value, tensors)).encode()
    found = {str(place): item.to("cpu", copy=True) for place, item in enumerate(tensors)}
    return found | {_OUTLINE: torch.frombuffer(bytearray(outline), dtype=torch.uint8).clone()}


def from_tensors(state: Mapping[str, Tensor], device: torch.device) -> Any:
    """What `as_tensors` was given, with tensors on a device.

    Raises:
        ValueError: It is damaged.
    """
    try:
        outline = json.loads(bytes(state[_OUTLINE].tolist()))
        return _filled(outline, state, device)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError("the state of the step cache is damaged") from error


def tensor_bytes(value: Any) -> int:
    """Bytes of the tensors in nested plain values."""
    tensors: list[Tensor] = []
    _outlined(value, tensors)
    return sum(item.numel() * item.element_size() for item in tensors)


def _outlined(value: Any, tensors: list[Tensor]) -> Any:
    """As JSON has it: containers and all that isn't plain are lists that begin with their kind."""
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, Tensor):
        tensors.append(value)
        # Numbers of a few hooks lie on the CPU whatever the model computes on.
        return ["tensor", len(tensors) - 1, value.device.type == "cpu"]
    if isinstance(value, dict):
        return [
            "dict",
            [[_outlined(key, tensors), _outlined(item, tensors)] for key, item in value.items()],
        ]
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return [kind, [_outlined(item, tensors) for item in value]]
    if isinstance(value, torch.dtype):
        return ["dtype", str(value).removeprefix("torch.")]
    if isinstance(value, torch.device):
        return ["device"]
    raise TypeError(f"a step cache keeps a {type(value).__name__}, which can't be saved")


def _filled(outline: Any, state: Mapping[str, Tensor], device: torch.device) -> Any:
    if not isinstance(outline, list):
        return outline
    kind = outline[0]
    if kind == "tensor":
        tensor = state[str(outline[1])]
        return tensor.clone() if outline[2] else tensor.to(device, copy=True)
    if kind == "dict":
        return {_filled(k, state, device): _filled(v, state, device) for k, v in outline[1]}
    if kind == "dtype":
        return getattr(torch, outline[1])
    if kind == "device":
        return device
    items = [_filled(item, state, device) for item in outline[1]]
    return items if kind == "list" else tuple(items)
