"""Choose the worker for a job, by its needs and by what workers hold in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodegraph.jobs.queue import Job
from nodegraph.jobs.supervisor.messages import MemoryUpdate, Ready

NO_MEMORY = MemoryUpdate({}, [], [], is_all=True)
"""There is no worker that a plan could be for."""


class WorkerMemory:
    """What one worker process has told of its memory."""

    def __init__(self) -> None:
        self._results: dict[str, Any] = {}
        self._gone: set[str] = set()
        self._new: dict[str, Any] = {}
        self._weights: list[str] = []

    @property
    def weights(self) -> Sequence[str]:
        """Names of those in memory."""
        return self._weights

    def apply(self, stock: MemoryUpdate) -> None:
        """Its worker tells what has changed."""
        for key in stock.gone:
            self._results.pop(key, None)
            self._new.pop(key, None)
            self._gone.add(key)
        self._results.update(stock.results)
        self._new.update(stock.results)
        self._weights = list(stock.weights)

    def to_update(self, *, is_known: bool) -> MemoryUpdate:
        """What a plan has to know, besides what was handed out before.

        Args:
            is_known: Whether who asks has got that.
        """
        if is_known:
            changes = MemoryUpdate(self._new, sorted(self._gone), self._weights)
        else:
            changes = MemoryUpdate(dict(self._results), [], self._weights, is_all=True)
        self._new, self._gone = {}, set()
        return changes


def rooms_of(workers: Iterable[Ready]) -> dict[str, Mapping[str, Any]]:
    """The memory of the workers' devices by their kind; of several of a kind, the largest."""
    rooms: dict[str, Mapping[str, Any]] = {}
    for ready in workers:
        kind = ready.device.partition(":")[0]
        if ready.room is None:
            continue
        if kind not in rooms or _size(ready.room) > _size(rooms[kind]):
            rooms[kind] = ready.room
    return rooms


def _size(room: Mapping[str, Any]) -> tuple[int, int]:
    # Of one card that several share, what the first one found free.
    return room["total"], room["free"]


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
