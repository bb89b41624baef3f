"""What finished jobs gave is listed in the order in which they finished, each once."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.jobs.queue import JobQueue
from tests.jobs.queue.support import claim, event, open_queue, submit

pytestmark = pytest.mark.usefixtures("either_place")


def finish(queue: JobQueue, name: str) -> str:
    submit(queue, name=name)
    job = claim(queue)
    queue.append_events(job.id, job.attempt, [event(1), event(2)]).result()
    queue.finish(job.id, job.attempt, {"name": name}).result()
    return job.id


def test_jobs_come_in_the_order_in_which_they_finished(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        for name in "ab":
            submit(queue, name=name)
        first, second = claim(queue), claim(queue)
        queue.finish(second.id, second.attempt, {"name": "b"}).result()
        queue.finish(first.id, first.attempt, {"name": "a"}).result()
        page = queue.outputs_after(0)
        assert [job.outputs["name"] for job in page.entries] == ["b", "a"]
        assert [job.id for job in page.entries] == [second.id, first.id]
        assert {job.client for job in page.entries} == {"ann"}
        assert page.is_complete


def test_who_goes_on_from_a_page_misses_none_and_sees_none_twice(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        wanted = [finish(queue, str(at)) for at in range(7)]
        found: list[str] = []
        last, is_complete = 0, False
        while not is_complete:
            page = queue.outputs_after(last, limit=3)
            found += [job.id for job in page.entries]
            last, is_complete = page.last, page.is_complete
        assert found == wanted
        assert last == queue.newest_event()
        submit(queue, name="waits")
        assert queue.outputs_after(last).entries == ()
        later = finish_waiting(queue)
        assert [job.id for job in queue.outputs_after(last).entries] == [later]


def finish_waiting(queue: JobQueue) -> str:
    job = claim(queue)
    queue.finish(job.id, job.attempt, {}).result()
    return job.id


def test_jobs_that_failed_were_cancelled_or_deleted_are_not_among_them(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        gone, there = finish(queue, "gone"), finish(queue, "there")
        submit(queue)
        job = claim(queue)
        queue.fail(job.id, job.attempt, {"code": "x", "message": "y"}).result()
        queue.cancel(submit(queue).id).result()
        queue.delete(gone).result()
        assert [job.id for job in queue.outputs_after(0).entries] == [there]
