"""A pack without trust runs in a sandbox, and its nodes work as others do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Settings
from nodegraph.isolation.sandbox import sandbox_modes
from nodegraph.packs.pack import Isolation, Pack, pack_at

PACK = '''
import os
import tempfile
import torch
from pathlib import Path
from nodegraph.api import *

@node
def Variable(context: Context, name: str = "HF_TOKEN") -> str:
    """Read a variable of the main process."""
    return str(context.env(name))

@node
def Report(context: Context, path: str) -> str:
    """Claim to have written a file."""
    context.wrote(Path(path))
    return path

@node
def Half(image: Image) -> Image:
    """Halve it."""
    return image * 0.5

@node
def Gray(width: int = 4) -> Image:
    """Make a gray picture."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    return torch.full((1, width, width, 3), 0.5)

@node
def Reach(path: str) -> str:
    """Try to read a file, to start a program and to open a socket."""
    import socket, subprocess
    reached = []
    for name, attempt in {
        "file": lambda: Path(path).read_text(),
        "program": lambda: subprocess.run(["/bin/sh", "-c", "true"], check=True),
        "socket": lambda: socket.socket(),
        "token": lambda: os.environ["HF_TOKEN"],
        "pack": lambda: Path(__file__).write_text("x"),
    }.items():
        try:
            attempt()
        except (OSError, KeyError):
            continue
        reached.append(name)
    return ",".join(reached)
'''


def pack_in(folder: Path, *, trusted: bool) -> Pack:
    root = folder / "far"
    root.mkdir()
    (root / "__init__.py").write_text(PACK)
    return replace(pack_at(root), isolation=Isolation(sys.executable, "lock", trusted=trusted))


def run(session: Session, nodes: dict[str, Any]) -> Any:
    document = {
        "format": "nodegraph/1",
        "nodes": {name: {"type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()},
    }
    return session.run(document, targets=[next(reversed(nodes))])


@pytest.fixture(scope="module", params=[False, True], ids=["untrusted", "trusted"])
def session(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Session, bool]]:
    if not request.param and not sandbox_modes():
        pytest.skip("this system has no sandbox")
    folder = tmp_path_factory.mktemp("untrusted")
    pack = pack_in(folder, trusted=request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", "secret")
        with Session(Settings(home=folder / "home"), packs=[pack]) as opened:
            assert not opened.registry.problems
            yield opened, request.param


def test_images_go_through_a_sandbox(session: tuple[Session, bool]) -> None:
    nodes = {
        "a": ("far:Gray", {"width": 400}),
        "b": ("far:Half", {"image": {"from": "a.image"}}),
    }
    image = run(session[0], nodes).outputs["b.image"]
    assert image.shape == (1, 400, 400, 3)
    assert image.mean() == 0.25


def test_only_a_trusted_pack_reads_variables(session: tuple[Session, bool]) -> None:
    result = run(session[0], {"a": ("far:Variable", {})})
    if session[1]:
        assert list(result.outputs.values()) == ["secret"]
    else:
        assert "not trusted and reads no environment variables" in str(result.errors[0])


def test_only_a_trusted_pack_reports_any_file(
    session: tuple[Session, bool], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    result = run(session[0], {"a": ("far:Report", {"path": str(secret)})})
    assert [file.path for file in result.files] == ([secret] if session[1] else [])


def test_only_a_trusted_pack_reaches_the_system(
    session: tuple[Session, bool], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    result = run(session[0], {"a": ("far:Reach", {"path": str(secret)})})
    expected = "file,program,socket,token,pack" if session[1] else ""
    assert list(result.outputs.values()) == [expected]


@pytest.mark.skipif(os.name == "nt", reason="its tests are those of other systems")
def test_without_a_sandbox_it_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodegraph.isolation.sandbox.sandbox_modes", list)
    pack = pack_in(tmp_path, trusted=False)
    with Session(Settings(home=tmp_path / "home"), packs=[pack]) as opened:
        assert any("need a sandbox" in problem for problem in opened.registry.problems)
        assert "far:Half" not in opened.registry.node_types()
