"""What a worker holds in memory, and how much there is of it, kept for the planner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nodegraph.jobs.supervisor.messages import MemoryUpdate, Ready

NO_MEMORY = MemoryUpdate({}, [], [], is_all=True)
"""There is no worker that a plan could be for."""


class WorkerMemory:
    """What one worker process has told of its memory."""

    def __init__(self) -> None:
        self._results: dict[str, Any] = {}
        self._gone: set[str] = set()
        self._new: dict[str, Any] = {}
        self._weights: list[str] = []

    @property
    def weights(self) -> Sequence[str]:
        """Names of those in memory."""
        return self._weights

    def apply(self, stock: MemoryUpdate) -> None:
        """Its worker tells what has changed."""
        for key in stock.gone:
            self._results.pop(key, None)
            self._new.pop(key, None)
            self._gone.add(key)
        self._results.update(stock.results)
        self._new.update(stock.results)
        self._weights = list(stock.weights)

    def to_update(self, *, is_known: bool) -> MemoryUpdate:
        """What a plan has to know, besides what was handed out before.

        Args:
            is_known: Whether who asks has got that.
        """
        if is_known:
            changes = MemoryUpdate(self._new, sorted(self._gone), self._weights)
        else:
            changes = MemoryUpdate(dict(self._results), [], self._weights, is_all=True)
        self._new, self._gone = {}, set()
        return changes


def rooms_of(workers: Iterable[Ready]) -> dict[str, Mapping[str, Any]]:
    """The memory of the workers' devices by their kind; of several of a kind, the largest."""
    rooms: dict[str, Mapping[str, Any]] = {}
    for ready in workers:
        kind = ready.device.partition(":")[0]
        if ready.room is None:
            continue
        if kind not in rooms or _size(ready.room) > _size(rooms[kind]):
            rooms[kind] = ready.room
    return rooms


def _size(room: Mapping[str, Any]) -> tuple[int, int]:
    # Of one card that several share, what the first one found free.
    return room["total"], room["free"]
