"""As many workers as there is work for, and no more for long."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nodegraph.jobs.cluster.kinds import WorkerKind
from nodegraph.jobs.cluster.scaling import Pace, Scaler, wanted
from nodegraph.jobs.queue import JobEvent
from nodegraph.jobs.supervisor.rules import WorkerSpec
from nodegraph.jobs.supervisor.status import WorkerStatus


class Crew:
    """Workers, some of which have jobs."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.lingering: list[str] | None = None
        self.busy: set[str] = set()

    @property
    def workers(self) -> Sequence[WorkerStatus]:
        return [
            WorkerStatus(
                name,
                "worker",
                "busy" if name in self.busy else "idle",
                "cpu",
                job="job" if name in self.busy else None,
            )
            for name in self.names
        ]

    def add(self, spec: WorkerSpec) -> None:
        self.names.append(spec.name)

    def retire(self, worker: str) -> bool:
        if self.lingering is None:
            self.names.remove(worker)
        else:
            self.lingering.append(worker)
        return True


class Site:
    """A scaler with its crew, in a time of its own."""

    def __init__(self, *kinds: WorkerKind, idle_seconds: float = 60.0) -> None:
        self.crew = Crew()
        self.waiting = 0
        self.seconds: float | None = None
        self.now = 0.0
        self.scaler = Scaler(
            self.crew,
            kinds,
            lambda: self.waiting,
            lambda: self.seconds,
            idle_seconds,
            clock=lambda: self.now,
        )

    def look(self, waiting: int, *, after: float = 1.0) -> list[str]:
        """Who is there once it has looked."""
        self.waiting = waiting
        self.now += after
        self.scaler.step()
        return sorted(self.crew.names)


def kind(name: str, least: int, most: int) -> WorkerKind:
    return WorkerKind(WorkerSpec(name), least, most)


@pytest.mark.parametrize(
    ("busy", "waiting", "seconds", "count"),
    [
        (0, 0, None, 0),
        (2, 3, None, 5),  # nobody knows what they take
        (2, 3, 600.0, 5),
        (1, 100, 0.1, 2),  # they are over before many more had started
        (1, 1, 0.01, 2),
    ],
)
def test_how_many_are_wanted(busy: int, waiting: int, seconds: float | None, count: int) -> None:
    assert wanted(busy, waiting, seconds) == count


def test_workers_come_with_jobs_and_go_once_they_have_been_idle_for_long() -> None:
    site = Site(kind("worker", 1, 3))
    assert site.look(0) == ["worker-1"]
    assert site.look(9) == ["worker-1", "worker-2", "worker-3"]
    site.crew.busy = {"worker-2"}
    assert site.look(0, after=30.0) == ["worker-1", "worker-2", "worker-3"]
    assert site.look(0, after=60.0) == ["worker-2"]
    site.crew.busy = set()
    assert site.look(0) == ["worker-2"]
    assert site.look(0, after=1000.0) == ["worker-2"]  # the least that there are to be
    assert site.look(2) == ["worker-1", "worker-2"]


def test_a_worker_that_had_a_job_meanwhile_counts_as_idle_from_its_end() -> None:
    site = Site(kind("worker", 0, 1))
    assert site.look(1) == ["worker-1"]
    site.crew.busy = {"worker-1"}
    site.look(0, after=100.0)
    site.crew.busy = set()
    assert site.look(0, after=100.0) == ["worker-1"]
    assert site.look(0, after=61.0) == []


def test_workers_that_take_long_to_end_dont_count_any_more() -> None:
    site = Site(kind("worker", 1, 3))
    site.crew.lingering = []
    site.look(3)
    for _ in range(3):
        site.look(0, after=100.0)
    assert site.crew.lingering == ["worker-1", "worker-2"]
    # Their names aren't free yet.
    assert site.look(2) == ["worker-1", "worker-2", "worker-3", "worker-4"]


def test_kinds_are_filled_in_their_order() -> None:
    site = Site(kind("small", 1, 2), kind("large", 0, 2))
    assert site.look(0) == ["small-1"]
    assert site.look(3) == ["large-1", "small-1", "small-2"]
    assert site.look(50) == ["large-1", "large-2", "small-1", "small-2"]


def test_a_pace_is_that_of_the_last_jobs() -> None:
    pace = Pace()
    assert pace.seconds is None
    told = [("a", "job.claimed", 10.0), ("b", "job.claimed", 11.0), ("a", "job.finished", 14.0)]
    told += [("b", "job.requeued", 12.0), ("c", "job.finished", 20.0)]
    pace.happened([event(at, *each) for at, each in enumerate(told)])
    assert pace.seconds == 4.0


def event(seq: int, job: str, kind: str, at: float) -> JobEvent:
    return JobEvent(seq, job, "", 1, None, kind, at, None, None, {})
