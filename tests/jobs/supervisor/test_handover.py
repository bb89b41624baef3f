"""A worker that dies before it has begun its job says nothing about that job."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from nodegraph.jobs.queue import Death
from nodegraph.jobs.supervisor.dispatcher import Dispatcher
from nodegraph.jobs.supervisor.queue_reads import EventTail
from nodegraph.jobs.supervisor.supervisor import Supervisor
from nodegraph.jobs.supervisor.worker_spec import SupervisionRules, WorkerSpec
from tests.jobs.queue.support import open_queue
from tests.jobs.supervisor.crew import PACK, Watch, alone, crew, run_of, stand_still, sums
from tests.jobs.supervisor.dispatching import until
from tests.jobs.supervisor.test_dispatcher_workers import PATIENCE, submit

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")


def test_a_job_that_its_worker_never_began_is_given_back(tmp_path: Path) -> None:
    async def use() -> tuple[Watch, Death]:
        async with crew(tmp_path) as team:
            await team.ready()
            assert (await team.run(sums(1), "before")).status == "finished"
            # As if it were dead already, and the server hadn't been told yet.
            stand_still(team.pid())
            team.begin(sums(2), "handed")
            os.kill(team.pid(), signal.SIGKILL)
            death = await team.death()
            assert (await team.run(sums(2), "handed")).status == "finished"
            return team.watch, death

    watch, death = asyncio.run(use())
    assert watch.deaths == [("worker-1", None, None, death)]
    assert (death.signal, death.node) == ("SIGKILL", None)
    ends = [(ended.job, ended.status) for ended in watch.ends]
    assert ends == [("before", "finished"), ("handed", "released"), ("handed", "finished")]


@pytest.mark.slow
def test_it_is_never_failed_for_that(tmp_path: Path) -> None:
    async def use() -> None:
        with open_queue(tmp_path, most_deaths=1) as queue:
            tail = EventTail(queue)
            dispatcher = Dispatcher(queue, tail, lambda _: None)
            cache = str(tmp_path.parent / "cache")  # what packs declare is known there
            settings = {"home": str(tmp_path / "home"), "cache": cache, "device": "cpu"}
            spec = WorkerSpec("worker-1", settings=settings, packs=[PACK], warm=False)
            supervisor = Supervisor(
                [spec], dispatcher, SupervisionRules(check_seconds=0.05, backoff_first=0.01)
            )
            await dispatcher.start(supervisor)
            await supervisor.start()
            try:
                job = submit(queue, sums(1), held=True)
                for attempt in (1, 2):
                    await until(lambda: supervisor.idle, PATIENCE)
                    pid = supervisor.status("worker-1").pid
                    assert pid is not None
                    stand_still(pid)
                    queue.unhold(job)
                    await until(lambda: not supervisor.idle, PATIENCE)
                    # So that it waits until the next worker stands still, too.
                    queue.hold(job)
                    os.kill(pid, signal.SIGKILL)
                    await until(lambda: queue.get(job).state == "queued", PATIENCE)
                    assert (queue.get(job).attempt, queue.get(job).deaths) == (attempt, 0)
                queue.unhold(job)
                await until(lambda: queue.get(job).state == "finished", PATIENCE)
                found = queue.get(job)
                assert (found.attempt, found.deaths) == (3, 0)
            finally:
                await dispatcher.stop()
                tail.close()

    asyncio.run(use())


@pytest.mark.slow
def test_what_waits_behind_a_job_that_never_stops_is_given_back(tmp_path: Path) -> None:
    async def use() -> Watch:
        async with crew(tmp_path, cancel_seconds=0.0, short_seconds=1000.0) as team:
            await team.ready()
            await team.run(sums(1), "quick")
            team.begin(alone("Spin", here=team.path("here")), "stubborn")
            team.supervisor.run("worker-1", run_of(sums(2), "behind"))
            await team.there("here")
            assert team.supervisor.cancel("stubborn", 1)
            await team.death()
            return team.watch

    watch = asyncio.run(use())
    assert [about[:3] for about in watch.deaths] == [("worker-1", "stubborn", 1)]
    ends = [(ended.job, ended.status) for ended in watch.ends]
    assert ends == [("quick", "finished"), ("behind", "released")]
