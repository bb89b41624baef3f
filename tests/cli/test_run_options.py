"""What `nodegraph run` takes besides the workflow's own values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import FAILING, WORKFLOW, Cli, Result, changed, saved

DOUBTING = '''
from nodegraph import Context, node

@node
def Doubt(ctx: Context) -> int:
    """Warns."""
    ctx.log("this looks odd", "warning")
    return 1
'''
MUTATING = '''
from nodegraph import Image, node


@node(category="list")
def Make(count: int) -> Image:
    """Make an image."""
    import torch

    return torch.zeros(1, 64, 64, count)


@node(category="list")
def Careless(values: Image) -> int:
    """Change a number of it while counting, where looking at samples doesn't show it."""
    values.numpy()[0, 0, 1, 1] += 16.0
    return values.shape[-1]


@node(category="list")
def Careful(values: Image) -> int:
    """Count."""
    return values.shape[-1]
'''

COUNTING: dict[str, Any] = {
    "format": "nodegraph/1",
    "nodes": {
        "make": {"type": "mutating:Make", "inputs": {"count": 3}},
        "count": {"type": "mutating:Careless", "inputs": {"values": {"from": "make"}}},
        "write": {"type": "toys:Write", "inputs": {"text": {"from": "count"}, "name": "count"}},
    },
}


@pytest.fixture
def run(cli: Cli, pack: Path) -> Cli:
    """Run the workflow of these tests, with a home of their own."""
    saved(WORKFLOW)

    def run_it(*arguments: str | Path) -> Result:
        return cli("run", "wf.json", "--pack", pack, *arguments)

    return run_it


def test_a_dry_run_tells_what_plan_tells_and_runs_nothing(run: Cli, cli: Cli, pack: Path) -> None:
    dry = run("--dry-run", "--seed", "8")
    plan = cli("plan", "wf.json", "--pack", pack, "--seed", "8")
    assert (dry.code, dry.out) == (0, plan.out)
    assert plan.out
    assert not Path("output").exists()


def test_a_dry_run_of_targets_is_a_document_too(run: Cli, cli: Cli, pack: Path) -> None:
    dry = run("--dry-run", "--to", "join", "--json")
    plan = cli("plan", "wf.json", "--pack", pack, "--to", "join", "--json")
    assert dry.json == plan.json


@pytest.mark.parametrize("other", [("--repeat", "2"), ("--seeds", "1,2"), ("--events",)])
def test_a_dry_run_is_of_one_run(run: Cli, other: tuple[str, ...]) -> None:
    shown = run("--dry-run", *other)
    assert shown.code == 2
    assert "--dry-run" in shown.err


def test_a_run_past_its_deadline_has_failed(run: Cli) -> None:
    # More seconds where a busy machine needs them for the other nodes; never enough for this one.
    for seconds in (1, 10, 100):
        shown = run("--set", "wait.steps=100000", "--deadline", str(seconds), "--json")
        assert (shown.code, shown.json["status"]) == (1, "cancelled")
        assert f"{seconds} s" in shown.json["reason"]
        assert shown.json["seconds"] < 2000
        if Path("output/text.txt").exists():
            break
    assert Path("output/text.txt").read_text() == "hello!"


def test_a_deadline_that_has_passed_is_told(run: Cli) -> None:
    shown = run("--set", "wait.steps=100000", "--deadline", "0.3")
    assert "cancelled: " in shown.err
    assert "deadline" in shown.err
    assert "Cancelled after " in shown.out


def test_a_deadline_that_is_kept_changes_nothing(run: Cli) -> None:
    shown = run("--deadline", "300", "-q")
    assert shown.code == 0
    assert "output/text.txt\n" in shown.out


@pytest.mark.parametrize("deadline", ["0", "-1", "nan", "inf", "soon"])
def test_what_is_no_deadline_is_bad_input(run: Cli, deadline: str) -> None:
    shown = run("--deadline", deadline)
    assert shown.code == 2
    assert "deadline" in shown.err
    assert not Path("output").exists()


def test_a_node_that_changes_its_input_is_named(cli: Cli, pack: Path) -> None:
    Path("mutating.py").write_text(MUTATING)
    file = saved(COUNTING)
    arguments = ("run", file, "--pack", pack, "--pack", "mutating.py", "--no-cache")
    assert cli(*arguments).code == 0
    shown = cli(*arguments, "--check-mutation", "--json")
    assert shown.code == 1
    (error,) = shown.json["errors"]
    assert (error["node"], error["port"]) == ("count", "values")


def test_a_node_that_leaves_its_inputs_alone_passes_the_check(cli: Cli, pack: Path) -> None:
    Path("mutating.py").write_text(MUTATING)
    document = json.loads(json.dumps(COUNTING))
    document["nodes"]["count"]["type"] = "mutating:Careful"
    packs = ("--pack", pack, "--pack", "mutating.py")
    assert cli("run", saved(document), *packs, "--check-mutation").code == 0


@pytest.mark.slow
def test_the_summary_tells_what_came_from_disk(command: Callable[..., Result], pack: Path) -> None:
    saved(changed(WORKFLOW, "wait", steps=11, pause=0.1))
    arguments = ("run", "wf.json", "--pack", pack, "--out")
    first = command(*arguments, "one").out.splitlines()
    assert any(line.endswith(": 5 nodes run.") for line in first)
    second = command(*arguments, "two")
    assert "from disk" in second.out
    saved_seconds = re.search(r"; the cache saved ([\d.]+) s", second.out)
    assert saved_seconds is not None, second.out
    assert float(saved_seconds[1]) >= 1.1


def test_without_the_cache_nothing_is_read_or_kept(run: Cli) -> None:
    for _ in range(2):
        nodes = run("--no-cache", "--json").json["nodes"]
        assert {node["status"] for node in nodes.values()} == {"ran"}
    assert run("--json").json["nodes"]["join"]["status"] == "ran"
    assert run("--json").json["nodes"]["join"]["status"] == "cached"
    assert run("--no-cache", "--json").json["nodes"]["join"]["status"] == "ran"


def test_what_nodes_warn_of_stands_in_the_document(cli: Cli) -> None:
    Path("doubting.py").write_text(DOUBTING)
    nodes = {"doubt": {"type": "doubting:Doubt"}}
    file = saved({"format": "nodegraph/1", "nodes": nodes})
    for status in ("ran", "cached"):
        shown = cli("run", file, "--pack", "doubting.py", "--to", "doubt", "--json")
        found = shown.json["nodes"]["doubt"]
        assert (found["status"], found["warnings"]) == (status, ["this looks odd"])


def test_what_a_muted_node_leaves_out_is_no_error(cli: Cli, pack: Path) -> None:
    document = json.loads(json.dumps(WORKFLOW))
    document["nodes"]["wait"]["mode"] = "mute"
    shown = cli("run", saved(document), "--pack", pack, "-q")
    assert (shown.code, shown.err) == (0, "")
    assert Path("output/text.txt").exists()
    assert not Path("output/number.txt").exists()


def test_targets_are_named_with_to(run: Cli) -> None:
    shown = run("--to", "join", "--to", "draw", "--json")
    assert set(shown.json["nodes"]) == {"join", "draw"}
    assert run("--target", "join").code == 2


def test_a_failure_counts_for_more_than_a_deadline(cli: Cli, pack: Path) -> None:
    shown = cli("run", saved(FAILING), "--pack", pack, "--deadline", "300", "--json")
    assert (shown.code, shown.json["status"]) == (1, "failed")
    assert "reason" not in shown.json


def test_a_node_is_muted_for_one_run(run: Cli) -> None:
    result = run("--mute", "write", "--json")
    assert result.code == 0, result.err
    assert "write" not in json.loads(result.out)["nodes"]
    assert "write" in json.loads(run("--json").out)["nodes"]


def test_a_mode_for_a_node_that_is_not_there_is_told(run: Cli) -> None:
    result = run("--bypass", "wrote")
    assert result.code == 2
    assert "there is no node `wrote`" in result.err
    assert "Did you mean `write`?" in result.err


def test_a_node_is_muted_or_bypassed_not_both(run: Cli) -> None:
    result = run("--bypass", "write", "--mute", "write")
    assert result.code == 2
    assert "cannot be both muted and bypassed" in result.err
