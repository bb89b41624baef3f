"""Results in memory, by key, within a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from nodegraph.core.keys import Key
from nodegraph.engine.artifact import Artifact


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a call gave: one artifact for each output port."""

    artifacts: tuple[Artifact, ...]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A node with lazy inputs asked for this one next; its digest leads to the next key."""

    port: str


Entry = Outputs | Asked


class Cache(Protocol):
    """Where results are kept. Called from the event loop only."""

    def get(self, key: Key) -> Entry | None:
        """The entry of a key, if it is still there."""

    def put(self, key: Key, entry: Entry) -> None:
        """Keep an entry, as far as there is room."""


class MemoryCache:
    """Keeps the results used last, within a budget.

    Args:
        budget: Bytes that results may take in all; a larger single result isn't kept.
    """

    def __init__(self, budget: int = 1 << 30) -> None:
        self.budget = budget
        self.used = 0
        self._entries: OrderedDict[Key, tuple[Entry, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Key) -> Entry | None:
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def put(self, key: Key, entry: Entry) -> None:
        size = _size(entry)
        if size > self.budget:
            return
        self._forget(key)
        self._entries[key] = (entry, size)
        self.used += size
        while self.used > self.budget:
            self._forget(next(iter(self._entries)))

    def _forget(self, key: Key) -> None:
        known = self._entries.pop(key, None)
        if known is not None:
            self.used -= known[1]

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self.used = 0


class NoCache:
    """Keeps nothing."""

    def get(self, key: Key) -> Entry | None:
        return None

    def put(self, key: Key, entry: Entry) -> None:
        pass


_ENTRY_OVERHEAD = 256


def _size(entry: Entry) -> int:
    if isinstance(entry, Asked):
        return _ENTRY_OVERHEAD
    return _ENTRY_OVERHEAD + sum(artifact.size for artifact in entry.artifacts)
