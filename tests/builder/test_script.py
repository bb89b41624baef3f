"""Workflows as Python scripts, which build the very same."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Graph, Session, Workflow
from nodegraph.cli import main
from nodegraph.python.builder.script import python_script

GALLERY = sorted((Path(__file__).parents[2] / "workflows").glob("*.json"))
ODD: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": 'Quotes """ and \\ slashes',
    "description": "ends with a quote'\n\u2028\u202e",
    "parameters": {
        "class": "2nd node.a",
        "told": {"input": "2nd node.b", "label": "L", "help": "H", "more": 1},
        "gone": "no.where",
        "none": "nothing",
    },
    "nodes": {
        "late é": {
            "type": "Length",
            "inputs": {"items": {"from": "list"}},
            "mode": "bypass",
            "label": "L",
        },
        "2nd node": {
            "type": "Calculate",
            "inputs": {"a": 1, "b": {"from": "print"}},
            "note": 'x\n"""y',
            "always": True,
        },
        "print": {
            "type": "Calculate",
            "version": 1,
            "inputs": {"odd-name": 1, "from": 2, "a": {"from": "2nd node"}},
            "color": [1],
        },
        "list": {
            "type": "List",
            "inputs": {"item_1": [1, 2.5, {"from": "x"}], "item_2": {"value": {"from": "y"}}},
        },
        "number": {"type": "Number", "inputs": {"value": 4.0}},
        "seed": {"type": "Seed", "inputs": {"seed": 2**64 - 1}},
        "broken": {"type": "Item", "inputs": {"items": {"from": 3}, "index": {"from": "no.port"}}},
        "unfinished": {"type": "VAEDecode"},
        "unknown": {"type": "pack:Type", "inputs": {"a": {"from": "number"}}, "pack": "some-pack"},
        "after": {"type": "Calculate", "inputs": {"a": {"from": "unknown.x"}}},
        "used": {"type": "outer", "inputs": {"x y": 2, "class": {"from": "number.number"}}},
        "again": {"type": "outer", "inputs": {"x y": {"from": "used.end"}}},
    },
    "subgraphs": {
        "outer": {
            "inputs": {
                "x y": {"to": ["it.a", "second.b", "first.b"], "default": {"value": {"from": 1}}},
                "class": {"type": "float", "to": ["first.a"], "help": "Of it."},
            },
            "outputs": {"end": "second.number"},
            "nodes": {
                "it": {"type": "inner"},
                "second": {"type": "Calculate", "inputs": {"a": {"from": "first"}}},
                "first": {"type": "Calculate"},
            },
        },
        "inner": {
            "inputs": {"a": {"to": ["one.a"]}},
            "outputs": {"sum": "one"},
            "nodes": {"one": {"type": "Calculate"}},
        },
        "wrong": {"inputs": {"a": {"type": "Nothing", "to": ["gone.a"]}}, "outputs": {"b": "gone"}},
    },
    "requires": {"pack": ">=1"},
    "ui": {"layout": {"list": {"x": 1.5, "y": -2}}},
    "other": {"kept": None},
}


def built(workflow: Workflow, session: Session) -> Graph:
    """The graph that a workflow's script makes."""
    script = python_script(workflow, session, inputs="Path(__file__).parent")
    scope: dict[str, Any] = {"__name__": "script", "__file__": __file__}
    exec(compile(script, "script.py", "exec"), scope)
    found: Graph = scope["g"]
    return found


@pytest.mark.parametrize("file", GALLERY, ids=lambda file: file.stem)
def test_the_script_of_a_workflow_builds_it(
    file: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_HOME", str(session.settings.home))
    assert built(Workflow.load(file), session).to_json() == file.read_text(encoding="utf-8")


def test_odd_unfinished_and_broken_ones_are_built_as_well(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_HOME", str(session.settings.home))
    workflow = Workflow.from_dict(ODD)
    assert built(workflow, session).to_json() == workflow.to_json()


def test_a_script_reads_like_one_that_a_person_writes(session: Session) -> None:
    script = python_script(Workflow.load(GALLERY[0].parent / "text_to_image.json"), session)
    assert script.startswith(
        'from nodegraph import Graph\n\ng = Graph("Text to image", description="Generate '
        'an image from a text prompt.")\nload = g.LoadModel("load", model="tiny")\n'
    )
    assert 'decode = g.VAEDecode("decode", vae=load.vae, latent=sample)\n' in script
    assert 'g.parameter("prompt", positive, "text")\n' in script
    assert ".read(" not in script


def test_nothing_that_a_workflow_says_becomes_code(session: Session) -> None:
    evil = '"""\nimport os; os.abort()\n\\"\'{os}'
    name = evil.replace(".", "")
    inner = {"inputs": {evil: {"type": evil, "to": [evil]}}, "outputs": {evil: evil}}
    workflow = Workflow.from_dict(
        {
            "format": "nodegraph/1",
            "title": evil,
            "description": evil,
            "parameters": {evil: f"{name}.{evil}", "x": {"input": "ok.value", "label": evil}},
            "nodes": {
                name: {"type": evil, "label": evil, "inputs": {evil: evil}},
                "ok": {"type": "Integer", "note": evil, evil: evil},
                "text": {"type": "Text", "inputs": {"text": evil}},
            },
            "subgraphs": {evil: {**inner, "nodes": {name: {"type": evil}}}},
            "requires": {evil: evil},
            evil: evil,
        }
    )
    tree = ast.parse(python_script(workflow, session, inputs="Path(__file__).parent"))
    imported = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert {ast.unparse(node).split()[1] for node in imported} <= {"nodegraph", "nodegraph.core"}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert "os" not in names


def test_the_command_writes_it_beside_the_workflow(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NODEGRAPH_HOME", str(session.settings.home))
    file = GALLERY[0].parent / "image_to_image.json"
    (tmp_path / "mine.json").write_bytes(file.read_bytes())
    assert main(["export", "--python", "mine.json"]) == 0
    assert "inputs=Path(__file__).parent" in (tmp_path / "mine.py").read_text()
    assert main(["export", "--python", "mine.json"]) == 2
    assert main(["export", "--python", "mine.json", "--out", "other"]) == 0
    assert f"inputs=Path({str(tmp_path)!r})" in (tmp_path / "other" / "mine.py").read_text()
    assert main(["export", "--python", "mine.json", "--out", "named.py"]) == 0
    assert (tmp_path / "named.py").read_text() == (tmp_path / "mine.py").read_text()
    assert main(["export", "mine.json"]) == 2


@pytest.mark.parametrize("name", ["extra_pack", "nodes"])
def test_a_script_runs_with_the_packs_that_were_given(
    name: str, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NODEGRAPH_HOME", str(session.settings.home))
    pack = tmp_path / f"{name}.py"
    pack.write_text(
        "from nodegraph import node\n\n@node\ndef Addy(a: int = 1) -> int:\n"
        "    'One more.'\n    return a + 1\n"
    )
    workflow = {
        "format": "nodegraph/1",
        "nodes": {"x": {"type": f"{name}:Addy", "inputs": {"a": 3}}},
    }
    Path("w.json").write_text(json.dumps(workflow))
    assert main(["export", "--python", "--pack", str(pack), "w.json"]) == 0
    scope: dict[str, Any] = {"__name__": "script"}
    exec(Path("w.py").read_text(), scope)
    with scope["g"].session:
        assert scope["g"].run("x")["x"] == 4
