"""Which jobs a worker is handed ahead, and when they are taken back."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.jobs.queue import BatchPartners
from nodegraph.jobs.supervisor.dispatcher import Dispatcher
from nodegraph.jobs.supervisor.placement import WorkerJobs
from nodegraph.jobs.supervisor.queue_reads import EventTail
from nodegraph.jobs.supervisor.supervisor import Supervisor
from nodegraph.jobs.supervisor.worker_spec import SupervisionRules, WorkerSpec
from tests.jobs.queue.support import open_queue
from tests.jobs.supervisor.crew import PACK, alone, crew, run_of, sums
from tests.jobs.supervisor.dispatching import until
from tests.jobs.supervisor.test_dispatcher_workers import PATIENCE, submit

RULES = SupervisionRules(ahead=2, short_seconds=0.1)


class Clock:
    """Seconds, as a test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def held_after(*seconds: float) -> tuple[WorkerJobs, Clock]:
    """What a process holds that had some jobs, each of so many seconds."""
    clock = Clock()
    held = WorkerJobs(RULES, clock)
    for each in seconds:
        held.add(run_of(sums(1), "before"))
        clock.now += each
        held.remove("before", 1)
    return held, clock


def test_a_worker_that_has_run_nothing_takes_one_job() -> None:
    held = WorkerJobs(RULES)
    assert held.free_slots == 1
    held.add(run_of(sums(1)))
    assert held.free_slots == 0


def test_it_takes_one_more_ahead_for_each_short_job_and_none_after_a_long_one() -> None:
    assert held_after(0.01)[0].free_slots == 2
    assert held_after(0.01, 0.01)[0].free_slots == 3
    assert held_after(0.01, 0.01, 0.01)[0].free_slots == 3
    assert held_after(0.01, 0.01, 0.2)[0].free_slots == 1
    assert held_after(0.2, 0.01)[0].free_slots == 2


def test_what_waits_for_a_job_that_is_not_short_is_to_be_taken_back() -> None:
    held, clock = held_after(0.01, 0.01)
    for job in ("long", "next", "last"):
        held.add(run_of(sums(1), job))
    assert held.take_held_up() == []
    clock.now += 0.2
    assert [run.job for run in held.take_held_up()] == ["last", "next"]
    held.remove("last", 1)
    held.remove("next", 1)
    assert held.is_running("long", 1)
    assert held.free_slots == 0


ALIKE: dict[str, Any] = {"sampling": "512 px", "models": ["xl"]}


def test_what_runs_takes_company_of_its_kind_up_to_the_limit_and_never_before_what_waits() -> None:
    clock = Clock()
    held = WorkerJobs(SupervisionRules(ahead=2, merge_jobs=2), clock)
    assert held.partners is None
    held.add(run_of({}, "one", **ALIKE, priority=3))
    assert held.partners == BatchPartners("512 px", frozenset(["xl"]), 3, frozenset(["one"]))
    assert held.partners.fits("512 px", ["xl"])
    assert not held.partners.fits("512 px", ["xl", "refiner"])
    assert not held.partners.fits("768 px", ["xl"])
    held.add_beside(run_of({}, "two", **ALIKE))
    assert (held.partners, held.free_slots) == (None, 0)
    held.add(run_of({}, "next", **ALIKE))
    held.remove("one", 1)
    assert [run.job for run in held.running] == ["two"]
    assert held.partners is None
    held.remove("two", 1)
    assert [run.job for run in held.running] == ["next"]


def test_company_that_was_short_brings_nothing_behind_a_long_job() -> None:
    clock = Clock()
    held = WorkerJobs(SupervisionRules(ahead=2, merge_jobs=2), clock)
    held.add(run_of({}, "long", **ALIKE))
    clock.now += 60
    held.add_beside(run_of({}, "short", **ALIKE))
    held.remove("short", 1)
    assert held.free_slots == 0


@pytest.mark.parametrize(("most", "sampling"), [(1, "512 px"), (2, "")])
def test_without_a_setting_or_a_sampling_nothing_takes_company(most: int, sampling: str) -> None:
    held = WorkerJobs(SupervisionRules(merge_jobs=most))
    held.add(run_of({}, "one", sampling=sampling, models=["xl"]))
    assert held.partners is None


