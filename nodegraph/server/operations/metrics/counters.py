"""Prometheus counters, the job events that feed them, and jobs per hour of each worker."""

from __future__ import annotations

import asyncio
import platform
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from nodegraph.core.version import VERSION
from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import Job, JobEvent
from nodegraph.jobs.queue.reader import QueueView
from nodegraph.jobs.supervisor.queue_reads import QueueReads

OTHER = "other"
_REQUESTS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
_JOBS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600)
_NODES = (0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class BoundedLabel:
    """Lets the first so many values through; all later ones are one.

    Args:
        most: Values that are told apart.
        known: Those that always are.
    """

    def __init__(self, most: int, known: tuple[str, ...] = ()) -> None:
        self._most = most
        self._known = dict.fromkeys(known)

    def __call__(self, value: str) -> str:
        """The value, or that of all others."""
        if value in self._known:
            return value
        if len(self._known) >= self._most:
            return OTHER
        self._known[value] = None
        return value


class MetricFamilies:
    """One of each, in a registry of their own: nothing is shared with other servers or libraries.

    Attributes:
        registry: All of them.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._count_jobs()
        self._count_nodes()
        self._count_requests()
        # Memory, processor time and open files of this process, under their usual names.
        ProcessCollector(registry=self.registry)
        about = Gauge(
            "nodegraph_build_info",
            "Identity of the server; always 1.",
            ("version", "python"),
            registry=self.registry,
        )
        about.labels(VERSION, platform.python_version()).set(1)

    def _count_jobs(self) -> None:
        self.submitted = self._counter("jobs_submitted", "Jobs accepted.")
        self.ended = self._counter("jobs_ended", "Jobs that ended, by outcome.", "state")
        self.requeued = self._counter(
            "jobs_requeued", "Jobs that were requeued, by reason.", "reason"
        )
        self.waits = self._histogram(
            "job_wait_seconds", "Time from when a job could run until a worker started it.", _JOBS
        )
        self.runs = self._histogram(
            "job_run_seconds",
            "Time from the start of a job by a worker until its end.",
            _JOBS,
            "state",
        )
        self.events = self._counter("job_events", "Events of jobs that were stored.")

    def _count_nodes(self) -> None:
        self.node_seconds = self._histogram(
            "node_seconds", "Time of computed nodes, by node type.", _NODES, "type"
        )
        self.nodes = self._counter("nodes", "Nodes that ended, by outcome.", "outcome")
        self.cache_hits = self._counter(
            "cache_hits", "Calls of nodes with known results, by source.", "source"
        )
        self.cache_misses = self._counter("cache_misses", "Calls of nodes that were computed.")
        self.cache_saved = self._counter(
            "cache_saved_seconds", "Computation time that known results had taken."
        )

    def _count_requests(self) -> None:
        labels = ("method", "route")
        self.requests = self._counter(
            "http_requests", "Requests that were answered.", *labels, "status"
        )
        self.request_seconds = self._histogram(
            "http_request_seconds",
            "Time from a request's head to the end of its answer, without streams.",
            _REQUESTS,
            *labels,
        )
        self.in_progress = Gauge(
            "nodegraph_http_requests_in_progress",
            "Requests in progress, including streams and websockets.",
            registry=self.registry,
        )
        self.refused = self._counter(
            "http_refused", "Requests that were refused, by status and problem.", "status", "code"
        )

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"nodegraph_{name}", about, labels, registry=self.registry)

    def _histogram(
        self, name: str, about: str, buckets: Sequence[float], *labels: str
    ) -> Histogram:
        return Histogram(
            f"nodegraph_{name}", about, labels, buckets=buckets, registry=self.registry
        )


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
