"""The simulation of a head with many workers obeys what holds for every such system."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.capacity_model import Costs, Simulation, cost_of_one
from tests.properties import examples

STEPS = 20
MILLI = 1e-3
few = settings(max_examples=examples(15), deadline=None)
millis = st.floats(0.1, 5.0).map(lambda each: each * MILLI)
costs = st.builds(
    Costs,
    take=st.lists(millis, min_size=1, max_size=5).map(tuple),
    serve=st.lists(millis, min_size=1, max_size=5).map(tuple),
    step=st.floats(0.0, 0.2).map(lambda each: each * MILLI),
    commit=st.lists(millis, min_size=1, max_size=5).map(tuple),
    own=st.floats(0.0, 5.0).map(lambda each: each * MILLI),
)
CHEAP = Costs(take=(MILLI,), serve=(2 * MILLI,), step=0.05 * MILLI, commit=(MILLI,))


@few
@given(costs, st.integers(1, 60), st.floats(0.05, 5.0), st.integers(0, 9))
def test_as_many_jobs_are_within_as_come_in_the_time_that_one_stays(
    costs: Costs, workers: int, seconds: float, seed: int
) -> None:
    """Little's law, where each that ends is followed by another one."""
    within = 2 * workers
    found = Simulation(costs, workers, seconds, STEPS, seed).never_idle(20 * within, within)
    assert found.within == pytest.approx(within)
    assert found.rate * found.stay == pytest.approx(within, rel=0.15)


@few
@given(costs, st.integers(1, 200), st.floats(0.05, 5.0))
def test_neither_head_nor_workers_do_more_than_they_can(
    costs: Costs, workers: int, seconds: float
) -> None:
    within = 2 * workers
    found = Simulation(costs, workers, seconds, STEPS).never_idle(20 * within, within)
    assert found.rate <= costs.bound(workers, seconds, STEPS) * 1.15
    assert found.head <= 1 + 1e-9
    assert found.workers <= 1 + 1e-9


@pytest.mark.slow
@few
@given(costs)
def test_a_head_with_workers_enough_does_what_its_processor_can(costs: Costs) -> None:
    workers = round(3 * costs.workers_at_most(seconds := 0.05, STEPS)) + 1
    found = Simulation(costs, workers, seconds, STEPS).never_idle(20 * workers, 2 * workers)
    assert found.rate == pytest.approx(costs.most(STEPS), rel=0.15)
    assert found.head == pytest.approx(1.0, abs=0.01)


@few
@given(st.integers(1, 60), st.integers(1, 60))
def test_more_workers_are_never_slower(one: int, more: int) -> None:
    rates = [
        Simulation(CHEAP, workers, 1.0, STEPS).never_idle(20 * workers, 2 * workers).rate
        for workers in (one, one + more)
    ]
    assert rates[1] >= rates[0] * 0.999


def test_one_that_waits_for_nobody_takes_what_its_parts_take() -> None:
    costs = replace(CHEAP, step=0.0, own=4 * MILLI)
    found = Simulation(costs, 1, 1.0, 0).all_at_once(3)
    each = 2 * MILLI + 2 * MILLI + 1.0 + 4 * MILLI
    assert found.seconds == pytest.approx(3 * each)


def test_the_same_seed_gives_the_same() -> None:
    costs = replace(CHEAP, take=(MILLI, 2 * MILLI), commit=(MILLI, 3 * MILLI))
    one, same, other = (
        Simulation(costs, 4, 0.5, STEPS, seed).arriving(400, rate=7.0) for seed in (1, 1, 2)
    )
    assert one == same != other


def test_who_comes_seldom_waits_for_little_but_the_head() -> None:
    found = Simulation(CHEAP, 50, 1.0, STEPS).arriving(1000, rate=5.0)
    assert found.rate == pytest.approx(5.0, rel=0.2)
    assert found.wait == pytest.approx(4 * MILLI, rel=0.1)


def test_a_picture_costs_what_all_that_stands_there_costs_while_it_is_made() -> None:
    assert cost_of_one(2.0, workers=10, worker_price=3.0, head_price=6.0) == 36.0 / 7200.0
