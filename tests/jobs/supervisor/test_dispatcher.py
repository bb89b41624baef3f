"""Jobs reach workers, and what comes of them reaches the queue, whatever happens on the way."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nodegraph.errors import OutputError
from nodegraph.jobs.queue import BatchPartners, Death, Job, JobQueue, Limits
from nodegraph.jobs.supervisor.dispatcher import Recovery
from nodegraph.jobs.supervisor.errors import ProtocolFault, WorkerNotIdle
from nodegraph.jobs.supervisor.placement import JobPayload
from tests.jobs.queue.support import claim, open_queue, submit, wanted
from tests.jobs.supervisor.dispatching import PATIENCE, Dispatching, dispatching, run, until
from tests.jobs.supervisor.scripted import event


def _other(path: Path) -> sqlite3.Connection:
    """Another program that may hold the queue up."""
    return sqlite3.connect(path, isolation_level=None)


def test_a_job_runs(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            job = await it.submit(parameters={"seed": 3}, targets=["save"], priority=4)
            assert await it.running(job) == 1
            told = it.workers.running("one")
            assert (told.parameters, told.targets, told.client) == ({"seed": 3}, ["save"], "ann")
            assert (told.priority, told.workflow) == (4, '{"format":"nodegraph/1","nodes":{}}')
            it.workers.tell("one", event(0, "job.started"), event(1))
            it.workers.finish("one", event(2, "node.finished"), event(3, "job.finished"))
            await it.state(job, "finished")
            assert it.queue.get(job).outputs == {"by": 1}
            told_kinds = ["job.started", "node.started", "node.finished"]
            assert it.kinds(job) == ["job.queued", "job.claimed", *told_kinds, "job.finished"]

    run(test())


def test_jobs_go_to_whoever_is_idle(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path, "one", "two", "three") as it:
            jobs = {await it.submit() for _ in range(5)}
            await until(lambda: len(it.workers.busy()) == 3)
            while any(it.queue.get(job).state != "finished" for job in jobs):
                for worker in it.workers.busy():
                    it.workers.finish(worker)
                await asyncio.sleep(0.001)
            assert all(it.queue.get(job).attempt == 1 for job in jobs)

    run(test())


def test_a_free_worker_has_a_job_with_the_commit_that_takes_it_in(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            for _ in range(2):
                await until(lambda: it.dispatcher._claims.count == 0)
                commits: list[int] = []
                end = it.queue.listen(lambda to=commits: to.append(1))  # type: ignore[misc]
                made = await asyncio.wrap_future(it.dispatcher.submit(wanted()))
                await it.running(made.job.id)
                it.workers.finish("one")
                await it.state(made.job.id, "finished")
                await asyncio.sleep(0.01)
                end()
            assert it.kinds(made.job.id) == ["job.queued", "job.claimed", "job.finished"]
            assert len(commits) == 2, "nobody asks for what the queue has said that it lacks"

    run(test())


def test_jobs_that_wait_during_a_pause_run_after_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            await until(lambda: it.dispatcher._claims.count == 0)
            # Committed with another change, so that no commit is the pause's alone.
            it.queue.pause()
            made = await asyncio.wrap_future(it.dispatcher.submit(wanted()))
            await asyncio.sleep(0.02)
            assert it.queue.get(made.job.id).state == "queued"
            it.queue.resume().result()
            await it.running(made.job.id)

    run(test())


def test_a_job_that_may_join_another_does_so_after_a_pause(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            alike: dict[str, Any] = {"models": ("m",), "sampling": "s"}
            first = await it.submit(**alike)
            await it.running(first)
            await until(lambda: it.dispatcher._claims.count == 0)
            it.queue.pause().result()
            it.workers.company["one"] = BatchPartners("s", frozenset({"m"}))
            second = await it.submit(**alike)
            it.dispatcher.joinable("one")
            await until(lambda: it.dispatcher._claims.count == 0)
            await asyncio.sleep(0.01)
            it.queue.resume().result()
            await until(lambda: it.queue.get(second).state == "running")

    run(test())


def test_jobs_that_were_there_before(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        jobs = [submit(queue).id for _ in range(3)]

    async def test() -> None:
        async with dispatching(tmp_path) as it:
            for job in jobs:
                await it.running(job)
                it.workers.finish("one")
            await it.state(jobs[-1], "finished")

    run(test())


def test_a_job_whose_files_are_away_keeps_no_others(tmp_path: Path) -> None:
    away = {1, 2}

    def found_here(text: str, parameters: Mapping[str, Any]) -> JobPayload:
        if parameters.get("seed") in away:
            raise OutputError("the place is away")
        return text, parameters

    async def test() -> None:
        async with dispatching(tmp_path, found_here=found_here) as it:
            waiting = [await it.submit(parameters={"seed": seed}) for seed in away]
            other = await it.submit()
            await it.running(other)
            assert it.dispatcher.status.fault is None, "the queue is well"
            it.workers.finish("one")
            await until(lambda: it.kinds(waiting[0]).count("job.claimed") > 1)
            away.clear()
            for _ in waiting:
                await until(it.workers.busy)
                it.workers.finish("one")
            for job in waiting:
                await it.state(job, "finished")

    run(test())


def test_cancelling_what_runs(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            job = await it.submit()
            await it.running(job)
            it.queue.cancel(job)
            await it.asked(job, "cancel")
            it.workers.obey("one")
            await it.state(job, "cancelled")

    run(test())


def test_a_job_that_is_cancelled_before_it_is_told_that_it_was_claimed(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            await until(lambda: it.dispatcher._claims.count == 0)
            # All of it before the event loop hears of the claim.
            job = submit(it.queue).id
            it.dispatcher.wake()
            await asyncio.sleep(0)
            it.queue.recover().result()
            assert it.queue.get(job).state == "running"
            it.queue.cancel(job).result()
            await it.asked(job, "cancel")

    run(test())


def test_a_job_that_comes_while_the_queue_says_that_there_is_none(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            await until(lambda: it.dispatcher._claims.count == 0)
            it.queue.recover().result()
            it.dispatcher.wake()
            await asyncio.sleep(0)
            it.queue.recover().result()
            job = submit(it.queue).id
            await it.running(job)

    run(test())


def test_a_job_that_finishes_before_it_can_be_cancelled(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            job = await it.submit()
            await it.running(job)
            it.queue.cancel(job)
            it.workers.finish("one")
            await it.state(job, "finished")
            assert it.kinds(job)[-2:] == ["job.cancelling", "job.finished"]

    run(test())


def test_holding_what_runs(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            job = await it.submit()
            await it.running(job)
            it.queue.hold(job)
            await it.asked(job, "release")
            it.workers.obey("one")
            assert (await it.state(job, "queued")).held
            it.queue.unhold(job)
            assert await it.running(job) == 2

    run(test())


def test_a_worker_that_dies(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            job = await it.submit()
            await it.running(job)
            it.workers.tell("one", event(0, "job.started"))
            it.workers.die("one", "out of memory")
            assert (await it.state(job, "queued")).deaths == 1
            assert it.kinds(job)[-2:] == ["job.started", "job.requeued"]
            it.workers.start()
            for attempt in (2, 3):
                assert await it.running(job) == attempt
                it.workers.die("one", "out of memory")
                it.workers.start()
            await it.state(job, "failed")
            error = it.queue.get(job).error
            assert error is not None
            assert error["evidence"]["signal"] == "SIGKILL"

    run(test())


def test_a_worker_that_dies_while_its_job_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            claim_it = it.queue.claim

            def is_gone_and_nobody_told(*asked: Any) -> Future[Job | None]:
                it.workers.runs.clear()
                return claim_it(*asked)

            with monkeypatch.context() as patch:
                patch.setattr(it.queue, "claim", is_gone_and_nobody_told)
                job = await it.submit()
                await until(lambda: "job.requeued" in it.kinds(job))
            assert it.queue.get(job).deaths == 0
            it.workers.start()
            await it.running(job)

    run(test())


def test_a_worker_that_isnt_idle_after_all(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            it.workers.refuses = WorkerNotIdle
            job = await it.submit()
            await until(lambda: it.queue.get(job).attempt > 1)
            it.workers.refuses = None
            it.workers.start()
            await it.running(job)

    run(test())


def test_a_job_that_is_too_large_for_its_worker(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            it.workers.refuses = ProtocolFault
            job = await it.submit()
            await it.state(job, "failed")
            error = it.queue.get(job).error
            assert error is not None
            assert error["code"] == "worker-protocol"

    run(test())


def test_a_job_that_fails(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            for error, code in (({"code": "x", "message": "m"}, "x"), (None, "job-failed")):
                job = await it.submit()
                await it.running(job)
                it.workers.end("one", "failed", error=error)
                await it.state(job, "failed")
                assert (it.queue.get(job).error or {})["code"] == code

    run(test())


def test_outputs_that_cant_be_kept(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            job = await it.submit()
            await it.running(job)
            it.workers.end("one", "finished", outputs={"a": float("nan")})
            await it.state(job, "failed")
            assert (it.queue.get(job).error or {})["code"] == "invalid-value"
            other = await it.submit()
            await it.running(other)
            it.workers.end("one", "failed", event(0, text=object()), error={"bytes": b"\0"})
            await it.state(other, "failed")
            assert (it.queue.get(other).error or {})["code"] == "invalid-value"

    run(test())


def test_events_that_cant_be_kept_dont_cost_the_job(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            job = await it.submit()
            await it.running(job)
            it.workers.tell("one", event(0, text=object()))
            await asyncio.sleep(0.01)
            it.workers.finish("one", event(1, text=object()))
            await it.state(job, "finished")

    run(test())


def test_a_queue_that_cant_be_written_for_a_while(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path, patience=0.01) as it:
            job = await it.submit()
            waiting = await it.submit()
            await it.running(job)
            with closing(_other(it.queue.location)) as other:
                other.execute("BEGIN IMMEDIATE")
                it.workers.tell("one", event(0))
                await until(lambda: it.dispatcher.status.fault)
                it.workers.tell("one", event(1))
                it.workers.finish("one", event(2))
                await until(lambda: it.dispatcher.status.unwritten == 1)
                assert "locked" in (it.dispatcher.status.fault or "")
                assert it.dispatcher.status.fault_since is not None
                assert it.queue.get(job).state == "running"
                other.execute("COMMIT")
            await it.state(job, "finished")
            numbers = [event.number for event in it.queue.events_after(0, job=job).events]
            assert [each for each in numbers if each is not None] == [0, 1, 2]
            await it.running(waiting)
            assert it.dispatcher.status.fault is None

    run(test())


def test_a_disk_that_is_full_when_a_job_finishes(tmp_path: Path) -> None:
    def limited(queue: JobQueue, more: int) -> None:
        def limit(connection: sqlite3.Connection) -> None:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages + more}")

        queue._put(limit).result()

    async def test() -> None:
        async with dispatching(tmp_path) as it:
            job = await it.submit()
            await it.running(job)
            limited(it.queue, 1)
            it.workers.end("one", "finished", outputs={"text": "x" * 100_000})
            await until(lambda: "full" in (it.dispatcher.status.fault or ""))
            assert it.dispatcher.status.unwritten == 1
            limited(it.queue, 1 << 20)
            await it.state(job, "finished")
            assert len((it.queue.get(job).outputs or {})["text"]) == 100_000

    run(test())


def test_jobs_end_in_the_queue_in_the_order_in_which_they_ended(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path, "one", "two") as it:
            jobs = [await it.submit() for _ in range(2)]
            await until(lambda: len(it.workers.busy()) == 2)
            first = it.workers.running("one").job
            is_free, is_reached = threading.Event(), threading.Event()

            def hold_up(_: sqlite3.Connection) -> None:
                is_reached.set()
                assert is_free.wait(PATIENCE)

            is_held_up = it.queue._put(hold_up)
            await asyncio.to_thread(is_reached.wait)
            it.workers.tell("one", event(0, "job.started"), event(1))
            await asyncio.sleep(0.1)  # they are put by now, and wait to be written
            it.workers.finish("one", event(2, "node.finished"))
            it.workers.finish("two")
            await asyncio.sleep(0.1)
            is_free.set()
            await asyncio.wrap_future(is_held_up)
            for job in jobs:
                await it.state(job, "finished")
            told = it.queue.events_after(0).events
            assert next(each.job for each in told if each.kind == "job.finished") == first
            kinds = ["job.started", "node.started", "node.finished", "job.finished"]
            assert it.kinds(first) == ["job.queued", "job.claimed", *kinds]

    run(test())


def test_a_queue_that_stays_unwritable_holds_the_end_up_for_so_long_only(tmp_path: Path) -> None:
    async def test() -> None:
        with open_queue(tmp_path) as queue, closing(_other(queue.location)) as other:
            job = submit(queue).id
            queue.close()
            async with dispatching(tmp_path, patience=0.01) as it:
                await it.running(job)
                other.execute("BEGIN IMMEDIATE")
                it.workers.finish("one")
                await it.dispatcher.stop(patience=0.2)
                assert it.dispatcher.status.unwritten == 0
            # It was held until the queue was closed.
            other.execute("COMMIT")
        async with dispatching(tmp_path) as it:
            assert await it.running(job) == 2

    run(test())


def test_who_speaks_of_an_attempt_that_is_over_is_not_heard(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path, "one", "two", start=False) as it:
            it.workers.start("one")
            job = await it.submit()
            await it.running(job)
            it.workers.observer.died("one", job, 1, Death("silent"))
            it.workers.start("two")
            assert await it.running(job, "two") == 2
            it.workers.tell("one", event(0, "log"))
            it.workers.finish("one")
            it.workers.finish("two")
            await it.state(job, "finished")
            assert it.queue.get(job).outputs == {"by": 2}
            assert "log" not in it.kinds(job)

    run(test())


def test_a_worker_whose_job_was_taken_away_is_told(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            job = await it.submit()
            await it.running(job)
            await asyncio.wrap_future(it.queue.pause())
            await asyncio.wrap_future(it.queue.release(job, 1))
            it.workers.tell("one", event(0))
            await until(lambda: it.workers.asked.get((job, 1)) == "cancel")
            it.workers.obey("one")
            await asyncio.wrap_future(it.queue.resume())
            assert await it.running(job) == 2

    run(test())


def test_a_wish_for_a_job_that_no_worker_has(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            job = await it.submit()
            await it.running(job)
            it.workers.runs["one"] = None
            it.queue.cancel(job)
            await it.state(job, "cancelled")

    run(test())


def test_stopping_gives_jobs_back(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path, "one", "two") as it:
            jobs = [await it.submit() for _ in range(3)]
            await until(lambda: len(it.workers.busy()) == 2)
            killed = it.workers.running("two").job
            it.workers.on_stop = lambda worker: (
                it.workers.die(worker) if worker == "two" else it.workers.give_back(worker)
            )
            await it.dispatcher.stop()
            found = {job: it.queue.get(job) for job in jobs}
            assert {job.state for job in found.values()} == {"queued"}
            # It was slow to end, which is no fault of its job.
            assert found[killed].deaths == 0

    run(test())


def test_what_ran_when_the_server_was_killed(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        job = submit(queue).id
        claim(queue)

    async def test() -> None:
        async with dispatching(tmp_path) as it:
            assert await it.running(job) == 2

    run(test())


def test_a_pause_of_the_queue(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            for _ in range(3):
                await asyncio.wrap_future(it.queue.pause())
                job = await it.submit()
                await asyncio.sleep(0.02)
                assert it.queue.get(job).state == "queued"
                await asyncio.wrap_future(it.queue.resume())
                await it.running(job)
                it.workers.finish("one")

    run(test())


def test_a_client_that_has_as_many_as_it_may(tmp_path: Path) -> None:
    async def test() -> None:
        limits = {"limits": {"ann": Limits(running=1)}}
        async with dispatching(tmp_path, "one", "two", **limits) as it:
            jobs = [await it.submit() for _ in range(4)]
            for job in jobs:
                await until(lambda: len(it.workers.busy()) == 1)
                assert it.workers.running(it.workers.busy()[0]).job == job
                it.workers.finish(it.workers.busy()[0])
            await it.state(jobs[-1], "finished")

    run(test())


def test_progress_and_previews_are_shown_and_not_kept(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            job = await it.submit()
            await it.running(job)
            shown = event(1, "node.progress", step=1, total=2), event(2, "node.preview", image=b"x")
            it.workers.tell("one", event(0), *shown)
            it.workers.tell("one", event(3, "node.progress", step=2, total=2))
            it.workers.finish("one", event(4, "node.progress"), event(5))
            await it.state(job, "finished")
            assert [(each.after, each.event.number) for each in it.live] == [
                *((0, 1), (0, 2), (0, 3), (0, 4))
            ]
            assert {(each.job, each.client, each.attempt) for each in it.live} == {(job, "ann", 1)}
            assert "node.progress" not in it.kinds(job)

    run(test())


def test_a_job_that_nobody_runs_is_put_back(tmp_path: Path) -> None:
    async def test() -> None:
        with open_queue(tmp_path) as queue:
            lost, known = submit(queue).id, submit(queue).id
            claim(queue), claim(queue)
            given: list[tuple[str, int]] = []

            def give_back(job: str, attempt: int) -> None:
                given.append((job, attempt))
                queue.release(job, attempt)

            recovery = Recovery(queue, lambda job, _: job == known, give_back, every=0.01)
            await recovery.start()
            await until(lambda: queue.get(lost).state == "queued", PATIENCE)
            await recovery.stop()
            assert given == [(lost, 1)]
            assert queue.get(known).state == "running"

    run(test())


async def waiting_for_a_new_worker(it: Dispatching) -> str:
    """A job over which two workers died; the next one has done another job, and so is replaced."""
    job = await it.submit()
    await it.running(job)
    it.workers.die("one")
    await it.state(job, "queued")
    it.workers.start()
    assert await it.running(job) == 2
    it.queue.hold(job)
    await it.asked(job, "release")
    it.workers.die("one")
    assert (await it.state(job, "queued")).deaths == 2
    it.workers.start()
    other = await it.submit()
    await it.running(other)
    it.workers.finish("one")
    await it.state(other, "finished")
    it.queue.unhold(job)
    await it.state(job, "running")
    await until(lambda: "one" not in it.workers.runs)
    return job


def test_the_last_try_of_a_job_is_on_a_worker_that_has_done_nothing_else(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            job = await waiting_for_a_new_worker(it)
            it.workers.start()
            assert await it.running(job) == 3
            it.workers.die("one", "out of memory")
            assert (await it.state(job, "failed")).deaths == 3

    run(test())


def test_a_job_that_waits_for_a_new_worker_can_be_cancelled(tmp_path: Path) -> None:
    async def test() -> None:
        async with dispatching(tmp_path) as it:
            job = await waiting_for_a_new_worker(it)
            it.queue.cancel(job)
            await it.state(job, "cancelled")
            after = await it.submit()
            it.workers.start()
            await it.running(after)

    run(test())
