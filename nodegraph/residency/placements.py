"""Placements of components on devices: budgets, and what is evicted to make room."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count
from typing import Any

from blake3 import blake3

from nodegraph.core.values import Recipe, TextEncoder

HOST = "cpu"
"""Where components lie that left an accelerator, and where those for the CPU are."""

Content = tuple[Any, ...]
"""What makes two recipes the same component, wherever their files lie."""

PlacementKey = tuple[Content, str]
"""A component at a place."""


class PlacementState(Enum):
    """Where a component is on its way."""

    LOADING = auto()
    RESIDENT = auto()
    MOVING = auto()
    GONE = auto()


@dataclass(frozen=True, slots=True)
class Resident:
    """A component in memory.

    Attributes:
        bytes: Of its parameters and buffers; of one with adapters only what they add.
        pins: How many users hold it right now; 0 means it may be evicted.
        is_whole: Whether all of its weights are there, not only as many at a time.
    """

    recipe: Recipe
    device: str
    bytes: int
    pins: int
    is_whole: bool = True


@dataclass(slots=True, eq=False)
class Placement:
    """A component at a place, from the moment that somebody asks for it.

    Attributes:
        bytes: Measured, or expected as long as it is coming.
        seconds: That loading it took, or putting adapters on it.
        error: Why it didn't come, if others are to fail with it; without the frames of the load.
        pins: How many users hold it or wait for it.
        last_used: A count that rises with each use.
        score: What it is worth to be kept; the lowest goes first.
        base: Whose weights it shares; pinned while this one is.
        is_compact: Whether it takes less memory, and more time at each use.
        drop_when_idle: To be dropped as soon as nobody uses it.
        is_awaited: Whether nobody has used it since it came.
        is_whole: Whether all of its weights are there; else it is one user's own.
    """

    recipe: Recipe
    location: str
    bytes: int
    state: PlacementState = PlacementState.LOADING
    component: Any = None
    seconds: float = 0.0
    error: Exception | None = None
    pins: int = 0
    last_used: int = 0
    score: float = 0.0
    base: Placement | None = None
    is_compact: bool = False
    drop_when_idle: bool = False
    is_awaited: bool = False
    is_whole: bool = True

    @property
    def key(self) -> PlacementKey:
        """Its content and place."""
        return content_of(self.recipe), self.location

    @property
    def is_idle(self) -> bool:
        """Whether it is there and nobody uses it."""
        return self.state is PlacementState.RESIDENT and not self.pins

    def resident(self) -> Resident:
        """What may be told of it."""
        return Resident(self.recipe, self.location, self.bytes, self.pins, self.is_whole)


def device_name(device: str) -> str:
    """The one name of a device, by which budgets, costs and peaks are kept."""
    return "cuda:0" if device == "cuda" else device


def resident_name(recipe: Recipe, device: str) -> str:
    """Names a component in a device's memory, alike in all processes, in a few words."""
    content = blake3(repr(content_of(recipe)).encode()).hexdigest(6)
    return f"{device} {recipe.family} {type(recipe).__qualname__} {recipe.dtype} {content}"


def content_of(recipe: Recipe) -> Content:
    """What makes a component: equal for recipes of equal content."""
    adapters = tuple(
        (item.kind, item.digest, item.strength, item.modules, item.token)
        for item in recipe.adapters
    )
    kind = type(recipe).__qualname__
    return kind, recipe.family, recipe.digest, recipe.dtype, recipe.options, adapters


MOVING_RATE = 8 * 2**30
"""Bytes per second between host and accelerator: about what a PCI Express 4.0 link carries. As it
is the same for all, what comes back this way goes in the order of its last use."""


