"""Two homes: bundles are made in one and run in the other."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from nodegraph.cli import main

PACK = '''
from nodegraph import Context, node


@node(category="text/basic")
def Join(first: str, second: str = "!") -> str:
    """Put two texts together."""
    return first + second


@node(category="text/basic", output=True, lane="io")
def Write(text: str, name: str, ctx: Context) -> None:
    """Write a text file."""
    path = ctx.environment.outputs / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    ctx.wrote(path, kind="text")
'''

WORKFLOW: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Greeting",
    "parameters": {"greeting": "join.second"},
    "nodes": {
        "read": {"type": "LoadText", "inputs": {"path": "note.txt"}},
        "join": {"type": "letters:Join", "inputs": {"first": {"from": "read"}, "second": "?"}},
        "write": {"type": "letters:Write", "inputs": {"text": {"from": "join"}, "name": "text"}},
    },
}


@dataclass(frozen=True)
class Ended:
    """What a command printed and returned."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Ended]


@pytest.fixture(scope="session")
def specs(tmp_path_factory: pytest.TempPathFactory, known_specs: Path) -> Path:
    """A cache folder that knows what the built-in pack declares."""
    cache = tmp_path_factory.mktemp("cache")
    copytree(known_specs, cache / "specs")
    return cache


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of whoever runs the tests, and a current folder of its own."""
    for name in [name for name in os.environ if name.startswith("NODEGRAPH_")]:
        if name != "NODEGRAPH_LEAVE_OUT":
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def here(command: Callable[[str], Command]) -> Command:
    """Run a command in the home where bundles are made."""
    return command("here")


@pytest.fixture
def there(command: Callable[[str], Command]) -> Command:
    """Run a command in another home, which shares nothing with the first."""
    return command("there")


@pytest.fixture
def command(
    tmp_path: Path, specs: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], Command]:
    def of_home(name: str) -> Command:
        home = tmp_path / name

        def run(*arguments: str | Path) -> Ended:
            if not home.exists():
                copytree(specs, home / "cache")
            words = [str(word) for word in arguments]
            code = main([words[0], *words[1:], "--home", str(home)])
            printed = capsys.readouterr()
            return Ended(code, printed.out, printed.err)

        return run

    return of_home


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A pack that is a single file."""
    path = tmp_path / "code" / "letters.py"
    path.parent.mkdir()
    path.write_text(PACK)
    return path


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    """A workflow's file in a folder of its own, with the file that it reads."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "note.txt").write_text("good morning")
    path = folder / "greeting.json"
    path.write_text(json.dumps(WORKFLOW))
    return path


@pytest.fixture
def bundle(here: Command, pack: Path, workflow: Path) -> Path:
    """A bundle of that workflow with what it gave."""
    made = here("bundle", "create", workflow, "--run", "--pack", pack, "--out", "a.ngbundle.zip")
    assert made.code == 0, made.err
    return Path("a.ngbundle.zip").absolute()
