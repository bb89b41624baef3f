"""A queue that another program holds, or that is taken away: clients are told, nothing hangs."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nodegraph.jobs.queue import JobQueue
from tests.server.faults import Api, until
from tests.server.hosting import Hosted, workflow

HELD = 5.0
"""Seconds for which the queue waits for another program."""


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Another program writes to the queue, and takes its time."""
    other = sqlite3.connect(home / "queue.sqlite", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


def be_patient(queue: JobQueue) -> None:
    """Have it wait for other programs as long as the slowest machine may need here."""
    queue._put(lambda connection: connection.execute("PRAGMA busy_timeout = 60000")).result()


@pytest.fixture
def server(own_server: Hosted) -> Hosted:
    """One that no other test has: its database is held, and taken away."""
    return own_server


@pytest.fixture
def api(server: Hosted) -> Iterator[Api]:
    found = Api(server.url)
    yield found
    found.close()


def test_who_submits_meanwhile_waits_and_everybody_else_does_not(server: Hosted, api: Api) -> None:
    first = api.submit().json()["id"]
    be_patient(server.services.queue)
    answers: list[int] = []
    with held(server.services.home):
        waiting = threading.Thread(target=lambda: answers.append(api.submit().status_code))
        waiting.start()
        assert api.state(first) == "queued"
        assert len(api.get("/jobs").json()["items"]) == 1
        assert api.lives()
        assert answers == []
    waiting.join()
    assert answers == [202]
    assert api.get("/queue").json()["counts"]["queued"] == 2


@pytest.mark.slow
def test_who_has_waited_too_long_is_told_to_come_back(server: Hosted, api: Api) -> None:
    with held(server.services.home):
        answer = api.submit()
        assert answer.status_code == 503
        assert "locked" in answer.json()["detail"]
        assert "Another program uses it" in answer.json()["problems"][0]["hint"]
        assert "retry-after" in answer.headers
        assert api.ready() == {"queue-not-writable"}
    until(lambda: api.ready() == set())
    assert api.submit().status_code == 202
    assert api.get("/queue").json()["counts"]["queued"] == 1


@pytest.mark.slow
def test_many_who_wait_are_answered_all_at_once_and_the_server_goes_on(
    server: Hosted, api: Api
) -> None:
    answers: list[int] = []
    with held(server.services.home):
        threads = [
            threading.Thread(target=lambda: answers.append(api.submit().status_code))
            for _ in range(40)
        ]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        assert api.get("/jobs").status_code == 200
        for thread in threads:
            thread.join()
        # They share a wait, not each its own after the others'.
        assert time.monotonic() - start < 8 * HELD
    assert set(answers) == {503}
    assert api.get("/queue").json()["counts"]["queued"] == 0
    until(lambda: api.submit().status_code == 202)


def test_a_key_makes_trying_again_safe(server: Hosted, api: Api) -> None:
    headers = {"Idempotency-Key": "one"}
    be_patient(server.services.queue)
    with held(server.services.home):
        once: dict[str, Any] = {"json": {"workflow": workflow()}, "headers": headers}
        waiting = threading.Thread(target=lambda: api.ask("POST", "/jobs", **once))
        waiting.start()
    again = api.ask("POST", "/jobs", **once)
    waiting.join()
    assert again.status_code in (200, 202)
    assert api.get("/queue").json()["counts"]["queued"] == 1


def test_a_queue_that_is_taken_away_is_told_and_serves_again_once_it_is_back(
    server: Hosted, api: Api
) -> None:
    first = api.submit().json()["id"]
    queue = server.services.home / "queue.sqlite"
    away = queue.with_name("away.sqlite")
    queue.rename(away)
    answer = api.submit()
    assert answer.status_code == 503
    assert "removed or replaced" in answer.json()["detail"]
    assert api.ready() == {"queue-not-writable"}
    assert api.lives()
    assert not queue.exists()  # no empty one takes its place
    away.rename(queue)
    until(lambda: api.ready() == set())
    second = api.submit().json()["id"]
    assert [job["id"] for job in api.get("/jobs?order=oldest").json()["items"]] == [first, second]
