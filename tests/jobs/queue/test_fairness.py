"""Clients share by weight; nobody starves, nobody waits for another's thousand jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.jobs.queue import Limits
from nodegraph.jobs.queue.job_order import WaitingJob, charged, order
from tests.jobs.queue.support import claim, claimed, open_queue, submit, wanted
from tests.messages import raises
from tests.properties import examples


def jobs_of(counts: Mapping[str, int], cost: float = 1.0) -> list[WaitingJob]:
    return [WaitingJob(at, client, cost) for client in counts for at in range(counts[client])]


def clients(counts: Mapping[str, int], **weights: float) -> list[str]:
    return [job.client for job in order(jobs_of(counts), {}, 0.0, weights)]


def test_clients_take_turns() -> None:
    assert clients({"a": 3, "b": 2}) == ["a", "b", "a", "b", "a"]


def test_weights_share_the_work() -> None:
    counts = Counter(clients({"a": 90, "b": 90}, a=2.0)[:90])
    assert counts == {"a": 60, "b": 30}


def test_costs_count() -> None:
    jobs = [*jobs_of({"slow": 20}, cost=3.0), *jobs_of({"quick": 60})]
    first = [job.client for job in order(jobs, {}, 0.0, {})][:40]
    assert Counter(first) == {"slow": 10, "quick": 30}


def test_limits_make_sense() -> None:
    for bad in ({"weight": 0.0}, {"running": 0}, {"waiting": -1}):
        with raises(ValueError):
            Limits(**bad)  # type: ignore[arg-type]


class Model:
    """Start-time fair queuing by the book: a client that comes back starts at the clock then."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.finish: dict[str, float] = {}
        self.start: dict[str, float] = {}
        self.waiting: Counter[str] = Counter()

    def arrive(self, client: str) -> None:
        if not self.waiting[client]:
            self.start[client] = max(self.clock, self.finish.get(client, 0.0))
        self.waiting[client] += 1

    def may_pick(self) -> set[str]:
        """Those that start first."""
        ready = [client for client, count in self.waiting.items() if count]
        least = min((self.start[client] for client in ready), default=0.0)
        return {client for client in ready if self.start[client] <= least}

    def pick(self, client: str, weight: float) -> None:
        self.clock = self.start[client]
        self.finish[client] = self.start[client] = self.clock + 1 / weight
        self.waiting[client] -= 1


@settings(max_examples=examples(40), deadline=None)
@given(
    weights=st.fixed_dictionaries({name: st.sampled_from([0.5, 1.0, 2.0]) for name in "abc"}),
    steps=st.lists(st.sampled_from(["a", "b", "c", "claim", "claim"]), max_size=40),
)
def test_the_queue_picks_as_the_book_says(
    tmp_path_factory: pytest.TempPathFactory, weights: dict[str, float], steps: list[str]
) -> None:
    limits = {name: Limits(weight=weight) for name, weight in weights.items()}
    model = Model()
    with open_queue(tmp_path_factory.mktemp("queue"), limits=limits) as queue:
        for step in [*steps, *["claim"] * len(steps)]:
            if step != "claim":
                submit(queue, step)
                model.arrive(step)
                continue
            foreseen = [job.id for job in queue.upcoming(1)]
            job = queue.claim("worker").result()
            assert foreseen == ([] if job is None else [job.id])
            if job is None:
                assert not model.may_pick()
            else:
                assert job.client in model.may_pick()
                model.pick(job.client, weights[job.client])


@settings(max_examples=examples(25), deadline=None)
@given(
    workers=st.integers(1, 4),
    before=st.integers(0, 30),
    costs=st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
)
def test_a_newcomer_waits_for_one_job_per_worker_at_most(
    tmp_path_factory: pytest.TempPathFactory, workers: int, before: int, costs: list[float]
) -> None:
    with open_queue(tmp_path_factory.mktemp("queue")) as queue:
        queue.submit_all([wanted("busy", seconds=costs[0])] * 100).result()
        queue.submit_all([wanted("other", seconds=costs[1])] * 3).result()
        running = [claim(queue) for _ in range(workers)]
        for _ in range(before):
            done = running.pop(0)
            queue.finish(done.id, done.attempt, {}).result()
            running.append(claim(queue))
        mine = submit(queue, "new", seconds=costs[2])
        ended = 0
        while all(job.id != mine.id for job in running):
            done = running.pop(0)
            queue.finish(done.id, done.attempt, {}).result()
            ended += 1
            running.append(claim(queue))
        assert ended <= workers


def test_nobody_starves(tmp_path: Path) -> None:
    """Others may come all the time: who waits gets a turn among them."""
    with open_queue(tmp_path) as queue:
        queue.submit_all([wanted("patient", name="p")] * 5).result()
        order_: list[str] = []
        for at in range(40):
            submit(queue, f"new{at % 3}", name="n")
            submit(queue, f"new{(at + 1) % 3}", name="n")
            order_ += claimed(queue, 1)
        assert order_.count("p") == 5
        assert max(at for at, name in enumerate(order_) if name == "p") < 4 * 5 + 4


def test_shares_outlive_a_restart(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        queue.submit_all([wanted("a", name="a", seconds=10)] * 3).result()
        queue.submit_all([wanted("b", name="b", seconds=1)] * 9).result()
        assert claimed(queue, 2) == ["a", "b"]
    with open_queue(tmp_path) as queue:
        # b goes on until it has had ten seconds as well, though a is first by name.
        assert claimed(queue) == [*"bbbbbbbb", "a", "a"]


def test_turns(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        first = submit(queue, "a", seconds=5)
        second = submit(queue, "a", seconds=7)
        theirs = submit(queue, "b")
        urgent = submit(queue, "c", priority=1, seconds=2)
        held = submit(queue, "a", held=True)
        ahead = {job.id: queue.turn(job.id) for job in (urgent, first, theirs, second, held)}
        assert [turn.ahead for turn in ahead.values()] == [0, 1, 2, 3, 4]
        assert [turn.seconds_ahead for turn in ahead.values()] == [0, 2, 7, 8, 15]
        assert ahead[held.id].is_held
        claim(queue)
        queue.pause().result()
        turn = queue.turn(first.id)
        assert (turn.ahead, turn.running, turn.is_paused) == (0, 1, True)


def test_the_clock_follows_the_smallest_start() -> None:
    assert charged(5.0, 3.0, 2.0, 1.0) == (7.0, 5.0)
    assert charged(0.0, 3.0, 2.0, 4.0) == (3.5, 3.0)
