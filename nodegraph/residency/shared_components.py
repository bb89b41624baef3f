"""Components that are loaded once, shared while in use, moved and evicted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

from nodegraph.core.context import report_progress
from nodegraph.core.garbage_collection import copy_without_frames, release_frames
from nodegraph.core.values import Recipe
from nodegraph.errors import Cancelled, InvalidValue, NodegraphError
from nodegraph.residency.component_loading import ComponentMaker, LoadPolicy, Need, component_bytes
from nodegraph.residency.placements import (
    HOST,
    Content,
    HostMove,
    Placement,
    Placements,
    PlacementState,
    Resident,
    content_of,
)

_LOG = logging.getLogger(__name__)
_PAUSE = 0.1
"""Seconds after which whoever waits for another's load looks whether its run was cancelled."""


@dataclass(slots=True)
class _LoadTask:
    """What a thread has to do for an entry that it is the first to ask for.

    Attributes:
        source: The same at the host, to be moved from there.
        leaving: What has to be moved away first.
        may_evict: Whether others may be evicted if it takes more than was expected.
        is_tight: Whether others had to go as memory, not only the budget, had no room for it.
    """

    entry: Placement
    source: Placement | None
    leaving: Sequence[HostMove] = field(default_factory=list)
    may_evict: bool = True
    is_tight: bool = False