class GreedyDual:
    """Scores by which to evict: seconds to bring back, per byte, on top of a rising level.

    The level of a place is the score of what was evicted there last. What is used gets its score
    anew from the present level, so that in the end the dear and unused goes too.

    Source: Cao & Irani 1997, "Cost-Aware WWW Proxy Caching Algorithms", GreedyDual-Size.
    """

    def __init__(self) -> None:
        self._levels: defaultdict[str, float] = defaultdict(float)

    def score(self, location: str, seconds: float, size: int) -> float:
        """What something is worth that was used just now.

        Args:
            seconds: That it takes to bring it back.
            size: Bytes.
        """
        return self._levels[location] + seconds / max(size, 1)

    def evicted(self, location: str, score: float) -> None:
        """Let the level rise, as something of this score went."""
        self._levels[location] = max(self._levels[location], score)


Worth = tuple[float, int]
"""What an entry is worth to be kept, and when it was used last; the lowest goes first."""


class EncoderRounds:
    """What text encoders are worth once their prompts are encoded: what they were worth before.

    A run uses its text encoder first and its other components after that, so the least recently
    used of them would be one that the run still needs. An encoder counts as used when it was last
    used before other components were at work: it goes before these, and after what was used in no
    run since.
    """

    def __init__(self) -> None:
        self._worked: dict[str, int] = {}
        self._last: dict[Content, Worth] = {}
        self._before: dict[Content, Worth] = {}

    def note_work(self, location: str, at: int) -> None:
        """Note that a component that is no text encoder was used at a place."""
        self._worked[location] = at

    def note_encoding(self, entry: Placement) -> None:
        """Note that a text encoder was used just now."""
        content = content_of(entry.recipe)
        last = self._last.get(content, _NEVER)
        if self._worked.get(entry.location, 0) > last[1]:
            self._before[content] = last
        self._last[content] = entry.score, entry.last_used

    def worth(self, entry: Placement) -> Worth:
        """What an idle text encoder is worth."""
        return self._before.get(content_of(entry.recipe), _NEVER)


_NEVER: Worth = (0.0, 0)


@dataclass(frozen=True, slots=True)
class HostMove:
    """A component that is to be moved to the host's memory."""

    entry: Placement
    target: Placement


