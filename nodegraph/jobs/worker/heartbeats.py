"""The signs of life that a worker gives, from a thread of their own, and the memory it has."""

from __future__ import annotations

import sys
from collections.abc import Callable
from threading import Event as Flag
from threading import Thread
from typing import Any

import psutil

from nodegraph.core.patience import PATIENCE
from nodegraph.jobs.supervisor.messages import Heartbeat
from nodegraph.jobs.supervisor.platforms import held_memory
from nodegraph.jobs.worker.event_sender import EventSender
from nodegraph.jobs.worker.pipes import Outbox

PERIOD = 1.0
"""Seconds."""


class ProcessMemory:
    """Measures this process."""

    def __init__(self) -> None:
        self._process = psutil.Process()

    def used(self) -> int:
        """Bytes of the host's memory, see `held_memory`."""
        return held_memory(self._process)

    def used_on_device(self) -> int | None:
        """Bytes that torch has taken on accelerators; None as long as it has taken none."""
        torch: Any = sys.modules.get("torch")
        # Half imported, it has no `cuda` yet; and asking must not be what starts a device up.
        cuda: Any = getattr(torch, "cuda", None)
        is_initialized = getattr(cuda, "is_initialized", None)
        if is_initialized is None or not is_initialized():
            return None
        return sum(int(cuda.memory_reserved(at)) for at in range(cuda.device_count()))


class Heartbeats:
    """Tells regularly that this process lives.

    A node that holds the interpreter for long holds them up, too: that is what they are for.

    Args:
        job: Gives the id of the job that it has.
    """

    def __init__(self, outbox: Outbox, events: EventSender, job: Callable[[], str | None]) -> None:
        self._outbox = outbox
        self._events = events
        self._job = job
        self._memory = ProcessMemory()
        self._is_over = Flag()
        self._thread = Thread(target=self._work, name="nodegraph-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _work(self) -> None:
        while True:
            self._outbox.send(
                Heartbeat(
                    self._job(),
                    self._events.node,
                    self._memory.used(),
                    self._memory.used_on_device(),
                    self._events.alive,
                    PATIENCE.stuck(),
                )
            )
            if self._is_over.wait(PERIOD):
                return

    def stop(self) -> None:
        """End them."""
        self._is_over.set()
        self._thread.join()
