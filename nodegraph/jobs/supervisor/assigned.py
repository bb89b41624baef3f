"""A job that a worker has, and what is asked of those who run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from nodegraph.core.events import Event
from nodegraph.jobs.queue import Job, Wanted
from nodegraph.jobs.supervisor.live import LiveEvent, sorted_out
from nodegraph.jobs.supervisor.messages import Run
from nodegraph.jobs.supervisor.report import Report


class Workers(Protocol):
    """Those that run jobs; `Supervisor` is one."""

    @property
    def free(self) -> Sequence[str]:
        """Names of the workers that would take a job now, each as often as it would."""

    def run(self, worker: str, run: Run) -> None:
        """Hand a job to a free worker."""

    def renewed(self, worker: str) -> bool:
        """Whether a worker has had no job yet; else it is started anew."""

    def cancel(self, job: str, attempt: int, reason: str = "") -> bool:
        """Ask for a job to be stopped; False if no worker has it at that attempt."""

    def release(self, job: str, attempt: int, reason: str = "") -> bool:
        """Ask for a job to be given back; False if no worker has it at that attempt."""

    async def stop(self) -> None:
        """Have all jobs given back, and end."""


@dataclass(slots=True)
class Assigned:
    """A job that a worker has.

    Attributes:
        report: Of what its worker tells.
        last: Number of its run's last event that is kept.
        wish: What its worker was asked to do.
    """

    job: Job
    report: Report
    last: int = -1
    wish: Wanted | None = None

    def as_message(self, workflow: str) -> Run:
        """What a worker is told to run."""
        job = self.job
        about = (job.parameters, job.targets, job.options, job.client, job.priority)
        return Run(job.id, job.attempt, workflow, *about)

    def kept(self, events: Sequence[Event], live: Callable[[LiveEvent], None]) -> Sequence[Event]:
        """The events that are kept.

        Args:
            live: Is handed the others.
        """
        kept, shown = sorted_out(events, self.last)
        if kept:
            self.last = kept[-1].number
        job = self.job
        for after, event in shown:
            live(LiveEvent(job.id, job.client, job.attempt, after, event))
        return kept
