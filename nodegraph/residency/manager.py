"""Which components are in memory: loaded on first use, shared, evicted within budgets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from threading import Condition
from time import perf_counter
from typing import TYPE_CHECKING, Any

from nodegraph.core.frames import release_frames, retold
from nodegraph.core.values import Recipe
from nodegraph.errors import InvalidValue, NodegraphError
from nodegraph.residency.entries import (
    HOST,
    Content,
    Placement,
    PlacementState,
    Resident,
    content_of,
    device_name,
)
from nodegraph.residency.failures import (
    OutOfMemory,
    division,
    explained,
    is_out_of_memory,
    missing_bytes,
    size_text,
)
from nodegraph.residency.measure import component_bytes
from nodegraph.residency.memory import empty_reserves, free_bytes, lies_apart
from nodegraph.residency.needs import Compact, Lean, MakesLean, Need
from nodegraph.residency.peaks import MemoryPeak, measuring
from nodegraph.residency.shelves import Leaving, Shelves

if TYPE_CHECKING:
    from nodegraph.core.context import Footprint, Weights

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class _Filling:
    """What a thread has to do for an entry that it is the first to ask for.

    Attributes:
        source: The same at the host, to be moved from there.
        leaving: What has to be moved away first.
        may_evict: Whether others may be evicted if it takes more than was expected.
        is_tight: Whether others had to go as memory, not only the budget, had no room for it.
    """

    entry: Placement
    source: Placement | None
    leaving: Sequence[Leaving] = field(default_factory=list)
    may_evict: bool = True
    is_tight: bool = False


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
        move: Callable[[Any, str], Any] | None = None,
        derive: Callable[[Any, Recipe], Any] | None = None,
        lean: MakesLean | None = None,
        compact: Compact | None = None,
        free: Callable[[str], int | None] = free_bytes,
        free_beside: Callable[[str, int | None], int | None] = lambda device, work: None,
        empty_reserves: Callable[[str], None] = empty_reserves,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        self._load = load
        self._estimate = estimate
        self._move = move
        self._derive = derive
        self._lean = lean
        self._compact = compact
        self._free = free
        self._free_beside = free_beside
        self._empty_reserves = empty_reserves
        self._clock = clock
        self._shelves = Shelves(budgets or {}, default_budget, has_host_tier=move is not None)
        self._measured: dict[Content, int] = {}
        self._changed = Condition()

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
            with self._using(recipe, device, calls_only) as component:
                self._make_room_for_work(device, work)
                yield component
            return
        with self._lying_below(recipe, device, calls_only) as component:
            room = self._room_beside(device, work)
            with (
                lean(component, device, footprint, room) as made,
                self._lent(recipe, device, made),
            ):
                if tell is not None and made.way:
                    kind = type(recipe).__name__
                    tell(f"The {kind} comes to {device} {made.way}, as {_lack(room)}.")
                yield made.component

    def prefetch(self, recipe: Recipe, device: str) -> bool:
        """Load a recipe's component in this thread if there is room without evicting anything.

        It takes at most half of the memory that is free, as what is at work needs some, too.

        Returns:
            Whether it is there now. What is missing or doesn't fit is no error here.
        """
        device = device_name(device)
        try:
            # Of what is derived, it is the weights below that take the time and the room.
            if recipe.is_derived and not self._prefetched(recipe.base, device):
                return False
            return self._prefetched(recipe, device)
        except Exception as error:  # noqa: BLE001 - the use that it was for will tell
            _LOG.debug("could not pre-load %s: %s", recipe.source, error)
            return False

    def size(self, recipe: Recipe) -> int:
        """Bytes that a recipe's component takes, as measured or expected; 0 if unknown."""
        known = self._measured.get(content_of(recipe))
        if known is not None:
            return known
        if recipe.is_derived or self._estimate is None:
            return 0
        return self._estimate(recipe)

    def relieve(self, device: str, *, keep: Iterable[Recipe] = ()) -> int:
        """Evict all on a device that isn't in use, and free what the framework holds in reserve.

        Args:
            keep: Recipes whose components stay, with what they share weights with.
        Returns:
            Bytes of weights that left the device.
        """
        device = device_name(device)
        with self._changed:
            before = self._shelves.held(device)
            leaving = self._shelves.clear(device, keep)
            freed = before - self._shelves.held(device)
        self._carry_out(leaving)
        self._empty_reserves(device)
        return freed

    def release_all(self) -> int:
        """Let go of everything; what is in use goes when its last user is done.

        Returns:
            Bytes that were freed at once.
        """
        with self._changed:
            idle = [entry for entry in self._shelves.entries() if entry.is_idle]
            freed = sum(entry.bytes for entry in idle)
            for entry in self._shelves.entries():
                entry.unwanted = True
            for entry in idle:
                self._shelves.drop(entry)
            self._shelves.forgive()
            return freed

    def resident(self) -> list[Resident]:
        """What is in memory, least recently used first."""
        with self._changed:
            return [entry.resident() for entry in self._shelves.there()]

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether an error says that memory ran out, of whatever library it is."""
        return is_out_of_memory(error)

    def can_offload(self, device: str) -> bool:
        """Whether weights can stay at the host and take less of a device's memory so."""
        return self._lean is not None and lies_apart(device)

    def missing(self, error: BaseException) -> int:
        """Bytes that could not be had, by an error that says that memory ran out; 0 if unknown."""
        return missing_bytes(error)

    def explain(self, error: BaseException, device: str) -> OutOfMemory:
        """What was needed and what there was, for an error that says that memory ran out."""
        device = device_name(device)
        with self._changed:
            held = self._shelves.held(device)
        return explained(error, device, held)

    def measuring(self, device: str) -> AbstractContextManager[MemoryPeak]:
        """Measure the memory that the inside of the `with` takes at its peak."""
        return measuring(device)

    @contextmanager
    def _using(self, recipe: Recipe, location: str, calls_only: bool) -> Iterator[Any]:
        entry = self._acquire(recipe, location, may_be_compact=calls_only)
        try:
            yield entry.component
        finally:
            self._release(entry)

    def _is_too_large(self, recipe: Recipe, device: str, work: int | None) -> bool:
        """Whether a component has no room on a device beside the work with it, were it alone."""
        if not self.can_offload(device):
            return False
        size = self.size(recipe.base) + (self.size(recipe) if recipe.is_derived else 0)
        room = self._room_beside(device, work)
        with self._changed:
            there = self._shelves.find(recipe, device)
            is_held = there is not None and not there.is_idle
        return not is_held and room is not None and size > room

    def _room_beside(self, device: str, work: int | None) -> int | None:
        free = self._free_beside(device, work)
        with self._changed:
            return self._shelves.room_beside(device, free)

    def _make_room_for_work(self, device: str, work: int | None) -> None:
        """Evict others rather than let work run out of memory that is expected to take more."""
        if work is None or not lies_apart(device):
            return
        free = self._free_beside(device, work)
        if free is None or free >= 0:
            return
        with self._changed:
            leaving = self._shelves.make_room(device, 0, free)
        self._carry_out(leaving)

    @contextmanager
    def _lying_below(self, recipe: Recipe, device: str, calls_only: bool) -> Iterator[Any]:
        """The component of a recipe where it lies while a device has only parts of it."""
        if not lies_apart(device):
            with self._using(recipe, device, calls_only) as component:
                yield component
            return
        with self._changed:
            leaving = self._shelves.vacate(recipe, device)
        self._carry_out(leaving)
        with self._using(recipe, HOST, calls_only) as component:
            yield component

    @contextmanager
    def _lent(self, recipe: Recipe, device: str, made: Lean) -> Iterator[None]:
        """Make room for the parts of a component that are on a device at once, and count them."""
        if not made.bytes:
            yield
            return
        free = self._free(device)
        entry = Placement(recipe, device, made.bytes, pins=1, is_whole=False)
        with self._changed:
            leaving = self._shelves.make_room(device, made.bytes, free)
            self._shelves.lend(entry)
        try:
            self._carry_out(leaving)
            yield
        finally:
            with self._changed:
                self._shelves.take_back(entry)

    def _acquire(self, recipe: Recipe, location: str, *, may_be_compact: bool = False) -> Placement:
        """The entry of a recipe, pinned and filled, by this thread if it is the first to ask."""
        if recipe.is_derived and self._derive is None:
            named = [f"{item.kind} {item.source}" for item in recipe.adapters]
            raise InvalidValue(
                "adapters and speed options can't be put on models here",
                given=", ".join(named) or "speed options",
                expected="a model without",
            )
        need: Need | None = None
        while True:
            with self._changed:
                entry = self._usable(recipe, location, may_be_compact)
                if entry is not None:
                    if self._join(entry):
                        return entry
                    continue
                if need is not None:
                    filling = self._begin(recipe, location, need)
                    break
            need = self._need(recipe, location, may_be_compact=may_be_compact)
        self._fill(filling)
        return filling.entry

    def _settled(self, recipe: Recipe, location: str) -> Placement | None:
        """The entry of a recipe, once neither it nor a copy at the host is being moved."""

        def on_the_move() -> bool:
            here = self._shelves.find(recipe, location)
            if here is not None:
                return here.state is PlacementState.LEAVING
            return self._is_promoted(recipe, location) and self._is_moving(recipe)

        while on_the_move():
            self._changed.wait()
        return self._shelves.find(recipe, location)

    def _usable(self, recipe: Recipe, location: str, may_be_compact: bool) -> Placement | None:
        """As `_settled`, or nothing if it is compact and mustn't be; then it goes if it is idle."""
        entry = self._settled(recipe, location)
        if entry is None or may_be_compact or not entry.is_compact:
            return entry
        if entry.is_idle:
            self._shelves.drop(entry)
        return None

    def _is_moving(self, recipe: Recipe) -> bool:
        source = self._shelves.find(recipe, HOST)
        return source is not None and source.state in (
            PlacementState.COMING,
            PlacementState.LEAVING,
        )

    def _is_promoted(self, recipe: Recipe, location: str) -> bool:
        """Whether a copy at the host is moved rather than loaded again."""
        return location != HOST and self._move is not None and not recipe.is_derived

    def _join(self, entry: Placement) -> bool:
        """Pin an entry; wait for somebody else's load and share its result, or its failure.

        Returns:
            False if it didn't come and that says nothing about this use: ask again.
        """
        self._pin(entry)
        try:
            self._changed.wait_for(lambda: entry.state is not PlacementState.COMING)
        except BaseException:
            self._unpin(entry)
            raise
        if entry.error is not None:
            raise retold(entry.error)
        return entry.state is PlacementState.THERE

    def _begin(
        self, recipe: Recipe, location: str, need: Need, *, may_evict: bool = True
    ) -> _Filling:
        source = None
        if self._is_promoted(recipe, location):
            found = self._shelves.find(recipe, HOST)
            if found is not None and found.is_idle:
                source = found
                self._shelves.take(source)
        is_compact = self._is_compact(recipe, location, need)
        expected = need.bytes(is_compact=is_compact)
        free = need.free if may_evict else None
        leaving = self._shelves.make_room(location, expected, free)
        entry = Placement(recipe, location, expected, pins=1, is_compact=is_compact)
        if self._shelves.find(recipe, location) is None:
            self._shelves.add(entry)
        else:
            # Others are at work with a compact one: this is for one use alone.
            entry.unwanted = True
        is_tight = free is not None and expected > free
        return _Filling(entry, source, leaving, may_evict, is_tight)

    def _need(self, recipe: Recipe, location: str, *, may_be_compact: bool) -> Need:
        compact = None
        could_be = location == HOST and not recipe.is_derived
        if self._compact is not None and may_be_compact and could_be:
            compact = self._compact.size(recipe)
        return Need(self.size(recipe), compact, self._free(location))

    def _is_compact(self, recipe: Recipe, location: str, need: Need) -> bool:
        """Whether a component that isn't there yet is to be held compactly."""
        if need.compact is None or not self._shelves.could_keep(location, need.compact):
            return False
        is_too_large = not self._shelves.could_hold(location, need.full, need.free)
        return is_too_large or self._shelves.was_crowded_out(recipe)

    def _fill(self, filling: _Filling) -> None:
        entry, source = filling.entry, filling.source
        try:
            self._carry_out(filling.leaving)
            if filling.is_tight:
                self._empty_reserves(entry.location)
            component = self._made(filling)
            shared = entry.base.component if entry.base is not None else None
            size = component_bytes(component, besides=shared)
        except BaseException as error:
            # Half a model may hang on its frames, and whoever is told looks for room at once.
            release_frames(error)
            # Whatever happened here, even an interrupt, must not leave the others waiting.
            with self._changed:
                # What evicts nothing tells nothing of a use that may.
                entry.error = _told(error, entry) if filling.may_evict else None
                self._give_up(filling)
            raise
        with self._changed:
            entry.component, entry.bytes, entry.state = component, size, PlacementState.THERE
            if not entry.is_compact:
                self._measured[content_of(entry.recipe)] = size
            if source is not None:
                self._shelves.drop(source)
            self._shelves.touch(entry)
            leaving = self._shelves.make_room(entry.location) if filling.may_evict else []
            self._changed.notify_all()
        try:
            self._carry_out(leaving)
        except BaseException:
            self._release(entry)
            raise

    def _give_up(self, filling: _Filling) -> None:
        base = filling.entry.base
        for entry in (filling.entry, filling.source):
            if entry is not None:
                self._shelves.drop(entry)
        if base is not None:
            self._unpin(base)
        self._changed.notify_all()

    def _made(self, filling: _Filling) -> Any:
        if filling.entry.recipe.is_derived:
            return self._derived(filling)
        if filling.source is not None:
            return self._promoted(filling, filling.source)
        return self._loaded(filling)

    def _loaded(self, filling: _Filling) -> Any:
        entry, compact = filling.entry, self._compact
        if compact is not None and entry.is_compact:
            return self._timed(filling, lambda: compact.load(entry.recipe))
        return self._timed(filling, lambda: self._load(entry.recipe, entry.location))

    def _derived(self, filling: _Filling) -> Any:
        entry, derive = filling.entry, self._derive
        assert derive is not None
        base = self._acquire(entry.recipe.base, entry.location)
        with self._changed:
            entry.base = base
        return self._timed(filling, lambda: derive(base.component, entry.recipe))

    def _promoted(self, filling: _Filling, source: Placement) -> Any:
        """The component moved from the host; loaded anew if memory runs out on the way."""
        assert self._move is not None
        entry = filling.entry
        entry.seconds = source.seconds
        try:
            return self._move(source.component, entry.location)
        except Exception as error:
            if not is_out_of_memory(error) or not filling.may_evict:
                raise
        # Half of it may be on the device: it goes, and what lies in files comes whole.
        source.component = None
        self.relieve(entry.location)
        return self._loaded(filling)

    def _timed(self, filling: _Filling, make: Callable[[], Any]) -> Any:
        """What `make` gives; at its second try, if memory ran out and something could go."""
        entry = filling.entry
        start = self._clock()
        try:
            made = make()
        except Exception as error:
            if not is_out_of_memory(error) or not filling.may_evict:
                raise
        else:
            entry.seconds = self._clock() - start
            return made
        # Outside the handler, so that the first error's frames no longer hold half a model.
        self.relieve(entry.location)
        start = self._clock()
        try:
            made = make()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            release_frames(error)  # so that what is told as taken isn't half of this very model
            raise self._does_not_fit(entry) from error
        entry.seconds = self._clock() - start
        return made

    def _does_not_fit(self, entry: Placement) -> OutOfMemory:
        with self._changed:
            held = self._shelves.held(entry.location)
        need = f"about {size_text(entry.bytes)}" if entry.bytes else "an unknown amount"
        return OutOfMemory(
            f"out of memory on {entry.location} while loading {entry.recipe.source}: it needs "
            f"{need}; {division(entry.location, held)}",
            hint="Load the model with a smaller dtype, or close other programs on that device.",
        )

    def _release(self, entry: Placement) -> None:
        with self._changed:
            self._unpin(entry)
            leaving = self._shelves.make_room(entry.location)
        self._carry_out(leaving)

    def _pin(self, entry: Placement) -> None:
        if not entry.pins and entry.base is not None:
            self._pin(entry.base)
        entry.pins += 1

    def _unpin(self, entry: Placement) -> None:
        entry.pins -= 1
        if entry.state is not PlacementState.THERE:
            return
        self._shelves.touch(entry)
        if entry.pins:
            return
        base = entry.base
        if entry.unwanted:
            self._shelves.drop(entry)
        if base is not None:
            self._unpin(base)

    def _carry_out(self, moves: Sequence[Leaving]) -> None:
        """Move what was evicted to the host. What fails to get there is gone: no harm is done."""
        pending = list(moves)
        try:
            while pending:
                self._demote(pending[-1])
                pending.pop()
        finally:
            # After an interrupt nobody may wait for those that won't come.
            self._lose(pending)

    def _demote(self, leaving: Leaving) -> None:
        assert self._move is not None
        try:
            component = self._move(leaving.entry.component, HOST)
        except Exception as error:  # noqa: BLE001 - whatever it is, the files are still there
            _LOG.debug("could not move %s away: %s", leaving.entry.recipe.source, error)
            self._lose([leaving])
            return
        with self._changed:
            leaving.arriving.component = component
            self._shelves.arrived(leaving)
            self._changed.notify_all()

    def _lose(self, moves: Sequence[Leaving]) -> None:
        if not moves:
            return
        with self._changed:
            for leaving in moves:
                self._shelves.drop(leaving.entry)
                self._shelves.drop(leaving.arriving)
            self._changed.notify_all()

    def _prefetched(self, recipe: Recipe, device: str) -> bool:
        need = self._need(recipe, device, may_be_compact=True)
        with self._changed:
            entry = self._settled(recipe, device)
            if entry is not None:
                # Somebody else loads it, or it is there: to wait is all there is to do.
                there = self._join(entry)
                if there:
                    self._unpin(entry)
                return there
            room, free = self._shelves.room(device), need.free
            expected = need.bytes(is_compact=self._is_compact(recipe, device, need))
            if any(limit is not None and expected > limit for limit in (room, free and free // 2)):
                return False
            filling = self._begin(recipe, device, need, may_evict=False)
        self._fill(filling)
        return self._kept(filling.entry)

    def _kept(self, entry: Placement) -> bool:
        """Let go of what was pre-loaded; it is the first to go if it took more than there is."""
        with self._changed:
            self._unpin(entry)
            room = self._shelves.room(entry.location)
            if entry.is_idle and room is not None and room < 0:
                self._shelves.drop(entry)
            return entry.state is PlacementState.THERE


def _lack(room: int | None) -> str:
    if room is None:
        return "memory ran out"
    return f"there is room for {size_text(max(room, 0))} of weights beside the work"


def _told(error: BaseException, entry: Placement) -> Exception:
    """What those are told who wait for a load that failed."""
    if isinstance(error, Exception):
        return retold(error)
    return NodegraphError(f"loading {entry.recipe.source} was interrupted")


if TYPE_CHECKING:

    def _satisfies(manager: ResidencyManager) -> Weights:
        return manager
