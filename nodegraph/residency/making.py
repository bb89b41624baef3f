"""How components are made: loaded, moved from the host, or derived from others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nodegraph.core.frames import release_frames
from nodegraph.core.values import Recipe
from nodegraph.residency.entries import Placement
from nodegraph.residency.failures import OutOfMemory, describe_usage, is_out_of_memory, size_text
from nodegraph.residency.needs import Compact


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
        need = f"about {size_text(entry.bytes)}" if entry.bytes else "an unknown amount"
        return OutOfMemory(
            f"out of memory on {entry.location} while loading {entry.recipe.source}: it needs "
            f"{need}; {describe_usage(entry.location, held)}",
            hint="Load the model with a smaller dtype, or close other programs on that device.",
        )
