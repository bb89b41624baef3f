"""As many workers as there is work for, and no more for long."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from nodegraph.jobs.cluster.autoscaling import JobDurations, Scaler, WorkerKind
from nodegraph.jobs.queue import JobEvent, ReadyCounts
from nodegraph.jobs.supervisor.worker_spec import WorkerSpec
from nodegraph.jobs.supervisor.worker_status import WorkerStatus


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
        self.seconds: float | None = None
        self.now = 0.0
        self.scaler = Scaler(
            self.crew,
            kinds,
            self._waiting,
            lambda: self.seconds,
            idle_seconds,
            clock=lambda: self.now,
        )

    async def _waiting(self) -> ReadyCounts:
        return ReadyCounts()

    def look(self, others: int = 0, *, gpu: int = 0, after: float = 1.0) -> list[str]:
        """Who is there once it has looked, with so many jobs waiting."""
        self.now += after
        self.scaler.step(ReadyCounts(gpu, others))
        return sorted(self.crew.names)


def kind(name: str, least: int, most: int, *, spared: bool = False) -> WorkerKind:
    return WorkerKind(WorkerSpec(name, without_gpu=spared), least, most)


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


def test_workers_that_may_not_take_a_job_dont_count_against_it() -> None:
    kept = Site(kind("gpu", 0, 2), kind("cpu", 1, 2, spared=True))
    assert kept.look() == ["cpu-1"]
    assert kept.look(gpu=1) == ["cpu-1", "gpu-1"]
    first = Site(kind("cpu", 0, 2, spared=True), kind("gpu", 0, 2))
    assert first.look(gpu=1) == ["gpu-1"]
    assert first.look(gpu=3) == ["gpu-1", "gpu-2"]


def test_what_needs_no_gpu_is_for_workers_without_one_as_long_as_there_may_be_more() -> None:
    site = Site(kind("gpu", 0, 3), kind("cpu", 0, 2, spared=True))
    assert site.look(1) == ["cpu-1"]
    assert site.look(2, gpu=1) == ["cpu-1", "cpu-2", "gpu-1"]
    assert site.look(3, gpu=1) == ["cpu-1", "cpu-2", "gpu-1", "gpu-2"]


def test_one_that_is_there_is_as_good_as_a_new_one_of_a_kind_before() -> None:
    site = Site(kind("small", 0, 1), kind("large", 0, 1))
    site.look(2)
    site.crew.names.remove("small-1")
    assert site.look(1) == ["large-1"]


KINDS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.booleans()), max_size=4)
JOBS = st.integers(0, 9)


@given(KINDS, JOBS, JOBS, JOBS, JOBS, st.sampled_from([None, 0.0, 0.1, 600.0]), st.data())
def test_a_job_that_waits_gets_a_worker_that_may_take_it(
    given_kinds: list[tuple[int, int, bool]],
    before: int,
    before_gpu: int,
    others: int,
    gpu: int,
    seconds: float | None,
    data: st.DataObject,
) -> None:
    """Unless all of those that may are busy, and there may be no more of them."""
    kinds = [
        kind(f"k{at}", min(low, most), most, spared=spared)
        for at, (low, most, spared) in enumerate(given_kinds)
    ]
    site = Site(*kinds)
    names = site.look(before, gpu=before_gpu)
    site.crew.busy = data.draw(st.sets(st.sampled_from(names))) if names else set()
    site.seconds = seconds
    found = site.look(others, gpu=gpu)
    for jobs, able in (
        (gpu, [each for each in kinds if not each.spec.without_gpu]),
        (others, kinds),
    ):
        takers = [name for name in found if name.partition("-")[0] in {k.spec.name for k in able}]
        is_full = len(takers) == sum(each.most for each in able)
        assert not jobs or is_full or set(takers) - site.crew.busy
    for each in kinds:
        count = sum(name.startswith(f"{each.spec.name}-") for name in found)
        assert each.least <= count <= each.most
    assert site.look(others, gpu=gpu) == found


def test_a_pace_is_that_of_the_last_jobs() -> None:
    pace = JobDurations()
    assert pace.seconds is None
    told = [("a", "job.claimed", 10.0), ("b", "job.claimed", 11.0), ("a", "job.finished", 14.0)]
    told += [("b", "job.requeued", 12.0), ("c", "job.finished", 20.0)]
    pace.add_events([event(at, *each) for at, each in enumerate(told)])
    assert pace.seconds == 4.0


def event(seq: int, job: str, kind: str, at: float) -> JobEvent:
    return JobEvent(seq, job, "", 1, None, kind, at, None, None, {})
