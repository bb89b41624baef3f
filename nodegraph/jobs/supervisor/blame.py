"""Which of a dead worker's jobs answer for its death."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nodegraph.jobs.queue.working import Death
from nodegraph.jobs.supervisor.messages import RunJob
from nodegraph.jobs.supervisor.starting import ProcessExit
from nodegraph.jobs.supervisor.worker_health import WorkerHealth
from nodegraph.jobs.supervisor.worker_jobs import WorkerJobs


@dataclass(frozen=True, slots=True)
class Blame:
    """The jobs of a worker that has died.

    Attributes:
        answering: Those that it may have died of, each with what is known of its death.
        overdue: Those that it was ended for as their deadlines had passed.
        innocent: The others, in their order.
    """

    answering: Sequence[tuple[RunJob, Death]] = ()
    overdue: Sequence[tuple[RunJob, Death]] = ()
    innocent: Sequence[RunJob] = field(default_factory=list)


def blame_of(
    held: WorkerJobs, vitals: WorkerHealth, exit: ProcessExit | None, death: Death
) -> Blame:
    """Who answers for a death: whom the worker was ended for, else all that it had begun.

    Several that ran beside each other can't be told apart then; each is tried again by itself.

    Args:
        exit: How the process ended; None if there never was one.
        death: As it is told of each.
    """
    answering: list[tuple[RunJob, Death]] = []
    overdue: list[tuple[RunJob, Death]] = []
    innocent: list[RunJob] = []
    running = held.running
    for run in running:
        may_be = not vitals.culprits or run.job in vitals.culprits
        if not (may_be and _has_begun(run, exit)):
            innocent.append(run)
            continue
        node = None if exit is None or exit.begun is None else exit.begun.get(run.job)
        own_death = replace(death, node=node, beside=len(running) - 1)
        is_overdue = run.job in vitals.jobs and vitals.jobs[run.job].is_overdue
        (overdue if is_overdue else answering).append((run, own_death))
    return Blame(answering, overdue, [*innocent, *held.ahead])


def _has_begun(run: RunJob, exit: ProcessExit | None) -> bool:
    """Whether a worker had begun a job when it died, and not for the sake of its place.

    Else it was dead already, or as good as: that is no fault of the job.
    """
    if exit is None or exit.is_lost:
        return False
    return exit.begun is None or run.job in exit.begun
