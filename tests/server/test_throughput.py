"""How many jobs an hour workers bring to an end, by what was seen of late."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.server.operations.metrics.counters import EVERY, WINDOW, Throughput


class Seen:
    """Workers that are looked at, and a clock that stands until it is told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: dict[str, int] = {}
        self.throughput = Throughput(lambda: self.done, lambda: self.now)

    def pass_by(self, seconds: float, **done: int) -> None:
        self.now += seconds
        self.done = done
        self.throughput.sample()

    def pace(self, worker: str) -> float | None:
        return self.throughput.per_hour(worker, self.done.get(worker, 0))


@given(each=st.integers(0, 50), looks=st.integers(1, 200))
def test_a_steady_pace_is_told_however_long_it_lasts(each: int, looks: int) -> None:
    seen = Seen()
    for look in range(looks + 1):
        seen.pass_by(EVERY, a=look * each)
    assert seen.pace("a") == pytest.approx(each / EVERY * 3600)


def test_what_is_long_ago_counts_no_more() -> None:
    seen = Seen()
    seen.pass_by(0, a=0)
    seen.pass_by(EVERY, a=1000)
    seen.pass_by(WINDOW, a=1000)
    assert seen.pace("a") == 0


def test_jobs_since_the_last_look_count() -> None:
    seen = Seen()
    seen.pass_by(0, a=0)
    seen.now, seen.done = 36.0, {"a": 2}
    assert seen.pace("a") == pytest.approx(200)


def test_a_new_worker_has_no_pace_yet_nor_has_another_one_of_its_name() -> None:
    seen = Seen()
    assert seen.pace("a") is None
    seen.pass_by(0, a=500)
    assert seen.pace("a") is None
    seen.pass_by(EVERY, a=0)
    assert seen.pace("a") is None
    seen.pass_by(EVERY, b=0)
    assert seen.pace("a") is None
