"""All figures of one server, those of requests among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import generate_latest
from prometheus_client.core import Metric

from nodegraph.jobs.queue.reader import QueueView
from nodegraph.jobs.supervisor.tail import EventTail
from nodegraph.server.operations.metrics.figures import OTHER, Bounded, Figures
from nodegraph.server.operations.metrics.jobs import JobFigures
from nodegraph.server.operations.metrics.state import State, families

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})
_MOST_ROUTES = 200
_MOST_CODES = 100


class RequestFigures:
    """Counts requests."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._routes = Bounded(_MOST_ROUTES)
        self._codes = Bounded(_MOST_CODES)

    def began(self) -> None:
        """One came."""
        self._figures.in_progress.inc()

    def ended(self, method: str, route: str | None, status: int, seconds: float | None) -> None:
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

    def refused(self, status: int, code: str) -> None:
        """One was refused.

        Args:
            code: Of the problem.
        """
        self._figures.refused.labels(str(status), self._codes(code) if code else OTHER).inc()


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counts, and tells what was counted; safe to be read from any thread.

    Attributes:
        requests: Is told of requests.
    """

    def __init__(self) -> None:
        self._figures = Figures()
        self.requests = RequestFigures(self._figures)

    def follow(self, tail: EventTail, queue: QueueView) -> Callable[[], None]:
        """Count what happens to jobs.

        Returns:
            What ends it.
        """
        return tail.listen(JobFigures(self._figures, queue).happened)

    def text(self, state: State) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(_All(self._figures, state))


class _All:
    """What a registry is to whoever writes it down."""

    def __init__(self, figures: Figures, state: State) -> None:
        self._figures = figures
        self._state = state

    def collect(self) -> Iterator[Metric]:
        for family in self._figures.registry.collect():
            # When each counter was made says nothing, and takes as much room as the counters.
            family.samples = [each for each in family.samples if not _tells_birth(each.name)]
            yield family
        yield from families(self._state)


def _tells_birth(name: str) -> bool:
    return name.endswith("_created")
