"""What lies where, and what has to go to make room: bookkeeping without threads or tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

from nodegraph.core.values import Recipe
from nodegraph.residency.entries import HOST, Content, Entry, Key, State, content_of
from nodegraph.residency.policy import MOVING_RATE, GreedyDual


@dataclass(frozen=True, slots=True)
class Leaving:
    """A component that is to be moved to the host's memory."""

    entry: Entry
    arriving: Entry


class Shelves:
    """The entries at all places, within their budgets. The manager's lock guards it.

    What is evicted from an accelerator goes to the host's memory if it has room, or can be given
    it; from there, and with adapters, it goes for good.

    Args:
        budgets: Bytes per place; ``host`` bounds the host's memory just as ``cpu`` does.
        has_host_tier: Whether components can be moved from accelerators to the host.
    """

    def __init__(self, budgets: Mapping[str, int], *, has_host_tier: bool) -> None:
        self._budgets = dict(budgets)
        if "host" in budgets:
            self._budgets[HOST] = min(budgets["host"], budgets.get(HOST, budgets["host"]))
        self._has_host_tier = has_host_tier
        self._entries: dict[Key, Entry] = {}
        self._crowded_out: set[Content] = set()
        self._policy = GreedyDual()
        self._clock = count(1)

    def find(self, recipe: Recipe, location: str) -> Entry | None:
        """The entry of a recipe at a place."""
        return self._entries.get((content_of(recipe), location))

    def was_crowded_out(self, recipe: Recipe) -> bool:
        """Whether a recipe's component had to leave the host for lack of room."""
        return content_of(recipe) in self._crowded_out

    def forgive(self) -> None:
        """Forget what had to leave."""
        self._crowded_out.clear()

    def entries(self, location: str | None = None) -> list[Entry]:
        """Those at a place, or all."""
        return [item for item in self._entries.values() if location in (None, item.location)]

    def there(self) -> list[Entry]:
        """What is in memory, least recently used first."""
        found = [item for item in self._entries.values() if item.state is State.THERE]
        return sorted(found, key=_last_used)

    def add(self, entry: Entry) -> Entry:
        """Note something that is coming."""
        self._entries[entry.key] = entry
        return entry

    def drop(self, entry: Entry) -> None:
        """Forget an entry and what shares its weights, and let go of the component."""
        for other in self._sharing(entry):
            self.drop(other)
        if self._entries.get(entry.key) is entry:
            del self._entries[entry.key]
        entry.state = State.GONE
        entry.component = entry.base = None

    def take(self, entry: Entry) -> None:
        """Note that an entry is being moved away, and let go of what shares its weights."""
        for other in self._sharing(entry):
            self.drop(other)
        entry.state = State.LEAVING

    def touch(self, entry: Entry) -> None:
        """Note that an entry was used just now."""
        entry.last_used = next(self._clock)
        self._rate(entry)

    def room(self, location: str) -> int | None:
        """Bytes within the budget that are free; below 0 if it is overdrawn, None without limit."""
        budget = self._budgets.get(location)
        return None if budget is None else budget - self._used(location)

    def make_room(self, location: str, needed: int = 0, free: int | None = None) -> list[Leaving]:
        """Evict what is worth least and not in use until `needed` more bytes fit, or all is gone.

        Args:
            free: Bytes that the place has left for them, whatever the budget says; None where that
                isn't known.
        Returns:
            What is to be moved to the host; all else was dropped at once.
        """
        leaving: list[Leaving] = []
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
        return size <= self._budgets.get(location, size)

    def clear(self, location: str) -> list[Leaving]:
        """Evict all that isn't in use at a place; see `make_room`."""
        return [gone for entry in self._by_worth(location) for gone in self._evict(entry)]

    def arrived(self, leaving: Leaving) -> None:
        """Note that a component that was leaving is at the host now."""
        arriving = leaving.arriving
        self.drop(leaving.entry)
        arriving.state = State.THERE
        self._rate(arriving)
        if arriving.unwanted and arriving.is_idle:
            self.drop(arriving)

    def _evict(self, entry: Entry) -> list[Leaving]:
        if entry.state is not State.THERE:
            return []  # it went along with what it shares weights with
        self._policy.evicted(entry.location, entry.score)
        if not self._goes_to_host(entry) or not self._make_host_room(entry):
            if entry.location == HOST:
                self._crowded_out.add(content_of(entry.recipe))
            self.drop(entry)
            return []
        self.take(entry)
        arriving = Entry(
            entry.recipe, HOST, entry.bytes, seconds=entry.seconds, last_used=entry.last_used
        )
        return [Leaving(entry, self.add(arriving))]

    def _make_host_room(self, entry: Entry) -> bool:
        """Whether the host took nothing of the kind yet and has room now; else nothing changes."""
        if self.find(entry.recipe, HOST) is not None:
            return False
        room = self.room(HOST)
        if room is not None:
            if room + sum(item.bytes for item in self._idle(HOST)) < entry.bytes:
                return False
            self.make_room(HOST, entry.bytes)
        return True

    def _goes_to_host(self, entry: Entry) -> bool:
        budget = self._budgets.get(HOST)
        fits = budget is None or entry.bytes <= budget
        return self._has_host_tier and entry.location != HOST and not entry.recipe.adapters and fits

    def _rate(self, entry: Entry) -> None:
        seconds = entry.bytes / MOVING_RATE if self._goes_to_host(entry) else entry.seconds
        entry.score = self._policy.score(entry.location, seconds, entry.bytes)

    def _used(self, location: str) -> int:
        # What is leaving counts at the place that it leaves for.
        return sum(
            item.bytes
            for item in self._entries.values()
            if item.location == location and item.state is not State.LEAVING
        )

    def _idle(self, location: str) -> list[Entry]:
        return [item for item in self.entries(location) if item.is_idle]

    def _by_worth(self, location: str) -> list[Entry]:
        return sorted(self._idle(location), key=_worth)

    def _sharing(self, base: Entry) -> list[Entry]:
        return [item for item in self._entries.values() if item.base is base]


def _last_used(entry: Entry) -> int:
    return entry.last_used


def _worth(entry: Entry) -> tuple[float, int]:
    return entry.score, entry.last_used
