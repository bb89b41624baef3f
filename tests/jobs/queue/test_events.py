"""Events are committed with the change that they tell of, and read without gaps or repeats."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import pytest

from nodegraph.jobs.queue import JobFilter, JobNotFound, JobQueue, QueueReader, StaleAttempt
from tests.jobs.queue.support import claim, event, open_queue, submit, told


@pytest.fixture
def queue(tmp_path: Path, either_place: None) -> Iterator[JobQueue]:
    with open_queue(tmp_path) as queue:
        yield queue


def test_a_runs_events_are_kept(queue: JobQueue) -> None:
    job = submit(queue)
    claim(queue)
    given = [event(0, "job.started", nodes=3), event(1, "node.started", type="KSampler")]
    queue.append_events(job.id, 1, given).result()
    queue.finish(job.id, 1, {}, [event(7, "node.finished", a=[1, None])]).result()
    found = [(each.kind, each.number, each.data) for each in told(queue)]
    assert found == [
        ("job.queued", None, {}),
        ("job.claimed", None, {"worker": "worker"}),
        ("job.started", 0, {"nodes": 3}),
        ("node.started", 1, {"type": "KSampler"}),
        ("node.finished", 7, {"a": [1, None]}),
        ("job.finished", None, {}),
    ]
    last = told(queue)[4]
    assert (last.job, last.client, last.attempt) == (job.id, "ann", 1)
    assert (last.node, last.seconds) == ("node", 0.5)


def test_cached_nodes_of_an_old_queue_are_told_as_they_are_now(queue: JobQueue) -> None:
    job = submit(queue)
    claim(queue)
    queue.append_events(job.id, 1, [event(1, "node.cached", source="disk", saved=2.5)]).result()
    last = told(queue)[-1]
    assert (last.kind, last.node) == ("nodes.cached", None)
    assert last.data == {"nodes": ["node"], "source": "disk", "saved": 2.5}


def test_what_is_of_the_moment_isnt_kept(queue: JobQueue) -> None:
    job = submit(queue)
    claim(queue)
    passing = [event(at, kind) for at, kind in enumerate(("node.progress", "node.preview"))]
    ends = [event(5, "job.finished"), event(6, "job.failed"), event(7, "job.cancelled")]
    queue.append_events(job.id, 1, [*passing, *ends]).result()
    assert len(told(queue)) == 2


def test_refused_changes_tell_nothing(queue: JobQueue) -> None:
    job = submit(queue)
    claim(queue)
    for refused in (queue.finish(job.id, 2, {}, [event(1)]), queue.release(job.id, 2, [event(1)])):
        with pytest.raises(StaleAttempt):
            refused.result()
    assert [each.kind for each in told(queue)] == ["job.queued", "job.claimed"]


def test_pages_by_job_and_client(queue: JobQueue) -> None:
    ann, bob = submit(queue, "ann"), submit(queue, "bob")
    queue.cancel(ann.id).result()
    assert [each.seq for each in told(queue, job=ann.id)] == [1, 3]
    assert [each.seq for each in told(queue, client="bob")] == [2]
    assert told(queue, job=ann.id, client="bob") == []
    with pytest.raises(JobNotFound):
        queue.events_after(0, job="job_x")
    first = queue.events_after(0, client="ann", limit=1)
    assert (first.last, first.is_complete) == (1, False)
    rest = queue.events_after(first.last, client="ann")
    assert [each.seq for each in rest.events] == [3]
    # Nothing of the other client's is looked at again.
    assert queue.events_after(0, client="bob").last == queue.newest_event() == 3
    queue.delete(ann.id).result()
    submit(queue, "ann")
    assert [each.seq for each in told(queue)] == [2, 4]
    assert bob.id in {each.job for each in told(queue)}


def test_numbers_are_never_given_again(tmp_path: Path, either_place: None) -> None:
    with open_queue(tmp_path) as queue:
        job = submit(queue)
        queue.cancel(job.id).result()
        queue.delete(job.id).result()
        assert queue.newest_event() == 2
    with open_queue(tmp_path) as queue:
        assert submit(queue).number == 2
        assert [each.seq for each in told(queue)] == [3]


def test_after_a_bad_end_numbers_leap(tmp_path: Path) -> None:
    """The power may have taken events that were told to somebody."""
    with open_queue(tmp_path / "one") as queue:
        submit(queue)
        shutil.copytree(tmp_path / "one", tmp_path / "two")
    with open_queue(tmp_path / "two") as queue:
        job = submit(queue)
        first, second = told(queue)
        assert first.seq == 1
        assert second.seq > 1_000_000
        assert queue.events_after(first.seq).events == (second,)
        assert job.number == 2


TURNS = 8


def test_readers_see_no_gap_that_is_filled_later(queue: JobQueue) -> None:
    """Each reader, whenever it looks, has seen all events up to the last it has seen."""
    done = Flag()
    seen: list[list[int]] = []

    def read() -> None:
        found: list[int] = []
        with QueueReader(queue.location) as reader:
            last, is_over = 0, False
            while not is_over:
                is_over = done.is_set()
                page = reader.events_after(last, limit=7)
                while page.events:
                    found += [each.seq for each in page.events]
                    page = reader.events_after(page.last, limit=7)
                last = page.last
        seen.append(found)

    readers = [Thread(target=read) for _ in range(3)]
    writers = [Thread(target=_write, args=(queue, str(at))) for at in range(4)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    whole = list(range(1, queue.newest_event() + 1))
    assert len(whole) == 4 * TURNS * 3
    assert seen == [whole] * 3
    assert queue.page(JobFilter(states=["running"])).jobs == ()


def _write(queue: JobQueue, client: str) -> None:
    for _ in range(TURNS):
        submit(queue, client)
        job = claim(queue)
        with pytest.raises(StaleAttempt):  # refused ones take no number
            queue.append_events(job.id, 9, [event(1)]).result()
        queue.finish(job.id, job.attempt, {}).result()
