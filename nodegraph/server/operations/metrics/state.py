"""What is looked at only when somebody asks: queue, workers, streams, disk."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from nodegraph.jobs.queue.listing import Counts
from nodegraph.jobs.supervisor.status import WorkerStatus

_STATES = ("starting", "idle", "busy", "stopping", "dead", "stopped")


@dataclass(frozen=True, slots=True)
class State:
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


def families(state: State) -> Iterator[Metric]:
    """The state as Prometheus has it."""
    if state.counts is not None:
        yield _jobs(state.counts)
    yield _gauge("queue_paused", "Whether no job is given out.", state.paused)
    yield _gauge("queue_writable", "Whether the queue could be written last.", state.writable)
    yield _gauge(
        "queue_unwritten", "Jobs that ended, whose end the queue hasn't yet.", state.unwritten
    )
    yield from _workers(state.workers)
    yield _gauge("event_subscribers", "Streams of events that are followed.", state.subscribers)
    if state.disk_free is not None and state.disk_total is not None:
        yield _gauge("disk_free_bytes", "Free where the home folder lies.", state.disk_free)
        yield _gauge("disk_total_bytes", "In all where the home folder lies.", state.disk_total)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"nodegraph_{name}", about, value=float(value))


def _jobs(counts: Counts) -> Metric:
    found = GaugeMetricFamily("nodegraph_jobs", "Jobs that are kept, by state.", labels=["state"])
    found.add_metric(["waiting"], counts.queued - counts.held)
    found.add_metric(["held"], counts.held)
    for state in ("running", "finished", "failed", "cancelled"):
        found.add_metric([state], getattr(counts, state))
    return found


def _workers(workers: Sequence[WorkerStatus]) -> Iterator[Metric]:
    by_state = Tally[str](worker.state for worker in workers if worker.role == "worker")
    states = GaugeMetricFamily(
        "nodegraph_workers", "Workers that run jobs, by state.", labels=["state"]
    )
    for state in _STATES:
        states.add_metric([state], by_state[state])
    yield states
    restarts = CounterMetricFamily(
        "nodegraph_worker_restarts", "Starts after a death.", labels=["worker"]
    )
    memory = GaugeMetricFamily(
        "nodegraph_worker_memory_bytes", "Memory of its process.", labels=["worker"]
    )
    device_memory = GaugeMetricFamily(
        "nodegraph_worker_device_memory_bytes",
        "Memory that it has taken on its device.",
        labels=["worker", "device"],
    )
    for worker in workers:
        restarts.add_metric([worker.name], worker.restarts)
        if worker.memory is not None:
            memory.add_metric([worker.name], worker.memory)
        if worker.device_memory is not None:
            device_memory.add_metric([worker.name, worker.device], worker.device_memory)
    yield from (restarts, memory, device_memory)