class Placements:
    """The entries at all places, within their budgets. The manager's lock guards it.

    What is evicted from an accelerator goes to the host's memory if it has room, or can be given
    it; from there, and derived from another, it goes for good. There, text encoders go first: see
    `EncoderRounds`.

    Args:
        budgets: Bytes per place; ``host`` bounds the host's memory just as ``cpu`` does.
        default_budget: Bytes of a place that has none there; None for no limit.
        has_host_tier: Whether components can be moved from accelerators to the host.
    """

    def __init__(
        self,
        budgets: Mapping[str, int],
        default_budget: Callable[[str], int | None] = lambda location: None,
        *,
        has_host_tier: bool,
    ) -> None:
        self._budgets = {device_name(device): size for device, size in budgets.items()}
        self._default_budget = default_budget
        if "host" in budgets:
            self._budgets[HOST] = min(budgets["host"], budgets.get(HOST, budgets["host"]))
        self._has_host_tier = has_host_tier
        self._given = dict(self._budgets)
        self._entries: dict[PlacementKey, Placement] = {}
        self._in_parts: list[Placement] = []
        self._crowded_out: set[Content] = set()
        self._policy = GreedyDual()
        self._rounds = EncoderRounds()
        self._clock = count(1)

    def find(self, recipe: Recipe, location: str) -> Placement | None:
        """The entry of a recipe at a place."""
        return self._entries.get((content_of(recipe), location))

    def was_crowded_out(self, recipe: Recipe) -> bool:
        """Whether a recipe's component had to leave the host for lack of room."""
        return content_of(recipe) in self._crowded_out

    def forget_crowded_out(self) -> None:
        """Forget what had to leave."""
        self._crowded_out.clear()

    def entries(self, location: str | None = None) -> list[Placement]:
        """Those at a place, or all."""
        return [item for item in self._entries.values() if location in (None, item.location)]

    def residents(self) -> list[Placement]:
        """What is in memory, least recently used first."""
        placed = [item for item in self._entries.values() if item.state is PlacementState.RESIDENT]
        return sorted([*placed, *self._in_parts], key=_last_used)

    def held(self, location: str) -> int:
        """Bytes that are at a place."""
        return sum(item.bytes for item in self.residents() if item.location == location)

    def add_partial(self, entry: Placement) -> None:
        """Note what is there of a component that comes in parts, until `remove_partial`."""
        entry.state, entry.last_used = PlacementState.RESIDENT, next(self._clock)
        if not isinstance(entry.recipe, TextEncoder):
            self._rounds.note_work(entry.location, entry.last_used)
        self._in_parts.append(entry)

    def remove_partial(self, entry: Placement) -> None:
        """Forget an entry that was lent."""
        self._in_parts.remove(entry)

    def add(self, entry: Placement) -> Placement:
        """Note something that is coming."""
        self._entries[entry.key] = entry
        return entry

    def drop(self, entry: Placement) -> None:
        """Forget an entry and what shares its weights, and let go of the component."""
        for other in self._sharing(entry):
            self.drop(other)
        if self._entries.get(entry.key) is entry:
            del self._entries[entry.key]
        entry.state = PlacementState.GONE
        entry.component = entry.base = None

    def begin_move(self, entry: Placement) -> None:
        """Note that an entry is being moved away, and let go of what shares its weights."""
        for other in self._sharing(entry):
            self.drop(other)
        entry.state = PlacementState.MOVING

    def touch(self, entry: Placement, *, is_use: bool = True) -> None:
        """Note that an entry was used just now.

        Args:
            is_use: Whether its user is done; else it came, and is yet to be used.
        """
        entry.last_used = next(self._clock)
        entry.is_awaited = not is_use
        self._rate(entry)
        if not is_use:
            return
        if isinstance(entry.recipe, TextEncoder):
            self._rounds.note_encoding(entry)
        else:
            self._rounds.note_work(entry.location, entry.last_used)

    def room(self, location: str) -> int | None:
        """Bytes within the budget that are free; below 0 if it is overdrawn, None without limit."""
        budget = self._budget(location)
        return None if budget is None else budget - self._used(location)

    def make_room(self, location: str, needed: int = 0, free: int | None = None) -> list[HostMove]:
        """Evict what is worth least and not in use until `needed` more bytes fit, or all is gone.

        Args:
            free: Bytes that the place has left for them, whatever the budget says; None where that
                isn't known.
        Returns:
            What is to be moved to the host; all else was dropped at once.
        """
        leaving: list[HostMove] = []
        for entry in self._by_worth(location):
            room = self.room(location)
            if (room is None or needed <= room) and (free is None or needed <= free):
                break
            if free is not None:
                free += entry.bytes
            leaving += self._evict(entry)
        return leaving

    def could_hold(self, location: str, size: int, free: int | None) -> bool:
        """Whether so many bytes are free at a place, or would be if all went that isn't in use."""
        return free is None or size <= free + sum(item.bytes for item in self._idle(location))

    def could_keep(self, location: str, size: int) -> bool:
        """Whether so many bytes are within a place's budget, were they all that is there."""
        budget = self._budget(location)
        return budget is None or size <= budget

    def room_beside(self, location: str, free: int | None) -> int | None:
        """Bytes that a component may take at a place if all went that isn't in use.

        Args:
            free: Bytes of memory that are free, less those for work; None where that isn't known.
        Returns:
            None where there is no limit. A budget counts if it was given: one that goes by the
            device's memory says no more than `free`.
        """
        budget = self._given.get(location)
        if free is not None:
            free += sum(item.bytes for item in self._idle(location))
        limits = [limit for limit in (budget, free) if limit is not None]
        return min(limits, default=None)

    def vacate(self, recipe: Recipe, location: str) -> list[HostMove]:
        """Evict a recipe's component and the weights below it, if they aren't in use."""
        candidates = [self.find(item, location) for item in (recipe, recipe.base)]
        idle = [entry for entry in candidates if entry is not None and entry.is_idle]
        return [gone for entry in dict.fromkeys(idle) for gone in self._evict(entry)]

    def clear(self, location: str, keep: Iterable[Recipe] = ()) -> list[HostMove]:
        """Evict all that isn't in use at a place; see `make_room`.

        Args:
            keep: Recipes whose components stay, and those whose weights these share.
        """
        stay = [entry for recipe in keep if (entry := self.find(recipe, location)) is not None]
        kept = {id(entry) for entry in (*stay, *(entry.base for entry in stay))}
        leaving = [entry for entry in self._by_worth(location) if id(entry) not in kept]
        return [gone for entry in leaving for gone in self._evict(entry)]

    def end_move(self, leaving: HostMove) -> None:
        """Note that a component that was leaving is at the host now."""
        arriving = leaving.target
        self.drop(leaving.entry)
        arriving.state = PlacementState.RESIDENT
        self._rate(arriving)
        if arriving.drop_when_idle and arriving.is_idle:
            self.drop(arriving)

    def _budget(self, location: str) -> int | None:
        known = self._budgets.get(location)
        if known is None and (known := self._default_budget(location)) is not None:
            self._budgets[location] = known
        return known

    def _evict(self, entry: Placement) -> list[HostMove]:
        if entry.state is not PlacementState.RESIDENT:
            return []  # it went along with what it shares weights with
        self._policy.evicted(entry.location, entry.score)
        if not self._goes_to_host(entry) or not self._make_host_room(entry):
            if entry.location == HOST:
                self._crowded_out.add(content_of(entry.recipe))
            self.drop(entry)
            return []
        self.begin_move(entry)
        arriving = Placement(
            entry.recipe, HOST, entry.bytes, seconds=entry.seconds, last_used=entry.last_used
        )
        return [HostMove(entry, self.add(arriving))]

    def _make_host_room(self, entry: Placement) -> bool:
        """Whether the host took nothing of the kind yet and has room now; else nothing changes."""
        if self.find(entry.recipe, HOST) is not None:
            return False
        room = self.room(HOST)
        if room is not None:
            if room + sum(item.bytes for item in self._idle(HOST)) < entry.bytes:
                return False
            self.make_room(HOST, entry.bytes)
        return True

    def _goes_to_host(self, entry: Placement) -> bool:
        budget = self._budget(HOST)
        fits = budget is None or entry.bytes <= budget
        return (
            self._has_host_tier and entry.location != HOST and not entry.recipe.is_derived and fits
        )

    def _rate(self, entry: Placement) -> None:
        seconds = entry.bytes / MOVING_RATE if self._goes_to_host(entry) else entry.seconds
        entry.score = self._policy.score(entry.location, seconds, entry.bytes)

    def _used(self, location: str) -> int:
        # What is leaving counts at the place that it leaves for.
        return sum(
            item.bytes
            for item in (*self._entries.values(), *self._in_parts)
            if item.location == location and item.state is not PlacementState.MOVING
        )

    def _idle(self, location: str) -> list[Placement]:
        return [item for item in self.entries(location) if item.is_idle]

    def _by_worth(self, location: str) -> list[Placement]:
        return sorted(self._idle(location), key=self._worth)

    def _worth(self, entry: Placement) -> Worth:
        is_read = isinstance(entry.recipe, TextEncoder) and not entry.is_awaited
        if is_read and self._goes_to_host(entry):
            return self._rounds.worth(entry)
        return entry.score, entry.last_used

    def _sharing(self, base: Placement) -> list[Placement]:
        return [item for item in self._entries.values() if item.base is base]


def _last_used(entry: Placement) -> int:
    return entry.last_used
