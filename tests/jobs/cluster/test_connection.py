"""Asking a cluster for actors, whatever becomes of it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from nodegraph.jobs.cluster import discovery as started
from nodegraph.jobs.cluster.connection import Cluster, has_token
from nodegraph.jobs.cluster.failure_detection import ClusterHead
from nodegraph.jobs.supervisor.worker_spec import Needs
from tests.jobs.cluster.test_head import listening
from tests.processes import PATIENCE, killed_after


def test_whatever_ray_raises_is_tried_again_as_a_lost_connection_is() -> None:
    pytest.importorskip("ray")

    async def use() -> None:
        server, port = listening()
        with server:
            cluster = Cluster("127.0.0.1", ClusterHead("127.0.0.1", port), passes=False)
            # Ray refuses it with an error that is none of a connection, before it asks anybody.
            with pytest.raises(ConnectionError, match=r"Ray made no actor for it: .*num_cpus"):
                await cluster.actor(Needs(cpus=-1.0))

    asyncio.run(use())


_OTHER = """
import asyncio, sys
from nodegraph.jobs.cluster.connection import Cluster
from nodegraph.jobs.supervisor.worker_spec import Needs

async def use():
    cluster = await Cluster.connect(sys.argv[1])
    actor = await cluster.actor(Needs(cpus=0.0))
    print(await asyncio.wait_for(actor.call("signal", "terminate"), 60))
    await cluster.close()

asyncio.run(use())
"""
_ALONE = """
import asyncio, os, subprocess, sys
from nodegraph.jobs.cluster.connection import Cluster

async def use():
    cluster = await Cluster.connect("auto")
    from ray._private.worker import print_to_stdstream
    words = dict(lines=["the last words of a node"], pid="raylet", is_err=False)
    print_to_stdstream(words, ignore_prefix=False)  # as Ray does with what nodes tell
    await asyncio.sleep(1)
    print(cluster.host, await cluster.head.probe(), len(await cluster.nodes()), flush=True)
    os.environ.pop("RAY_AUTH_MODE", None)
    other = [sys.executable, "-c", sys.argv[1], str(cluster.head)]
    await asyncio.to_thread(subprocess.run, other)
    await cluster.close()

asyncio.run(use())
"""


_ENDED = """
import asyncio, os, signal
from nodegraph.jobs.cluster.connection import Cluster

async def use():
    heard = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, heard.set)
    cluster = await Cluster.connect("auto")
    os.kill(os.getpid(), signal.SIGTERM)
    await heard.wait()
    print("an alarm in", signal.alarm(0), "s", flush=True)  # which Ray ends the process by
    await cluster.close()

asyncio.run(use())
"""


@pytest.mark.slow
def test_a_signal_to_end_is_this_process_s_alone_to_act_on() -> None:
    if find_spec("ray") is None:
        pytest.skip("Ray isn't installed")
    with TemporaryDirectory(prefix="ng-", ignore_cleanup_errors=True) as folder:
        done = subprocess.run(
            [sys.executable, "-c", _ENDED],
            env={**os.environ, "RAY_ADDRESS": "", "RAY_TMPDIR": folder, "HOME": folder},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert done.stdout == "an alarm in 0 s\n", done.stderr
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_cluster_that_is_started_here_is_joined_by_others_and_stays_until_it_is_left() -> None:
    if find_spec("ray") is None:
        pytest.skip("Ray isn't installed")
    # A cluster of somebody else is none here; the folder's name is short, as sockets' have to be.
    with TemporaryDirectory(prefix="ng-", ignore_cleanup_errors=True) as folder:
        done = subprocess.run(
            [sys.executable, "-c", _ALONE, _OTHER],
            # It makes itself a token, which others find.
            env={**os.environ, "RAY_ADDRESS": "", "RAY_TMPDIR": folder, "HOME": folder},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert (done.stdout, done.returncode) == ("127.0.0.1 True 1\nNone\n", 0), done.stderr


_LASTING = """
import asyncio, sys, threading
from nodegraph.jobs.cluster.connection import Cluster
from nodegraph.jobs.supervisor.worker_spec import Needs

joined, asks, is_gone = threading.Event(), threading.Event(), threading.Event()
run = threading.Thread.run

def begin_late(thread):
    if thread.name == "ray_listen_error_messages":
        joined.wait()
    run(thread)

threading.Thread.run = begin_late

