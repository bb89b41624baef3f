"""Which job a worker is given, by what it is for and what it holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.jobs.queue import BatchPartners, Death, JobCriteria, JobQueue
from nodegraph.jobs.queue.job_order import MOST_PASSED
from tests.jobs.queue.support import open_queue, submit
from tests.properties import examples

SPARES = JobCriteria(without_gpu=True)
RATHER = JobCriteria(gpu_first=True)


def holding(*models: str) -> JobCriteria:
    return JobCriteria(models=frozenset(models))


def given_(queue: JobQueue, *wishes: JobCriteria) -> list[str]:
    """Names of the jobs that workers are given, one after the other."""
    jobs = [queue.claim("worker", wish).result() for wish in wishes]
    return ["" if job is None else job.name for job in jobs]


@pytest.mark.usefixtures("either_place")
def test_a_worker_without_a_gpu_is_given_jobs_that_need_none_in_their_order(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        assert given_(queue, SPARES) == [""]
        submit(queue, name="paint")
        assert given_(queue, SPARES) == [""]
        submit(queue, "ann", name="crop", gpu=False)
        submit(queue, "bob", name="paint too")
        submit(queue, "bob", name="add", gpu=False)
        submit(queue, "bob", name="held", gpu=False, held=True)
        submit(queue, "eve", name="first", gpu=False, priority=1)
        assert given_(queue, *[SPARES] * 4) == ["first", "crop", "add", ""]
        assert given_(queue, *[JobCriteria()] * 3) == ["paint", "paint too", ""]


@pytest.mark.usefixtures("either_place")
def test_what_a_worker_is_to_do_without_keeps_nothing_else(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        clients = [f"client {number}" for number in range(9)]
        left = frozenset(submit(queue, each, models=["m"]).id for each in clients)
        submit(queue, "zoe", name="other", gpu=False)
        for wish in (JobCriteria(), SPARES, RATHER, holding("m")):
            without = replace(wish, excluded=left)
            job = queue.claim("worker", without).result()
            assert job is not None, wish
            assert job.name == "other"
            queue.release(job.id, job.attempt).result()
        assert given_(queue, *[replace(RATHER, excluded=left)] * 2) == ["other", ""]


def test_where_others_take_the_rest_a_gpu_is_for_those_that_need_one(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        for name in ("crop", "cut"):
            submit(queue, "ann", name=name, gpu=False)
        submit(queue, "ann", name="paint")
        submit(queue, "bob", name="add", gpu=False)
        submit(queue, "eve", name="urgent", gpu=False, priority=1)
        # Urgent ones come first all the same, and it doesn't idle.
        assert given_(queue, *[RATHER] * 6) == ["urgent", "paint", "add", "crop", "cut", ""]


def test_what_jobs_need_is_kept_with_them(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        submit(queue, models=["x", "y"])
        submit(queue, gpu=False)
        first, second = (queue.claim("worker").result() for _ in range(2))
    assert first is not None
    assert second is not None
    assert [(job.gpu, job.models) for job in (first, second)] == [(True, ("x", "y")), (False, ())]


def test_a_worker_is_given_a_job_whose_models_it_holds(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        submit(queue, "ann", name="x1", models=["x"])
        submit(queue, "ann", name="xy", models=["x", "y"])
        submit(queue, "ann", name="y1", models=["y"])
        submit(queue, "bob", name="y2", models=["y"])
        submit(queue, "ann", name="later", models=["z"], priority=-1)
        assert given_(queue, holding("y"), holding("y", "z")) == ["y1", "y2"]
        # None of theirs waits, or only behind more urgent ones.
        assert given_(queue, holding("z"), holding("x", "y"), holding("y")) == ["x1", "xy", "later"]


def test_what_needs_no_model_is_passed_over_by_nobody(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        submit(queue, name="sum")
        submit(queue, name="y", models=["y"])
        assert given_(queue, holding("y"), holding("y")) == ["sum", "y"]


@pytest.mark.usefixtures("either_place")
def test_what_somebody_moved_stays_where_it_was_put(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        for name in ("x1", "x2", "x3"):
            submit(queue, name=name, models=["x"])
        first, second = (submit(queue, name=name, models=["y"]).id for name in ("y1", "y2"))
        last = submit(queue, name="x4", models=["x"]).id
        queue.move(first, to="front").result()
        queue.move_before(second, last).result()
        assert given_(queue, *[holding("x")] * 6) == ["y1", "x1", "x2", "x3", "y2", "x4"]
        for name in ("y3", "x5"):
            last = submit(queue, name=name, models=[name[0]]).id
        queue.move(last, to="back").result()
        assert given_(queue, holding("x"), holding("x")) == ["y3", "x5"]


def test_nobody_starves_while_anothers_jobs_are_for_other_workers(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        submit(queue, "cpu", name="crop", gpu=False)
        for _ in range(40):
            submit(queue, "old", name="old")
        assert given_(queue, *[RATHER] * 20) == ["old"] * 20
        for _ in range(10):
            submit(queue, "new", name="new")
        assert Counter(given_(queue, *[RATHER] * 20)) == {"old": 10, "new": 10}


def beside(*models: str, sampling: str = "s", priority: int = 0) -> JobCriteria:
    company = BatchPartners(sampling, frozenset(models), priority)
    return JobCriteria(models=company.models, partners=company)


@pytest.mark.usefixtures("either_place")
def test_company_has_the_same_models_and_samples_alike(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        submit(queue, name="fewer models", models=["x"], sampling="s")
        submit(queue, name="other size", models=["x", "y"], sampling="t")
        submit(queue, name="samples nothing", models=["x", "y"])
        submit(queue, name="alike", models=["y", "x"], sampling="s")
        assert given_(queue, *[beside("x", "y")] * 2) == ["alike", ""]
        assert given_(queue, JobCriteria()) == ["fewer models"]


def test_company_overtakes_nothing_that_is_more_urgent_and_is_no_less_urgent_itself(
    tmp_path: Path,
) -> None:
    with open_queue(tmp_path) as queue:
        submit(queue, name="usual", models=["x"], sampling="s")
        assert given_(queue, beside("x", priority=1)) == [""]
        submit(queue, "bob", name="urgent", models=["y"], priority=1)
        assert given_(queue, beside("x"), JobCriteria(), beside("x")) == ["", "urgent", "usual"]


def test_company_passes_over_others_as_often_as_what_suits_a_worker_does(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        submit(queue, name="first", models=["y"])
        for number in range(2 * MOST_PASSED):
            submit(queue, name=str(number), models=["x"], sampling="s")
        taken = given_(queue, *[beside("x")] * 2 * MOST_PASSED)
        assert [name for name in taken if name] == [str(at) for at in range(MOST_PASSED)]
        assert given_(queue, holding("x")) == ["first"]


def test_no_job_runs_beside_an_attempt_of_its_own(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        job = submit(queue, name="again", models=["x"], sampling="s").id
        company = BatchPartners("s", frozenset("x"), jobs=frozenset([job]))
        assert given_(queue, JobCriteria(models=company.models, partners=company)) == [""]
        assert given_(queue, beside("x")) == ["again"]


def test_what_a_worker_died_of_is_no_company(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        job = submit(queue, name="fatal", models=["x"], sampling="s").id
        assert given_(queue, JobCriteria()) == ["fatal"]
        queue.died(job, 1, Death("killed")).result()
        assert given_(queue, beside("x"), holding("x")) == ["", "fatal"]


@settings(max_examples=examples(40), deadline=None)
@given(
    clients=st.integers(1, 3),
    workers=st.lists(st.sampled_from(["x", "y", "xy", ""]), min_size=1, max_size=3),
    jobs=st.lists(st.tuples(st.integers(0, 2), st.sampled_from("xyz")), min_size=20, max_size=60),
)
def test_nobody_is_passed_over_more_often_than_may_be(
    tmp_path_factory: pytest.TempPathFactory,
    clients: int,
    workers: list[str],
    jobs: list[tuple[int, str]],
) -> None:
    """By its client's own ones: these are given in order but for so many."""
    with open_queue(tmp_path_factory.mktemp("queue")) as queue:
        for number, (whose, model) in enumerate(jobs):
            submit(queue, f"{whose % clients}", name=str(number), models=[model])
        order = [
            (job.client, int(job.name))
            for turn in range(len(jobs))
            if (job := queue.claim("w", holding(*workers[turn % len(workers)])).result())
        ]
        assert len(order) == len(jobs)
    for name in {each[0] for each in order}:
        mine = [at for client, at in order if client == name]
        for place, at in enumerate(mine):
            assert sum(before > at for before in mine[:place]) <= MOST_PASSED


def test_clients_have_their_shares_whatever_a_worker_holds(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        for client in "xy":
            for _ in range(100):
                submit(queue, client, name=client, models=[client])
        names = given_(queue, *[holding("y")] * 100)
        assert names[:MOST_PASSED] == ["y"] * MOST_PASSED
        for end in range(1, 101):
            counts = Counter(names[:end])
            assert abs(counts["x"] - counts["y"]) <= MOST_PASSED
