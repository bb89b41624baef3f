"""The dispatcher with real workers, which are killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from nodegraph.jobs.queue import JobQueue
from nodegraph.jobs.supervisor.dispatcher import Dispatcher
from nodegraph.jobs.supervisor.distributed_run import HelpScheduler
from nodegraph.jobs.supervisor.queue_reads import EventTail
from nodegraph.jobs.supervisor.supervisor import Supervisor
from nodegraph.jobs.supervisor.worker_spec import SupervisionRules, WorkerSpec
from tests.jobs.queue.support import open_queue, wanted
from tests.jobs.supervisor.crew import PACK, QUICK, alone, run_of, sums
from tests.jobs.supervisor.dispatching import until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
PATIENCE = 240.0


@asynccontextmanager
async def serving(
    folder: Path, workers: int, *, helps_after: float | None = None, **rules: Any
) -> AsyncIterator[tuple[JobQueue, Supervisor, Dispatcher]]:
    """A queue, workers and what joins them.

    Args:
        helps_after: Seconds of a job, after which idle workers help; they don't if not given.
    """
    settings = {
        "home": str(folder / "home"),
        "outputs": str(folder / "output"),
        "cache": str(folder.parent / "cache"),
        "device": "cpu",
        "checkpoint_seconds": 0,
    }
    specs = [
        WorkerSpec(f"worker-{at}", settings=settings, packs=[PACK], warm=False)
        for at in range(workers)
    ]
    with open_queue(folder, most_deaths=1000) as queue:
        tail = EventTail(queue)
        dispatcher = Dispatcher(queue, tail, lambda _: None)
        supervisor = Supervisor(specs, dispatcher, SupervisionRules(**{**QUICK, **rules}))
        offers = (
            None if helps_after is None else HelpScheduler(supervisor.helpers, after=helps_after)
        )
        await dispatcher.start(supervisor, offers)
        await supervisor.start()
        try:
            yield queue, supervisor, dispatcher
        finally:
            await dispatcher.stop()
            tail.close()


def submit(queue: JobQueue, nodes: dict[str, Any], **options: Any) -> str:
    workflow = json.loads(run_of(nodes).workflow)
    return queue.submit(wanted(workflow=workflow, **options)).result().job.id


def test_killed_workers_lose_no_job_and_do_none_twice(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path, 2) as (queue, supervisor, dispatcher):
            jobs = [
                submit(queue, {"a": ("Number", {"value": at}), **written(at)}) for at in range(24)
            ]
            for finished in (2, 8, 14, 20):
                await until(lambda least=finished: queue.counts().finished >= least, PATIENCE)
                await until(lambda at=finished: kill_one(supervisor, at), PATIENCE)
            await until(lambda: queue.counts().finished == len(jobs), PATIENCE)
            # The queue tells of the last one a moment before the dispatcher does.
            await until(
                lambda: dispatcher.status.running == dispatcher.status.unwritten == 0, PATIENCE
            )
            for at, job in enumerate(jobs):
                kinds = [event.kind for event in queue.events_after(0, job=job).events]
                assert (kinds.count("job.finished"), kinds[-1]) == (1, "job.finished")
                assert (tmp_path / "output" / str(at)).read_text() == str(at)
                assert [file["node"] for file in (queue.get(job).outputs or {})["files"]] == ["end"]

    asyncio.run(test())


def kill_one(supervisor: Supervisor, at: int) -> bool:
    """Kill a worker; False if it had died already, and isn't missed yet."""
    pids = [each.pid for each in supervisor.workers if each.pid]
    if not pids:
        return False
    try:
        os.kill(pids[at % len(pids)], signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def written(at: int) -> dict[str, Any]:
    return {"end": ("Write", {"value": "@a", "name": str(at)})}


def test_what_runs_when_the_server_stops_goes_on_in_the_next_one(tmp_path: Path) -> None:
    gate, diary = str(tmp_path / "gate"), str(tmp_path / "diary")
    count = {"total": 6, "seed": 1, "diary": diary, "gate": gate, "at": 3}

    async def test() -> None:
        async with serving(tmp_path, 1) as (queue, _, dispatcher):
            job = submit(queue, {"it": ("Count", count)}, targets=["it"])
            await until(lambda: Path(diary).exists() and len(lines(diary)) == 3, PATIENCE)
            await dispatcher.stop()
            assert queue.get(job).state == "queued"
        Path(gate).touch()
        async with serving(tmp_path, 1) as (queue, _, dispatcher):
            await until(lambda: queue.get(job).state == "finished", PATIENCE)
            assert queue.get(job).attempt == 2
        # No step was done twice.
        assert lines(diary) == [str(step) for step in range(1, 7)]

    asyncio.run(test())


def lines(path: str) -> list[str]:
    return Path(path).read_text().split()


def test_cancelling_reaches_a_worker(tmp_path: Path) -> None:
    here, gate = str(tmp_path / "here"), str(tmp_path / "gate")

    async def test() -> None:
        async with serving(tmp_path, 1) as (queue, supervisor, _):
            job = submit(queue, alone("Wait", here=here, gate=gate))
            await until(Path(here).exists, PATIENCE)
            queue.cancel(job)
            await until(lambda: queue.get(job).state == "cancelled", PATIENCE)
            await until(lambda: supervisor.idle, PATIENCE)

    asyncio.run(test())


@pytest.mark.slow
def test_a_cancelled_job_that_never_stops_ends_with_its_worker(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path, 1, cancel_seconds=0.0) as (queue, _, _):
            job = submit(queue, alone("Spin", here=str(tmp_path / "here")))
            await until((tmp_path / "here").exists, PATIENCE)
            queue.cancel(job)
            await until(lambda: queue.get(job).state == "cancelled", PATIENCE)
            last = queue.events_after(0, job=job).events[-1]
            death = last.data["death"]
            assert last.kind == "job.cancelled"
            assert death["reason"] == "its job did not stop within 0 s when it was cancelled"
            after = submit(queue, sums(1))
            await until(lambda: queue.get(after).state == "finished", PATIENCE)

    asyncio.run(test())


@pytest.mark.slow
def test_a_job_that_no_deadline_stops_ends_with_its_worker(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path, 1, cancel_seconds=0.0) as (queue, _, _):
            nodes = alone("Spin", here=str(tmp_path / "here"))
            job = submit(queue, nodes, options={"deadline": 1.0})
            await until(lambda: queue.get(job).state == "failed", PATIENCE)
            error = queue.get(job).error or {}
            assert (error["code"], error["message"]) == ("deadline", "deadline of 1 s passed")
            assert (error["node"], error["evidence"]["node"]) == ("it", "it")
            assert queue.get(job).deaths == 0
            after = submit(queue, sums(1))
            await until(lambda: queue.get(after).state == "finished", PATIENCE)

    asyncio.run(test())
