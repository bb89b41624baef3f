"""Lanes: where calls run. A serial one for each compute device, pools for the rest.

A lane holds what is ready in order of priority and starts a call only when it has a free place,
so that something more urgent that becomes ready meanwhile goes first.
"""

from __future__ import annotations

import heapq
import os
from asyncio import AbstractEventLoop
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

Priority = tuple[float, ...]
"""Smaller goes first."""
Work = Callable[[], Any]
Done = Callable[[Any, BaseException | None], None]


class Lane:
    """Threads that take ready work in order of priority.

    Args:
        name: As shown, such as ``cpu`` or ``cuda:0``.
        places: How many calls run at once.
    """

    def __init__(self, name: str, places: int) -> None:
        self.name = name
        self.places = places
        self._threads = ThreadPoolExecutor(places, thread_name_prefix=f"nodegraph-{name}")
        self._ready: list[tuple[Priority, int, AbstractEventLoop, Work, Done]] = []
        self._count = count()
        self._running = 0

    def submit(self, loop: AbstractEventLoop, priority: Priority, work: Work, done: Done) -> None:
        """Run `work` in a thread when its turn comes; `done` is called on the loop with its result.

        Must be called on the loop's thread.
        """
        heapq.heappush(self._ready, (priority, next(self._count), loop, work, done))
        self._start_ready()

    def _start_ready(self) -> None:
        while self._ready and self._running < self.places:
            _, _, loop, work, done = heapq.heappop(self._ready)
            self._running += 1
            self._threads.submit(self._run, loop, work, done)

    def _run(self, loop: AbstractEventLoop, work: Work, done: Done) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as caught:  # noqa: BLE001 - the border with node code: the loop decides what it means
            error = caught
        loop.call_soon_threadsafe(self._finish, done, result, error)

    def _finish(self, done: Done, result: Any, error: BaseException | None) -> None:
        self._running -= 1
        try:
            done(result, error)
        finally:
            self._start_ready()

    def close(self) -> None:
        """Start nothing more; threads end when their call does."""
        self._ready.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)


class Lanes:
    """The lanes of one engine.

    Args:
        device: Compute device of the ``gpu`` lane, ``cpu`` where there is no accelerator.
        cpu_places: Threads for other CPU work; the number of cores if not given.
        io_places: Threads for waiting on files and networks.
    """

    def __init__(
        self, device: str = "cpu", *, cpu_places: int | None = None, io_places: int = 16
    ) -> None:
        self.device = device
        self._lanes = {
            "gpu": Lane(device, 1),
            "cpu": Lane("pool", cpu_places or os.cpu_count() or 1),
            "io": Lane("io", io_places),
        }

    def __getitem__(self, lane: str) -> Lane:
        return self._lanes[lane]

    def close(self) -> None:
        """End all lanes."""
        for lane in self._lanes.values():
            lane.close()
