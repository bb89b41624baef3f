"""Lists are filtered and cut into pages that new jobs don't disturb."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue import Counts, JobFilter, JobQueue, ReadyCounts
from nodegraph.jobs.queue.job_queries import Order
from tests.jobs.queue.support import claim, open_queue, submit, wanted
from tests.messages import raises
from tests.properties import examples


@pytest.fixture
def queue(tmp_path: Path, either_place: None) -> Iterator[JobQueue]:
    time = iter(range(1000, 10_000))
    with open_queue(tmp_path, clock=lambda: float(next(time))) as queue:
        yield queue


def names(queue: JobQueue, **which: object) -> str:
    return "".join(job.name for job in queue.page(JobFilter(**which)).jobs)  # type: ignore[arg-type]


def test_filters(queue: JobQueue) -> None:
    a = submit(queue, "ann", name="a", tags=["red"])
    b = submit(queue, "bob", name="B", tags=["red", "blue"])
    submit(queue, "ann", name="c")
    claim(queue)
    queue.cancel(b.id).result()
    assert names(queue) == "cBa"
    assert names(queue, states=["queued"]) == "c"
    assert names(queue, states=["cancelled", "running", "running"]) == "Ba"
    assert names(queue, client="ann") == "ca"
    assert names(queue, client="ann", states=["running"]) == "a"
    assert names(queue, tag="red") == "Ba"
    assert names(queue, tag="green") == ""
    assert names(queue, text="b") == "B"
    assert names(queue, text="%") == ""
    assert names(queue, text="LUE") == "B"
    assert names(queue, text="e") == "Ba"
    assert names(queue, text='"') == ""
    assert names(queue, created_after=b.created) == "cB"
    assert names(queue, created_before=b.created) == "a"
    assert names(queue, client="bob", created_before=a.created) == ""


def test_an_unknown_state_is_told() -> None:
    with raises(InvalidValue, given="queue"):
        JobFilter(states=["queue"])  # type: ignore[list-item]


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_are_stable_under_inserts(queue: JobQueue, order: Order) -> None:
    first = [submit(queue, name=str(at)).name for at in range(10)]
    found: list[str] = []
    cursor = None
    while True:
        page = queue.page(order=order, limit=3, cursor=cursor)
        found += [job.name for job in page.jobs]
        if page.next is None:
            break
        cursor = page.next
        if len(found) < 9:
            submit(queue, name=f"new{len(found)}")
    if order == "newest":
        assert found == first[::-1]
    else:
        assert found[:10] == first
        assert found[10:] == ["new3", "new6"]


def test_a_full_last_page_has_no_next(queue: JobQueue) -> None:
    for _ in range(3):
        submit(queue)
    assert queue.page(limit=3).next is None
    assert queue.page(limit=2).next is not None


@pytest.mark.parametrize("cursor", ["", "x", "e30", "W10", "WzEsMl0", "é", "[" * 9000])
def test_a_broken_cursor_is_told(queue: JobQueue, cursor: str) -> None:
    with raises(InvalidValue):
        queue.page(cursor=cursor)


def test_another_lists_cursor_is_told(queue: JobQueue) -> None:
    for _ in range(3):
        submit(queue)
    cursor = queue.page(limit=1).next
    with raises(InvalidValue, given="WzMsICIyZDIwYTc0OCJd"):
        queue.page(JobFilter(client="ann"), cursor=cursor)
    with raises(InvalidValue, given="WzMsICIyZDIwYTc0OCJd"):
        queue.page(order="oldest", cursor=cursor)
    with raises(InvalidValue, given="0"):
        queue.page(limit=0)


@settings(deadline=None, max_examples=examples(30))
@given(cursor=st.text(max_size=40))
def test_no_cursor_breaks_the_list(tmp_path_factory: pytest.TempPathFactory, cursor: str) -> None:
    with open_queue(tmp_path_factory.mktemp("queue")) as queue, pytest.raises(InvalidValue):
        queue.page(cursor=cursor)


def test_what_waits_is_counted_by_what_it_needs(queue: JobQueue) -> None:
    assert queue.waiting() == ReadyCounts()
    submit(queue, "ann")
    submit(queue, "bob", gpu=False, held=True)
    submit(queue, "bob", gpu=False)
    submit(queue, "bob", gpu=False)
    submit(queue, "bob")
    claim(queue)
    assert queue.waiting() == ReadyCounts(gpu=1, others=2)


def test_of_thousands_that_wait_the_sum_is_exact(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        queue.submit_all([wanted(gpu=at % 2 == 0) for at in range(2100)]).result()
        found = queue.waiting()
    assert found.gpu + found.others == 2100
    assert min(found.gpu, found.others) >= 1000


def test_counts(queue: JobQueue) -> None:
    jobs = [submit(queue, client) for client in ("ann", "ann", "ann", "bob", "ann")]
    queue.hold(jobs[1].id).result()
    queue.fail(claim(queue).id, 1, {}).result()
    claim(queue)
    assert queue.counts() == Counts(queued=3, held=1, running=1, failed=1)
    assert queue.counts("ann") == Counts(queued=3, held=1, failed=1)
    assert queue.counts("cid") == Counts()
