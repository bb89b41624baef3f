"""Whether the server lives, and whether it is of use."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nodegraph.jobs.queue import JobQueue
from nodegraph.jobs.supervisor.worker_status import WorkerState, WorkerStatus
from nodegraph.server.http.routes.monitoring import Readiness
from nodegraph.server.settings import ServerSettings
from tests.jobs.queue.support import open_queue
from tests.server.hosting import Hosted, hosted


def ready(server: Hosted) -> tuple[int, set[str]]:
    """The status of an answer, and what is wrong."""
    answer = server.client.get(f"{server.url}/readyz")
    return answer.status_code, {each["code"] for each in answer.json().get("problems", ())}


def test_a_server_lives_and_is_ready(server: Hosted) -> None:
    assert server.client.get(f"{server.url}/healthz").json() == {"status": "ok"}
    assert server.client.get(f"{server.url}/readyz").json() == {"status": "ready"}


def test_probes_need_no_token(own_server: Hosted) -> None:
    own_server.token("ann", "read")
    while own_server.client.get("/jobs").status_code != 401:
        pass
    for path in ("healthz", "readyz"):
        assert own_server.client.get(f"{own_server.url}/{path}").status_code == 200


def test_it_isnt_ready_without_a_queue_but_lives(own_server: Hosted) -> None:
    (own_server.services.home / "queue.sqlite").unlink()
    assert ready(own_server) == (503, {"queue-not-writable"})
    assert own_server.client.get(f"{own_server.url}/healthz").status_code == 200


def test_it_isnt_ready_with_a_full_disk(home: Path) -> None:
    with hosted(home, least_free="1000000GB") as server:
        assert ready(server) == (503, {"disk-low"})
        answer = server.client.get(f"{server.url}/readyz")
        assert answer.headers["content-type"] == "application/problem+json"
        assert "retry-after" in answer.headers
        # Anybody may ask.
        assert str(home) not in answer.text


def test_it_isnt_ready_when_it_stops(own_server: Hosted) -> None:
    loop = own_server.services.hub._tail._loop
    loop.call_soon_threadsafe(own_server.services.stopping.set)
    while ready(own_server) != (503, {"stopping"}):
        pass


class Parts(SimpleNamespace):
    """What readiness looks at, as a test sets it."""

    states: list[WorkerState]

    def worker_states(self) -> list[WorkerStatus]:
        planner = WorkerStatus("planner", "planner", "idle", "auto")
        workers = [WorkerStatus(str(at), "worker", it, "cpu") for at, it in enumerate(self.states)]
        return [planner, *workers]


@contextmanager
def parts(folder: Path, *states: WorkerState, **settings: Any) -> Iterator[Parts]:
    with open_queue(folder, patience=60) as queue:
        yield Parts(
            home=folder,
            queue=queue,
            server=ServerSettings(**settings),
            has_workers=True,
            stopping=asyncio.Event(),
            states=list(states),
            node_types=SimpleNamespace(is_ready=True),
        )


def codes(readiness: Readiness) -> set[str]:
    return {problem.code for problem in asyncio.run(readiness.problems())}


@pytest.mark.parametrize(
    ("states", "is_ready"),
    [
        (["idle"], True),
        (["busy", "busy"], True),
        (["dead", "idle"], True),
        (["starting"], False),
        (["dead", "stopped"], False),
        ([], False),
    ],
)
def test_one_worker_is_enough(tmp_path: Path, states: list[WorkerState], is_ready: bool) -> None:
    with parts(tmp_path, *states) as found:
        assert codes(Readiness(found)) == (set() if is_ready else {"no-worker-ready"})


def test_it_isnt_ready_before_it_knows_what_jobs_may_hold(tmp_path: Path) -> None:
    with parts(tmp_path, "idle") as found:
        found.node_types.is_ready = False
        assert codes(Readiness(found)) == {"node-packs-unread"}
        found.has_workers = False  # nobody would read them
        assert codes(Readiness(found)) == set()


def test_a_server_that_is_to_have_no_workers_needs_none(tmp_path: Path) -> None:
    with parts(tmp_path, workers=0) as found:
        assert codes(Readiness(found)) == set()


def test_a_queue_that_another_program_holds_is_told_of_before_it_gives_up(tmp_path: Path) -> None:
    with (
        parts(tmp_path, "idle") as found,
        closing(sqlite3.connect(found.queue.location, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        assert codes(Readiness(found)) == {"queue-not-writable"}
        other.execute("COMMIT")
        assert codes(Readiness(found)) == set()


def commits(queue: JobQueue) -> list[None]:
    """Grows with each."""
    counted: list[None] = []
    queue.listen(lambda: counted.append(None))
    return counted


def test_whoever_asks_all_the_time_costs_one_look_a_second(tmp_path: Path) -> None:
    now = 0.0
    with parts(tmp_path, "idle") as found:
        readiness, counted = Readiness(found, clock=lambda: now), commits(found.queue)

        async def ask() -> None:
            await asyncio.gather(*(readiness.problems() for _ in range(50)))

        asyncio.run(ask())
        assert len(counted) == 1
        found.states = ["dead"]
        assert codes(readiness) == set()
        now = 1.5
        assert codes(readiness) == {"no-worker-ready"}
        assert len(counted) == 2


def test_trying_to_write_changes_nothing(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        before = queue.newest_event(), queue.counts()
        queue.try_writing().result()
        assert (queue.newest_event(), queue.counts()) == before
