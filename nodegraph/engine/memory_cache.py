"""Results in memory, by key, within a budget of bytes."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from threading import Lock

from nodegraph.core.keys import Key
from nodegraph.engine.product import Product
from nodegraph.store.entries import CallWarning

_OVERHEAD = 1_024
"""Bytes of an entry itself, with its key and digests."""


@dataclass(frozen=True, slots=True)
class CallOutputs:
    """What a call gave.

    Attributes:
        products: One for each output port.
        seconds: That computing it took.
        warnings: What its node said of it.
    """

    products: tuple[Product, ...]
    seconds: float = 0.0
    warnings: tuple[CallWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class AskedPort:
    """A node with lazy inputs asked for this one next; its digest leads to the next key."""

    port: str


Entry = CallOutputs | AskedPort


@dataclass(slots=True, eq=False)
class _Kept:
    """An entry with what decides when it goes.

    Attributes:
        level: The cache's level at its last use.
        turn: Counts uses; of equal scores the one used longest ago goes first.
        worth: Seconds to compute it again for each byte.
    """

    key: Key
    entry: Entry
    size: int
    level: float
    turn: int
    worth: float = field(init=False)

    def __post_init__(self) -> None:
        seconds = self.entry.seconds if isinstance(self.entry, CallOutputs) else 0.0
        self.worth = seconds / self.size

    @property
    def score(self) -> tuple[float, int]:
        return (self.level + self.worth, self.turn)


class MemoryCache:
    """Keeps what is dearest to compute again for each byte, and what was used last.

    GreedyDual-Size (Cao and Irani 1997): an entry's score is seconds / bytes plus the level at its
    last use; the lowest goes first, and its score becomes the level. Safe to use from any thread.

    Args:
        budget: Bytes that results may take in all; a larger single result isn't kept.
    """

    def __init__(self, budget: int = 1 << 30) -> None:
        self.budget = budget
        self.used = 0
        self._kept: dict[Key, _Kept] = {}
        self._heap: list[tuple[tuple[float, int], _Kept]] = []
        self._turns = count()
        self._level = 0.0
        self._lock = Lock()
        self._changed: dict[Key, None] | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Key) -> Entry | None:
        """The entry of a key, if it is still there."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        # Its place in the heap is mended when it comes up for eviction.
        kept.level = self._level
        kept.turn = next(self._turns)
        return kept.entry

    def peek(self, key: Key) -> Entry | None:
        """The same, which counts as no use."""
        kept = self._kept.get(key)
        return None if kept is None else kept.entry

    def take_changed_keys(self) -> list[Key]:
        """The keys under which something was put or let go since this was asked last.

        Noted from the first time on that it is asked.
        """
        with self._lock:
            changed_keys, self._changed = self._changed, {}
        return list(changed_keys or ())

    def put(self, key: Key, entry: Entry) -> None:
        """Keep an entry, as far as there is room."""
        size = entry_size(entry)
        with self._lock:
            self._forget(key)
            if size > self.budget:
                return
            kept = self._kept[key] = _Kept(key, entry, size, self._level, next(self._turns))
            if self._changed is not None:
                self._changed.pop(key, None)
                self._changed[key] = None
            heapq.heappush(self._heap, (kept.score, kept))
            self.used += size
            self._make_room()

    def update_size(self, key: Key) -> None:
        """Values of an entry have come into memory since it was put here."""
        kept = self._kept.get(key)
        if kept is not None:
            self.put(key, kept.entry)

    def forget(self, key: Key) -> None:
        """Let go of an entry."""
        with self._lock:
            self._forget(key)

    def forget_if(self, is_unwanted: Callable[[Entry], bool]) -> None:
        """Let go of some entries."""
        with self._lock:
            for key in [key for key, kept in self._kept.items() if is_unwanted(kept.entry)]:
                self._forget(key)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            if self._changed is not None:
                self._changed.update(dict.fromkeys(self._kept))
            self._kept.clear()
            self._heap.clear()
            self.used = 0

    def _forget(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.used -= kept.size
            if self._changed is not None:
                self._changed[key] = None

    def _make_room(self) -> None:
        while self.used > self.budget:
            score, kept = heapq.heappop(self._heap)
            if self._kept.get(kept.key) is not kept:
                continue
            if kept.score != score:  # used since
                heapq.heappush(self._heap, (kept.score, kept))
                continue
            self._level = score[0]
            self._forget(kept.key)
        if len(self._heap) > 2 * len(self._kept) + 64:
            self._heap = [(kept.score, kept) for kept in self._kept.values()]
            heapq.heapify(self._heap)


def entry_size(entry: Entry) -> int:
    """Bytes that an entry takes in memory, about."""
    if isinstance(entry, AskedPort):
        return _OVERHEAD
    return _OVERHEAD + sum(product.resident_size for product in entry.products)
