"""How much memory a live component takes, told without importing torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from itertools import chain
from typing import Any


def component_bytes(component: Any, *, besides: Any = None) -> int:
    """Bytes of the parameters and buffers of a component's modules.

    Args:
        component: A module, or a dataclass some of whose fields are modules, or hold some by name.
        besides: Another component; weights shared with it don't count.
    Returns:
        The sum over distinct tensors: weights tied between modules count once.
    """
    sizes = _sizes(component)
    shared = _sizes(besides)
    return sum(size for name, size in sizes.items() if name not in shared)


def _sizes(component: Any) -> dict[int, int]:
    return {
        _identity(tensor): tensor.numel() * tensor.element_size()
        for module in _modules(component)
        for tensor in chain(module.parameters(), module.buffers())
    }


def _identity(tensor: Any) -> int:
    """Where a tensor's bytes begin: two parameters may be the same bytes."""
    return tensor.data_ptr() or id(tensor)


def _modules(component: Any) -> Iterator[Any]:
    if _is_module(component):
        yield component
    elif is_dataclass(component):
        for item in fields(component):
            value = getattr(component, item.name)
            several = value.values() if isinstance(value, Mapping) else [value]
            yield from filter(_is_module, several)


def _is_module(value: Any) -> bool:
    return any(
        base.__name__ == "Module" and base.__module__.split(".")[0] == "torch"
        for base in type(value).__mro__
    )
