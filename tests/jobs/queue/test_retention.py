"""Ended jobs are forgotten by rules, whatever the clock does."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.jobs.queue import Counts, JobFilter, JobNotFound, JobQueue, RetentionRules
from nodegraph.jobs.queue import retention as retention_module
from tests.jobs.queue.support import claim, claimed, open_queue, submit, told

pytestmark = pytest.mark.usefixtures("either_place")

KEEP = RetentionRules(None, None, None, None)


class Clock:
    """Time, as a test sets it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_module, "AT_ONCE", 2)


def fill(queue: JobQueue, clock: Clock) -> None:
    """Five finished, five failed and five cancelled, one of each at each of 1000 … 1004."""
    for _ in range(5):
        submit(queue)
        claimed(queue)
        submit(queue)
        queue.fail(claim(queue).id, 1, {}).result()
        queue.cancel(submit(queue).id).result()
        clock.now += 1


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        (KEEP, (5, 5, 5)),
        (RetentionRules(3.0, None, None, None), (3, 5, 3)),
        (RetentionRules(None, 3, None, None), (1, 5, 2)),
        (RetentionRules(None, None, 1.0, None), (5, 1, 5)),
        (RetentionRules(None, None, None, 2), (5, 2, 5)),
        (RetentionRules(0.0, 0, 0.0, 0), (0, 0, 0)),
        (RetentionRules(), (5, 5, 5)),
    ],
)
def test_rules(tmp_path: Path, rules: RetentionRules, left: tuple[int, int, int]) -> None:
    clock = Clock()
    with open_queue(tmp_path, clock=clock) as queue:
        fill(queue, clock)
        submit(queue)
        running = claim(queue)
        waiting = submit(queue)
        assert queue.prune(rules) == 15 - sum(left)
        finished, failed, cancelled = left
        assert queue.counts() == Counts(1, 1, finished, failed, cancelled)
        assert {job.id for job in queue.page().jobs} >= {running.id, waiting.id}


def test_what_belongs_to_a_job_goes_with_it(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        gone = submit(queue, tags=["t"], key="k", workflow={"nodes": {"a": {}}})
        claimed(queue)
        stays = submit(queue, tags=["t"])
        digest = queue.get(gone.id).workflow
        assert queue.prune(RetentionRules(count=0)) == 1
        with pytest.raises(JobNotFound):
            queue.get(gone.id)
        with pytest.raises(KeyError):
            queue.workflow(digest)
        assert queue.workflow(queue.get(stays.id).workflow)
        assert {event.job for event in told(queue)} == {stays.id}
        assert [job.id for job in queue.page(JobFilter(tag="t")).jobs] == [stays.id]
        assert submit(queue, key="k").id != gone.id


def test_deleting_what_matches(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        for client in ("ann", "ann", "ann", "bob"):
            submit(queue, client)
        claimed(queue)
        waits = submit(queue, "ann")
        assert queue.delete_matching(JobFilter(client="ann", states=["failed", "queued"])) == 0
        assert queue.delete_matching(JobFilter(client="ann")) == 3
        assert queue.counts() == Counts(queued=1, finished=1)
        assert queue.get(waits.id).state == "queued"


def test_a_job_that_runs_again_meanwhile_stays(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        job = submit(queue)
        queue.cancel(job.id).result()
        deleting = queue._put(lambda connection: retention_module.delete(connection, [job.number]))
        assert deleting.result() == 1
        job = submit(queue)
        queue.cancel(job.id).result()
        queue.retry(job.id).result()
        deleting = queue._put(lambda connection: retention_module.delete(connection, [job.number]))
        assert deleting.result() == 0


def test_order_is_none_of_the_clocks_business(tmp_path: Path) -> None:
    clock = Clock()
    with open_queue(tmp_path, clock=clock) as queue:
        for name, now in (("a", 5e9), ("b", -10.0), ("c", 0.0), ("d", 4e12), ("e", 1000.0)):
            clock.now = now
            submit(queue, name=name)
        assert [job.name for job in queue.page(order="oldest").jobs] == [*"abcde"]
        clock.now = -1e6
        assert claimed(queue, 3) == [*"abc"]
        clock.now = 1e12
        assert claimed(queue) == [*"de"]
        assert [event.seq for event in told(queue)] == list(range(1, 16))
        clock.now = 0.0
        assert queue.prune(RetentionRules(seconds=10.0)) == 3
        assert queue.counts().finished == 2


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        (RetentionRules(0.0, None, None, None), {"0", "3", "9"}),
        (RetentionRules(None, 2, None, None), {"0", "3", "8", "9", "7"}),
        (RetentionRules(None, 0, None, None), {"0", "3", "9"}),
        (RetentionRules(None, 20, None, None), set("0123456789")),
    ],
)
def test_some_jobs_are_kept_whatever_the_rules_say(
    tmp_path: Path, rules: RetentionRules, left: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodegraph.jobs.queue.retention.AT_ONCE", 2)
    clock = Clock()
    with open_queue(tmp_path, clock=clock) as queue:
        jobs = [submit(queue, name=str(at)) for at in range(10)]
        claimed(queue)
        clock.now += 1
        kept = [jobs[at].id for at in (0, 3, 9)]
        queue.prune(rules, kept=[*kept, "job_of_nobody"])
        assert {job.name for job in queue.page().jobs} == left
        assert queue.prune(rules, kept=kept) == 0
