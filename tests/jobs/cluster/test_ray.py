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