class SharedComponents:
    """The components of recipes at places. Safe to use from several threads.

    Args:
        making: How they are made.
        shelves: Where they are noted; nobody else changes it.
    """

    def __init__(self, making: LoadPolicy, shelves: Placements) -> None:
        self._making = making
        self._maker = ComponentMaker(making, self.relieve, self.held)
        self._shelves = shelves
        self._measured: dict[Content, int] = {}
        self._changed = Condition()

    @contextmanager
    def using(self, recipe: Recipe, location: str, *, may_be_compact: bool) -> Iterator[Any]:
        """The component of a recipe at a place, kept inside the `with`.

        Raises:
            NodegraphError: It can't be made there.
        """
        entry = self._acquire(recipe, location, may_be_compact=may_be_compact)
        try:
            yield entry.component
        finally:
            self._release(entry)

    def prefetch(self, recipe: Recipe, device: str) -> bool:
        """Load a recipe's component in this thread if there is room without evicting anything.

        It takes at most half of the memory that is free, as what is at work needs some, too.

        Returns:
            Whether it is there now. What is missing or doesn't fit is no error here.
        """
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
        if recipe.is_derived or self._making.estimate is None:
            return 0
        return self._making.estimate(recipe)

    def relieve(self, device: str, *, keep: Iterable[Recipe] = ()) -> int:
        """Evict all on a device that isn't in use, and free what the framework holds in reserve.

        Args:
            keep: Recipes whose components stay, with what they share weights with.
        Returns:
            Bytes of weights that left the device.
        """
        with self._changed:
            before = self._shelves.held(device)
            leaving = self._shelves.clear(device, keep)
            freed = before - self._shelves.held(device)
        self._carry_out(leaving)
        self._making.empty_reserves(device)
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
                entry.drop_when_idle = True
            for entry in idle:
                self._shelves.drop(entry)
            self._shelves.forget_crowded_out()
            return freed

    def resident(self) -> list[Resident]:
        """What is in memory, least recently used first."""
        with self._changed:
            return [entry.resident() for entry in self._shelves.residents()]

    def held(self, location: str) -> int:
        """Bytes that are at a place."""
        with self._changed:
            return self._shelves.held(location)

    def is_in_use(self, recipe: Recipe, location: str) -> bool:
        """Whether a recipe's component is at a place, or on its way, and isn't idle."""
        with self._changed:
            entry = self._shelves.find(recipe, location)
            return entry is not None and not entry.is_idle

    def room_beside(self, location: str, free: int | None) -> int | None:
        """See `Placements.room_beside`."""
        with self._changed:
            return self._shelves.room_beside(location, free)

    def make_room(self, location: str, needed: int, free: int | None) -> None:
        """See `Placements.make_room`."""
        with self._changed:
            leaving = self._shelves.make_room(location, needed, free)
        self._carry_out(leaving)

    def vacate(self, recipe: Recipe, location: str) -> None:
        """See `Placements.vacate`."""
        with self._changed:
            leaving = self._shelves.vacate(recipe, location)
        self._carry_out(leaving)

    @contextmanager
    def counting(self, entry: Placement, free: int | None) -> Iterator[None]:
        """Make room for a part of a component that is at a place, and count it, inside the `with`.

        Args:
            free: See `Placements.make_room`.
        """
        with self._changed:
            leaving = self._shelves.make_room(entry.location, entry.bytes, free)
            self._shelves.add_partial(entry)
        try:
            self._carry_out(leaving)
            yield
        finally:
            with self._changed:
                self._shelves.remove_partial(entry)

    def _acquire(self, recipe: Recipe, location: str, *, may_be_compact: bool = False) -> Placement:
        """The entry of a recipe, pinned and filled, by this thread if it is the first to ask."""
        if recipe.is_derived and self._making.derive is None:
            named = [f"{item.kind} {item.source}" for item in recipe.adapters]
            raise InvalidValue(
                "adapters and speed options cannot be applied to models here",
                given=", ".join(named) or "speed options",
                expected="a model without them",
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
        self._load(filling)
        return filling.entry

    def _settled(self, recipe: Recipe, location: str) -> Placement | None:
        """The entry of a recipe, once neither it nor a copy at the host is being moved."""

        def on_the_move() -> bool:
            here = self._shelves.find(recipe, location)
            if here is not None:
                return here.state is PlacementState.MOVING
            return self._is_promoted(recipe, location) and self._is_moving(recipe)

        self._wait_while(on_the_move)
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
            PlacementState.LOADING,
            PlacementState.MOVING,
        )

    def _is_promoted(self, recipe: Recipe, location: str) -> bool:
        """Whether a copy at the host is moved rather than loaded again."""
        return location != HOST and self._making.move is not None and not recipe.is_derived

    def _join(self, entry: Placement) -> bool:
        """Pin an entry; wait for somebody else's load and share its result, or its failure.

        Returns:
            False if it didn't come and that says nothing about this use: ask again.
        """
        self._pin(entry)
        try:
            self._wait_while(lambda: entry.state is PlacementState.LOADING)
        except BaseException:
            self._unpin(entry)
            raise
        if entry.error is not None:
            raise copy_without_frames(entry.error)
        return entry.state is PlacementState.RESIDENT

    def _wait_while(self, is_so: Callable[[], bool]) -> None:
        """Wait, in short pieces, as another's load may take long: it may have to be fetched.

        Raises:
            Cancelled: The run of the node that waits here was cancelled.
        """
        while is_so():
            report_progress(0, 1)
            self._changed.wait(_PAUSE)

    def _begin(
        self, recipe: Recipe, location: str, need: Need, *, may_evict: bool = True
    ) -> _LoadTask:
        source = None
        if self._is_promoted(recipe, location):
            host_copy = self._shelves.find(recipe, HOST)
            if host_copy is not None and host_copy.is_idle:
                source = host_copy
                self._shelves.begin_move(source)
        is_compact = self._is_compact(recipe, location, need)
        expected = need.bytes(is_compact=is_compact)
        free = need.free if may_evict else None
        leaving = self._shelves.make_room(location, expected, free)
        entry = Placement(recipe, location, expected, pins=1, is_compact=is_compact)
        if self._shelves.find(recipe, location) is None:
            self._shelves.add(entry)
        else:
            # Others are at work with a compact one: this is for one use alone.
            entry.drop_when_idle = True
        is_tight = free is not None and expected > free
        return _LoadTask(entry, source, leaving, may_evict, is_tight)

    def _need(self, recipe: Recipe, location: str, *, may_be_compact: bool) -> Need:
        compact = None
        could_be = location == HOST and not recipe.is_derived
        if self._making.compact is not None and may_be_compact and could_be:
            compact = self._making.compact.size(recipe)
        return Need(self.size(recipe), compact, self._making.free(location))

    def _is_compact(self, recipe: Recipe, location: str, need: Need) -> bool:
        """Whether a component that isn't there yet is to be held compactly."""
        if need.compact is None or not self._shelves.could_keep(location, need.compact):
            return False
        is_too_large = not self._shelves.could_hold(location, need.full, need.free)
        return is_too_large or self._shelves.was_crowded_out(recipe)

    def _load(self, filling: _LoadTask) -> None:
        entry, source = filling.entry, filling.source
        try:
            self._carry_out(filling.leaving)
            if filling.is_tight:
                self._making.empty_reserves(entry.location)
            if entry.recipe.is_derived:
                base = self._acquire(entry.recipe.base, entry.location)
                with self._changed:
                    entry.base = base
            component = self._maker.made(entry, source, may_evict=filling.may_evict)
            shared = entry.base.component if entry.base is not None else None
            size = component_bytes(component, besides=shared)
        except BaseException as error:
            # Half a model may hang on its frames, and whoever is told looks for room at once.
            release_frames(error)
            # Whatever happened here, even an interrupt, must not leave the others waiting.
            with self._changed:
                # What evicts nothing tells nothing of a use that may, and one run that is cancelled
                # nothing of another's: they try it themselves.
                is_told = filling.may_evict and not isinstance(error, Cancelled)
                entry.error = _error_for_waiter(error, entry) if is_told else None
                self._give_up(filling)
            raise
        with self._changed:
            entry.component, entry.bytes, entry.state = component, size, PlacementState.RESIDENT
            if not entry.is_compact:
                self._measured[content_of(entry.recipe)] = size
            if source is not None:
                self._shelves.drop(source)
            self._shelves.touch(entry, is_use=False)
            leaving = self._shelves.make_room(entry.location) if filling.may_evict else []
            self._changed.notify_all()
        try:
            self._carry_out(leaving)
        except BaseException:
            self._release(entry)
            raise

    def _give_up(self, filling: _LoadTask) -> None:
        base = filling.entry.base
        for entry in (filling.entry, filling.source):
            if entry is not None:
                self._shelves.drop(entry)
        if base is not None:
            self._unpin(base)
        self._changed.notify_all()

    def _release(self, entry: Placement) -> None:
        with self._changed:
            self._unpin(entry)
            leaving = self._shelves.make_room(entry.location)
        self._carry_out(leaving)

    def _pin(self, entry: Placement) -> None:
        if not entry.pins and entry.base is not None:
            self._pin(entry.base)
        entry.pins += 1

    def _unpin(self, entry: Placement, *, is_use: bool = True) -> None:
        entry.pins -= 1
        if entry.state is not PlacementState.RESIDENT:
            return
        self._shelves.touch(entry, is_use=is_use)
        if entry.pins:
            return
        base = entry.base
        if entry.drop_when_idle:
            self._shelves.drop(entry)
        if base is not None:
            self._unpin(base, is_use=is_use)

    def _carry_out(self, moves: Sequence[HostMove]) -> None:
        """Move what was evicted to the host. What fails to get there is gone: no harm is done."""
        pending = list(moves)
        try:
            while pending:
                self._demote(pending[-1])
                pending.pop()
        finally:
            # After an interrupt nobody may wait for those that won't come.
            self._lose(pending)

    def _demote(self, leaving: HostMove) -> None:
        assert self._making.move is not None
        try:
            component = self._making.move(leaving.entry.component, HOST)
        except Exception as error:  # noqa: BLE001 - whatever it is, the files are still there
            _LOG.debug("could not move %s off its device: %s", leaving.entry.recipe.source, error)
            self._lose([leaving])
            return
        with self._changed:
            leaving.target.component = component
            self._shelves.end_move(leaving)
            self._changed.notify_all()

    def _lose(self, moves: Sequence[HostMove]) -> None:
        if not moves:
            return
        with self._changed:
            for leaving in moves:
                self._shelves.drop(leaving.entry)
                self._shelves.drop(leaving.target)
            self._changed.notify_all()

    def _prefetched(self, recipe: Recipe, device: str) -> bool:
        need = self._need(recipe, device, may_be_compact=True)
        is_at_hand = self._making.is_local(recipe)
        with self._changed:
            entry = self._settled(recipe, device)
            if entry is not None:
                # Somebody else loads it, or it is there: to wait is all there is to do.
                there = self._join(entry)
                if there:
                    self._unpin(entry, is_use=False)
                return there
            if not is_at_hand and self._shelves.find(recipe, HOST) is None:
                return False
            room, free = self._shelves.room(device), need.free
            expected = need.bytes(is_compact=self._is_compact(recipe, device, need))
            if any(limit is not None and expected > limit for limit in (room, free and free // 2)):
                return False
            filling = self._begin(recipe, device, need, may_evict=False)
        self._load(filling)
        return self._kept(filling.entry)

    def _kept(self, entry: Placement) -> bool:
        """Let go of what was pre-loaded; it is the first to go if it took more than there is."""
        with self._changed:
            self._unpin(entry, is_use=False)
            room = self._shelves.room(entry.location)
            if entry.is_idle and room is not None and room < 0:
                self._shelves.drop(entry)
            return entry.state is PlacementState.RESIDENT


def _error_for_waiter(error: BaseException, entry: Placement) -> Exception:
    """What those are told who wait for a load that failed."""
    if isinstance(error, Exception):
        return copy_without_frames(error)
    return NodegraphError(f"loading {entry.recipe.source} was interrupted")
