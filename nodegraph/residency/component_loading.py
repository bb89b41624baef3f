"""Load, move and derive components, and the bytes that they need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, is_dataclass
from itertools import chain
from typing import Any, Protocol

from nodegraph.core.context import Footprint
from nodegraph.core.garbage_collection import release_frames
from nodegraph.core.text_format import format_size
from nodegraph.core.values import Recipe
from nodegraph.residency.memory import OutOfMemory, describe_usage, is_out_of_memory
from nodegraph.residency.placements import Placement


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


@dataclass(frozen=True, slots=True)
class LoadPolicy:
    """How components are made, and what is known of the memory that they are made in.

    Attributes are as the arguments of `ResidencyManager` of the same names.
    """

    load: Callable[[Recipe, str], Any]
    move: Callable[[Any, str], Any] | None
    derive: Callable[[Any, Recipe], Any] | None
    compact: Compact | None
    estimate: Callable[[Recipe], int] | None
    is_local: Callable[[Recipe], bool]
    free: Callable[[str], int | None]
    empty_reserves: Callable[[str], None]
    clock: Callable[[], float]


class ComponentMaker:
    """Makes components; at a second try, if memory ran out and something could go.

    Args:
        relieve: Evicts what isn't in use at a place.
        held: Tells the bytes of weights at a place.
    """

    def __init__(
        self, making: LoadPolicy, relieve: Callable[[str], object], held: Callable[[str], int]
    ) -> None:
        self._making = making
        self._relieve = relieve
        self._held = held

    def made(self, entry: Placement, source: Placement | None, *, may_evict: bool) -> Any:
        """The component of an entry that is coming, and in it the seconds that it took.

        Args:
            entry: With its base, if it is derived from another.
            source: The same at the host, to be moved from there.
            may_evict: Whether others may go if memory runs out.
        Raises:
            OutOfMemory: It has no room, even so.
        """
        if entry.base is not None:
            return self._derived(entry, entry.base, may_evict=may_evict)
        if source is not None:
            return self._promoted(entry, source, may_evict=may_evict)
        return self._loaded(entry, may_evict=may_evict)

    def _loaded(self, entry: Placement, *, may_evict: bool) -> Any:
        load, compact = self._making.load, self._making.compact
        if compact is not None and entry.is_compact:
            return self._timed(entry, lambda: compact.load(entry.recipe), may_evict)
        return self._timed(entry, lambda: load(entry.recipe, entry.location), may_evict)

    def _derived(self, entry: Placement, base: Placement, *, may_evict: bool) -> Any:
        derive = self._making.derive
        assert derive is not None
        return self._timed(entry, lambda: derive(base.component, entry.recipe), may_evict)

    def _promoted(self, entry: Placement, source: Placement, *, may_evict: bool) -> Any:
        """The component moved from the host; loaded anew if memory runs out on the way."""
        assert self._making.move is not None
        entry.seconds = source.seconds
        try:
            return self._making.move(source.component, entry.location)
        except Exception as error:
            if not is_out_of_memory(error) or not may_evict:
                raise
        # Half of it may be on the device: it goes, and what lies in files comes whole.
        source.component = None
        self._relieve(entry.location)
        return self._loaded(entry, may_evict=may_evict)

    def _timed(self, entry: Placement, make: Callable[[], Any], may_evict: bool) -> Any:
        """What `make` gives; at its second try, if memory ran out and something could go."""
        start = self._making.clock()
        try:
            made = make()
        except Exception as error:
            if not is_out_of_memory(error) or not may_evict:
                raise
        else:
            entry.seconds = self._making.clock() - start
            return made
        # Outside the handler, so that the first error's frames no longer hold half a model.
        self._relieve(entry.location)
        start = self._making.clock()
        try:
            made = make()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            release_frames(error)  # so that what is told as taken isn't half of this very model
            raise self._does_not_fit(entry) from error
        entry.seconds = self._making.clock() - start
        return made

    def _does_not_fit(self, entry: Placement) -> OutOfMemory:
        held = self._held(entry.location)
        need = f"about {format_size(entry.bytes)}" if entry.bytes else "an unknown amount"
        return OutOfMemory(
            f"out of memory on {entry.location} while loading {entry.recipe.source}: it needs "
            f"{need}; {describe_usage(entry.location, held)}",
            hint="Load the model with a smaller dtype, or close other programs on that device.",
        )
