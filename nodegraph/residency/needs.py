"""How many bytes a component takes and needs, and how it needs fewer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, is_dataclass
from itertools import chain
from typing import Any, Protocol

from nodegraph.core.context import Footprint
from nodegraph.core.values import Recipe


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


@dataclass(frozen=True, slots=True)
class Compact:
    """How components lie in the host's memory in fewer bytes, for more time at each use.

    Attributes:
        load: Makes a recipe's component so. Its results are those of the usual one.
        size: Bytes that it takes then; None where it can't be so, or would take no fewer.
    """

    load: Callable[[Recipe], Any]
    size: Callable[[Recipe], int | None]


@dataclass(frozen=True, slots=True)
class PartialComponent:
    """A component whose weights are on its device in part only.

    Attributes:
        bytes: The most of them that is there at once.
        way: How they come there, such as ``block by block``; empty if they don't.
    """

    component: Any
    bytes: int = 0
    way: str = ""


class PartialLoader(Protocol):
    """Makes a component that computes on a device with its weights there in part only."""

    def __call__(
        self, component: Any, device: str, footprint: Footprint, room: int | None
    ) -> AbstractContextManager[PartialComponent]:
        """One of a component that lies at the host, and stays as it is.

        Args:
            footprint: ``offloaded`` to the same results, ``small`` in as little memory as can be.
            room: Bytes of weights that the device has room for; None where that isn't known.
        """


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that a component will take at a place, before it is there.

    Attributes:
        full: As it usually is; 0 if unknown.
        compact: In fewer bytes; None if that can't be.
        free: What memory has left there; None where that isn't known.
    """

    full: int
    compact: int | None
    free: int | None

    def bytes(self, *, is_compact: bool) -> int:
        """What it will take, one way or the other."""
        return self.full if self.compact is None or not is_compact else self.compact
