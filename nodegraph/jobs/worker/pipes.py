"""Pipes of a worker process: read orders of the server, and send it messages and events of jobs."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import TextIOWrapper
from threading import Event as Flag
from threading import Lock, Thread
from time import sleep
from typing import Protocol

from nodegraph.core.events import Event
from nodegraph.jobs.supervisor import platforms
from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.jobs.supervisor.messages import RunEvents, read_order
from nodegraph.jobs.supervisor.protocol import FrameReader, FrameWriter, Message

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pipes:
    """File descriptors: what the server says, and what it is told."""

    orders: int
    reports: int


def take_pipes() -> Pipes:
    """Take standard input and output for oneself.

    From then on who reads standard input finds nothing, and what is printed goes to standard
    error, line by line.
    """
    pipes = Pipes(os.dup(0), os.dup(1))
    for descriptor in (pipes.orders, pipes.reports):
        platforms.use_bytes(descriptor)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    return pipes


class Outbox:
    """Sends messages until nobody reads them any more; then it is silent.

    Args:
        descriptor: To write to.
        broken: Is called, once, when nobody reads any more.
    """

    def __init__(self, descriptor: int, broken: Callable[[], object]) -> None:
        self._writer = FrameWriter(descriptor)
        self._broken = broken
        self._is_open = True

    def send(self, *messages: Message) -> None:
        """Send messages, one after the other; returns once they are in the pipe.

        Raises:
            ProtocolFault: One can't be sent; nothing was.
        """
        if not self._is_open:
            return
        try:
            self._writer.write(*[message.as_dict() for message in messages])
        except OSError:
            self._is_open = False
            self._broken()


def call_threadsafe(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
    """Have the loop call a function; nothing happens if the loop is closed: all is over then."""
    try:
        loop.call_soon_threadsafe(act)
    except RuntimeError:
        if not loop.is_closed():
            raise


class OrderReader:
    """Reads what the server says until it says no more.

    Args:
        descriptor: To read from.
        on_message: Is called with each message, in the listening thread.
        over: Is called there once nothing more will come: the server is gone.
    """

    def __init__(
        self, descriptor: int, on_message: Callable[[Message], object], over: Callable[[], object]
    ) -> None:
        self._reader = FrameReader(descriptor)
        self._told = on_message
        self._over = over
        # It waits for the server, and must not keep the process from ending meanwhile.
        self._thread = Thread(target=self._work, name="nodegraph-orders", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def _work(self) -> None:
        try:
            while (message := self._reader.read()) is not None:
                self._told(read_order(message))
        except (ProtocolFault, OSError) as error:
            _LOG.error("a message of the server is not understood: %s", error)
        finally:
            self._over()


PERIOD = 0.01
"""Seconds that events wait for more at most. A job that is over sooner is told of in one frame."""
_IDLE_PERIODS = 10
"""After which the thread that sends them goes to sleep: waking it costs more than its looking."""
_THINNED = 256
"""Events that wait, above which progress replaces older progress of its node."""
_MOST = 4096
"""Events that wait, above which whoever tells more has to wait, too."""


class CrashNotes(Protocol):
    """Where it is noted what a worker does, in case that it dies; `Recorder` is one."""

    def begin(self, job: str) -> None:
        """A job begins."""

    def note(self, job: str, node: str) -> None:
        """A node of a job begins, before it is told."""

    def end(self, job: str) -> None:
        """A job is over, before that is told."""


class NoNotes:
    """Notes nothing, for what nobody answers for; see `CrashNotes`."""

    def begin(self, job: str) -> None:
        return

    def note(self, job: str, node: str) -> None:
        return

    def end(self, job: str) -> None:
        return


class EventSender:
    """Sends the events of the jobs that run.

    Args:
        notes: Are told of jobs and nodes before all else.

    Attributes:
        alive: Counts all events.
    """

    def __init__(self, outbox: Outbox, notes: CrashNotes) -> None:
        self.outbox = outbox
        self.notes = notes
        self._open: tuple[JobEvents, ...] = ()
        # Nobody waits for a job's own lock while another writes to the server.
        self.sending = Lock()
        self._is_awake = Flag()
        self._thread = Thread(target=self._work, name="nodegraph-events", daemon=True)
        self.alive = 0

    @property
    def node(self) -> str | None:
        """One that began last in a job that runs; None if there is none."""
        return next((each.node for each in self._open if each.node is not None), None)

    def start(self) -> None:
        """Begin to send what waits."""
        self._thread.start()

    def begin(self, job: str, attempt: int) -> JobEvents:
        """The listener for a job that begins."""
        self.notes.begin(job)
        events = JobEvents(self, job, attempt)
        self._open = (*self._open, events)
        return events

    def close(self, events: JobEvents) -> None:
        """A job is over; called in the thread that began it."""
        self._open = tuple(each for each in self._open if each is not events)

    def wake(self) -> None:
        """Something waits to be sent."""
        if not self._is_awake.is_set():
            self._is_awake.set()

    def _work(self) -> None:
        while self._is_awake.wait():
            idle = 0
            while idle < _IDLE_PERIODS:
                sleep(PERIOD)
                idle = 0 if self.flush() else idle + 1
            self._is_awake.clear()
            # Something may have come since the last look, from who saw no need to wake this up.
            self.flush()

    def flush(self) -> bool:
        """Send what waits; whether there was anything."""
        was_any = False
        with self.sending:
            for each in self._open:
                was_any = each.flush() or was_any
        return was_any


class JobEvents:
    """The events of one job: called with each, from any thread.

    What it is called with after the job's end is left out.

    Attributes:
        node: That began last.
    """

    def __init__(self, sender: EventSender, job: str, attempt: int) -> None:
        self._sender = sender
        self._job = job
        self._attempt = attempt
        self._lock = Lock()
        self._waiting: list[Event] = []
        self._is_over = False
        self.node: str | None = None

    def __call__(self, event: Event) -> None:
        # A thread that a node left behind may still tell something.
        if self._is_over:
            return
        sender = self._sender
        sender.alive += 1
        if event.kind == "node.started" and event.node is not None:
            sender.notes.note(self._job, event.node)
            self.node = event.node
        with self._lock:
            self._keep(event)
            count = len(self._waiting)
        if count >= _MOST:
            sender.flush()
        else:
            sender.wake()

    def end(self) -> list[Event]:
        """The job is over: its events that weren't sent yet, after those that were."""
        self.node = None
        self._is_over = True
        self._sender.notes.end(self._job)
        with self._sender.sending:
            self._sender.close(self)
            return self._taken()

    def _keep(self, event: Event) -> None:
        waiting = self._waiting
        # An image that nobody has seen yet is of no use once there is a newer one.
        if event.kind == "node.preview" or (
            event.kind == "node.progress" and len(waiting) > _THINNED
        ):
            for at in range(len(waiting) - 1, -1, -1):
                if waiting[at].kind == event.kind and waiting[at].node == event.node:
                    del waiting[at]
                    break
        waiting.append(event)

    def _taken(self) -> list[Event]:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        return waiting

    def flush(self) -> bool:
        """As `EventSender.flush`, by whoever holds its `sending`."""
        waiting = self._taken()
        if waiting:
            self.send(waiting)
        return bool(waiting)

    def send(self, events: list[Event]) -> None:
        """Send events, in parts if they are too large together."""
        try:
            self._sender.outbox.send(RunEvents(self._job, self._attempt, events))
        except ProtocolFault as fault:
            if len(events) == 1:
                replacement = _omitted_event(events[0], fault)
                self._sender.outbox.send(RunEvents(self._job, self._attempt, [replacement]))
                return
            half = len(events) // 2
            self.send(events[:half])
            self.send(events[half:])


def _omitted_event(event: Event, fault: ProtocolFault) -> Event:
    """In place of an event that can't be sent, such as a preview of a size beyond all bounds."""
    return Event(event.number, event.kind, event.node, event.seconds, {"omitted": str(fault)})
