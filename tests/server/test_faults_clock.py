"""A clock that jumps: jobs keep their order, and nothing gets old, late or early by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.jobs.queue import JobQueue
from tests.jobs.queue.support import open_queue, wanted
from tests.properties import examples
from tests.server.faults import Api
from tests.server.hosting import Hosted
from tests.server.talking import Worker, talk, wish, worker

__all__ = ["worker"]  # a fixture

YEAR = 365 * 86_400.0


@pytest.fixture
def server(own_server: Hosted) -> Hosted:
    """One that no other test has: its clock jumps."""
    return own_server


@pytest.fixture
def api(server: Hosted) -> Iterator[Api]:
    found = Api(server.url)
    yield found
    found.close()


class Jumping:
    """A clock that a test sets."""

    def __init__(self, queue: JobQueue) -> None:
        self.now = 2e9
        queue._clock = lambda: self.now


@settings(max_examples=examples(20), deadline=None)
@given(jumps=st.lists(st.floats(-5e8, 5e8), min_size=2, max_size=12))
def test_jobs_run_in_the_order_in_which_they_came(jumps: list[float]) -> None:
    with TemporaryDirectory() as folder, open_queue(Path(folder)) as queue:
        clock, names = Jumping(queue), []
        for at, jump in enumerate(jumps):
            clock.now += jump
            names.append(queue.submit(wanted(name=str(at))).result().job.name)
        found = []
        while (job := queue.claim("worker").result()) is not None:
            clock.now -= jumps[len(found)]
            found.append(job.name)
            queue.finish(job.id, job.attempt, {}).result()
        assert found == names
        assert [job.name for job in queue.page(order="oldest").jobs] == names
        events = queue.events_after(0, limit=1_000).events
        assert [each.seq for each in events] == sorted(each.seq for each in events)


def test_a_job_across_a_jump_is_told_and_listed_as_any_other(
    server: Hosted, api: Api, worker: Worker
) -> None:
    clock = Jumping(server.services.queue)
    with talk(server) as client:
        client.ask("subscribe")
        jobs = []
        for jump in (-10 * YEAR, 0.0, 20 * YEAR, -5 * YEAR):
            jobs.append(client.ask("submit", **wish())["job"]["id"])
            clock.now += jump
            taken = worker.take()
            assert taken.id == jobs[-1]
            clock.now -= jump / 2
            worker.finish(taken)
        client.until("job.finished", jobs[-1])
        assert client.numbers() == sorted(client.numbers())
    listed = api.get("/jobs?order=oldest&limit=2").json()
    rest = api.get(f"/jobs?order=oldest&limit=2&cursor={listed['next']}").json()
    assert [job["id"] for job in [*listed["items"], *rest["items"]]] == jobs
    # Figures don't go by the clock, and none is negative.
    text = server.client.get(f"{server.url}/metrics").text
    figures = [line for line in text.splitlines() if line.startswith("nodegraph_job")]
    assert all(float(line.rpartition(" ")[2]) >= 0 for line in figures)
    waited = next(line for line in figures if line.startswith("nodegraph_job_wait_seconds_sum"))
    assert float(waited.rpartition(" ")[2]) < YEAR


def test_a_server_is_up_for_as_long_as_it_is(
    server: Hosted, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1e9)
    assert api.get("/system").json()["uptime"] >= 0
    assert api.submit().status_code == 202
    assert api.ready() == set()
