"""The process around a worker's role: messages, heartbeats, signals, shutdown."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import platform
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from importlib import metadata
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING, Any

import psutil

from nodegraph.core.garbage_collection import collect_rarely
from nodegraph.core.pack_faults import WATCHDOG
from nodegraph.core.version import VERSION
from nodegraph.jobs.supervisor.crash_evidence import Recorder
from nodegraph.jobs.supervisor.messages import Heartbeat, Ready, Shutdown
from nodegraph.jobs.supervisor.platforms import held_memory
from nodegraph.jobs.supervisor.protocol import Message
from nodegraph.jobs.supervisor.worker_spec import Launch
from nodegraph.jobs.worker.pipes import EventSender, OrderReader, Outbox, Pipes

if TYPE_CHECKING:
    from nodegraph.jobs.worker.planner import Role
    from nodegraph.session.session import Session

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
                    WATCHDOG.overdue_work(),
                )
            )
            if self._is_over.wait(PERIOD):
                return

    def stop(self) -> None:
        """End them."""
        self._is_over.set()
        self._thread.join()


_LOG = logging.getLogger(__name__)

_ALONE = 10.0
"""Seconds that this process may need to end by itself once the server is gone."""


class Process:
    """Runs one role until the server wants it to end, or is gone."""

    def __init__(self, launch: Launch, pipes: Pipes) -> None:
        self._launch = launch
        self._pipes = pipes
        self._recorder = Recorder(launch.recorder)
        # Both have it open now; a server that is killed leaves nothing behind.
        self._recorder.unlink()
        self._outbox = Outbox(pipes.reports, self._handle_server_gone)
        self._events = EventSender(self._outbox, self._recorder)
        self._heartbeats = Heartbeats(self._outbox, self._events, self._job)
        self._role: Role | None = None
        self._is_ending = False

    def _job(self) -> str | None:
        return None if self._role is None else self._role.job

    def run(self) -> None:
        """Live; returns once it is over."""
        gc.disable()  # for the imports of the start, which make no garbage
        self._heartbeats.start()
        self._events.start()
        # Imported only now, as it takes a while, in which the server hears that this lives.
        from nodegraph.jobs.worker.startup import open_role

        loop = asyncio.new_event_loop()
        try:
            with open_role(self._launch, self._outbox, self._events, loop) as (role, session):
                self._role = role
                self._install_signal_handlers(loop)
                OrderReader(
                    self._pipes.orders, self._handle_message, self._handle_server_gone
                ).start()
                collect_rarely()
                self._outbox.send(self._ready(session))
                loop.run_until_complete(role.serve())
        finally:
            loop.close()
            self._heartbeats.stop()

    def _ready(self, session: Session) -> Ready:
        role, device = self._launch.role, session.environment.device
        # The planner is told of the workers'.
        room = session.room() if role == "worker" else None
        room_fields = None if room is None else asdict(room)
        return Ready(os.getpid(), role, device, _versions(), room_fields)

    def _handle_message(self, message: Message) -> None:
        assert self._role is not None
        if isinstance(message, Shutdown):
            self._end("the server is stopping")
        else:
            self._role.receive(message)

    def _end(self, reason: str) -> None:
        self._is_ending = True
        if self._role is not None:
            self._role.end(reason)

    def _handle_server_gone(self) -> None:
        """The server is gone, or isn't understood."""
        timer = threading.Timer(_ALONE, os._exit, (1,))
        timer.daemon = True
        timer.start()
        self._end("the server has ended")

    def _install_signal_handlers(self, loop: asyncio.AbstractEventLoop) -> None:
        # Where the loop can't, the system ends the process at once.
        with suppress(NotImplementedError):
            loop.add_signal_handler(signal.SIGTERM, self._terminated)

    def _terminated(self) -> None:
        if self._is_ending:
            os._exit(128 + signal.SIGTERM)
        self._end("it was asked to end")


def _versions() -> dict[str, str]:
    versions = {"nodegraph": VERSION, "python": platform.python_version()}
    with suppress(metadata.PackageNotFoundError):
        versions["torch"] = metadata.version("torch")
    return versions
