"""Workers without a job compute along with others' jobs, and are nobody's hindrance."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nodegraph.jobs.queue import Job, JobQueue
from nodegraph.jobs.supervisor.distributed_run import ComputeDevice, HelpScheduler
from nodegraph.jobs.supervisor.messages import HelpUpdate
from nodegraph.jobs.supervisor.supervisor import Supervisor
from tests.jobs.queue.support import open_queue, wanted
from tests.jobs.supervisor.crew import sums
from tests.jobs.supervisor.dispatching import until
from tests.jobs.supervisor.test_dispatcher_workers import PATIENCE, lines, serving, submit


@dataclass
class Party:
    """A server whose workers help, and the folder in which nodes meet."""

    folder: Path
    queue: JobQueue
    supervisor: Supervisor

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def branches(self, gates: Mapping[str, str], **inputs: Any) -> dict[str, Any]:
        """Two branches: each leaves a file of its name, and waits for another."""
        nodes: dict[str, Any] = {
            name: ("Meet", {"here": self.path(name), "gate": self.path(gate), **inputs})
            for name, gate in gates.items()
        }
        one, other = gates
        nodes["sum"] = ("Add", {"a": f"@{one}", "b": f"@{other}"})
        return {**nodes, "note": ("Note", {"value": "@sum", "diary": self.path("diary")})}

    async def helped(self, **inputs: Any) -> str:
        """A job both of whose branches are in progress until there is a file `gate`."""
        job = submit(self.queue, self.branches({"a": "gate", "b": "gate"}, **inputs))
        await until(lambda: all(map(os.path.exists, map(self.path, "ab"))), PATIENCE)
        await until(self.helper, PATIENCE)
        return job

    def helper(self) -> str:
        """Name of the worker that helps; empty if none does."""
        return next((each.name for each in self.supervisor.workers if each.helps), "")

    async def state(self, job: str, state: str) -> None:
        await until(lambda: self.queue.get(job).state == state, PATIENCE)

    async def finish(self, job: str) -> None:
        """Let the branches end, and the job with them."""
        Path(self.path("gate")).touch()
        await self.state(job, "finished")
        assert lines(self.path("diary")) == ["2"]
        assert (self.queue.get(job).attempt, self.queue.get(job).deaths) == (1, 0)


@asynccontextmanager
async def party(folder: Path, **rules: Any) -> AsyncIterator[Party]:
    async with serving(folder, 2, helps_after=0.0, **rules) as (queue, supervisor, _):
        yield Party(folder, queue, supervisor)


def run(folder: Path, test: Callable[[Party], Coroutine[Any, Any, None]], **rules: Any) -> None:
    async def whole() -> None:
        async with party(folder, **rules) as found:
            await test(found)

    asyncio.run(whole())


def test_two_branches_are_in_progress_in_two_processes_at_once(tmp_path: Path) -> None:
    async def test(party: Party) -> None:
        # Neither ends before the other has begun.
        job = submit(party.queue, party.branches({"a": "b", "b": "a"}))
        await party.state(job, "finished")
        assert lines(party.path("diary")) == ["2"]
        assert party.queue.get(job).attempt == 1

    run(tmp_path, test)


def test_a_job_that_waits_takes_the_helper_away(tmp_path: Path) -> None:
    async def test(party: Party) -> None:
        job = await party.helped()
        await party.state(submit(party.queue, sums(1)), "finished")
        assert party.queue.get(job).state == "running"
        await party.finish(job)

    run(tmp_path, test)


@pytest.mark.slow
def test_a_helper_that_heeds_nothing_is_ended_for_a_job_that_waits(tmp_path: Path) -> None:
    async def test(party: Party) -> None:
        job = await party.helped(heeds=False)
        other = submit(party.queue, sums(1))
        await party.state(other, "finished")
        assert party.queue.get(other).deaths == 0
        assert party.queue.get(job).state == "running"
        await party.finish(job)

    run(tmp_path, test, cancel_seconds=0.0)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
def test_a_helper_that_is_killed_does_no_harm(tmp_path: Path) -> None:
    async def test(party: Party) -> None:
        job = await party.helped()
        pid = party.supervisor.status(party.helper()).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not party.helper(), PATIENCE)
        await party.finish(job)

    run(tmp_path, test)


@pytest.mark.slow
def test_help_ends_with_the_job(tmp_path: Path) -> None:
    async def test(party: Party) -> None:
        job = await party.helped()
        party.queue.cancel(job)
        await party.state(job, "cancelled")
        await until(lambda: not party.helper(), PATIENCE)
        await until(lambda: len(party.supervisor.idle) == 2, PATIENCE)
        assert not Path(party.path("diary")).exists()

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("one", "other", "may_help"),
    [
        (ComputeDevice("cuda:0"), ComputeDevice("cuda:1"), True),
        (ComputeDevice("cuda:0"), ComputeDevice("cpu"), False),
        # Two workers of one processor may compute more than one does; of one card they don't.
        (ComputeDevice("cpu"), ComputeDevice("cpu"), True),
        (ComputeDevice("cuda:1"), ComputeDevice("cuda:1"), False),
        (ComputeDevice("cuda"), ComputeDevice("cuda:0"), False),
        # A cluster hides others' cards from a worker.
        (ComputeDevice("cuda:0", "node-1"), ComputeDevice("cuda:0", "node-1"), True),
        (ComputeDevice("cuda:0", "node-1"), ComputeDevice("cuda:0"), True),
        # Parts of cards may be parts of one.
        (ComputeDevice("cuda:0", "node-1", True), ComputeDevice("cuda:0", "node-1", True), False),
        (ComputeDevice("cuda:0", "node-1", True), ComputeDevice("cuda:0", "node-2", True), True),
    ],
)
def test_who_may_help_whom(one: ComputeDevice, other: ComputeDevice, may_help: bool) -> None:
    assert one.may_help(other) is other.may_help(one) is may_help


class Helpers:
    """Workers that say nothing by themselves; satisfies `Helping`."""

    def __init__(self, *names: str) -> None:
        self.idle = list(names)
        self.helping: dict[str, dict[str, bool]] = {}

    def candidates(self, job: str, attempt: int) -> list[str]:
        return self.idle

    def active_helpers(self, job: str, attempt: int) -> dict[str, bool]:
        return self.helping.setdefault(job, {})

    def begin(self, worker: str, job: str, attempt: int) -> None:
        self.idle.remove(worker)
        self.active_helpers(job, attempt)[worker] = False

    def stop(self, job: str, attempt: int, reason: str) -> None:
        self.idle += self.helping.pop(job, {})


@asynccontextmanager
async def offering(
    folder: Path, helpers: Helpers
) -> AsyncIterator[tuple[HelpScheduler, list[Job]]]:
    """What gives helpers three jobs that run; the second one needs no GPU."""
    with open_queue(folder) as queue:
        for gpu in (True, False, True):
            queue.submit(wanted(gpu=gpu)).result()
        jobs = [queue.claim(f"worker-{at}").result() for at in range(3)]
        found = [job for job in jobs if job is not None]
        offers = HelpScheduler(helpers, after=0.0)
        for job in found:
            offers.began(job)
        yield offers, found


def test_one_looks_whether_help_pays_before_others_come(tmp_path: Path) -> None:
    async def test() -> None:
        helpers = Helpers("a", "b", "c")
        async with offering(tmp_path, helpers) as (offers, (first, _, third)):
            await until(lambda: helpers.idle == ["c"])
            assert helpers.helping == {first.id: {"a": False}, third.id: {"b": False}}
            helpers.helping[third.id]["b"] = True
            offers.handle_update("b", HelpUpdate(third.id, third.attempt, "begun"))
            assert helpers.helping[third.id] == {"b": True, "c": False}

    asyncio.run(test())


def test_where_help_is_of_no_use_nobody_is_asked_again(tmp_path: Path) -> None:
    async def test() -> None:
        helpers = Helpers("a")
        async with offering(tmp_path, helpers) as (offers, (first, _, third)):
            await until(lambda: not helpers.idle)
            helpers.stop(first.id, first.attempt, "")
            offers.handle_update("a", HelpUpdate(first.id, first.attempt, "useless"))
            assert helpers.helping == {third.id: {"a": False}}
            offers.over(third.id, "it has ended")
            offers.assign_helpers()
            assert (helpers.idle, helpers.helping) == (["a"], {})

    asyncio.run(test())


def test_a_job_is_offered_once_to_each_that_is_unfit_or_has_died(tmp_path: Path) -> None:
    async def test() -> None:
        helpers = Helpers("a", "b")
        async with offering(tmp_path, helpers) as (offers, (first, _, third)):
            await until(lambda: not helpers.idle)
            offers.over(third.id, "it has ended")
            assert helpers.helping == {first.id: {"a": False}}
            helpers.stop(first.id, first.attempt, "")
            offers.worker_died("b")
            offers.handle_update("a", HelpUpdate(first.id, first.attempt, "unfit"))
            assert sorted(helpers.idle) == ["a", "b"]

    asyncio.run(test())
