"""How much memory a live component takes, told without importing torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from itertools import chain
from typing import Any


def component_bytes(component: Any) -> int:
    """Bytes of the parameters and buffers of a component's modules.

    Args:
        component: A module, or a dataclass some of whose fields are modules.
    Returns:
        The sum over distinct tensors: weights tied between modules count once.
    """
    sizes = {
        id(tensor): tensor.numel() * tensor.element_size()
        for module in _modules(component)
        for tensor in chain(module.parameters(), module.buffers())
    }
    return sum(sizes.values())


def _modules(component: Any) -> Iterator[Any]:
    if _is_module(component):
        yield component
    elif is_dataclass(component):
        values = (getattr(component, item.name) for item in fields(component))
        yield from filter(_is_module, values)


def _is_module(value: Any) -> bool:
    return any(
        base.__name__ == "Module" and base.__module__.split(".")[0] == "torch"
        for base in type(value).__mro__
    )
