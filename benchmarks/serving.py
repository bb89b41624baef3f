"""Real servers for benchmarks: `nodegraph serve` as a process of its own, and a bare one."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from common import sampling_nodes

HERE = Path(__file__).parent
PATIENCE = 180.0
"""Seconds to wait for what must happen; workers load libraries when they start."""
PACK = '''
import hashlib
import time
from nodegraph import Context, Preview, node

@node
def Number(value: int = 1) -> int:
    """A number."""
    return value

@node
def Sum(a: int, b: int = 0) -> int:
    """A sum."""
    return a + b

@node(output=True)
def Show(ctx: Context, value: int) -> int:
    """Shows a number."""
    return value

@node(output=True)
def Steps(ctx: Context, steps: int, size: int = 10_000_000, seed: int = 0) -> float:
    """Works in steps, each with progress and a preview; the seconds that it took."""
    data, picture = bytes(size), bytes(20_000)
    start = time.perf_counter()
    for step in range(steps):
        hashlib.sha256(data).digest()
        ctx.progress(step + 1, steps)
        ctx.preview(Preview(picture))
    return time.perf_counter() - start

@node(output=True)
def Picture(ctx: Context, steps: int, seconds: float, seed: int = 0) -> int:
    """Waits as long as a picture would take on another device, with progress and previews."""
    picture = bytes(20_000)
    for step in range(steps):
        time.sleep(seconds / steps)
        ctx.progress(step + 1, steps)
        ctx.preview(Preview(picture))
    return seed
'''
_READ = """
import sys
from pathlib import Path
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings
assert Session(Settings(home=Path(sys.argv[1]))).registry
"""


def tiny(value: int, **more: Any) -> dict[str, Any]:
    """The request for a job of three nodes; results of another value aren't known yet."""
    return {
        "workflow": {
            "format": "nodegraph/1",
            "parameters": {"value": "a.value"},
            "nodes": {
                "a": {"type": "bench:Number", "inputs": {"value": 0}},
                "b": {"type": "bench:Sum", "inputs": {"a": {"from": "a"}, "b": 1}},
                "c": {"type": "bench:Show", "inputs": {"value": {"from": "b"}}},
            },
        },
        "parameters": {"value": value},
        **more,
    }


def stepping(steps: int, seed: int, size: int = 10_000_000) -> dict[str, Any]:
    """The request for a job that works in steps, with previews."""
    inputs = {"steps": steps, "size": size, "seed": seed}
    nodes = {"a": {"type": "bench:Steps", "inputs": inputs}}
    return {"workflow": {"format": "nodegraph/1", "nodes": nodes}}


def pictured(steps: int, seconds: float, seed: int) -> dict[str, Any]:
    """The request for a job that waits, step by step, with previews."""
    inputs = {"steps": steps, "seconds": seconds, "seed": seed}
    nodes = {"a": {"type": "bench:Picture", "inputs": inputs}}
    return {"workflow": {"format": "nodegraph/1", "nodes": nodes}}


def sampling(steps: int, seed: int, prompt: str = "a red apple") -> dict[str, Any]:
    """The request for a job that samples, with the embedded model."""
    nodes = sampling_nodes(prompt, size=64, steps=steps, seed=seed)
    return {"workflow": {"format": "nodegraph/1", "nodes": nodes}, "targets": ["sample"]}


