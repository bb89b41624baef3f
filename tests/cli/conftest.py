"""The command line as people use it: packs and workflows in files, output read from streams."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, rmtree
from threading import Timer
from typing import Any

import pytest

from nodegraph.cli import main

PATIENCE = 300.0
"""Seconds within which a process has ended, however busy the machine is."""

PACK = '''
import time
from typing import Annotated, Literal

from nodegraph import Context, InvalidValue, Multiline, Range, Seed, node


@node(category="text/basic", tags=("glue",))
def Join(
    first: str, second: Annotated[str, Multiline()] = "!", times: Annotated[int, Range(1, 5)] = 1
) -> str:
    """Put two texts together.

    Args:
        first: What comes first.
        times: How often.
    """
    return (first + second) * times


@node(category="number")
def Draw(
    seed: Annotated[int, Seed()] = 0, kind: Literal["even", "odd"] = "even", loud: bool = False
) -> int:
    """Draw a number."""
    return seed * 10


@node(category="number", lane="gpu")
def Wait(value: int, steps: int, ctx: Context, pause: float = 0.02) -> int:
    """Take a while."""
    print("printed by a node")
    for step in range(steps):
        time.sleep(pause)
        ctx.progress(step + 1, steps)
    return value


@node(category="number", lane="gpu")
def Sleep(seconds: float) -> int:
    """Hear nothing for a while."""
    time.sleep(seconds)
    return 0


@node(category="number", deprecated="Use Draw.")
def Fail(value: int, explained: bool = False) -> int:
    """Raise."""
    if explained:
        raise InvalidValue("is unlucky", port="value", given=str(value), hint="Give another.")
    raise RuntimeError("it broke")


@node(category="text/basic", output=True, lane="io")
def Write(text: str | int, name: str, ctx: Context) -> None:
    """Write a text file."""
    path = ctx.environment.outputs / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    existed = path.exists() and path.read_text() == str(text)
    path.write_text(str(text))
    ctx.wrote(path, kind="text", existed=existed)
'''

WORKFLOW: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Greeting",
    "parameters": {
        "greeting": {"input": "join.first", "help": "What to say."},
        "seed": "draw.seed",
        "kind": "draw.kind",
        "loud": "draw.loud",
        "rest_of_it": "join.second",
        "out": "write.name",
    },
    "nodes": {
        "join": {"type": "toys:Join", "inputs": {"first": "hello"}},
        "draw": {"type": "toys:Draw", "inputs": {"seed": 3}, "label": "Dice"},
        "wait": {"type": "toys:Wait", "inputs": {"value": {"from": "draw"}, "steps": 2}},
        "write": {"type": "toys:Write", "inputs": {"text": {"from": "join"}, "name": "text"}},
        "number": {"type": "toys:Write", "inputs": {"text": {"from": "wait"}, "name": "number"}},
    },
}

BROKEN: dict[str, Any] = {
    "format": "nodegraph/1",
    "nodes": {
        "join": {"type": "toys:Join", "inputs": {"frist": "hello", "times": 9}},
        "draw": {"type": "toys:Drw"},
        "write": {"type": "toys:Write", "inputs": {"text": {"from": "joi"}, "name": "text"}},
    },
}

FAILING: dict[str, Any] = {
    "format": "nodegraph/1",
    "parameters": {"explained": "fail.explained"},
    "nodes": {
        "draw": {"type": "toys:Draw", "inputs": {"seed": 3}},
        "fail": {"type": "toys:Fail", "inputs": {"value": {"from": "draw"}}},
        "write": {"type": "toys:Write", "inputs": {"text": {"from": "fail"}, "name": "never"}},
        "number": {"type": "toys:Write", "inputs": {"text": {"from": "draw"}, "name": "number"}},
    },
}


@dataclass(frozen=True)
class Result:
    """What a command printed and returned."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Result]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory, known_specs: Path) -> Path:
    """One home for all tests, so that packs are read only once."""
    folder = tmp_path_factory.mktemp("home")
    copytree(known_specs, folder / "cache" / "specs")
    return folder


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packs") / "toys.py"
    path.write_text(PACK)
    return path


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """A folder and a store of its own for each test, and no settings of whoever runs it.

    Pipelines of diffusers stay left out, as for all tests: see there.
    """
    rmtree(home / "cache" / "store", ignore_errors=True)
    for name in [name for name in os.environ if name.startswith("NODEGRAPH_")]:
        if name != "NODEGRAPH_LEAVE_OUT":
            monkeypatch.delenv(name)
    monkeypatch.setenv("NODEGRAPH_HOME", str(home))
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command in this process."""

    def run(*arguments: str | Path) -> Result:
        code = main([str(item) for item in arguments])
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run


@pytest.fixture
def command() -> Callable[..., Result]:
    """Run a command in a process of its own."""

    def run(*arguments: str | Path, **options: Any) -> Result:
        done = subprocess.run(
            process_arguments(*arguments),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            **options,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    return run


def process_arguments(*arguments: str | Path) -> list[str]:
    """What starts the command line in a process of its own."""
    return [sys.executable, "-m", "nodegraph", *map(str, arguments)]


def rest_of(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What a process of which lines were read goes on to write, until it has ended.

    `communicate` would lose what was read ahead together with these lines.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    end = Timer(PATIENCE, process.kill)
    end.start()
    try:
        with ThreadPoolExecutor(1) as other:
            told = other.submit(process.stderr.read)
            out = process.stdout.read()
            err = told.result()
        process.wait()
    finally:
        end.cancel()
    return out, err


def saved(document: dict[str, Any], name: str = "wf.json") -> Path:
    """A workflow file in the current folder."""
    path = Path(name)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def changed(document: dict[str, Any], node: str, **inputs: Any) -> dict[str, Any]:
    """A workflow with other inputs of one node."""
    copy: dict[str, Any] = json.loads(json.dumps(document))
    copy["nodes"][node]["inputs"].update(inputs)
    return copy
