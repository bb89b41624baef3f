"""All figures of one server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import generate_latest
from prometheus_client.core import Metric

from nodegraph.jobs.queue.reader import QueueView
from nodegraph.jobs.supervisor.tail import EventTail
from nodegraph.server.operations.metrics.figures import Figures
from nodegraph.server.operations.metrics.jobs import JobFigures
from nodegraph.server.operations.metrics.requests import RequestFigures
from nodegraph.server.operations.metrics.state import State, families

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