class Server:
    """`nodegraph serve` with its workers.

    Attributes:
        port: Where it answers, on 127.0.0.1.
        client: Of its API.
    """

    def __init__(self, home: Path, process: subprocess.Popen[bytes], port: int) -> None:
        self.home = home
        self.port = port
        self.process = psutil.Process(process.pid)
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}/api/v1", timeout=PATIENCE, trust_env=False
        )

    def submit(self, request: Mapping[str, Any]) -> str:
        """A job's id."""
        answer = self.client.post("/jobs", json=request)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """A job that has finished."""
        return self.until(self.submit(request), "finished")

    def plan(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """What a run would do; a server that has packs yet to read is asked again."""
        end = time.monotonic() + PATIENCE
        while (answer := self.client.post("/plan", json=request)).status_code == 503:
            assert time.monotonic() < end, answer.text
            time.sleep(float(answer.headers["Retry-After"]))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def until(self, job: str, state: str) -> dict[str, Any]:
        """A job that is in a state."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found: dict[str, Any] = self.client.get(f"/jobs/{job}").json()
            if found["state"] == state:
                return found
            assert found["state"] in ("queued", "running"), found
            time.sleep(0.02)
        raise TimeoutError(f"{job} isn't {state}")

    def state(self, job: str) -> str:
        """A job's state."""
        return str(self.client.get(f"/jobs/{job}").json()["state"])

    def worker(self) -> psutil.Process:
        """The process of its worker."""
        workers = self.client.get("/system").json()["workers"]
        return psutil.Process(next(item["pid"] for item in workers if item["role"] == "worker"))

    def pause(self) -> None:
        """Run nothing until `resume`."""
        self.client.post("/queue/pause").raise_for_status()

    def resume(self) -> None:
        """Run what waits."""
        self.client.post("/queue/resume").raise_for_status()


def prepared(home: Path) -> Path:
    """A home folder with the benchmark's pack, whose declarations were read."""
    (home / "packs").mkdir(parents=True)
    (home / "packs" / "bench.py").write_text(PACK)
    subprocess.run([sys.executable, "-c", _READ, str(home)], check=True, env=_environment(home))
    return home


def earlier(commit: str, folder: Path) -> Path:
    """The engine, and the editor as it was built, of an earlier commit, written to a folder."""
    parts = ("nodegraph", "nodes", "pipelines", "workflows")
    command = ["git", "-C", str(HERE.parent), "archive", "--format=tar", commit, *parts]
    packed = subprocess.run(command, capture_output=True, check=False)
    if packed.returncode != 0:
        why = packed.stderr.decode().strip()
        raise SystemExit(f"--against {commit}: git can't read that commit here: {why}")
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as files:
        files.extractall(folder, filter="data")
    return folder


@contextmanager
def serving(home: Path, workers: int = 1, code: Path = HERE.parent) -> Iterator[Server]:
    """A server; it has run a job when it is handed over, if it has workers.

    Args:
        code: The folder with the package that serves.
    """
    home.mkdir(parents=True, exist_ok=True)
    command = ("-m", "nodegraph", "--home", str(home), "serve", "--port", "0")
    with _process((*command, "--workers", str(workers)), home, code) as (process, port):
        server = Server(home, process, port)
        try:
            for value in range(3 if workers else 0):
                server.run(tiny(-1 - value))
            yield server
        finally:
            server.client.close()


@contextmanager
def bare(home: Path) -> Iterator[int]:
    """The port of a bare server: a framework, a row and a commit for each job, and no more."""
    with _process((str(HERE / "bare_server.py"), str(home / "bare.sqlite")), home) as (_, port):
        yield port


def load(what: str, **given: Any) -> Any:
    """What a load generator in a process of its own found; see `load.py`."""
    with loading(what, **given) as found:
        pass
    return found[0]


@contextmanager
def loading(what: str, **given: Any) -> Iterator[list[Any]]:
    """A load generator that goes on meanwhile; what it found is in the list in the end."""
    command = [sys.executable, str(HERE / "load.py"), what, json.dumps(given)]
    found: list[Any] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            assert process.stdout.readline() == b"ready\n", "the load generator failed"
            yield found
            process.stdin.close()
            found.append(json.loads(process.stdout.read()))
        except BaseException:
            process.kill()
            raise


def cpu(process: psutil.Process) -> float:
    """Seconds of processor time that it has taken."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "NODEGRAPH_HOME": str(home)}


@contextmanager
def _process(
    arguments: Sequence[str], home: Path, code: Path = HERE.parent
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process that tells where it listens, and the port."""
    command = [sys.executable, *arguments]
    with listening(command, code, home / "log.txt", _environment(home)) as started:
        yield started


@contextmanager
def listening(
    command: Sequence[str], folder: Path, log_file: Path, variables: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process that tells where it listens, and the port; it is ended at the end.

    Args:
        folder: Where it runs; Python finds modules there first.
        variables: Its environment.
    """
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            stdin=subprocess.DEVNULL,
            env=variables,
            cwd=folder,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        found = re.search(r"http://[^\s]+:(\d+)", line)
        assert found is not None, log_file.read_text()
        yield process, int(found[1])
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()
