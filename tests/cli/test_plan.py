"""`nodegraph plan`: what a run would do, for people and for programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import BROKEN, WORKFLOW, Cli, changed, saved
from tests.cli.test_startup import NEVER, imported, node_modules

COUNTS = {"hit": 0, "run": 0, "lazy": 0, "skip": 0}


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests have run is nothing to these."""
    monkeypatch.setenv("NODEGRAPH_STORE", str(tmp_path / "store"))


def test_nothing_runs_and_nothing_is_written(cli: Cli, pack: Path) -> None:
    result = cli("plan", saved(WORKFLOW), "--pack", pack)
    assert result.code == 0
    assert "5 nodes run, 0 cached." in result.out
    assert "printed by a node" not in result.out
    assert not Path("output").exists()


def test_after_a_run_all_is_there_but_what_acts_on_the_world(cli: Cli, pack: Path) -> None:
    file = saved(WORKFLOW)
    assert cli("run", file, "--pack", pack).code == 0
    found = cli("plan", file, "--pack", pack, "--json").json
    assert found["valid"] is True
    places = {name: node["place"] for name, node in found["nodes"].items()}
    assert places == {
        "join": "disk",
        "draw": "disk",
        "wait": "disk",
        "write": None,
        "number": None,
    }
    assert found["totals"]["counts"] == COUNTS | {"hit": 3, "run": 2}


def test_what_was_measured_is_expected(cli: Cli, pack: Path) -> None:
    file = saved(WORKFLOW)
    took = cli("run", file, "--pack", pack, "--json").json["nodes"]["wait"]["seconds"]
    found = cli("plan", file, "--pack", pack, "--set", "wait.pause=0.01", "--json").json
    wait = found["nodes"]["wait"]
    assert (wait["status"], wait["basis"], wait["certain"]) == ("run", "measured", True)
    assert wait["seconds"] == pytest.approx(took)
    assert found["totals"]["seconds"] >= wait["seconds"]
    assert found["totals"]["unknown_seconds"] == 0


def test_parameters_and_targets_are_those_of_run(cli: Cli, pack: Path) -> None:
    file = saved(WORKFLOW)
    cli("run", file, "--pack", pack)
    found = cli("plan", file, "--pack", pack, "--seed", "9", "--to", "wait", "--json").json
    assert {name: node["status"] for name, node in found["nodes"].items()} == {
        "draw": "run",
        "wait": "run",
    }
    assert found["nodes"]["wait"]["certain"] is False


def test_a_plan_knows_what_the_files_of_a_run_carry(cli: Cli) -> None:
    nodes = {
        "make": {"type": "EmptyImage", "inputs": {"width": 16, "height": 16}},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "make"}}},
    }
    file = saved({"format": "nodegraph/1", "nodes": nodes})
    options = ("--metadata", "minimal", "--no-prompts", "--sidecar")
    assert cli("run", file, *options).code == 0

    def status(*options: str) -> str:
        found = cli("plan", file, *options, "--json").json["nodes"]["save"]
        assert (
            found["status"]
            == cli("run", file, *options, "--dry-run", "--json").json["nodes"]["save"]["status"]
        )
        return str(found["status"])

    assert status(*options) == "hit"
    assert status() == "run"
    assert status(*options[:2]) == "run"
    assert status(*options[:3]) == "run"
    assert status("--metadata", "none", *options[2:]) == "run"


def test_a_dry_run_tells_the_same(cli: Cli, pack: Path) -> None:
    file = saved(WORKFLOW)
    planned = cli("plan", file, "--pack", pack, "--json").json
    assert cli("run", file, "--pack", pack, "--dry-run", "--json").json == planned


def test_problems_stand_beside_what_can_be_planned(cli: Cli, pack: Path) -> None:
    document = changed(WORKFLOW, "join", times=9)
    document["requires"] = {"nowhere": "*"}
    result = cli("plan", saved(document), "--pack", pack, "--json")
    assert result.code == 2
    found = result.json
    assert found["valid"] is False
    assert set(found["nodes"]) == {"draw", "wait", "number"}
    assert found["missing"] == {"models": [], "packs": ["nowhere"]}
    assert {problem.get("node") for problem in found["problems"]} == {None, "join"}


def test_a_missing_model_is_named(cli: Cli) -> None:
    document = {
        "format": "nodegraph/1",
        "nodes": {
            "load": {"type": "LoadModel", "inputs": {"model": "dreams"}},
            "size": {"type": "EmptyLatent"},
            "decode": {
                "type": "VAEDecode",
                "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "size"}},
            },
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "decode"}}},
        },
    }
    result = cli("plan", saved(document))
    assert result.code == 2
    assert "missing models: dreams" in result.out
    assert "size" in result.out
    assert "there is no model `dreams`" in result.err


def test_wrong_values_are_problems_too(cli: Cli, pack: Path) -> None:
    result = cli("plan", saved(WORKFLOW), "--pack", pack, "--set", "join.nothing=3", "--json")
    assert result.code == 2
    assert len(result.json["problems"]) >= 1
    assert cli("plan", saved(BROKEN), "--pack", pack).code == 2


def test_weights_to_load_are_told_before_anything_was_run(cli: Cli) -> None:
    document = {
        "format": "nodegraph/1",
        "nodes": {
            "load": {"type": "LoadModel"},
            "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
            "decode": {
                "type": "VAEDecode",
                "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "size"}},
            },
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "decode"}}},
        },
    }
    result = cli("plan", saved(document), "--device", "cpu")
    assert result.code == 0
    assert "of weights to load" in result.out
    found = cli("plan", saved(document), "--device", "cpu", "--json").json
    assert found["totals"]["load"]["cpu"] > 1_000_000
    assert found["totals"]["memory"]["cpu"] > found["totals"]["load"]["cpu"]


def test_planning_imports_neither_torch_nor_nodes(pack: Path) -> None:
    saved(WORKFLOW)
    arguments = ["plan", "wf.json", "--device", "cpu", "--pack", str(pack)]
    imported(arguments)
    modules = imported(arguments)
    # The variable that says where the store is, is read by pydantic.
    read = {"pydantic", "pydantic_core", "pydantic_settings"}
    assert not modules & (NEVER - read - {"asyncio", "networkx"})
    assert node_modules(modules) == set()