async def use():
    cluster = await Cluster.connect("auto")
    import ray
    ask = ray._private.worker._internal_kv_get

    def ask_late(*given):
        asks.set()
        is_gone.wait()
        return ask(*given)

    # A thread of Ray's asks the head something first of all: here once the head is gone.
    ray._private.worker._internal_kv_get = ask_late
    joined.set()
    assert await asyncio.to_thread(asks.wait, 120)
    print(cluster.head, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    is_gone.set()
    while True:
        try:
            await cluster.actor(Needs(cpus=0.0))
        except ConnectionError:
            await asyncio.sleep(0.5)
        else:
            break
    print(cluster.head, flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await cluster.close()

asyncio.run(use())
"""


@contextmanager
def lasting(folder: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is in the cluster of its machine, says where, and again after each line."""
    with (
        subprocess.Popen(
            [sys.executable, "-c", _LASTING],
            env={**os.environ, "RAY_ADDRESS": "", "RAY_TMPDIR": folder, "HOME": folder},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
        killed_after(process),
    ):
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_a_cluster_that_auto_has_started_is_joined_by_auto_and_followed_by_another() -> None:
    if find_spec("ray") is None:
        pytest.skip("Ray isn't installed")

    def where(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def go_on(process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()

    with (
        TemporaryDirectory(prefix="ng-", ignore_cleanup_errors=True) as folder,
        lasting(folder) as first,
        lasting(folder) as second,
    ):
        # They begin at once: whichever is first starts it.
        place = where(first)
        assert where(second) == place
        noted = json.loads(next(Path(folder, ".ray").glob("nodegraph-*.json")).read_text())
        assert noted["address"] == place
        starter, other = (first, second) if first.pid == noted["process"][0] else (second, first)
        starter.kill()
        starter.wait(PATIENCE)
        go_on(other)
        assert where(other) not in ("", place)
        go_on(other)
        assert other.wait(PATIENCE) == 0
        assert not list(Path(folder, ".ray").glob("nodegraph-*.json"))


def test_a_cluster_of_another_version_is_not_joined_by_auto(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    server, port = listening()
    with server, subprocess.Popen(["sleep", "60"]) as process:
        began = psutil.Process(process.pid).create_time()
        started.write_record(f"127.0.0.1:{port}")
        assert started.find_other() is None  # one's own
        (path,) = (tmp_path / ".ray").iterdir()
        told = {**json.loads(path.read_text()), "process": [process.pid, began]}

        def found(**changes: object) -> str | None:
            path.write_text(json.dumps({**told, **changes}))
            return started.find_other()

        assert found() == f"127.0.0.1:{port}"
        assert found(nodegraph="0.0.1") is None
        assert found(python="/elsewhere/python") is None
        assert found(process=[process.pid, began - 60]) is None
        assert found(process=None) is None
        assert found(address=None) is None
        for nonsense in ("", "[]", "{}", "{"):
            path.write_text(nonsense)
            assert started.find_other() is None
        assert found() is not None
        started.delete_record()
        assert path.exists()  # it is somebody else's
        process.kill()
        process.wait(PATIENCE)
        assert started.find_other() is None


@pytest.mark.slow
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
            timeout=PATIENCE,
        )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "no authentication token was found" in done.stderr
    assert "RAY_AUTH_TOKEN or ~/.ray/auth_token" in done.stderr


def test_a_token_is_found_where_ray_looks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it Ray's client is kept out of a cluster that has one."""
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert not has_token()
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("0123")
    assert has_token()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "elsewhere"))
    assert not has_token()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123")
    assert has_token()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["run", "wf.json"], 130),
        pytest.param(["serve", "--port", "0"], 0, marks=pytest.mark.slow),
    ],
)
def test_whoever_joins_a_cluster_is_stopped_meanwhile(
    tmp_path: Path, known_specs: Path, arguments: list[str], code: int
) -> None:
    pytest.importorskip("ray")
    shutil.copytree(known_specs, tmp_path / "home" / "cache" / "specs")
    nodes = {
        "range": {"type": "Range", "inputs": {"stop": 3}},
        "show": {"type": "ShowValue", "inputs": {"value": {"from": "range"}}},
    }
    (tmp_path / "wf.json").write_text(json.dumps({"format": "nodegraph/1", "nodes": nodes}))
    command = [sys.executable, "-m", "nodegraph", *arguments, "--home", "home"]
    server, port = listening()
    command += ["--cluster", f"127.0.0.1:{port}"]
    server.settimeout(PATIENCE)
    with (
        server,
        subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process,
        killed_after(process),
    ):
        line, _ = server.accept()  # who listens never answers, which Ray waits for
        with line:
            process.send_signal(signal.SIGINT)
            assert process.wait() == code
