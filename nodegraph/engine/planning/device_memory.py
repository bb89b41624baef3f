"""Memory that a plan counts with: a device's, and what another process holds in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from nodegraph.core.keys import Key
from nodegraph.engine.cache import AskedPort, Cache, CallOutputs, Entry, get_tier
from nodegraph.engine.product import Product
from nodegraph.engine.runtime import EngineState
from nodegraph.store.entries import UNLOADED, OutputGone


@dataclass
class RemoteMemory:
    """What there is.

    Attributes:
        results: By key, as `packed` tells them.
        weights: Names of those that are in memory.
        rooms: The memory of devices by their kind, such as ``cuda``, as it was before any weights
            were there.
    """

    results: dict[Key, Any] = field(default_factory=dict)
    weights: frozenset[str] = frozenset()
    rooms: Mapping[str, DeviceMemory] = field(default_factory=dict)

    def update(
        self,
        results: Mapping[Key, Any],
        gone: Iterable[Key],
        weights: Iterable[str],
        *,
        is_all: bool = False,
    ) -> None:
        """Take in what has changed.

        Args:
            gone: Keys of results that are there no more.
            is_all: It is all that there is.
        """
        if is_all:
            self.results.clear()
        for key in gone:
            self.results.pop(key, None)
        self.results.update(results)
        self.weights = frozenset(weights)

    def room_of(self, own: RoomOf) -> RoomOf:
        """Tells the memory of devices, as the other process found it.

        Args:
            own: As this process finds it. It is asked of the host alone: to ask an accelerator
                would take some of its memory.
        """

        def find_room(device: str) -> DeviceMemory | None:
            there = self.rooms.get(device.partition(":")[0])
            here = own(device) if device == "cpu" else None
            if here is None or there is None:
                return there or here
            # What the other process has taken meanwhile for idle weights isn't free here.
            return replace(there, free=max(here.free, there.free))

        return find_room

    def overlay(self, shared: EngineState) -> EngineState:
        """What runs share, with a cache that also knows what the other process holds."""
        return replace(shared, cache=_With(shared.cache, self.results))


def pack_entry(entry: Entry) -> Any:
    """An entry of plain values, without what was computed."""
    if isinstance(entry, AskedPort):
        return entry.port
    return [entry.seconds, [_packed(product) for product in entry.products]]


def _packed(product: Product) -> list[Any]:
    packed: list[Any] = [product.digest, product.size]
    if product.items is not None:
        packed.append([_packed(item) for item in product.items])
    return packed


class _With(Cache):
    """A cache, and behind it what another process holds."""

    def __init__(self, cache: Cache, results: Mapping[Key, Any]) -> None:
        super().__init__(cache.memory)
        self._cache = cache
        self._results = results

    def get(self, key: Key) -> Entry | None:
        entry = self._cache.get(key)
        if key not in self._results or (entry is not None and get_tier(entry) != "digest"):
            return entry
        stored = self._results[key]
        if isinstance(stored, str):
            return AskedPort(stored)
        seconds, outputs = stored
        return CallOutputs(tuple(_product(output) for output in outputs), seconds)


def _product(packed: Sequence[Any]) -> Product:
    digest, size, *items = packed
    if items:
        return Product(UNLOADED, digest, size, tuple(_product(item) for item in items[0]))
    return Product(UNLOADED, digest, size, None, _ELSEWHERE)


class _Elsewhere:
    """A value that is in the other process."""

    def __call__(self) -> Any:
        raise OutputGone("it is in the memory of another process")

    def is_there(self) -> bool:
        return True


_ELSEWHERE = _Elsewhere()


Fit = Literal["", "whole", "parts", "small", "none"]
"""How a node has room. ``whole``: its weights beside its work. ``parts``: its weights stay at the
host and come in parts, to the same results. ``small``: so, and work is done in tiles or one by one,
which may change results a little. ``none``: not even that. Empty where it isn't known."""


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """The memory of a device.

    Attributes:
        total: Bytes that it has.
        free: Of these, what may be taken if all weights went that nobody uses.
        budget: Bytes of weights that it may hold; None if nobody said so.
        rate: Bytes of weights a second that come there from the host; None where they don't lie
            apart, so that nothing comes in parts.
    """

    total: int
    free: int
    budget: int | None = None
    rate: float | None = None


RoomOf = Callable[[str], DeviceMemory | None]
"""The memory of a device by its name; None where it can't be told."""


@dataclass(frozen=True, slots=True)
class MemoryNeed:
    """What a node needs of its device, in bytes.

    Attributes:
        weights: That it computes with.
        parts: Of these, the most that is there at once if they come in parts.
        work: Besides.
        least: The same at the smallest footprint.
    """

    weights: int
    parts: int
    work: int
    least: int


def fit_of(need: MemoryNeed, room: DeviceMemory) -> Fit:
    """How a node has room on a device."""
    has_budget = room.budget is None or need.weights <= room.budget
    if has_budget and need.weights + need.work <= room.free:
        return "whole"
    parts = need.weights if room.rate is None else need.parts
    if room.rate is not None and parts + need.work <= room.free:
        return "parts"
    return "small" if parts + need.least <= room.free else "none"
