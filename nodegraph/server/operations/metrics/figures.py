"""What is counted and measured as it happens."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from nodegraph.core.version import VERSION

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
            "Which server it is; always 1.",
            ("version", "python"),
            registry=self.registry,
        )
        about.labels(VERSION, platform.python_version()).set(1)

    def _count_jobs(self) -> None:
        self.submitted = self._counter("jobs_submitted", "Jobs taken in.")
        self.ended = self._counter("jobs_ended", "Jobs that ended, by how.", "state")
        self.requeued = self._counter("jobs_requeued", "Jobs that wait again, by why.", "reason")
        self.waits = self._histogram(
            "job_wait_seconds", "From when a job could run until a worker had it.", _JOBS
        )
        self.runs = self._histogram(
            "job_run_seconds", "From when a worker had a job until it ended.", _JOBS, "state"
        )
        self.events = self._counter("job_events", "Events of jobs that were kept.")

    def _count_nodes(self) -> None:
        self.node_seconds = self._histogram(
            "node_seconds", "What nodes took that were computed, by node type.", _NODES, "type"
        )
        self.nodes = self._counter("nodes", "Nodes that ended, by how.", "outcome")
        self.cache_hits = self._counter(
            "cache_hits", "Calls of nodes whose results were known, by from where.", "source"
        )
        self.cache_misses = self._counter("cache_misses", "Calls of nodes that were computed.")
        self.cache_saved = self._counter(
            "cache_saved_seconds", "What nodes had taken whose results were known."
        )

    def _count_requests(self) -> None:
        labels = ("method", "route")
        self.requests = self._counter(
            "http_requests", "Requests that were answered.", *labels, "status"
        )
        self.request_seconds = self._histogram(
            "http_request_seconds",
            "From a request's head to its answer's end; without streams.",
            _REQUESTS,
            *labels,
        )
        self.in_progress = Gauge(
            "nodegraph_http_requests_in_progress",
            "Requests that are being answered, streams and websockets included.",
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
