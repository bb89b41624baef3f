"""`nodegraph why`: what changed, and where results come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import BROKEN, WORKFLOW, Cli, saved


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests have run is nothing to these."""
    monkeypatch.setenv("NODEGRAPH_STORE", str(tmp_path / "store"))


def test_what_changed_is_told_with_old_and_new(cli: Cli, pack: Path) -> None:
    file = saved(WORKFLOW)
    cli("run", file, "--pack", pack)
    result = cli("why", file, "wait", "--pack", pack, "--set", "draw.seed=4")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[:2] == ["draw (toys:Draw) would run:", "  input seed: 3 → 4"]
    assert "wait (toys:Wait) may run:" in lines
    assert "  input value: `draw` runs first" in lines


def test_a_result_that_is_there_tells_its_run(cli: Cli, pack: Path) -> None:
    file = saved(WORKFLOW)
    cli("run", file, "--pack", pack)
    (run,) = cli("runs", "list", "--json").json["runs"]
    result = cli("why", file, "join", "--pack", pack)
    assert "uses an earlier result" in result.out
    assert f"from run {run['id']}" in result.out
    (found,) = cli("why", file, "join", "--pack", pack, "--json").json["nodes"]
    assert (found["status"], found["origin"]["run"]) == ("hit", run["id"])


def test_without_a_node_all_that_would_run_is_told(cli: Cli, pack: Path) -> None:
    file = saved(WORKFLOW)
    cli("run", file, "--pack", pack)
    found = cli("why", file, "--pack", pack, "--greeting", "bye", "--json").json["nodes"]
    told = {item["name"]: item["why"] for item in found}
    assert told["join"] == ['input first: "hello" → "bye"']
    assert set(told) == {"join", "write", "number"}
    (difference,) = found[0]["differences"]
    assert (difference["old"], difference["new"]) == ('"hello"', '"bye"')


KEEPING = '''
from nodegraph import Context, node


@node(output="files")
def Keep(text: str, ctx: Context) -> None:
    """Write a text file, and do nothing else."""
    path = ctx.environment.outputs / "kept.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    ctx.wrote(path, kind="text")
'''


def test_where_nothing_would_run_that_is_said(cli: Cli) -> None:
    Path("keeping.py").write_text(KEEPING)
    nodes = {"keep": {"type": "keeping:Keep", "inputs": {"text": "a"}}}
    arguments = [saved({"format": "nodegraph/1", "nodes": nodes}), "--pack", "keeping.py"]
    assert cli("run", *arguments).code == 0
    assert "Nothing would run" in cli("why", *arguments).out
    elsewhere = cli("why", *arguments, "--out", "elsewhere").out
    assert "the files that it wrote are missing or changed" in elsewhere


def test_unknown_nodes_and_broken_workflows_are_bad_input(cli: Cli, pack: Path) -> None:
    result = cli("why", saved(WORKFLOW), "jion", "--pack", pack)
    assert result.code == 2
    assert "join" in result.err
    assert cli("why", saved(BROKEN), "--pack", pack).code == 2
