"""The queue does what a list in memory would, whatever is done with it in whatever order."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue import (
    Counts,
    Death,
    JobFilter,
    JobQueue,
    RetentionRules,
    StaleAttempt,
    WrongState,
)
from nodegraph.jobs.queue.job import ENDED
from tests.jobs.queue.support import open_queue, wanted
from tests.properties import examples

CLIENTS = st.sampled_from(["ann", "bob", "cid"])
CHOICE = st.integers(0, 1 << 16)


@dataclass(frozen=True)
class Known:
    """What a job should be."""

    id: str
    client: str
    key: str | None
    priority: int
    state: str = "queued"
    held: bool = False
    wanted: str | None = None
    attempt: int = 0
    deaths: int = 0
    events: tuple[str, ...] = field(default=("job.queued",))

    @property
    def seen(self) -> tuple[Any, ...]:
        """What the queue says of it."""
        about = (self.id, self.client, self.state, self.held, self.wanted)
        return (*about, self.priority, self.attempt, self.deaths)


class Queues(RuleBasedStateMachine):
    """A queue and its model: jobs in the order in which each client wants them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.queue: JobQueue = open_queue(Path(self.folder.name))
        self.jobs: dict[str, Known] = {}
        self.line: list[str] = []
        """Those that wait or run, in order; a client's of one priority keep it."""
        self.former: set[str] = set()
        self.paused = False
        self.last = 0
        self.told: list[tuple[str, str]] = []
        self.expected: list[tuple[str, str]] = []

    def teardown(self) -> None:
        self.queue.close()
        self.folder.cleanup()

    # What is done.

    def change(self, id: str, *kinds: str, **fields: Any) -> None:
        job = self.jobs[id]
        self.jobs[id] = replace(job, **fields, events=(*job.events, *kinds))
        self.expected += [(id, kind) for kind in kinds]

    def some(self, choice: int, *states: str) -> Known:
        """A job; mostly one that is in the right state, if there is any."""
        right = [job for job in self.jobs.values() if job.state in states]
        jobs = right if right and choice % 5 else list(self.jobs.values())
        return jobs[choice // 5 % len(jobs)]

    def attempt_of(self, job: Known, is_stale: bool) -> int:
        return job.attempt - 1 if is_stale else job.attempt

    def by_worker(
        self, job: Known, is_stale: bool, action: Callable[[str, int], Future[Any]]
    ) -> bool:
        """Whether a worker's action was taken; if not, it was refused as it should be."""
        done = action(job.id, self.attempt_of(job, is_stale))
        if is_stale:
            with pytest.raises(StaleAttempt):
                done.result()
            return False
        return self.taken(done, job.state == "running")

    def taken(self, done: Future[Any], is_allowed: bool) -> bool:
        if not is_allowed:
            with pytest.raises(WrongState):
                done.result()
            return False
        done.result()
        return True

    def end(self, id: str, kind: str, state: str, **fields: Any) -> None:
        self.change(id, kind, state=state, held=False, wanted=None, **fields)
        self.line.remove(id)

    @rule(
        client=CLIENTS,
        priority=st.sampled_from([0, 0, 0, 5, -5]),
        keys=st.lists(st.sampled_from([None, None, None, "k", "l"]), min_size=1, max_size=4),
    )
    def submit(self, client: str, priority: int, keys: list[str | None]) -> None:
        for key in keys:
            self.submit_one(client, priority, key)

    def submit_one(self, client: str, priority: int, key: str | None) -> None:
        made = self.queue.submit(wanted(client, priority=0, key=key)).result()
        known = {(job.client, job.key): job.id for job in self.jobs.values() if job.key}
        same = known.get((client, key))
        assert made.is_new is (same is None)
        if same is not None:
            assert made.job.id == same
            return
        self.jobs[made.job.id] = Known(made.job.id, client, key, 0)
        self.expected.append((made.job.id, "job.queued"))
        self.line.append(made.job.id)
        if priority:
            self.queue.prioritize(made.job.id, priority).result()
            self.change(made.job.id, "job.prioritized", priority=priority)

    def next_of(self, client: str) -> list[Known]:
        line = [self.jobs[each] for each in self.line]
        mine = [job for job in line if job.client == client]
        ready = [job for job in mine if job.state == "queued" and not job.held]
        return sorted(ready, key=lambda job: -job.priority)

    @rule(count=st.integers(1, 3))
    def claim(self, count: int) -> None:
        for _ in range(count):
            self.claim_one()

    def claim_one(self) -> None:
        job = self.queue.claim("worker").result()
        ready = [job for client in ("ann", "bob", "cid") for job in self.next_of(client)[:1]]
        if job is None:
            assert self.paused or not ready
            return
        assert not self.paused
        assert job.id in {each.id for each in ready}
        assert job.priority == max(each.priority for each in ready)
        self.change(job.id, "job.claimed", state="running", attempt=job.attempt)
        assert self.jobs[job.id].attempt == job.attempt
        assert job.attempt == sum(kind == "job.claimed" for kind in self.jobs[job.id].events)

    @precondition(lambda self: self.jobs)
    @rule(choice=CHOICE, is_stale=st.booleans())
    def finish(self, choice: int, is_stale: bool) -> None:
        job = self.some(choice, "running")
        if self.by_worker(job, is_stale, lambda it, at: self.queue.finish(it, at, {"by": at})):
            self.end(job.id, "job.finished", "finished")
            assert self.queue.get(job.id).outputs == {"by": job.attempt}

    @precondition(lambda self: self.jobs)
    @rule(choice=CHOICE, is_stale=st.booleans())
    def fail(self, choice: int, is_stale: bool) -> None:
        job = self.some(choice, "running")
        if self.by_worker(job, is_stale, lambda it, at: self.queue.fail(it, at, {"code": "x"})):
            self.end(job.id, "job.failed", "failed")

    @precondition(lambda self: self.jobs)
    @rule(choice=CHOICE, is_stale=st.booleans())
    def stopped(self, choice: int, is_stale: bool) -> None:
        job = self.some(choice, "running")
        if self.by_worker(job, is_stale, lambda it, at: self.queue.stopped(it, at)):
            self.end(job.id, "job.cancelled", "cancelled")

    def put_back(self, id: str, deaths: int) -> None:
        job = self.jobs[id]
        if job.wanted == "cancel":
            self.end(id, "job.cancelled", "cancelled", deaths=deaths)
        else:
            held = job.wanted == "pause"
            fields = {"state": "queued", "held": held, "wanted": None, "deaths": deaths}
            self.change(id, "job.requeued", **fields)
        self.former.discard(id)

    @precondition(lambda self: self.jobs)
    @rule(choice=CHOICE, is_stale=st.booleans())
    def release(self, choice: int, is_stale: bool) -> None:
        job = self.some(choice, "running")
        if self.by_worker(job, is_stale, lambda it, at: self.queue.release(it, at)):
            self.put_back(job.id, job.deaths)

    @precondition(lambda self: self.jobs)
    @rule(choice=CHOICE, is_stale=st.booleans())
    def die(self, choice: int, is_stale: bool) -> None:
        job = self.some(choice, "running")
        if self.by_worker(job, is_stale, lambda it, at: self.queue.died(it, at, Death("x"))):
            if job.deaths == 2 and job.wanted != "cancel":
                self.end(job.id, "job.failed", "failed", deaths=3)
            else:
                self.put_back(job.id, job.deaths + 1)

    @precondition(lambda self: self.jobs)
    @rule(choice=CHOICE)
    def cancel(self, choice: int) -> None:
        job = self.some(choice, "queued", "running")
        if self.taken(self.queue.cancel(job.id), job.state in ("queued", "running")):
            if job.state == "queued":
                self.end(job.id, "job.cancelled", "cancelled")
            elif job.wanted != "cancel":
                self.change(job.id, "job.cancelling", wanted="cancel")

    @precondition(lambda self: self.jobs)
    @rule(choice=CHOICE)
    def hold(self, choice: int) -> None:
        job = self.some(choice, "queued", "running")
        may = job.state in ("queued", "running") and job.wanted != "cancel"
        if self.taken(self.queue.hold(job.id), may):
            if job.state == "running" and not job.wanted:
                self.change(job.id, "job.pausing", wanted="pause")
            elif job.state == "queued" and not job.held:
                self.change(job.id, "job.held", held=True)

    @precondition(lambda self: self.jobs)
    @rule(choice=CHOICE)
    def unhold(self, choice: int) -> None:
        job = self.some(choice, "queued", "running")
        may = job.state in ("queued", "running") and job.wanted != "cancel"
        if self.taken(self.queue.unhold(job.id), may) and (job.held or job.wanted):
            self.change(job.id, "job.unheld", held=False, wanted=None)

    @precondition(lambda self: self.jobs)
    @rule(choice=CHOICE)
    def retry(self, choice: int) -> None:
        job = self.some(choice, "failed", "cancelled")
        if self.taken(self.queue.retry(job.id), job.state in ("failed", "cancelled")):
            self.change(job.id, "job.retried", state="queued", deaths=0)
            self.line.append(job.id)

    @precondition(lambda self: self.jobs)
    @rule(choice=CHOICE, to=st.sampled_from(["front", "back"]))
    def move(self, choice: int, to: Any) -> None:
        job = self.some(choice, "queued")
        if self.taken(self.queue.move(job.id, to), job.state == "queued"):
            self.line.remove(job.id)
            self.line.insert(0 if to == "front" else len(self.line), job.id)
            self.change(job.id, "job.moved")

    @precondition(lambda self: self.jobs)
    @rule(choice=CHOICE, other=CHOICE)
    def move_before(self, choice: int, other: int) -> None:
        job, target = self.some(choice, "queued"), self.some(other, "queued")
        done = self.queue.move_before(job.id, target.id)
        if not job.state == target.state == "queued":
            with pytest.raises(WrongState):
                done.result()
        elif (job.client, job.priority) != (target.client, target.priority):
            with pytest.raises(InvalidValue):
                done.result()
        else:
            done.result()
            if job is not target:
                self.line.remove(job.id)
                self.line.insert(self.line.index(target.id), job.id)
                self.change(job.id, "job.moved")

    @precondition(lambda self: len(self.jobs) > 8)
    @rule(client=CLIENTS)
    def clear(self, client: str) -> None:
        gone = [
            job.id for job in self.jobs.values() if (job.client, job.state) == (client, "queued")
        ]
        assert self.queue.clear(JobFilter(client=client)) == len(gone)
        for id_ in gone:
            self.end(id_, "job.cancelled", "cancelled")

    @rule(is_paused=st.sampled_from([False, False, True]))
    def pause(self, is_paused: bool) -> None:
        (self.queue.pause() if is_paused else self.queue.resume()).result()
        self.paused = is_paused

    @rule()
    def reopen(self) -> None:
        self.queue.close()
        self.queue = open_queue(Path(self.folder.name))
        self.former = {job.id for job in self.jobs.values() if job.state == "running"}

    @rule()
    def recover(self) -> None:
        running = {each for each in self.former if self.jobs[each].state == "running"}
        recovered = self.queue.recover().result()
        assert {job.id for job in recovered} == running
        for job in recovered:
            self.put_back(job.id, self.jobs[job.id].deaths)
        self.former = set()

    @precondition(lambda self: len(self.jobs) > 8)
    @rule(choice=CHOICE)
    def delete(self, choice: int) -> None:
        job = self.some(choice)
        if self.taken(self.queue.delete(job.id), job.state in ENDED):
            self.forget([job.id])

    @precondition(lambda self: len(self.jobs) > 8)
    @rule()
    def prune(self) -> None:
        gone = [job.id for job in self.jobs.values() if job.state in ("finished", "cancelled")]
        assert self.queue.prune(RetentionRules(None, 0, None, None)) == len(gone)
        self.forget(gone)

    def forget(self, ids: list[str]) -> None:
        self.read_events()
        for id_ in ids:
            del self.jobs[id_]
            self.former.discard(id_)

    # What is seen.

    def read_events(self) -> None:
        """Go on from the last event: each is seen once, in order."""
        page = self.queue.events_after(self.last, limit=100_000)
        assert [event.seq for event in page.events] == sorted({event.seq for event in page.events})
        self.told += [(event.job, event.kind) for event in page.events]
        self.last = page.last
        assert sorted(self.told) == sorted(self.expected)

    @invariant()
    def jobs_are_as_they_should_be(self) -> None:
        page = self.queue.page(order="oldest", limit=1000)
        seen = [
            (
                *(job.id, job.client, job.state, job.held, job.wanted),
                *(job.priority, job.attempt, job.deaths),
            )
            for job in page.jobs
        ]
        assert sorted(seen) == sorted(job.seen for job in self.jobs.values())

    @invariant()
    def counts_are_right(self) -> None:
        states = [job.state for job in self.jobs.values()]
        held = sum(job.held for job in self.jobs.values())
        numbers = {state: states.count(state) for state in set(states)}
        assert self.queue.counts() == Counts(**numbers, held=held)

    @invariant()
    def each_clients_jobs_are_in_order(self) -> None:
        upcoming = self.queue.upcoming(1000)
        for client in ("ann", "bob", "cid"):
            mine = [job.id for job in upcoming if job.client == client]
            assert mine == [job.id for job in self.next_of(client)]
        priorities = [job.priority for job in upcoming]
        assert priorities == sorted(priorities, reverse=True)

    @invariant()
    def events_tell_it(self) -> None:
        self.read_events()
        for job in self.jobs.values():
            kinds = [event.kind for event in self.queue.events_after(0, job=job.id).events]
            assert tuple(kinds) == job.events


TestQueues = Queues.TestCase
TestQueues.settings = settings(max_examples=examples(60), stateful_step_count=50, deadline=None)


@pytest.mark.usefixtures("in_postgres")
class TestQueuesInPostgres(Queues.TestCase):  # type: ignore[name-defined, misc]
    """The same on a PostgreSQL server."""

    settings = settings(max_examples=examples(4), stateful_step_count=40, deadline=None)
