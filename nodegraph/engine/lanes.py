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
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import Any

from nodegraph.errors import Cancelled

Priority = tuple[float, ...]
"""Smaller goes first."""
Work = Callable[[], Any]
Done = Callable[[Any, BaseException | None], None]


@dataclass(order=True)
class _Entry:
    """Work that waits for a place."""

    priority: Priority
    count: int
    owner: object = field(compare=False)
    loop: AbstractEventLoop = field(compare=False)
    work: Work = field(compare=False)
    done: Done = field(compare=False)


class Lane:
    """Threads that take ready work in order of priority.

    Its methods are for the event loop's thread.

    Args:
        name: As shown, such as ``cpu`` or ``cuda:0``.
        places: How many calls run at once.
    """

    def __init__(self, name: str, places: int) -> None:
        self.name = name
        self.places = places
        self._threads = ThreadPoolExecutor(places, thread_name_prefix=f"nodegraph-{name}")
        self._ready: list[_Entry] = []
        self._count = count()
        self._lock = Lock()
        self._taken = 0
        self._closed = False

    def submit(
        self,
        owner: object,
        loop: AbstractEventLoop,
        priority: Priority,
        work: Work,
        done: Done,
    ) -> None:
        """Run `work` in a thread when its turn comes; `done` gets its result, on the loop.

        Args:
            owner: Whose it is, for `withdraw`.
        """
        if self._closed:
            done(None, Cancelled("the engine was closed"))
            return
        heapq.heappush(self._ready, _Entry(priority, next(self._count), owner, loop, work, done))
        self._start_ready()

    def withdraw(self, owner: object, error: BaseException) -> None:
        """Answer what an owner's work still waits for a place with an error."""
        withdrawn = [entry for entry in self._ready if entry.owner is owner]
        self._ready = [entry for entry in self._ready if entry.owner is not owner]
        heapq.heapify(self._ready)
        for entry in withdrawn:
            entry.done(None, error)

    def forget_waiting(self) -> None:
        """Drop what waits, without an answer: its event loop is gone."""
        self._ready.clear()

    def _start_ready(self) -> None:
        while self._ready and self._take_place():
            entry = heapq.heappop(self._ready)
            self._threads.submit(self._run, entry)

    def _take_place(self) -> bool:
        with self._lock:
            free = self._taken < self.places
            self._taken += free
            return free

    def _leave_place(self) -> None:
        with self._lock:
            self._taken -= 1

    def _run(self, entry: _Entry) -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = entry.work()
        except BaseException as caught:  # noqa: BLE001 - the border with node code: the loop decides what it means
            error = caught
        self._leave_place()
        try:
            entry.loop.call_soon_threadsafe(self._finish, entry.done, result, error)
        except RuntimeError:
            # Its loop was closed: whoever ran this gave it up. Others may wait for the place.
            self._wake_next()

    def _wake_next(self) -> None:
        for entry in tuple(self._ready)[:1]:
            entry.loop.call_soon_threadsafe(self._start_ready)

    def _finish(self, done: Done, result: Any, error: BaseException | None) -> None:
        # First what this result makes ready, so that it competes with what waits already.
        try:
            done(result, error)
        finally:
            self._start_ready()

    def close(self) -> None:
        """Start nothing more; threads end when their call does, and what waits is told."""
        self._closed = True
        waiting, self._ready = self._ready, []
        for entry in waiting:
            entry.loop.call_soon_threadsafe(entry.done, None, Cancelled("the engine was closed"))
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

    def withdraw(self, owner: object, error: BaseException) -> None:
        """Answer what an owner's work still waits for a place with an error."""
        for lane in self._lanes.values():
            lane.withdraw(owner, error)

    def forget_waiting(self) -> None:
        """Drop what waits, without an answer: its event loop is gone."""
        for lane in self._lanes.values():
            lane.forget_waiting()

    def close(self) -> None:
        """End all lanes."""
        for lane in self._lanes.values():
            lane.close()
