"""How many jobs an hour workers bring to an end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic

EVERY = 10.0
"""Seconds between two looks."""
WINDOW = 600.0
"""Seconds that a pace is of, at most."""
_HOUR = 3600.0


class Throughput:
    """Remembers for each worker how many jobs it had done at each of the last looks.

    Args:
        done: Jobs that each worker has brought to an end since it was first started.
        clock: Seconds, from any start.
    """

    def __init__(
        self, done: Callable[[], Mapping[str, int]], clock: Callable[[], float] = monotonic
    ) -> None:
        self._done = done
        self._clock = clock
        self._looks: dict[str, deque[tuple[float, int]]] = {}

    async def run(self) -> None:
        """Look every now and then, for ever."""
        while True:
            self.sample()
            await asyncio.sleep(EVERY)

    def sample(self) -> None:
        """Remember how it is now."""
        now, before, self._looks = self._clock(), self._looks, {}
        for worker, done in self._done().items():
            looks = before.get(worker, deque())
            if looks and looks[-1][1] > done:
                looks.clear()  # another one of that name
            looks.append((now, done))
            while now - looks[0][0] > WINDOW:
                looks.popleft()
            self._looks[worker] = looks

    def per_hour(self, worker: str, done: int) -> float | None:
        """The pace of a worker that has done so many; None as long as it is too new to tell."""
        looks = self._looks.get(worker)
        if not looks:
            return None
        since, before = looks[0]
        seconds = self._clock() - since
        if seconds < EVERY or done < before:
            return None
        return (done - before) / seconds * _HOUR
