"""Figures of jobs and nodes, from the events that everybody reads."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import Job, JobEvent
from nodegraph.jobs.queue.reader import QueueView
from nodegraph.jobs.supervisor.queue_reads import QueueReads
from nodegraph.server.operations.metrics.figures import OTHER, BoundedLabel, MetricFamilies

_MOST_WAITING = 10_000
"""Jobs of which it is remembered since when they wait."""
_MOST_TYPES = 500


@dataclass(slots=True)
class _Run:
    """An attempt that goes on.

    Attributes:
        since: When it began.
        types: Of its nodes, as far as they have begun.
    """

    since: float
    types: dict[str, str] = field(default_factory=dict)


class JobMetrics:
    """Counts what happens; a listener of `EventTail`.

    Times are between the moments at which events are heard here, a moment after they happened: the
    machine's clock may jump.

    Args:
        queue: Tells of jobs that waited already when this server started.
        clock: Seconds; only differences count.
    """

    def __init__(
        self, figures: MetricFamilies, queue: QueueView, clock: Callable[[], float] = monotonic
    ) -> None:
        self._figures = figures
        self._queue = queue
        self._looks = QueueReads(queue, threads=1)
        self._clock = clock
        self._waiting: OrderedDict[str, float] = OrderedDict()
        self._running: dict[str, _Run] = {}
        self._types = BoundedLabel(_MOST_TYPES)
        self._sources = BoundedLabel(10, ("memory", "disk", "files", "shared"))
        self._reasons = BoundedLabel(10, ("released", "died", "recovered"))
        self._handlers: dict[str, Callable[[JobEvent], None]] = {
            "job.queued": self._queued,
            "job.requeued": self._requeued,
            "job.retried": self._waits,
            "job.unheld": self._waits,
            "job.held": self._held,
            "job.claimed": self._claimed,
            "job.finished": self._ended,
            "job.failed": self._ended,
            "job.cancelled": self._ended,
            "node.started": self._node_started,
            "node.finished": self._node_finished,
            "nodes.cached": self._nodes_cached,
            "node.failed": self._node_failed,
            "node.skipped": self._node_skipped,
        }

    def handle_events(self, events: Sequence[JobEvent]) -> None:
        """Count some events, in order."""
        for event in events:
            handler = self._handlers.get(event.kind)
            if handler is not None:
                handler(event)
        if events:
            self._figures.events.inc(len(events))

    # Jobs.

    def _queued(self, event: JobEvent) -> None:
        self._figures.submitted.inc()
        self._waits(event)

    def _requeued(self, event: JobEvent) -> None:
        self._running.pop(event.job, None)
        self._figures.requeued.labels(self._reasons(_text(event, "reason"))).inc()
        self._waits(event)

    def _waits(self, event: JobEvent) -> None:
        self._waiting[event.job] = self._clock()
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.popitem(last=False)

    def _held(self, event: JobEvent) -> None:
        self._waiting.pop(event.job, None)

    def _claimed(self, event: JobEvent) -> None:
        now = self._clock()
        since = self._waiting.pop(event.job, None)
        if since is not None:
            self._figures.waits.observe(now - since)
        else:
            # Only the queue remembers since when, by the machine's clock.
            look = partial(self._queue.get, event.job)
            self._looks.then(look, partial(self._observe_wait, event))
        self._running[event.job] = _Run(now)

    def _observe_wait(self, event: JobEvent, lookup: Future[Job]) -> None:
        with suppress(NodegraphError):  # it was deleted since, or can't be read
            self._figures.waits.observe(max(0.0, event.at - lookup.result().created))

    def _ended(self, event: JobEvent) -> None:
        state = event.kind.removeprefix("job.")
        self._waiting.pop(event.job, None)
        run = self._running.pop(event.job, None)
        if run is not None:
            self._figures.runs.labels(state).observe(self._clock() - run.since)
        self._figures.ended.labels(state).inc()

    # Nodes.

    def _node_started(self, event: JobEvent) -> None:
        run = self._running.get(event.job)
        if run is not None and event.node is not None:
            run.types[_node(event)] = _text(event, "type")

    def _node_finished(self, event: JobEvent) -> None:
        figures, data = self._figures, event.data
        run = self._running.get(event.job)
        kind = None if run is None else run.types.pop(_node(event), None)
        seconds = data.get("seconds")
        if isinstance(seconds, (int, float)):
            figures.node_seconds.labels(self._types(kind or OTHER)).observe(max(0.0, seconds))
        figures.nodes.labels("computed").inc()
        calls, cached = _count(data.get("calls"), 1), _count(data.get("cached"), 0)
        figures.cache_misses.inc(max(0, calls - cached))
        if cached:
            # Of a node that is mapped over a list; where they were found isn't told of each.
            figures.cache_hits.labels(self._sources("some")).inc(cached)

    def _nodes_cached(self, event: JobEvent) -> None:
        nodes = event.data.get("nodes")
        many = len(nodes) if isinstance(nodes, list) else 0
        self._figures.nodes.labels("cached").inc(many)
        self._figures.cache_hits.labels(self._sources(_text(event, "source"))).inc(many)
        saved = event.data.get("saved")
        if isinstance(saved, (int, float)) and saved > 0:
            self._figures.cache_saved.inc(saved)

    def _node_failed(self, event: JobEvent) -> None:
        self._figures.nodes.labels("failed").inc()

    def _node_skipped(self, event: JobEvent) -> None:
        self._figures.nodes.labels("skipped").inc()


def _node(event: JobEvent) -> str:
    """The node's name; one that is mapped over a list begins as ``name[0]``, ``name[1]``, ….."""
    return (event.node or "").partition("[")[0]


def _text(event: JobEvent, name: str) -> str:
    value = event.data.get(name)
    return value if isinstance(value, str) and value else OTHER


def _count(value: object, default: int) -> int:
    return value if isinstance(value, int) and value >= 0 else default
