"""Workers and servers that are killed while jobs run: none is lost, and none is done twice.

The long form is `benchmarks/server_load.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from nodegraph.client import Client, JobSummary, Retries
from tests.server.chaos import disturbed, retry
from tests.server.chaos_checks import faults, happened
from tests.server.chaos_record import moments
from tests.server.chaos_servers import PATIENCE, Servers, servers_at
from tests.server.chaos_work import pieces, walk, walked
from tests.server.faults import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX"),
]
JOBS, CLIENTS, WORKER_KILLS, SERVER_KILLS = 60, 6, 5, 2


@pytest.fixture(autouse=True)
def store_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each home folder has results of its own."""
    monkeypatch.delenv("NODEGRAPH_STORE", raising=False)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with servers_at(tmp_path / "home", workers=1) as found:
        yield found


@pytest.fixture
def client(servers: Servers) -> Iterator[Client]:
    retries = Retries(seconds=PATIENCE, connecting=PATIENCE, following=PATIENCE)
    with Client(servers.url, "", retries=retries) as found:
        yield found


def test_every_accepted_job_finishes_once_whatever_is_killed(tmp_path: Path) -> None:
    work = pieces(JOBS)
    calm = disturbed(tmp_path / "calm", work, clients=CLIENTS)
    assert faults(calm, work, calm.results) == []
    assert happened(calm, "job.requeued", "died") == happened(calm, "job.failed") == 0

    kills = moments(JOBS, WORKER_KILLS, SERVER_KILLS, seed=1)
    found = disturbed(tmp_path / "home", work, clients=CLIENTS, kills=kills, seed=1)
    assert (found.killed("worker"), found.killed("server")) == (WORKER_KILLS, SERVER_KILLS)
    assert faults(found, work, calm.results) == []


def worker_in(client: Client, node: str) -> psutil.Process:
    """The process of the worker, once it is in a node."""

    def found() -> int | None:
        (entry,) = [each for each in client.system().workers if each.role == "worker"]
        return entry.pid if entry.node == node else None

    return psutil.Process(until(found, PATIENCE))


def until_blamed(client: Client, job: JobSummary, deaths: int) -> None:
    """Wait until so many deaths are put down to a job."""
    until(lambda: client.get(job).deaths == deaths, PATIENCE)


def test_a_job_over_which_three_workers_are_killed_is_failed_and_finishes_when_retried(
    client: Client, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    piece = walk(7, gate)
    job = client.submit(piece.workflow, targets=piece.targets)
    for deaths in (1, 2, 3):
        worker_in(client, "walk").kill()
        until_blamed(client, job, deaths)
    failed = client.wait(job, timeout=PATIENCE)
    assert (failed.state, failed.attempt) == ("failed", 3)
    assert failed.error is not None
    assert failed.error["code"] == "worker-died"
    evidence = failed.error["evidence"]
    assert (evidence["signal"], evidence["node"]) == ("SIGKILL", "walk")
    assert evidence["memory"] > 1 << 20
    gate.touch()
    retry(client, failed)
    found = client.wait(job, timeout=PATIENCE)
    assert (found.state, found.attempt, found.deaths) == ("finished", 4, 0)
    client.download(found.files[0], tmp_path / "file")
    assert (tmp_path / "file").read_text() == walked(7)


def test_a_job_never_answers_for_the_death_of_a_server(
    servers: Servers, client: Client, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    piece = walk(8, gate)
    job = client.submit(piece.workflow, targets=piece.targets)
    for _ in range(3):
        worker_in(client, "walk")
        servers.kill()
        servers.start()
    gate.touch()
    found = client.wait(job, timeout=PATIENCE)
    assert (found.state, found.attempt, found.deaths) == ("finished", 4, 0)
    client.download(found.files[0], tmp_path / "file")
    assert (tmp_path / "file").read_text() == walked(8)
    assert servers.orphans() == []
