"""Jobs are submitted, run and steered; whatever can't be done says why."""

from __future__ import annotations

import asyncio
from asyncio import wrap_future
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from nodegraph.errors import InvalidValue, OutputError
from nodegraph.jobs.queue import (
    Counts,
    Death,
    JobFilter,
    JobNotFound,
    JobQueue,
    KeyReused,
    Limits,
    QueueFull,
    StaleAttempt,
    WrongState,
)
from tests.jobs.queue.support import WORKFLOW, claim, claimed, open_queue, submit, told, wanted
from tests.messages import raises

pytestmark = pytest.mark.usefixtures("either_place")

DEATH = Death("killed by SIGKILL", "SIGKILL", -9, "sample", ("step 3", "step 4"), 7 << 30)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[JobQueue]:
    with open_queue(tmp_path) as queue:
        yield queue


def test_a_job_keeps_what_was_asked_for(queue: JobQueue) -> None:
    given = wanted(
        name="apples",
        parameters={"prompt": "äpfel", "seed": 1 << 70},
        targets=["save"],
        options={"cache": False},
        plan={"seconds": 3},
        tags=["a", "b", "a"],
        priority=5,
        key="k",
        held=True,
    )
    job = queue.get(queue.submit(given).result().job.id)
    assert (job.client, job.name, job.tags, job.priority) == ("ann", "apples", ("a", "b"), 5)
    assert (job.parameters, job.targets) == ({"prompt": "äpfel", "seed": 1 << 70}, ["save"])
    assert (job.options, job.plan, job.key) == ({"cache": False}, {"seconds": 3}, "k")
    assert (job.state, job.held, job.attempt, job.started) == ("queued", True, 0, None)
    assert queue.workflow(job.workflow) == '{"format":"nodegraph/1","nodes":{}}'


def test_a_job_runs(queue: JobQueue) -> None:
    submit(queue)
    job = claim(queue)
    assert (job.state, job.attempt, job.worker) == ("running", 1, "worker")
    assert queue.claim("worker").result() is None
    queue.finish(job.id, 1, {"image": ["digest"]}).result()
    done = queue.get(job.id)
    assert (done.state, done.outputs, done.error) == ("finished", {"image": ["digest"]}, None)
    assert done.finished is not None


