"""Which of several workers a job is best given to: by its needs, and by what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nodegraph.jobs.queue import Job


class LoadedModels:
    """Which models' weights a worker holds, told by what came into its memory with its jobs.

    A job names its models by what its workflow says, a worker's memory by what the weights are. So
    a model stands for those weights that came with the first job that had it, as long as all of
    them are there.
    """

    def __init__(self) -> None:
        self._behind: dict[str, frozenset[str]] = {}
        self._there: frozenset[str] = frozenset()

    @property
    def held(self) -> frozenset[str]:
        """The models whose weights are all there."""
        there = self._there
        return frozenset(model for model, behind in self._behind.items() if behind <= there)

    def record_job(self, models: Iterable[str], weights: Iterable[str]) -> None:
        """A job has ended.

        Args:
            models: Of the job.
            weights: Names of those in memory now.
        """
        there = frozenset(weights)
        new = there - self._there
        self._there = there
        self._behind = {name: behind for name, behind in self._behind.items() if behind <= there}
        if new:
            self._behind.update((name, new) for name in models if name not in self._behind)


@dataclass(frozen=True, slots=True)
class WorkerCandidate:
    """A worker that a job may be given to.

    Attributes:
        without_gpu: It takes only jobs that need no GPU.
        is_busy: It has a job already, and would begin this one after it.
        models: That it holds.
        room: Bytes of its device that weights and work may take; None where it isn't known.
        is_helping: It computes along with another one's job, which it leaves at its next step.
    """

    worker: str
    without_gpu: bool = False
    is_busy: bool = False
    models: frozenset[str] = frozenset()
    room: int | None = None
    is_helping: bool = False


def rank_workers(places: Sequence[WorkerCandidate], job: Job) -> list[str]:
    """The workers that may have a job, the best one first; of equals, the first one given.

    Where a GPU isn't needed, those go first that have none; then those that are idle; then those
    that hold most of the job's models; then those where the job's plan says that it has room; then
    those that help nobody; then those that hold fewest other models, which might have to go.
    """
    able = [candidate for candidate in places if not (job.gpu and candidate.without_gpu)]
    need = _memory(job)

    def order(candidate: WorkerCandidate) -> tuple[bool, bool, int, bool, bool, int]:
        is_short = candidate.room is not None and need > candidate.room
        held = len(candidate.models.intersection(job.models))
        is_wasted = not job.gpu and not candidate.without_gpu
        others = len(candidate.models) - held
        return is_wasted, candidate.is_busy, -held, is_short, candidate.is_helping, others

    return [candidate.worker for candidate in sorted(able, key=order)]


def _memory(job: Job) -> int:
    """Bytes that a job takes of a GPU at most, as far as its plan knows."""
    peaks = {} if job.plan is None else job.plan.get("totals", {}).get("memory", {})
    return max((size for device, size in peaks.items() if device != "cpu"), default=0)
