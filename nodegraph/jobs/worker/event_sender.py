"""Runs' events on their way to the server: in batches, as each frame wakes it up."""

from __future__ import annotations

from threading import Event as Flag
from threading import Lock, Thread
from time import sleep
from typing import Protocol

from nodegraph.core.events import Event
from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.jobs.supervisor.messages import RunEvents
from nodegraph.jobs.worker.pipes import Outbox

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
