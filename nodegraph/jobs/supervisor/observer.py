"""Whom a supervisor tells what happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nodegraph.core.events import Event
from nodegraph.jobs.queue.working import Death
from nodegraph.jobs.supervisor.messages import Ended, HelpUpdate


class WorkerObserver(Protocol):
    """Is told what workers do, on the event loop; must be quick, and what it raises is logged."""

    def ready(self, worker: str) -> None:
        """A worker has started and is idle. Not called for planners."""

    def joinable(self, worker: str) -> None:
        """A busy worker would take jobs beside those that it runs."""

    def events(self, job: str, attempt: int, events: Sequence[Event]) -> None:
        """Events of a run, in order, each once; those in `Ended.events` come with it."""

    def ended(self, ended: Ended) -> None:
        """A run is over. The worker may be given a job in its place in this very call.

        One that can't have caused its worker's death is told of as released, before the death.
        """

    def helped(self, worker: str, news: HelpUpdate) -> None:
        """How a worker's help with another one's job goes; see `Help`."""

    def died(self, worker: str, job: str | None, attempt: int | None, death: Death) -> None:
        """A worker is gone, with the job that it had; called after all that it told before.

        Called for each of several jobs that may have caused it. Also called for planners, and for a
        worker that ended when it was asked to while it still had a job.
        """
