"""`nodegraph pack`: packs are installed, listed, updated, locked and removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nodegraph.isolation.sandbox import enforcement, sandbox_modes
from tests.cli.conftest import Cli
from tests.packs.installing import comfy_project, project, wheel, wheels

__all__ = ["wheels"]


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own for each test: what one installs is not there for the next."""
    monkeypatch.setenv("NODEGRAPH_HOME", str(tmp_path / "home"))


def test_a_pack_is_added_listed_shown_and_removed(cli: Cli, tmp_path: Path) -> None:
    root = project(tmp_path, "speaker_cli", needs=("numpy",))
    added = cli("pack", "add", root)
    assert added.code == 0, added.err
    assert "runs in the main process" in added.out
    assert added.out.endswith("Installed speaker_cli; its source declares 1 node type.\n")
    row = next(line for line in cli("pack", "list").out.splitlines() if "speaker_cli" in line)
    assert row.split()[:3] == ["speaker_cli", "1.0", "native"]
    shown = cli("pack", "info", "speaker_cli")
    assert "node types  Say" in shown.out
    assert "license     MIT" in shown.out
    assert cli("pack", "remove", "speaker_cli").out == "Removed speaker_cli.\n"
    assert cli("pack", "list").out.startswith("No packs are installed.")


def test_what_the_sandbox_enforces_is_shown_of_untrusted_packs(cli: Cli, tmp_path: Path) -> None:
    root = project(tmp_path, "speaker_boxed")
    assert cli("pack", "add", root, "--untrusted").code == 0
    shown = cli("pack", "info", "speaker_boxed")
    if sandbox_modes():
        for rule in enforcement():
            line = next(
                line for line in shown.out.splitlines() if line.strip().startswith(rule.what)
            )
            assert line.endswith(rule.how or "not enforced")
        rules = cli("pack", "info", "speaker_boxed", "--json").json["sandbox"]
        assert rules == {rule.what: rule.how or "not enforced" for rule in enforcement()}
    else:
        assert "packs without trust do not run" in shown.err


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    cli: Cli, tmp_path: Path, wheels: Path
) -> None:
    wheel(wheels, "iniconfig_toy", "1.0")
    root = project(tmp_path, needs=("iniconfig_toy",))
    done = cli("pack", "add", root, "--dry-run", "--untrusted")
    assert "  not trusted: it runs in a sandbox" in done.out
    assert "  needs iniconfig_toy (absent here)\n" in done.out
    assert "  gets an environment with iniconfig-toy 1.0\n" in done.out
    assert cli("pack", "list", "--json").json == {"packs": []}
    assert not (tmp_path / "home" / "packs" / "environments").exists()


@pytest.mark.slow
def test_a_torch_of_its_own_needs_an_agreement(cli: Cli, tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, "torch", "2.8.77")
    root = project(tmp_path, needs=("torch==2.8.77",))
    done = cli("pack", "add", root)
    assert done.code == 2
    assert "several GB" in done.err
    assert "Use --yes to install it." in done.err
    assert cli("pack", "add", root, "--yes").code == 0


def test_json_has_the_plan(cli: Cli, tmp_path: Path) -> None:
    done = cli("pack", "add", comfy_project(tmp_path, install="x"), "--json").json
    assert (done["name"], done["kind"], done["installed"]) == ("ComfyUI_Toys", "comfyui", True)
    assert done["notes"] == ["install.py does not run; --allow install.py permits it"]
    (pack,) = cli("pack", "list", "--json").json["packs"]
    assert pack["current"]["node_types"] == ["Other", "Toy"]
    assert pack["faults"] == []


def test_a_pack_is_disabled_enabled_and_rolled_back(cli: Cli, tmp_path: Path) -> None:
    root = project(tmp_path, "speaker_roll")
    cli("pack", "add", root, "--copy")
    assert cli("pack", "disable", "speaker_roll").code == 0
    assert "speaker_roll (disabled)" in cli("pack", "list").out
    cli("pack", "enable", "speaker_roll")
    assert cli("pack", "update").out.endswith("speaker_roll: nothing is newer.\n")
    project(tmp_path, "speaker_roll", version="2.0")
    assert cli("pack", "update", "speaker_roll").out.endswith("speaker_roll: updated.\n")
    assert cli("pack", "rollback", "speaker_roll").out == "speaker_roll: back at 1.0.\n"


def test_a_lock_goes_along_with_a_workflow(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("pack", "add", project(tmp_path, "speaker_lock"))
    nodes = {"say": {"type": "speaker_lock:Say"}, "toy": {"type": "toys:Join"}}
    workflow = tmp_path / "wf.json"
    workflow.write_text(json.dumps({"format": "nodegraph/1", "nodes": nodes}))
    done = cli("pack", "lock", workflow)
    assert done.out == "Wrote 1 pack into wf.packs.json.\n"
    assert "`toys` is left out" in done.err
    monkeypatch.setenv("NODEGRAPH_HOME", str(tmp_path / "second"))
    assert cli("pack", "sync", workflow, "--trusted").out.endswith("speaker_lock: installed.\n")
    assert cli("pack", "sync", workflow).out == "speaker_lock: as locked.\n"


def test_an_index_is_written_searched_and_installed_from(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("pack", "search").code == 2
    project(tmp_path / "shared", "speaker_index")
    assert cli("pack", "index", tmp_path / "shared").code == 0
    monkeypatch.setenv("NODEGRAPH_PACK_INDEX", str(tmp_path / "shared"))
    assert "speaker_index" in cli("pack", "search", "speaker").out
    assert cli("pack", "add", "speaker_index", "--trusted").code == 0
    wrong = cli("pack", "add", "speaker_indx")
    assert wrong.code == 2
    assert "speaker_index" in wrong.err


@pytest.mark.parametrize("name", ["info", "update", "rollback", "disable", "remove"])
def test_a_pack_that_is_not_installed_is_told(cli: Cli, name: str) -> None:
    done = cli("pack", name, "gone")
    assert done.code == 2
    assert "the pack `gone` is not installed" in done.err