@given(st.lists(st.tuples(st.sampled_from(["add", "end", "back"]), st.floats(0, 0.3)), max_size=40))
def test_they_are_run_in_order_and_never_more_than_there_are_places(
    steps: list[tuple[str, float]],
) -> None:
    clock = Clock()
    held = WorkerJobs(RULES, clock)
    expected: list[str] = []
    for number, (step, seconds) in enumerate(steps):
        if step == "add" and held.free_slots:
            held.add(run_of({}, f"job {number}"))
            expected.append(f"job {number}")
        elif step == "end" and expected:
            held.remove(expected.pop(0), 1)
        elif step == "back" and len(expected) > 1:
            held.remove(expected.pop(), 1)
        clock.now += seconds
        now = [*held.running, *held.ahead]
        assert [run.job for run in now] == expected
        assert held.count == len(expected) <= 1 + RULES.ahead
        assert all(held.has(job, 1) and not held.has(job, 2) for job in expected)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_jobs_that_wait_in_a_worker_that_dies_are_given_back(tmp_path: Path) -> None:
    async def use() -> None:
        async with crew(tmp_path, ahead=2, short_seconds=60.0) as team:
            await team.ready()
            await team.run(sums(1), "before")
            team.watch.ends.clear()
            waits = alone("Wait", here=team.path("in"), gate=team.path("gate"))
            team.supervisor.run("worker-1", run_of(waits, "long"))
            team.supervisor.run("worker-1", run_of(sums(2), "next"))
            await team.there("in")
            os.kill(team.pid(), signal.SIGKILL)
            await team.death()
            assert [(end.job, end.status) for end in team.watch.ends] == [("next", "released")]
            assert team.watch.deaths[0][1] == "long"

    asyncio.run(use())


@pytest.mark.slow
def test_a_worker_gives_back_what_waits_for_a_long_job(tmp_path: Path) -> None:
    async def use() -> list[tuple[str, str]]:
        async with crew(tmp_path, ahead=2, short_seconds=1.0) as team:
            await team.ready()
            while len(team.supervisor.free) < 3:
                await team.run(sums(1), "before")
            team.watch.ends.clear()
            waits = alone("Wait", here=team.path("in"), gate=team.path("gate"))
            team.supervisor.run("worker-1", run_of(waits, "long"))
            team.supervisor.run("worker-1", run_of(sums(2), "next"))
            assert team.supervisor.free == ["worker-1"]
            assert team.supervisor.idle == []
            await team.watch.until(lambda: team.watch.ends)
            assert team.supervisor.free == []
            Path(team.path("gate")).touch()
            await team.watch.until(lambda: len(team.watch.ends) == 2)
            return [(end.job, end.status) for end in team.watch.ends]

    assert asyncio.run(use()) == [("next", "released"), ("long", "finished")]


def test_short_jobs_end_once_and_as_is_wished_however_far_ahead_they_are(tmp_path: Path) -> None:
    async def use() -> None:
        with open_queue(tmp_path) as queue:
            tail = EventTail(queue)
            dispatcher = Dispatcher(queue, tail, lambda _: None)
            cache = str(tmp_path.parent / "cache")  # what packs declare is known there
            settings = {"home": str(tmp_path / "home"), "cache": cache, "device": "cpu"}
            spec = WorkerSpec("worker-1", settings=settings, packs=[PACK], warm=False)
            rules = SupervisionRules(ahead=4, short_seconds=60.0, check_seconds=0.05)
            supervisor = Supervisor([spec], dispatcher, rules)
            await dispatcher.start(supervisor)
            await supervisor.start()
            try:
                for value in range(4):
                    submit(queue, sums(value))
                await until(lambda: queue.counts().finished == 4, PATIENCE)
                gate = tmp_path / "gate"
                waits = alone("Wait", here=str(tmp_path / "in"), gate=str(gate))
                jobs = [submit(queue, waits), *(submit(queue, sums(value)) for value in range(8))]
                # The one that runs, and four that are ahead.
                await until(lambda: queue.counts().running == 5, PATIENCE)
                queue.cancel(jobs[2])
                queue.hold(jobs[3])
                await until(lambda: queue.get(jobs[2]).state == "cancelled", PATIENCE)
                await until(lambda: queue.get(jobs[3]).held, PATIENCE)
                gate.touch()
                rest = [job for job in jobs if job not in (jobs[2], jobs[3])]
                await until(lambda: queue.counts().finished == 4 + len(rest), PATIENCE)
                queue.unhold(jobs[3])
                await until(lambda: queue.get(jobs[3]).state == "finished", PATIENCE)
                for job in (*rest, jobs[3]):
                    events = queue.events_after(0, job=job).events
                    assert [event.kind for event in events].count("job.finished") == 1
            finally:
                await dispatcher.stop()
                tail.close()

    asyncio.run(use())
