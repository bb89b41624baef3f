"""Asking a cluster for actors, whatever becomes of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nodegraph.jobs.cluster.connection import Cluster
from nodegraph.jobs.cluster.head import ClusterHead
from nodegraph.jobs.supervisor.rules import Needs
from tests.jobs.cluster.test_head import listening


def test_whatever_ray_raises_is_tried_again_as_a_lost_connection_is() -> None:
    pytest.importorskip("ray")

    async def use() -> None:
        server, port = listening()
        with server:
            cluster = Cluster("127.0.0.1", ClusterHead("127.0.0.1", port), is_own=False)
            # Ray refuses it with an error that is none of a connection, before it asks anybody.
            with pytest.raises(ConnectionError, match=r"Ray made no actor for it: .*num_cpus"):
                await cluster.actor(Needs(cpus=-1.0))

    asyncio.run(use())


def test_a_token_of_ray_that_isnt_there_is_told_with_where_it_is_looked_for(
    tmp_path: Path,
) -> None:
    pytest.importorskip("ray")
    server, port = listening()
    serve = [sys.executable, "-m", "nodegraph", "serve", "--home", str(tmp_path), "--port", "0"]
    with server:
        done = subprocess.run(
            [*serve, "--cluster", f"127.0.0.1:{port}"],
            env={**os.environ, "RAY_AUTH_MODE": "token", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "no authentication token was found" in done.stderr
    assert "RAY_AUTH_TOKEN or ~/.ray/auth_token" in done.stderr
