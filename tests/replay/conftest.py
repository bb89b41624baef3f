"""Files that a run has saved, to be made again by the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from nodegraph.cli import main
from tests.cli.conftest import Cli, Result

PACK = '''
from nodegraph import Context, Image, node

RELEASE = 1

@node
def Paint(shade: float = 0.5, count: int = 1) -> Image:
    """Paint images of one shade.

    Args:
        shade: 0 to 1; each image is darker than the one before.
        count: Number of images.
    """
    import torch

    shades = [shade / RELEASE / (at + 1) for at in range(count)]
    return torch.stack([torch.full((16, 24, 3), each) for each in shades])

@node
def Shades(count: int = 2) -> list[float]:
    """Some shades.

    Args:
        count: How many.
    """
    return [0.9 / (at + 1) for at in range(count)]

@node
def Draw(image: Image) -> Image:
    """Add dots at random places.

    Args:
        image: Any image.
    """
    import os

    import torch

    dots = torch.frombuffer(bytearray(os.urandom(16 * 24 * 3)), dtype=torch.uint8)
    return (image + (dots.reshape(16, 24, 3) > 250).float()).clamp(0, 1)
'''

PAINTING: dict[str, Any] = {
    "format": "nodegraph/1",
    "nodes": {
        "paint": {"type": "brush:Paint", "inputs": {"shade": 0.5}},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "paint"}, "name": "shade"}},
    },
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, known_specs: Path) -> Path:
    folder = tmp_path_factory.mktemp("home")
    copytree(known_specs, folder / "cache" / "specs")
    return folder


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """A current folder and a store for each test, and no settings of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("NODEGRAPH_")]:
        if name != "NODEGRAPH_LEAVE_OUT":
            monkeypatch.delenv(name)
    monkeypatch.setenv("NODEGRAPH_HOME", str(home))
    monkeypatch.setenv("NODEGRAPH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("NODEGRAPH_DEVICE", "cpu")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    path = tmp_path / "brush.py"
    path.write_text(PACK)
    return path


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command in this process."""

    def run(*arguments: str | Path) -> Result:
        code = main([str(item) for item in arguments])
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run


Save = Callable[..., list[Path]]


@pytest.fixture
def save(cli: Cli, tmp_path: Path) -> Save:
    """Run a workflow; the files that it saved."""

    def run(document: dict[str, Any], *arguments: str | Path) -> list[Path]:
        path = tmp_path / "workflow.json"
        path.write_text(json.dumps(document))
        result = cli("run", path, "--quiet", *arguments)
        assert result.code == 0, result.err
        path.unlink()
        return [tmp_path / line for line in result.out.splitlines()]

    return run


def with_nodes(document: dict[str, Any], **nodes: Any) -> dict[str, Any]:
    """A workflow with more nodes, or other ones of their names."""
    return {**document, "nodes": {**document["nodes"], **nodes}}
