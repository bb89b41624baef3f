"""A server whose workers run on a real Ray cluster of several nodes on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.jobs.cluster.machines import Machines
from tests.server.chaos import disturbed
from tests.server.chaos_checks import faults
from tests.server.chaos_record import moments
from tests.server.chaos_work import pieces
from tests.server.conftest import home, known_packs  # noqa: F401 - fixtures
from tests.server.faults import Api, serving, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray isn't installed"),
]


@pytest.fixture
def api(cluster: Machines, home: Path) -> Iterator[Api]:  # noqa: F811 - the fixture
    with serving(home, "--cluster", cluster.address, "--workers", "1") as (_, found):
        yield found


def worker(api: Api, *, former: int = 0) -> dict[str, Any]:
    """The one that runs jobs, once it has a process that isn't a former one."""
    return dict(until(lambda: _ready(api, former)))


def _ready(api: Api, former: int) -> dict[str, Any] | None:
    found = [each for each in api.get("/system").json()["workers"] if each["role"] == "worker"]
    (each,) = found or [{"state": "", "pid": None}]
    return each if each["state"] == "idle" and each["pid"] != former else None


def test_jobs_run_on_a_cluster_whatever_is_killed(api: Api) -> None:
    first = worker(api)
    assert first["host"] == os.uname().nodename
    job = str(api.submit().json()["id"])
    assert until(lambda: api.state(job) == "finished")
    os.kill(first["pid"], signal.SIGKILL)
    second = worker(api, former=first["pid"])
    # Its actor, which takes it along.
    os.kill(psutil.Process(second["pid"]).ppid(), signal.SIGKILL)
    assert until(lambda: not psutil.pid_exists(second["pid"]))
    worker(api, former=second["pid"])
    job = str(api.submit().json()["id"])
    assert until(lambda: api.state(job) == "finished")


def test_a_cluster_that_isnt_there_is_told_with_what_may_be_given() -> None:
    command = [sys.executable, "-m", "nodegraph", "serve", "--cluster", "nonsense", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "the cluster at `nonsense` can't be joined" in done.stderr
    assert "HOST:PORT as `ray start --head` prints it" in done.stderr


JOBS, CLIENTS, WORKERS, ACTORS, NODES = 36, 4, 2, 1, 1


def test_every_job_finishes_once_whatever_of_a_cluster_is_killed(
    cluster: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the digests that one machine gives; the long form is `benchmarks/cluster.py`."""
    monkeypatch.delenv("NODEGRAPH_STORE", raising=False)
    work = pieces(JOBS)
    calm = disturbed(tmp_path / "calm", work, clients=CLIENTS)
    kills = moments(JOBS, WORKERS, 0, seed=2, actors=ACTORS, nodes=NODES)
    found = disturbed(tmp_path / "home", work, clients=CLIENTS, kills=kills, seed=2, nodes=cluster)
    assert len(found.kills) == WORKERS + ACTORS + NODES
    assert faults(found, work, calm.results) == []
