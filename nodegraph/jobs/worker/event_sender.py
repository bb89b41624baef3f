"""A run's events on their way to the server: in batches, as each frame wakes it up."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event as Flag
from threading import Lock, Thread
from time import sleep

from nodegraph.core.events import Event, Listener
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


class EventSender:
    """Sends the events of one job after the other.

    Args:
        began: Is called with the name of each node that begins, before all else; with none when a
            job does.
        ended: Is called when a job is over, before that is told.

    Attributes:
        alive: Counts all events.
        node: That began last; None between jobs.
    """

    def __init__(
        self,
        outbox: Outbox,
        began: Callable[[str], object],
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        self._outbox = outbox
        self._began = began
        self._ended = ended
        # Taken in this order. Nobody waits for the second one while another writes to the server.
        self._sending = Lock()
        self._lock = Lock()
        self._waiting: list[Event] = []
        self._job = ("", 0)
        self._is_over = True
        self._is_awake = Flag()
        self._thread = Thread(target=self._work, name="nodegraph-events", daemon=True)
        self.alive = 0
        self.node: str | None = None

    def start(self) -> None:
        """Begin to send what waits."""
        self._thread.start()

    def begin(self, job: str, attempt: int) -> Listener:
        """The listener for a job that begins; what it is told after the job's end is left out."""
        self._began("")
        self.node = None
        self._job = mine = (job, attempt)
        self._is_over = False

        def take(event: Event) -> None:
            # A thread that a node left behind may still tell something.
            if self._job is mine and not self._is_over:
                self._take(event)

        return take

    def end(self) -> list[Event]:
        """The job is over: its events that weren't sent yet, after those that were."""
        self.node = None
        self._is_over = True
        self._ended()
        with self._sending:
            return self._taken()

    def _take(self, event: Event) -> None:
        self.alive += 1
        if event.kind == "node.started" and event.node is not None:
            self._began(event.node)
            self.node = event.node
        with self._lock:
            self._keep(event)
            count = len(self._waiting)
        if count >= _MOST:
            self._flush()
        elif not self._is_awake.is_set():
            self._is_awake.set()

    def _keep(self, event: Event) -> None:
        waiting = self._waiting
        # A picture that nobody has seen yet is of no use once there is a newer one.
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

    def _work(self) -> None:
        while self._is_awake.wait():
            idle = 0
            while idle < _IDLE_PERIODS:
                sleep(PERIOD)
                idle = 0 if self._flush() else idle + 1
            self._is_awake.clear()
            # Something may have come since the last look, from who saw no need to wake this up.
            self._flush()

    def _flush(self) -> bool:
        """Send what waits; whether there was anything."""
        with self._sending:
            waiting = self._taken()
            if waiting:
                self.send(waiting)
            return bool(waiting)

    def send(self, events: list[Event]) -> None:
        """Send events of the job, in parts if they are too large together."""
        try:
            self._outbox.send(RunEvents(*self._job, events))
        except ProtocolFault as fault:
            if len(events) == 1:
                self._outbox.send(RunEvents(*self._job, [_told_instead(events[0], fault)]))
                return
            half = len(events) // 2
            self.send(events[:half])
            self.send(events[half:])


def _told_instead(event: Event, fault: ProtocolFault) -> Event:
    """In place of an event that can't be sent, such as a preview of a size beyond all bounds."""
    return Event(event.number, event.kind, event.node, event.seconds, {"omitted": str(fault)})
