"""How long things are tried again."""

from __future__ import annotations

import pytest

from nodegraph.client import NEVER, Retries, TookTooLong
from nodegraph.client import requests as retries
from nodegraph.client.requests import Backoff, Deadline
from tests.messages import raises


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which goes on as a test says."""
    now = [100.0]
    monkeypatch.setattr(retries, "monotonic", lambda: now[0])
    return now


def test_delays_grow_up_to_the_longest(clock: list[float]) -> None:
    trouble = Backoff(Retries(first=1.0, most=4.0), 1_000.0)
    delays = [trouble.delay() for _ in range(5)]
    for delay, longest in zip(delays, (1, 2, 4, 4, 4), strict=True):
        assert delay is not None
        assert longest / 2 <= delay <= longest


def test_it_is_given_up_when_the_time_is_over(clock: list[float]) -> None:
    trouble = Backoff(Retries(first=1.0, most=1.0), 10.0)
    assert trouble.delay() is not None
    clock[0] += 9.8
    assert trouble.delay() is None


def test_what_works_again_starts_afresh(clock: list[float]) -> None:
    trouble = Backoff(Retries(first=1.0, most=8.0), 10.0)
    for _ in range(3):
        trouble.delay()
    clock[0] += 11
    trouble.reset()
    delay = trouble.delay()
    assert delay is not None
    assert delay <= 1.0


def test_the_server_says_when_to_come_back(clock: list[float]) -> None:
    trouble = Backoff(Retries(first=0.1), 10.0)
    assert trouble.delay(7.0) == 7.0
    assert trouble.delay(11.0) is None


def test_never_means_once(clock: list[float]) -> None:
    assert Backoff(NEVER, NEVER.seconds).delay() is None


def test_a_deadline(clock: list[float]) -> None:
    deadline = Deadline(10.0, "job x")
    assert deadline.bound(5.0) == 5.0
    clock[0] += 8
    assert deadline.bound(5.0) == 2.0
    clock[0] += 2
    with raises(TookTooLong) as caught:
        deadline.bound(5.0)
    assert isinstance(caught.value, TimeoutError)
    assert Deadline(None).bound(5.0) == 5.0
