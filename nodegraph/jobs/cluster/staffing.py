"""How many workers of each kind there are to be, by what waits and who is there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from nodegraph.jobs.cluster.kinds import WorkerKind
from nodegraph.jobs.queue import ReadyCounts

_HORIZON = 20.0
"""Seconds of waiting work that are worth one more worker: about what its start takes."""


@dataclass(frozen=True, slots=True)
class Staff:
    """The workers of a kind that there are, but for those that were told to end.

    Attributes:
        busy: Have a job.
        idle: Have none, or still start.
    """

    kind: WorkerKind
    busy: int
    idle: int

    @property
    def kept(self) -> int:
        """How many there are, or have to be whatever waits."""
        return max(self.busy + self.idle, self.kind.least)


def wanted(waiting: int, seconds: float | None) -> int:
    """How many workers there is work for.

    Args:
        waiting: Jobs.
        seconds: That a job takes; None if nobody knows, so that each is worth a worker.
    """
    if seconds is None or not waiting:
        return waiting
    return min(waiting, max(1, math.ceil(waiting * seconds / _HORIZON)))


def staffing(staff: Sequence[Staff], waiting: ReadyCounts, seconds: float | None) -> list[int]:
    """How many there are to be of each kind.

    A job is work for workers that may take it, and for no others: those that are there, then new
    ones, of the first kind first. What needs a GPU comes first, as fewer may take it.

    Args:
        seconds: That a job takes; None if nobody knows.
    """
    employed = [each.busy for each in staff]
    for able, jobs in _demands(staff, waiting):
        left = wanted(jobs, seconds)
        for room in ([each.kept for each in staff], [each.kind.most for each in staff]):
            for at in able:
                more = max(0, min(left, room[at] - employed[at]))
                employed[at] += more
                left -= more
    return [max(each.kind.least, count) for each, count in zip(staff, employed, strict=True)]


def _demands(staff: Sequence[Staff], waiting: ReadyCounts) -> list[tuple[Sequence[int], int]]:
    """How many jobs which kinds may take, by their places; the best kind for a job is first."""
    spared = [at for at, each in enumerate(staff) if each.kind.spec.without_gpu]
    if not spared:
        return [(range(len(staff)), waiting.gpu + waiting.others)]
    others = [at for at in range(len(staff)) if at not in spared]
    return [(others, waiting.gpu), ([*spared, *others], waiting.others)]
