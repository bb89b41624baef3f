"""`nodegraph validate`."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import BROKEN, FAILING, WORKFLOW, Cli, changed, saved


def test_a_valid_workflow_is_told_with_its_size(cli: Cli, pack: Path) -> None:
    shown = cli("validate", saved(WORKFLOW), "--pack", pack)
    assert (shown.code, shown.err) == (0, "")
    first, warning = shown.out.splitlines()
    assert first == "wf.json: valid, 5 nodes"
    assert "the parameter `out` has the same name as an option" in warning
    assert "`--parameter-out`" in warning


@pytest.mark.parametrize(
    ("parameter", "command"),
    [("out", "run"), ("seeds", "run"), ("name", "submit"), ("tag", "submit")],
)
def test_a_parameter_called_like_an_option_of_any_command_is_told(
    cli: Cli, pack: Path, parameter: str, command: str
) -> None:
    workflow = WORKFLOW | {"parameters": {parameter: "draw.seed"}}
    shown = cli("validate", saved(workflow), "--pack", pack, "--json")
    [warning] = shown.json["files"][0]["warnings"]
    assert warning["message"] == (
        f"the parameter `{parameter}` has the same name as an option of `nodegraph {command}`"
    )
    assert f"`--parameter-{parameter}`" in warning["hint"]


def test_every_problem_is_told_at_once(cli: Cli, pack: Path) -> None:
    shown = cli("validate", saved(BROKEN), "--pack", pack)
    assert shown.code == 2
    first, *rest = shown.out.splitlines()
    assert first == "wf.json: 4 problems"
    assert [line for line in rest if not line.startswith(" ")] == [
        "node `join` (toys:Join)",
        "node `draw` (toys:Drw)",
        "node `write` (toys:Write)",
    ]


def test_several_files_are_checked_each_for_itself(cli: Cli, pack: Path) -> None:
    good, bad = saved(WORKFLOW, "good.json"), saved(BROKEN, "bad.json")
    shown = cli("validate", good, bad, "gone.json", "--pack", pack, "--json")
    assert shown.code == 2
    assert [file["valid"] for file in shown.json["files"]] == [True, False, False]
    assert {problem["file"] for problem in shown.json["problems"]} == {"bad.json", "gone.json"}


def test_warnings_are_no_problems(cli: Cli, pack: Path) -> None:
    shown = cli("validate", saved(FAILING), "--pack", pack)
    assert shown.code == 0
    assert "warning: node `fail` (toys:Fail): its type is deprecated. Use Draw." in shown.out


def test_only_the_target_counts_for_what_is_missing(cli: Cli, pack: Path) -> None:
    shown = cli("validate", saved(WORKFLOW), "--pack", pack, "--to", "drow")
    assert shown.code == 2
    assert "there is no node `drow`" in shown.out


def test_a_pack_that_fails_is_told_beside_the_result(cli: Cli, pack: Path, tmp_path: Path) -> None:
    broken = tmp_path / "faulty.py"
    broken.write_text("import nothing_of_that_name\n")
    shown = cli("validate", saved(WORKFLOW), "--pack", pack, "--pack", broken)
    assert (shown.code, shown.out.splitlines()[0]) == (0, "wf.json: valid, 5 nodes")
    assert "warning: pack `faulty`: importing" in shown.err


def test_standard_input_is_a_file_too(
    cli: Cli, pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = saved(changed(WORKFLOW, "join", times=7)).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    shown = cli("validate", "-", "--pack", pack)
    assert shown.code == 2
    assert "-: 1 problem\n" in shown.out
