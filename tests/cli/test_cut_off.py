"""Early cut-off from one process to the next: what changes nothing that counts, runs nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.cli.conftest import Cli, saved

PACK = '''
from nodegraph import Context, node


@node
def Half(value: int) -> int:
    """Two inputs give the same output."""
    return value // 2


@node
def Square(value: int) -> int:
    """What comes after."""
    return value * value


@node(output="files")
def Keep(text: str | int, ctx: Context) -> None:
    """Write a text file, and do nothing else."""
    path = ctx.environment.outputs / "kept.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(text))
    ctx.wrote(path, kind="text")
'''
NUMBERS: dict[str, Any] = {
    "half": {"type": "cutting:Half", "inputs": {"value": 4}},
    "square": {"type": "cutting:Square", "inputs": {"value": {"from": "half"}}},
    "keep": {"type": "cutting:Keep", "inputs": {"text": {"from": "square"}}},
}
PICTURE: dict[str, Any] = {
    "load": {"type": "LoadImage", "inputs": {"path": "picture.png"}},
    "resize": {
        "type": "ResizeImage",
        "inputs": {"image": {"from": "load.image"}, "width": 8, "height": 8},
    },
    "save": {"type": "SaveImage", "inputs": {"image": {"from": "resize"}, "name": "small"}},
}


@pytest.fixture(autouse=True)
def surroundings_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODEGRAPH_STORE", str(tmp_path / "store"))
    Path("cutting.py").write_text(PACK)


def document(nodes: dict[str, Any]) -> dict[str, Any]:
    return {"format": "nodegraph/1", "nodes": nodes}


def statuses(cli: Cli, nodes: dict[str, Any]) -> dict[str, str]:
    """What became of each node in a new session, with a store from the ones before."""
    result = cli("run", saved(document(nodes)), "--pack", "cutting.py", "--json")
    assert result.code == 0, result.err
    return {name: node["status"] for name, node in result.json["nodes"].items()}


def test_an_input_that_changes_nothing_runs_only_its_own_node(cli: Cli) -> None:
    statuses(cli, NUMBERS)
    nodes = json.loads(json.dumps(NUMBERS).replace('"value": 4', '"value": 5'))
    assert statuses(cli, nodes) == {"half": "ran", "square": "cached", "keep": "cached"}


def test_renaming_and_moving_nodes_runs_nothing(cli: Cli) -> None:
    statuses(cli, NUMBERS)
    text = json.dumps(NUMBERS).replace('"square"', '"times_itself"')
    nodes = dict(reversed(json.loads(text).items()))
    nodes["half"]["ui"] = {"x": 100, "y": 200}
    assert set(statuses(cli, nodes).values()) == {"cached"}


def test_a_picture_saved_again_with_the_same_pixels_runs_nothing_after_it(cli: Cli) -> None:
    picture = Image.effect_noise((16, 16), 50).convert("RGB")
    picture.save("picture.png", compress_level=1)
    statuses(cli, PICTURE)
    picture.save("picture.png", compress_level=9)
    found = cli("plan", saved(document(PICTURE)), "--json").json["nodes"]
    assert {name: (node["status"], node["certain"]) for name, node in found.items()} == {
        "load": ("run", True),
        "resize": ("run", False),
        "save": ("run", False),
    }
    told = cli("why", saved(document(PICTURE)), "--json").json["nodes"]
    assert told[0]["why"] == ["external data that it reads has changed"]
    assert statuses(cli, PICTURE) == {"load": "ran", "resize": "cached", "save": "cached"}
