"""A client orders its own waiting jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue import JobQueue
from nodegraph.jobs.queue import job_order as positions_module
from tests.jobs.queue.support import claimed, open_queue, submit
from tests.messages import raises
from tests.properties import examples


@pytest.fixture
def queue(tmp_path: Path, either_place: None) -> Iterator[JobQueue]:
    with open_queue(tmp_path) as queue:
        yield queue


def filled(queue: JobQueue, names: str = "abcd") -> dict[str, str]:
    return {name: submit(queue, name=name).id for name in names}


def test_moving(queue: JobQueue) -> None:
    ids = filled(queue)
    queue.move(ids["c"], "front").result()
    queue.move(ids["a"], "back").result()
    queue.move_before(ids["d"], ids["b"]).result()
    queue.move_before(ids["b"], ids["b"]).result()
    assert claimed(queue) == ["c", "d", "b", "a"]


def test_what_comes_later_stays_behind_what_was_moved_back(queue: JobQueue) -> None:
    ids = filled(queue)
    for name in "acb":
        queue.move(ids[name], "back").result()
    filled(queue, "ef")
    assert claimed(queue) == ["d", "a", "c", "b", "e", "f"]


def test_the_only_one_moves_nowhere(queue: JobQueue) -> None:
    ids = filled(queue, "a")
    queue.move(ids["a"], "front").result()
    queue.move(ids["a"], "back").result()
    assert claimed(queue) == ["a"]


def test_priorities_come_first(queue: JobQueue) -> None:
    ids = filled(queue)
    queue.prioritize(ids["d"], 1).result()
    queue.prioritize(ids["a"], -100).result()
    queue.move(ids["c"], "front").result()
    assert [job.name for job in queue.upcoming()] == ["d", "c", "b", "a"]
    assert claimed(queue) == ["d", "c", "b", "a"]
    with raises(InvalidValue, given="101"):
        queue.prioritize(ids["a"], 101)


def test_moves_stay_within_a_client_and_a_priority(queue: JobQueue) -> None:
    ids = filled(queue)
    theirs = submit(queue, "bob").id
    with raises(InvalidValue):
        queue.move_before(ids["a"], theirs).result()
    queue.prioritize(ids["b"], 3).result()
    with raises(InvalidValue):
        queue.move_before(ids["a"], ids["b"]).result()


@settings(max_examples=examples(40), deadline=None)
@given(
    room=st.sampled_from([2, 4, 1 << 20]),
    moves=st.lists(
        st.tuples(st.sampled_from(["front", "back", "before", "submit"]), *[st.integers(0, 9)] * 2),
        max_size=30,
    ),
)
def test_any_moves(
    tmp_path_factory: pytest.TempPathFactory, room: int, moves: list[tuple[str, int, int]]
) -> None:
    """As in a list, also where there is hardly any room between two places."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(positions_module, "_ROOM", room)
        with open_queue(tmp_path_factory.mktemp("queue")) as queue:
            ids = filled(queue)
            model = list(ids)
            for what, first, second in moves:
                job, other = model[first % len(model)], model[second % len(model)]
                if what == "submit":
                    job = f"n{len(model)}"
                    ids |= {job: submit(queue, name=job).id}
                elif what == "before":
                    queue.move_before(ids[job], ids[other]).result()
                else:
                    queue.move(ids[job], what).result()  # type: ignore[arg-type]
                if job != other or what != "before":
                    model = [each for each in model if each != job]
                    at = {"front": 0, "before": model.index(other) if what == "before" else 0}
                    model.insert(at.get(what, len(model)), job)
            assert [job.name for job in queue.upcoming()] == model
            assert claimed(queue) == model
