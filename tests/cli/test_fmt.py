"""`nodegraph fmt`, `nodegraph migrate` and `nodegraph lint`."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nodegraph.core.workflow import Workflow
from tests.cli.conftest import BROKEN, WORKFLOW, Cli, saved

VERSIONED = '''
from nodegraph import node


def _renamed(inputs: dict) -> dict:
    inputs["strength"] = inputs.pop("amount", 1.0)
    return inputs


@node(category="number", version=2, migrations={1: _renamed}, output=True)
def Blur(strength: float = 1.0) -> None:
    """Blur."""
'''
OLD: dict[str, Any] = {
    "format": "nodegraph/1",
    "parameters": {"amount": "blur.amount"},
    "nodes": {
        "blur": {"type": "versioned:Blur", "version": 1, "inputs": {"amount": 0.5}},
        "today": {"type": "versioned:Blur", "inputs": {"strength": 0.5}},
    },
}


@pytest.fixture
def versioned(tmp_path: Path) -> Path:
    path = tmp_path / "versioned.py"
    path.write_text(VERSIONED)
    return path


def test_a_formatted_file_says_the_same_and_stays_as_it_is(cli: Cli) -> None:
    path = saved(WORKFLOW)
    before = Workflow.load(path)
    assert cli("fmt", path).out == "wf.json: formatted\n"
    text = path.read_bytes()
    assert Workflow.load(path) == before
    assert list(before.nodes) == list(WORKFLOW["nodes"])
    assert (cli("fmt", path).out, path.read_bytes()) == ("", text)


def test_a_check_writes_nothing(cli: Cli) -> None:
    path = saved(WORKFLOW)
    before = path.read_bytes()
    assert cli("fmt", "--check", path).code == 1
    assert path.read_bytes() == before
    cli("fmt", path)
    assert cli("fmt", "--check", path).code == 0


def test_standard_input_is_formatted_to_standard_output(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = json.dumps(WORKFLOW).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert cli("fmt", "-").out == Workflow.from_dict(WORKFLOW).to_json()


def test_a_file_that_is_no_workflow_is_told_and_the_others_are_written(cli: Cli) -> None:
    Path("bad.json").write_text("{}")
    shown = cli("fmt", "bad.json", saved(WORKFLOW))
    assert (shown.code, shown.out) == (2, "wf.json: formatted\n")
    assert "the key `format` is missing" in shown.err
    assert Path("bad.json").read_text() == "{}"


def test_older_nodes_are_migrated_with_the_parameters_that_name_their_inputs(
    cli: Cli, versioned: Path
) -> None:
    path = saved(OLD)
    assert cli("migrate", "--check", path, "--pack", versioned).code == 1
    shown = cli("migrate", path, "--pack", versioned)
    assert shown.out.splitlines() == [
        "wf.json: migrated",
        "  node `blur` (versioned:Blur): version 1 → 2",
    ]
    document = json.loads(path.read_text())
    assert document["nodes"]["blur"] == {
        "type": "versioned:Blur",
        "version": 2,
        "inputs": {"strength": 0.5},
    }
    assert document["parameters"] == {"amount": "blur.strength"}
    assert document["nodes"]["today"] == OLD["nodes"]["today"]
    assert cli("migrate", "--check", path, "--pack", versioned).code == 0


def test_a_newer_node_is_told_and_stays(cli: Cli, versioned: Path) -> None:
    newer = json.loads(json.dumps(OLD))
    newer["nodes"]["blur"]["version"] = 3
    path = saved(newer)
    shown = cli("migrate", path, "--pack", versioned)
    assert shown.code == 2
    assert "was written for a newer version" in shown.err
    assert json.loads(path.read_text()) == newer


def codes(cli: Cli, document: dict[str, Any], *options: str | Path) -> list[tuple[str, str]]:
    [file] = cli("lint", saved(document), "--json", *options).json["files"]
    return [(each["code"], each.get("node", "")) for each in file["findings"]]


LINTED: dict[str, Any] = {
    "format": "nodegraph/1",
    "nodes": {
        "draw": {"type": "toys:Draw", "inputs": {"seed": 3}},
        "write": {"type": "toys:Write", "inputs": {"text": {"from": "draw"}, "name": "number"}},
    },
}


def linted(**nodes: Any) -> dict[str, Any]:
    return LINTED | {"nodes": LINTED["nodes"] | nodes}


def test_a_clean_workflow_has_no_findings(cli: Cli, pack: Path) -> None:
    shown = cli("lint", saved(LINTED), "--pack", pack)
    assert (shown.code, shown.out) == (0, "wf.json: no findings\n")


def test_unused_nodes_and_outputs_that_reach_nothing_are_found(cli: Cli, pack: Path) -> None:
    document = linted(
        alone={"type": "toys:Draw"},
        first={"type": "toys:Draw"},
        second={"type": "toys:Wait", "inputs": {"value": {"from": "first"}, "steps": 1}},
    )
    assert codes(cli, document, "--pack", pack) == [
        ("unused-node", "alone"),
        ("unreached-output", "first"),
        ("unused-node", "second"),
    ]


def test_a_deprecated_type_is_found_with_its_replacement(cli: Cli, pack: Path) -> None:
    fail = {"type": "toys:Fail", "inputs": {"value": 1}}
    write = {"type": "toys:Write", "inputs": {"text": {"from": "fail"}, "name": "b"}}
    shown = cli("lint", saved(linted(fail=fail, more=write)), "--pack", pack)
    assert shown.code == 1
    assert "its type is deprecated [deprecated]" in shown.out
    assert "Use Draw." in shown.out


def test_an_unknown_type_is_found(cli: Cli, pack: Path) -> None:
    assert ("unknown-node-type", "draw") in codes(cli, BROKEN, "--pack", pack)


def test_a_seed_that_the_editor_changes_is_found(cli: Cli, pack: Path) -> None:
    document = LINTED | {"ui": {"seeds": {"draw.seed": "random"}}}
    assert codes(cli, document, "--pack", pack) == [("random-seed", "draw")]


def test_a_subgraph_that_no_node_uses_is_found(cli: Cli, pack: Path) -> None:
    block = {"nodes": {"draw": {"type": "toys:Draw"}}, "outputs": {"number": "draw"}}
    document = LINTED | {"subgraphs": {"Dice": block}}
    assert codes(cli, document, "--pack", pack) == [("unused-subgraph", "")]


def test_a_model_without_a_digest_is_found(cli: Cli, tmp_path: Path) -> None:
    document: dict[str, Any] = {
        "format": "nodegraph/1",
        "nodes": {"load": {"type": "LoadModel", "inputs": {"model": "mine.safetensors"}}},
    }
    assert ("unpinned-model", "load") in codes(cli, document)
    pinned = document | {"metadata": {"models": [{"name": "mine.safetensors", "sha256": "0" * 64}]}}
    assert ("unpinned-model", "load") not in codes(cli, pinned)


def test_models_that_ship_with_nodegraph_need_no_digest(cli: Cli) -> None:
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "net": {"type": "LoadControlNet", "inputs": {"control_net": "tiny/controlnet"}},
    }
    document = {"format": "nodegraph/1", "nodes": nodes}
    assert "unpinned-model" not in {code for code, _ in codes(cli, document)}


def test_a_missing_file_is_found(cli: Cli) -> None:
    load = {"type": "LoadImage", "inputs": {"path": "gone.png"}}
    save = {"type": "SaveImage", "inputs": {"image": {"from": "load.image"}}}
    document = {"format": "nodegraph/1", "nodes": {"load": load, "save": save}}
    [file] = cli("lint", saved(document), "--json").json["files"]
    [finding] = file["findings"]
    assert (finding["node"], finding["port"]) == ("load", "path")
    assert "gone.png" in json.dumps(finding)


def test_codes_can_be_left_out(cli: Cli, pack: Path) -> None:
    document = linted(alone={"type": "toys:Draw"})
    assert codes(cli, document, "--pack", pack, "--ignore", "unused-node") == []
    shown = cli("lint", saved(document), "--pack", pack, "--ignore", "unused-nod")
    assert shown.code == 2
    assert "Did you mean `unused-node`?" in shown.err
