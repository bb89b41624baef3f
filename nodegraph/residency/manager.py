"""Residency manager: which components are in memory, within budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from nodegraph.core.text_format import format_size
from nodegraph.core.values import Recipe
from nodegraph.residency.component_loading import (
    Compact,
    LoadPolicy,
    PartialComponent,
    PartialLoader,
)
from nodegraph.residency.memory import (
    MemoryPeak,
    OutOfMemory,
    empty_reserves,
    explain_out_of_memory,
    free_bytes,
    has_own_memory,
    is_out_of_memory,
    measuring,
    memory_of,
    missing_bytes,
)
from nodegraph.residency.placements import HOST, Placement, Placements, Resident, device_name
from nodegraph.residency.shared_components import SharedComponents

if TYPE_CHECKING:
    from nodegraph.core.context import Footprint, Weights


class ResidencyManager:
    """Turns recipes into live components and keeps those that are costly to bring back.

    Safe to use from several threads. A recipe is loaded once, however many ask for it at the
    same time, and its component is shared by them: treat it as read-only. Recipes of equal
    content share a component wherever their files lie; those that differ in adapters and speed
    options only share the weights below these.

    What an accelerator's budget has no room for is moved to the host's memory, and from there it
    goes for good. What goes first is what takes the least time to bring back for its size, and
    wasn't used for long. On the host, what had to go for lack of room is held compactly from then
    on, if it can be, and so is what there isn't enough memory for at all otherwise.

    A budget bounds what is kept, not what is in use: a component that somebody holds is never
    evicted, so that holding more than the budget goes over it until the holders let go.

    Args:
        load: Makes the component of a recipe on a device; may raise.
        budgets: Bytes of weights to keep per device, such as ``{"cuda:0": 8 * 2**30}``, and in
            the host's memory as ``host``. A device that isn't named has no limit, unless:
        default_budget: Bytes of weights to keep on a device that isn't named; None for no limit.
            Asked until it gives some, as a device may not tell before it is used.
        estimate: Bytes that a recipe's component will take, to make room before the first load.
            Afterwards its measured size is remembered.
        is_local: Whether all files of a recipe are on this machine. What would have to be fetched
            isn't loaded ahead: the node that needs it fetches it, where it shows and can be ended.
        move: Moves a component to another device and returns it; without it, what leaves an
            accelerator is gone.
        derive: Makes the component of a recipe with adapters or speed options from the one without,
            whose weights it shares and leaves as they are.
        lean: Makes, of a component, one for a device that takes less memory there, for the
            duration of a `with`, given a footprint and the bytes of weights that there is room
            for; the component itself lies on the host and stays as it is.
        compact: How components may be held on the host if room is scarce.
        free: Bytes of memory that a device has left for weights, or None where that isn't known.
            Where that is too little, others are evicted before a load, whatever the budget says.
        free_beside: The same beside work that is expected to take some bytes, or None. What has no
            room so, all else evicted, is brought in parts, if it is only called.
        empty_reserves: Frees what the framework keeps on a device without using it.
        clock: Tells the seconds that loading takes.
    """

    def __init__(
        self,
        load: Callable[[Recipe, str], Any],
        budgets: Mapping[str, int] | None = None,
        *,
        default_budget: Callable[[str], int | None] = lambda device: None,
        estimate: Callable[[Recipe], int] | None = None,
        is_local: Callable[[Recipe], bool] = lambda recipe: True,
        move: Callable[[Any, str], Any] | None = None,
        derive: Callable[[Any, Recipe], Any] | None = None,
        lean: PartialLoader | None = None,
        compact: Compact | None = None,
        free: Callable[[str], int | None] = free_bytes,
        free_beside: Callable[[str, int | None], int | None] = lambda device, work: None,
        empty_reserves: Callable[[str], None] = empty_reserves,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        making = LoadPolicy(
            load, move, derive, compact, estimate, is_local, free, empty_reserves, clock
        )
        shelves = Placements(budgets or {}, default_budget, has_host_tier=move is not None)
        self._components = SharedComponents(making, shelves)
        self._lean = lean
        self._free = free
        self._free_beside = free_beside

    @contextmanager
    def use(
        self,
        recipe: Recipe,
        device: str,
        footprint: Footprint = "full",
        *,
        calls_only: bool = False,
        work: int | None = None,
        tell: Callable[[str], object] | None = None,
    ) -> Iterator[Any]:
        """The component of a recipe to compute on a device, kept inside the `with`.

        Args:
            footprint: ``offloaded`` leaves its weights at the host, from where they come in parts;
                ``small`` takes as little memory of the device as it can.
            calls_only: It may be held compactly, or be brought in parts, as nobody looks into it.
            work: Bytes that computing with it is expected to take; None if unknown.
            tell: Told, in one sentence, if it had to be brought in parts.
        Raises:
            NodegraphError: The files are missing or damaged, or memory ran out even after
                everything that isn't in use was evicted.
        """
        device = device_name(device)
        lean = self._lean
        if footprint == "full" and calls_only and self._is_too_large(recipe, device, work):
            footprint = "offloaded"
        if footprint == "full" or lean is None:
            with self._components.using(recipe, device, may_be_compact=calls_only) as component:
                self._make_room_for_work(device, work)
                yield component
            return
        with self._in_parts(
            recipe, device, partial(lean, device=device, footprint=footprint), calls_only, work
        ) as (made, room):
            if tell is not None and made.way:
                kind = type(recipe).__name__
                tell(f"The {kind} is loaded on {device} {made.way}, because {_lack(room)}.")
            yield made.component

    def prefetch(self, recipe: Recipe, device: str) -> bool:
        """Load a recipe's component in this thread if there is room without evicting anything.

        It takes at most half of the memory that is free, as what is at work needs some, too.

        Returns:
            Whether it is there now. What is missing or doesn't fit is no error here.
        """
        return self._components.prefetch(recipe, device_name(device))

    def size(self, recipe: Recipe) -> int:
        """Bytes that a recipe's component takes, as measured or expected; 0 if unknown."""
        return self._components.size(recipe)

    def relieve(self, device: str, *, keep: Iterable[Recipe] = ()) -> int:
        """Evict all on a device that isn't in use, and free what the framework holds in reserve.

        Args:
            keep: Recipes whose components stay, with what they share weights with.
        Returns:
            Bytes of weights that left the device.
        """
        return self._components.relieve(device_name(device), keep=keep)

    def release_all(self) -> int:
        """Let go of everything; what is in use goes when its last user is done.

        Returns:
            Bytes that were freed at once.
        """
        return self._components.release_all()

    def resident(self) -> list[Resident]:
        """What is in memory, least recently used first."""
        return self._components.resident()

    def capacity(self, device: str) -> int | None:
        """Bytes of memory that a device has, used or not; None where it can't be told."""
        memory = memory_of(device_name(device))
        return None if memory is None else memory.total

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether an error says that memory ran out, of whatever library it is."""
        return is_out_of_memory(error)

    def can_offload(self, device: str) -> bool:
        """Whether weights can stay at the host and take less of a device's memory so."""
        return self._lean is not None and has_own_memory(device)

    def missing(self, error: BaseException) -> int:
        """Bytes that could not be had, by an error that says that memory ran out; 0 if unknown."""
        return missing_bytes(error)

    def explain(self, error: BaseException, device: str) -> OutOfMemory:
        """What was needed and what there was, for an error that says that memory ran out."""
        device = device_name(device)
        return explain_out_of_memory(error, device, self._components.held(device))

    def measuring(self, device: str) -> AbstractContextManager[MemoryPeak]:
        """Measure the memory that the inside of the `with` takes at its peak."""
        return measuring(device)

    def _is_too_large(self, recipe: Recipe, device: str, work: int | None) -> bool:
        """Whether a component has no room on a device beside the work with it, were it alone."""
        if not self.can_offload(device) or self._components.is_in_use(recipe, device):
            return False
        size = self.size(recipe.base) + (self.size(recipe) if recipe.is_derived else 0)
        room = self._room_beside(device, work)
        return room is not None and size > room

    def _room_beside(self, device: str, work: int | None) -> int | None:
        return self._components.room_beside(device, self._free_beside(device, work))

    def _make_room_for_work(self, device: str, work: int | None) -> None:
        """Evict others rather than let work run out of memory that is expected to take more."""
        if work is None or not has_own_memory(device):
            return
        free = self._free_beside(device, work)
        if free is not None and free < 0:
            self._components.make_room(device, 0, free)

    @contextmanager
    def _in_parts(
        self,
        recipe: Recipe,
        device: str,
        lean: Callable[..., AbstractContextManager[PartialComponent]],
        calls_only: bool,
        work: int | None,
    ) -> Iterator[tuple[PartialComponent, int | None]]:
        """A component whose weights come to a device in part only, and the room for them."""
        location = HOST if has_own_memory(device) else device
        if location != device:
            self._components.vacate(recipe, device)
        with self._components.using(recipe, location, may_be_compact=calls_only) as component:
            room = self._room_beside(device, work)
            with lean(component, room=room) as made, self._counted(recipe, device, made.bytes):
                yield made, room

    def _counted(self, recipe: Recipe, device: str, size: int) -> AbstractContextManager[None]:
        """Count the parts of a component that are on a device at once, and make room for them."""
        if not size:
            return nullcontext()
        entry = Placement(recipe, device, size, pins=1, is_whole=False)
        return self._components.counting(entry, self._free(device))


def _lack(room: int | None) -> str:
    if room is None:
        return "memory ran out"
    return (
        f"there is room for {format_size(max(room, 0))} of weights in addition to the computation"
    )


if TYPE_CHECKING:

    def _satisfies(manager: ResidencyManager) -> Weights:
        return manager