def test_jobs_survive_a_restart(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        names = [submit(queue, name=f"n{at}").name for at in range(5)]
        queue.pause().result()
    with open_queue(tmp_path) as queue:
        assert queue.is_paused()
        assert queue.claim("worker").result() is None
        queue.resume().result()
        assert claimed(queue) == names


def test_a_workflow_is_stored_once(queue: JobQueue) -> None:
    jobs = [submit(queue) for _ in range(3)]
    other = submit(queue, workflow={"nodes": {}})
    digests = [queue.get(job.id).workflow for job in (*jobs, other)]
    assert len(set(digests)) == 2
    with pytest.raises(KeyError):
        queue.workflow("00" * 32)


def test_a_key_gives_the_same_job(queue: JobQueue) -> None:
    first = queue.submit(wanted(key="k", parameters={"a": 1, "b": 2}, plan={"nodes": 3})).result()
    again = queue.submit(wanted(key="k", parameters={"b": 2, "a": 1})).result()
    other = queue.submit(wanted("bob", key="k")).result()
    assert (first.is_new, again.is_new, other.is_new) == (True, False, True)
    assert first.job == again.job != other.job
    assert queue.counts().queued == 2


def test_a_key_is_for_one_request(queue: JobQueue) -> None:
    first = submit(queue, key="k")
    with pytest.raises(KeyReused, match=first.id) as caught:
        queue.submit(wanted(key="k", parameters={"a": 1})).result()
    assert caught.value.job == first.id


def test_all_of_a_batch_or_nothing(queue: JobQueue) -> None:
    submit(queue, key="taken")
    with pytest.raises(KeyReused):
        queue.submit_all([wanted(name="a"), wanted(key="taken", name="b")]).result()
    assert queue.counts().queued == 1
    made = queue.submit_all([wanted(name="a"), wanted(name="b")]).result()
    assert [each.job.name for each in made] == ["a", "b"]
    assert queue.submit_all([]).result() == []
    with raises(ValueError):
        queue.submit_all([wanted("ann"), wanted("bob")])


@pytest.mark.parametrize(
    "bad",
    [
        {"priority": 101},
        {"priority": 1.5},
        {"name": "x" * 257},
        {"tags": [""]},
        {"tags": [str(at) for at in range(33)]},
        {"key": ""},
        {"name": "\ud800"},
        {"parameters": {"a": float("nan")}},
        {"parameters": {"a": object()}},
        {"workflow": "\udc00"},
        {"seconds": -1.0},
        {"client": ""},
    ],
)
def test_what_cant_be_kept(queue: JobQueue, bad: dict[str, Any]) -> None:
    with raises(InvalidValue):
        queue.submit(wanted(**bad))
    assert queue.counts() == Counts()


def test_a_client_has_so_many_waiting_jobs(tmp_path: Path) -> None:
    limits = {"bob": Limits(waiting=3)}
    with open_queue(tmp_path, limits=limits, default_limits=Limits(waiting=2)) as queue:
        for _ in range(3):
            last = submit(queue, "bob", held=True)
        with raises(QueueFull, given="3 waiting") as caught:
            submit(queue, "bob")
        assert (caught.value.waiting, caught.value.limit) == (3, 3)
        with raises(QueueFull, given="0 waiting"):
            queue.submit_all([wanted()] * 3).result()
        assert queue.counts("ann").queued == 0
        queue.cancel(last.id).result()
        submit(queue, "bob")
        with pytest.raises(QueueFull):
            queue.retry(last.id).result()
        assert queue.get(last.id).state == "cancelled"


def test_a_key_that_is_known_takes_no_place(tmp_path: Path) -> None:
    with open_queue(tmp_path, default_limits=Limits(waiting=1)) as queue:
        first = submit(queue, key="k")
        assert submit(queue, key="k") == first


def test_the_queue_has_so_many_waiting_jobs(tmp_path: Path) -> None:
    with open_queue(tmp_path, most_waiting=2) as queue:
        submit(queue, "ann")
        submit(queue, "bob")
        with raises(QueueFull, given="2 waiting"):
            submit(queue, "cid")


def test_a_client_has_so_many_running_jobs(tmp_path: Path) -> None:
    with open_queue(tmp_path, limits={"ann": Limits(running=1)}) as queue:
        for name in ("a1", "a2"):
            submit(queue, "ann", name=name)
        submit(queue, "bob", name="b")
        first, second = claim(queue), claim(queue)
        assert {first.name, second.name} == {"a1", "b"}
        assert queue.claim("worker").result() is None
        ann = first if first.client == "ann" else second
        queue.fail(ann.id, 1, {"code": "x"}).result()
        assert claim(queue).name == "a2"


def test_a_failed_job_says_why_and_is_retried(queue: JobQueue) -> None:
    submit(queue, name="a")
    submit(queue, name="b")
    job = claim(queue)
    queue.fail(job.id, 1, {"code": "node-failed", "message": "no"}).result()
    assert queue.get(job.id).error == {"code": "node-failed", "message": "no"}
    again = queue.retry(job.id).result()
    assert (again.id, again.state, again.attempt) == (job.id, "queued", 1)
    assert queue.get(job.id).error is None
    assert [claim(queue).name, claim(queue).name] == ["b", "a"]
    assert queue.get(job.id).attempt == 2
    kinds = [event.kind for event in told(queue, job=job.id)]
    assert kinds == ["job.queued", "job.claimed", "job.failed", "job.retried", "job.claimed"]


def test_a_job_whose_workers_die_is_parked_at_the_third_death(queue: JobQueue) -> None:
    submit(queue, name="killer")
    submit(queue, name="next")
    job = claim(queue)
    for deaths in (1, 2):
        put_back = queue.died(job.id, deaths, replace(DEATH, node=f"node {deaths}")).result()
        assert (put_back.state, put_back.deaths) == ("queued", deaths)
        job = claim(queue)
        assert (job.name, job.attempt) == ("killer", deaths + 1)
    parked = queue.get(queue.died(job.id, 3, DEATH).result().id)
    assert (parked.state, parked.deaths) == ("failed", 3)
    assert parked.error is not None
    assert parked.error["code"] == "worker-died"
    assert parked.error["message"] == (
        "the job's worker died 3 times, the last time on a new worker that ran nothing else: "
        "killed by SIGKILL"
    )
    evidence = {
        "reason": "killed by SIGKILL",
        "signal": "SIGKILL",
        "exit_code": -9,
        "node": "sample",
        "log": ["step 3", "step 4"],
        "memory": 7 << 30,
        "beside": 0,
    }
    assert parked.error["evidence"] == evidence
    assert parked.error["former_deaths"] == [
        {**evidence, "attempt": 1, "node": "node 1"},
        {**evidence, "attempt": 2, "node": "node 2"},
    ]
    assert queue.retry(job.id).result().deaths == 0


def test_deaths_before_a_retry_are_not_told_again(queue: JobQueue) -> None:
    submit(queue, name="killer")
    for attempt in range(1, 7):
        job = claim(queue)
        ended = queue.died(job.id, attempt, DEATH).result()
        if attempt == 3:
            queue.retry(job.id).result()
    assert ended.state == "failed"
    error = queue.get(ended.id).error or {}
    assert [death["attempt"] for death in error["former_deaths"]] == [4, 5]


def test_a_released_job_goes_on_where_it_was(queue: JobQueue) -> None:
    submit(queue, name="a")
    submit(queue, name="b")
    job = claim(queue)
    released = queue.release(job.id, 1).result()
    assert (released.state, released.deaths) == ("queued", 0)
    assert claim(queue).name == "a"


def test_recover_puts_back_what_ran(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        for name in ("runs", "cancelled", "paused", "waits"):
            submit(queue, name=name)
        running = [claim(queue) for _ in range(3)]
        queue.cancel(running[1].id).result()
        queue.hold(running[2].id).result()
        assert queue.recover().result() == []
    with open_queue(tmp_path) as queue:
        recovered = {job.name: job for job in queue.recover().result()}
        assert (recovered["runs"].state, recovered["runs"].deaths) == ("queued", 0)
        assert recovered["cancelled"].state == "cancelled"
        assert (recovered["paused"].state, recovered["paused"].held) == ("queued", True)
        job = claim(queue)
        assert (job.name, job.attempt) == ("runs", 2)
        assert queue.recover().result() == []
        assert queue.get(job.id).state == "running"


def test_a_waiting_job_is_cancelled_at_once(queue: JobQueue) -> None:
    job = submit(queue, held=True)
    gone = queue.cancel(job.id).result()
    assert (gone.state, gone.held) == ("cancelled", False)
    assert queue.counts() == Counts(cancelled=1)


def test_a_running_job_is_asked_to_stop(queue: JobQueue) -> None:
    job = submit(queue)
    claim(queue)
    for _ in range(2):
        assert queue.cancel(job.id).result().wanted == "cancel"
    queue.stopped(job.id, 1).result()
    assert queue.get(job.id).state == "cancelled"
    kinds = [event.kind for event in told(queue)]
    assert kinds == ["job.queued", "job.claimed", "job.cancelling", "job.cancelled"]


def test_who_finishes_before_seeing_the_request_has_finished(queue: JobQueue) -> None:
    job = submit(queue)
    claim(queue)
    queue.cancel(job.id).result()
    queue.finish(job.id, 1, {}).result()
    done = queue.get(job.id)
    assert (done.state, done.wanted) == ("finished", None)


@pytest.mark.parametrize("ending", ["release", "died"])
def test_what_was_asked_for_happens_when_the_worker_goes(queue: JobQueue, ending: str) -> None:
    def go(id: str) -> None:
        done = queue.release(id, 1) if ending == "release" else queue.died(id, 1, DEATH)
        done.result()

    cancelled, held = submit(queue), submit(queue)
    claim(queue), claim(queue)
    queue.cancel(cancelled.id).result()
    queue.hold(held.id).result()
    go(cancelled.id)
    go(held.id)
    assert queue.get(cancelled.id).state == "cancelled"
    found = queue.get(held.id)
    assert (found.state, found.held, found.wanted) == ("queued", True, None)


def test_held_jobs_wait_until_they_are_let_go(queue: JobQueue) -> None:
    first, _ = submit(queue, name="a"), submit(queue, name="b")
    for _ in range(2):
        assert queue.hold(first.id).result().held
    assert queue.counts() == Counts(queued=2, held=1)
    assert claimed(queue) == ["b"]
    assert not queue.unhold(first.id).result().held
    assert claimed(queue) == ["a"]


def test_a_pause_is_taken_back(queue: JobQueue) -> None:
    job = submit(queue)
    claim(queue)
    assert queue.hold(job.id).result().wanted == "pause"
    assert queue.unhold(job.id).result().wanted is None
    queue.cancel(job.id).result()
    with raises(WrongState, given="running, to be cancelled"):
        queue.hold(job.id).result()
    with raises(WrongState, given="running, to be cancelled"):
        queue.unhold(job.id).result()


def test_clearing_cancels_what_waits(queue: JobQueue) -> None:
    submit(queue, name="runs")
    claim(queue)
    submit(queue, name="ann's", tags=["t"])
    submit(queue, "bob", name="bob's", tags=["t"], held=True)
    assert queue.clear(JobFilter(client="bob", tag="t")) == 1
    assert queue.clear(JobFilter(client="bob")) == 0
    assert queue.clear() == 1
    assert queue.counts() == Counts(running=1, cancelled=2)
    assert [event.data for event in told(queue) if event.kind == "job.cancelled"] == [
        {"reason": "cleared"}
    ] * 2


def test_clearing_many_gives_others_their_turn(queue: JobQueue) -> None:
    queue.submit_all([wanted(name=str(at)) for at in range(401)]).result()
    seen = set()
    queue.listen(lambda: seen.add(queue.counts().cancelled))
    assert queue.clear() == 401
    assert seen >= {200, 400}
    ends = [event.job for event in told(queue) if event.kind == "job.cancelled"]
    assert ends == [job.id for job in queue.page(limit=500, order="oldest").jobs]


Refused = Callable[[JobQueue, str], Any]
WORKERS: dict[str, Refused] = {
    "finish": lambda queue, job: queue.finish(job, 1, {}),
    "fail": lambda queue, job: queue.fail(job, 1, {}),
    "stopped": lambda queue, job: queue.stopped(job, 1),
    "release": lambda queue, job: queue.release(job, 1),
    "died": lambda queue, job: queue.died(job, 1, DEATH),
    "append": lambda queue, job: queue.append_events(job, 1, []),
}
ENDED: dict[str, Refused] = {
    "cancel": lambda queue, job: queue.cancel(job),
    "hold": lambda queue, job: queue.hold(job),
    "unhold": lambda queue, job: queue.unhold(job),
    "move": lambda queue, job: queue.move(job, "front"),
    "before": lambda queue, job: queue.move_before(job, job),
    "prioritize": lambda queue, job: queue.prioritize(job, 1),
    "retry": lambda queue, job: queue.retry(job),
}


@pytest.mark.parametrize("what", [*WORKERS, *ENDED])
def test_nothing_happens_to_an_ended_job(queue: JobQueue, what: str) -> None:
    job = submit(queue)
    claimed(queue)
    before = told(queue)
    with raises(WrongState, given="finished"):
        (WORKERS | ENDED)[what](queue, job.id).result()
    assert told(queue) == before


@pytest.mark.parametrize("what", WORKERS)
def test_a_zombie_changes_nothing(queue: JobQueue, what: str) -> None:
    job = submit(queue)
    claim(queue)
    queue.died(job.id, 1, DEATH).result()
    assert claim(queue).attempt == 2
    before = told(queue)
    with raises(StaleAttempt, given="attempt 1"):
        WORKERS[what](queue, job.id).result()
    assert told(queue) == before
    assert queue.get(job.id).state == "running"


@pytest.mark.parametrize("what", [*WORKERS, *ENDED])
def test_no_such_job(queue: JobQueue, what: str) -> None:
    with raises(JobNotFound, given="job_x"):
        (WORKERS | ENDED)[what](queue, "job_x").result()
    with raises(JobNotFound, given="job_x"):
        queue.get("job_x")


def test_deleting_needs_an_end(queue: JobQueue) -> None:
    job = submit(queue)
    with raises(WrongState, given="queued"):
        queue.delete(job.id).result()
    queue.cancel(job.id).result()
    queue.delete(job.id).result()
    with raises(JobNotFound):
        queue.get(job.id)
    assert told(queue) == []


def test_asyncio_waits_for_the_same_futures(queue: JobQueue) -> None:
    async def use() -> int:
        made = await asyncio.gather(*[wrap_future(queue.submit(wanted())) for _ in range(20)])
        return len({each.job.id for each in made})

    assert asyncio.run(use()) == 20


def test_listeners_are_told_of_commits(queue: JobQueue) -> None:
    calls: list[int] = []

    def broken() -> None:
        raise RuntimeError

    end_broken = queue.listen(broken)
    end = queue.listen(lambda: calls.append(queue.newest_event()))
    submit(queue)
    end_broken()
    submit(queue)
    queue.resume().result()  # the commit after the one that is waited for
    assert next(filter(None, calls)) == 1
    end()
    queue.resume().result()
    known = len(calls)
    submit(queue)
    queue.resume().result()
    assert len(calls) == known


def test_a_listener_that_has_ended_is_not_under_way(queue: JobQueue) -> None:
    order: list[str] = []
    entered, leave = Event(), Event()

    def listener() -> None:
        entered.set()
        leave.wait()
        order.append("called")

    end = queue.listen(listener)
    submitted = queue.submit(wanted())
    entered.wait()
    ending = Thread(target=lambda: (end(), order.append("ended")))
    ending.start()
    ending.join(0.1)  # the time in which it would end too early
    leave.set()
    ending.join()
    submitted.result()
    assert order[-1] == "ended"
    submit(queue)
    queue.resume().result()
    assert order[-1] == "ended"


def test_a_closed_queue_takes_nothing(tmp_path: Path) -> None:
    queue = open_queue(tmp_path)
    queue.close()
    queue.close()
    with raises(OutputError):
        queue.submit(wanted(workflow=WORKFLOW))
