"""Two processes on one store with the same jobs: each key is computed once, and both have all."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from tests.cli.conftest import PATIENCE, Result, process_arguments

pytestmark = pytest.mark.slow

JOBS = 100
PROCESSES = 2

# `Meet` lets nobody on before all are there, so that the processes want the same at the same time.
PACK = """
import os
import time
from pathlib import Path
from typing import Any

from nodegraph import Context, node


def _log(file: str, text: str) -> None:
    # One write of a few bytes at the end: what two processes append doesn't mix.
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(descriptor, f"{os.getpid()} {text}\\n".encode())
    os.close(descriptor)


@node(deterministic=False)
def Meet(folder: str, processes: int, ctx: Context) -> int:
    Path(folder, f"{os.getpid()}.here").touch()
    while len(list(Path(folder).glob("*.here"))) < processes:
        ctx.check_cancelled()
        time.sleep(0.005)
    return 0


@node
def Job(number: int, start: int, log: str, seconds: float = 0.03) -> str:
    _log(log, f"job {number}")
    time.sleep(seconds)
    return f"{number:4}" * 4000  # too long for a row of the index: it becomes a file


@node
def Total(text: str, log: str, seconds: float = 0.03) -> int:
    _log(log, f"total of {int(text[:4])}")
    time.sleep(seconds)
    return sum(int(text[at : at + 4]) for at in range(0, len(text), 4))


@node(output=True, lane="io")
def Write(value: Any, name: str, ctx: Context) -> None:
    path = ctx.environment.outputs / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(value))
    ctx.wrote(path, kind="text")
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log.txt"


@pytest.fixture
def workflow(tmp_path: Path, log: Path) -> Path:
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    nodes: dict[str, Any] = {
        "meet": {
            "type": "jobs:Meet",
            "inputs": {"folder": str(meeting), "processes": PROCESSES},
        }
    }
    for number in range(JOBS):
        nodes[f"job{number}"] = {
            "type": "jobs:Job",
            "inputs": {"number": number, "start": {"from": "meet"}, "log": str(log)},
        }
        nodes[f"total{number}"] = {
            "type": "jobs:Total",
            "inputs": {"text": {"from": f"job{number}"}, "log": str(log)},
        }
        nodes[f"write{number}"] = {
            "type": "jobs:Write",
            "inputs": {"value": {"from": f"total{number}"}, "name": f"{number}.txt"},
        }
    (tmp_path / "jobs.py").write_text(PACK)
    path = tmp_path / "jobs.json"
    path.write_text(json.dumps({"format": "nodegraph/1", "nodes": nodes}))
    return path


class Machine:
    """A home that several processes share; each writes into a folder of its own."""

    def __init__(self, folder: Path, workflow: Path) -> None:
        self._folder = folder
        self._workflow = workflow
        self._environment = {
            **os.environ,
            "NODEGRAPH_HOME": str(folder / "home"),
            "NODEGRAPH_DEVICE": "cpu",
            # Each has what the other computed, however slow the disk is.
            "NODEGRAPH_KEEP_CHEAP": "true",
        }
        self._started: list[subprocess.Popen[str]] = []

    def start(self, name: str) -> subprocess.Popen[str]:
        """Start a run of the jobs."""
        pack = self._folder / "jobs.py"
        process = self._popen("run", self._workflow, "--pack", pack, "--json", "--out", name)
        self._started.append(process)
        return process

    def command(self, *arguments: str | Path) -> Result:
        """What another command says."""
        return result_of(self._popen(*arguments))

    def _popen(self, *arguments: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            process_arguments(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self._folder,
            env=self._environment,
        )

    def written(self, name: str) -> dict[str, str]:
        """The files of a run, by their names."""
        return {path.name: path.read_text() for path in (self._folder / name).iterdir()}

    def close(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate(timeout=PATIENCE)


@pytest.fixture
def machine(tmp_path: Path, workflow: Path) -> Iterator[Machine]:
    found = Machine(tmp_path, workflow)
    yield found
    found.close()


def result_of(process: subprocess.Popen[str]) -> Result:
    out, err = process.communicate(timeout=PATIENCE)
    return Result(process.returncode, out, err)


def computed(log: Path) -> Counter[str]:
    """What was computed, and how often."""
    return Counter(line.split(" ", 1)[1] for line in log.read_text().splitlines())


def of_type(result: Result, prefix: str) -> list[dict[str, Any]]:
    return [node for name, node in result.json["nodes"].items() if name.startswith(prefix)]


EXPECTED = Counter(f"{kind} {number}" for kind in ("job", "total of") for number in range(JOBS))
FILES = {f"{number}.txt": str(number * 4000) for number in range(JOBS)}


def test_each_key_is_computed_once(machine: Machine, log: Path) -> None:
    results = [
        result_of(process) for process in [machine.start(f"of{at}") for at in range(PROCESSES)]
    ]
    for result in results:
        assert result.code == 0, result.err
        assert result.json["status"] == "ok"
    assert computed(log) == EXPECTED
    for at in range(PROCESSES):
        assert machine.written(f"of{at}") == FILES
    for kind in ("job", "total"):
        ran = [node for each in results for node in of_type(each, kind) if node["status"] == "ran"]
        assert len(ran) == JOBS
        rest = [node for each in results for node in of_type(each, kind) if node not in ran]
        assert {node["status"] for node in rest} == {"cached"}
        # Waited for, or stored before it was asked for.
        assert {node["source"] for node in rest} <= {"shared", "disk"}
    assert machine.command("cache", "verify", "--json").json["sound"]
    # A third process computes nothing at all.
    third = result_of(machine.start("of_third"))
    assert third.code == 0, third.err
    assert computed(log) == EXPECTED
    assert machine.written("of_third") == FILES


def test_what_a_killed_process_had_begun_the_other_computes(machine: Machine, log: Path) -> None:
    processes = {f"of{at}": machine.start(f"of{at}") for at in range(PROCESSES)}
    end = monotonic() + PATIENCE
    while not log.exists() or log.read_text().count("\n") < JOBS // 4:
        assert monotonic() < end
        assert all(process.poll() is None for process in processes.values())
        sleep(0.005)
    # The one that does most at this moment: what it has claimed is free again once it is dead.
    workers = Counter(line.split()[0] for line in log.read_text().splitlines())
    ((busiest, _),) = workers.most_common(1)
    (killed,) = [name for name in processes if str(processes[name].pid) == busiest]
    processes[killed].kill()
    processes[killed].communicate(timeout=PATIENCE)
    begun = computed(log)
    for name in processes.keys() - {killed}:
        result = result_of(processes[name])
        assert result.code == 0, result.err
        assert machine.written(name) == FILES
    # What was under way, or not on disk yet, is computed a second time; nothing else is.
    assert set(computed(log)) == set(EXPECTED)
    again = computed(log) - EXPECTED
    assert again <= begun
    assert machine.command("cache", "verify", "--json").json["sound"]
