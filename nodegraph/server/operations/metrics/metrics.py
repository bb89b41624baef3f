"""Metrics of one server: counters, and gauges that are read at each scrape."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from nodegraph.jobs.queue.job_queries import Counts
from nodegraph.jobs.queue.reader import QueueView
from nodegraph.jobs.supervisor.queue_reads import EventTail
from nodegraph.jobs.supervisor.worker_status import WorkerStatus
from nodegraph.server.operations.metrics.counters import (
    OTHER,
    BoundedLabel,
    JobMetrics,
    MetricFamilies,
)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})
_MOST_ROUTES = 200
_MOST_CODES = 100
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_STATES = ("starting", "idle", "busy", "stopping", "dead", "stopped")


@dataclass(frozen=True, slots=True)
class ServerState:
    """How the server is at a moment.

    Attributes:
        counts: Jobs by state; None if the queue can't be read.
        paused: Whether the whole queue is.
        writable: Whether the queue could be written when that was last tried.
        unwritten: Jobs that have ended, whose end isn't in the queue yet.
        subscribers: To streams of events.
        disk_free, disk_total: Bytes, where the home folder lies; None if it is gone.
    """

    counts: Counts | None
    paused: bool
    writable: bool
    unwritten: int
    workers: Sequence[WorkerStatus]
    subscribers: int
    disk_free: int | None
    disk_total: int | None


class RequestMetrics:
    """Counts requests."""

    def __init__(self, figures: MetricFamilies) -> None:
        self._figures = figures
        self._routes = BoundedLabel(_MOST_ROUTES)
        self._codes = BoundedLabel(_MOST_CODES)

    def request_started(self) -> None:
        """One came."""
        self._figures.in_progress.inc()

    def request_finished(
        self, method: str, route: str | None, status: int, seconds: float | None
    ) -> None:
        """One is answered.

        Args:
            route: Its template; None if there is none for the path.
            status: 0 for one whose client went away before there was an answer.
            seconds: None for a stream, which lasts as long as its client likes.
        """
        self._figures.in_progress.dec()
        method = method if method in _METHODS else OTHER
        route = OTHER if route is None else self._routes(route)
        self._figures.requests.labels(method, route, str(status)).inc()
        if seconds is not None:
            self._figures.request_seconds.labels(method, route).observe(seconds)

    def request_refused(self, status: int, code: str) -> None:
        """One was refused.

        Args:
            code: Of the problem.
        """
        self._figures.refused.labels(str(status), self._codes(code) if code else OTHER).inc()


class Metrics:
    """Counts, and tells what was counted; safe to be read from any thread.

    Attributes:
        requests: Is told of requests.
    """

    def __init__(self) -> None:
        self._figures = MetricFamilies()
        self.requests = RequestMetrics(self._figures)

    def follow(self, tail: EventTail, queue: QueueView) -> Callable[[], None]:
        """Count what happens to jobs.

        Returns:
            What ends it.
        """
        return tail.listen(JobMetrics(self._figures, queue).handle_events)

    def text(self, state: ServerState) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(_All(self._figures, state))


class _All:
    """What a registry is to whoever writes it down."""

    def __init__(self, figures: MetricFamilies, state: ServerState) -> None:
        self._figures = figures
        self._state = state

    def collect(self) -> Iterator[Metric]:
        for family in self._figures.registry.collect():
            # When each counter was made says nothing, and takes as much room as the counters.
            family.samples = [each for each in family.samples if not _tells_birth(each.name)]
            yield family
        yield from _families(self._state)


def _tells_birth(name: str) -> bool:
    return name.endswith("_created")


def _families(state: ServerState) -> Iterator[Metric]:
    """The state as Prometheus has it."""
    if state.counts is not None:
        yield _jobs(state.counts)
    yield _gauge("queue_paused", "Whether the queue is paused.", state.paused)
    yield _gauge("queue_writable", "Whether the last write to the queue succeeded.", state.writable)
    yield _gauge(
        "queue_unwritten", "Ended jobs whose end is not yet in the queue.", state.unwritten
    )
    yield from _workers(state.workers)
    yield _gauge("event_subscribers", "Open event streams.", state.subscribers)
    if state.disk_free is not None and state.disk_total is not None:
        yield _gauge(
            "disk_free_bytes", "Free space on the disk of the home folder.", state.disk_free
        )
        yield _gauge(
            "disk_total_bytes", "Total space on the disk of the home folder.", state.disk_total
        )


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"nodegraph_{name}", about, value=float(value))


def _jobs(counts: Counts) -> Metric:
    family = GaugeMetricFamily("nodegraph_jobs", "Jobs in the queue, by state.", labels=["state"])
    family.add_metric(["waiting"], counts.queued - counts.held)
    family.add_metric(["held"], counts.held)
    for state in ("running", "finished", "failed", "cancelled"):
        family.add_metric([state], getattr(counts, state))
    return family


def _workers(workers: Sequence[WorkerStatus]) -> Iterator[Metric]:
    by_state = Tally[str](worker.state for worker in workers if worker.role == "worker")
    states = GaugeMetricFamily("nodegraph_workers", "Workers, by state.", labels=["state"])
    for state in _STATES:
        states.add_metric([state], by_state[state])
    yield states
    restarts = CounterMetricFamily(
        "nodegraph_worker_restarts", "Restarts after a worker died.", labels=["worker"]
    )
    memory = GaugeMetricFamily(
        "nodegraph_worker_memory_bytes", "Memory of the worker process.", labels=["worker"]
    )
    device_memory = GaugeMetricFamily(
        "nodegraph_worker_device_memory_bytes",
        "Memory that the worker uses on its device.",
        labels=["worker", "device"],
    )
    jobs = CounterMetricFamily(
        "nodegraph_worker_jobs", "Jobs that the worker has finished.", labels=["worker"]
    )
    merged = CounterMetricFamily(
        "nodegraph_worker_merged_steps",
        "Sampling steps that the worker has computed in a batch with other jobs.",
        labels=["worker"],
    )
    places = GaugeMetricFamily(
        "nodegraph_worker_info",
        "Where the worker runs, if known; always 1.",
        labels=["worker", "device", "host"],
    )
    weights = GaugeMetricFamily(
        "nodegraph_worker_models", "Models that the worker has in memory.", labels=["worker"]
    )
    for worker in workers:
        if worker.role == "worker":
            jobs.add_metric([worker.name], worker.done)
            merged.add_metric([worker.name], worker.merged)
            weights.add_metric([worker.name], len(worker.weights))
            places.add_metric([worker.name, worker.device, worker.host or ""], 1)
        restarts.add_metric([worker.name], worker.restarts)
        if worker.memory is not None:
            memory.add_metric([worker.name], worker.memory)
        if worker.device_memory is not None:
            device_memory.add_metric([worker.name, worker.device], worker.device_memory)
    yield from (jobs, merged, places, weights, restarts, memory, device_memory)
