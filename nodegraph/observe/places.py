"""Which track of a lane shows a call: one for each of those that run in it at once."""

from __future__ import annotations

from heapq import heappop, heappush


class Places:
    """Gives calls the lowest free place of their lane, and takes it back."""

    def __init__(self) -> None:
        self._free: dict[str, list[int]] = {}
        self._count: dict[str, int] = {}

    def take(self, lane: str) -> int:
        """The lowest free place of a lane, from 0."""
        free = self._free.setdefault(lane, [])
        if free:
            return heappop(free)
        place = self._count.get(lane, 0)
        self._count[lane] = place + 1
        return place

    def leave(self, lane: str, place: int) -> None:
        """A place is free again."""
        heappush(self._free[lane], place)
