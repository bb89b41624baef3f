"""The command line as a whole: its help, its commands, its global options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from nodegraph.cli.app import (
    COMMANDS,
    DEFAULT_COMMANDS,
    GROUPS,
    command_function,
    command_names,
    summary,
)
from nodegraph.core.version import VERSION
from tests.cli.conftest import WORKFLOW, Cli, Result, saved


def test_the_help_lists_every_command(cli: Cli) -> None:
    shown = cli("--help")
    assert shown.code == 0
    assert all(f"  {name}" in shown.out and about in shown.out for name, about in COMMANDS.items())
    assert "Exit codes: 0 success, 1 a run failed, 2 bad input, 130 cancelled." in shown.out


@pytest.mark.parametrize("name", command_names())
def test_a_command_says_of_itself_what_the_list_says(name: str) -> None:
    about = inspect.getdoc(command_function(name)) or ""
    assert about.splitlines()[0] == summary(name)


@pytest.mark.parametrize("name", [*command_names(), *GROUPS])
def test_every_command_has_help(cli: Cli, name: str) -> None:
    shown = cli(*name.split(), "-h")
    assert shown.code == 0
    assert shown.out.startswith(f"Usage: nodegraph {name} ")
    assert "Options of all commands:" in shown.out
    assert not re.search(r"\[default: [^]]*\]\s+\[default: ", shown.out)


@pytest.mark.parametrize("group", GROUPS)
def test_the_help_of_a_group_lists_its_commands(cli: Cli, group: str) -> None:
    shown = cli(group, "--help")
    assert COMMANDS[group] in shown.out
    listed = GROUPS[group].items()
    assert all(f"  {name} " in shown.out and about in shown.out for name, about in listed)


@pytest.mark.parametrize("group", sorted(GROUPS.keys() - DEFAULT_COMMANDS.keys()))
def test_without_a_command_of_its_own_a_groups_help_is_an_error(cli: Cli, group: str) -> None:
    shown = cli(group)
    assert (shown.code, shown.out) == (2, "")
    assert f"Usage: nodegraph {group} " in shown.err


@pytest.mark.parametrize("group", ["cache", "runs", "token"])
def test_alone_a_group_does_what_is_asked_for_most(cli: Cli, group: str) -> None:
    shown = cli(group)
    assert shown.code == 0
    # The store's files have changed a bit by then.
    assert shown.out.split()[:1] == cli(group, DEFAULT_COMMANDS[group]).out.split()[:1]


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("jobs cancel x", "nodegraph cancel"),
        ("jobs last", "nodegraph jobs show last"),
        ("runs 20261120", "nodegraph runs show 20261120"),
        ("jobs retyr x", "retry"),
    ],
)
def test_what_is_no_command_of_a_group_may_be_one_all_the_same(
    cli: Cli, line: str, meant: str
) -> None:
    shown = cli(*line.split())
    assert (shown.code, shown.out) == (2, "")
    assert f"Did you mean `{meant}`?" in shown.err


def test_an_unknown_command_of_a_group_is_answered_with_the_nearest(cli: Cli) -> None:
    shown = cli("cache", "inof")
    assert shown.code == 2
    assert "there is no command `cache inof`. Did you mean `info`?" in shown.err
    assert "`nodegraph cache --help` lists the commands and options." in shown.err


def test_an_unknown_option_of_a_groups_command_is_answered_with_the_nearest(cli: Cli) -> None:
    assert "Did you mean `--limit`?" in cli("runs", "list", "--limt", "3").err


@pytest.mark.parametrize("at", [0, 1, 2])
def test_global_options_stand_anywhere_around_a_groups_command(
    cli: Cli, tmp_path: Path, at: int
) -> None:
    words = ["cache", "info"]
    words[at:at] = ["--home", str(tmp_path / "elsewhere")]
    shown = cli(*words, "--json")
    assert (shown.code, shown.json["folder"]) == (0, str(tmp_path / "elsewhere/cache/store"))


def test_without_a_command_the_help_is_an_error(cli: Cli) -> None:
    shown = cli()
    assert (shown.code, shown.out) == (2, "")
    assert "Commands:" in shown.err


def test_an_unknown_command_is_answered_with_the_nearest(cli: Cli) -> None:
    shown = cli("vaildate")
    assert shown.code == 2
    assert "there is no command `vaildate`. Did you mean `validate`?" in shown.err


def test_a_workflow_in_place_of_a_command_is_answered_with_how_to_run_it(cli: Cli) -> None:
    saved(WORKFLOW)
    assert "To run a workflow, use `nodegraph run wf.json`." in cli("wf.json").err


def test_an_unknown_option_is_answered_with_the_nearest(cli: Cli) -> None:
    shown = cli("nodes", "--serch", "x")
    assert shown.code == 2
    assert "there is no option `--serch`. Did you mean `--search`?" in shown.err


def test_the_version_is_an_option_too(cli: Cli) -> None:
    assert cli("--version").out == f"nodegraph {VERSION}\n"


def test_global_options_stand_before_or_after_the_command(cli: Cli, pack: Path) -> None:
    before = cli("--pack", pack, "nodes", "toys:Join")
    after = cli("nodes", "toys:Join", "--pack", pack)
    assert (before.code, before.out) == (0, after.out)


def test_packs_given_at_both_places_add_up(cli: Cli, pack: Path, tmp_path: Path) -> None:
    other = tmp_path / "others.py"
    other.write_text("from nodegraph import node\n\n@node\ndef Two() -> int:\n    return 2\n")
    shown = cli("--pack", pack, "nodes", "--pack", other, "--json")
    types = {node["type"] for node in shown.json["nodes"]}
    assert {"toys:Join", "others:Two"} <= types


def test_a_missing_pack_is_bad_input(cli: Cli) -> None:
    shown = cli("nodes", "--pack", "nowhere.py")
    assert shown.code == 2
    assert "error: there is no pack at " in shown.err
    assert "Give a folder or a .py file." in shown.err


def test_a_home_keeps_everything(cli: Cli, tmp_path: Path) -> None:
    shown = cli("doctor", "--home", tmp_path / "elsewhere", "--json")
    folders = {item["role"]: item["path"] for item in shown.json["folders"]}
    assert folders["data"] == str(tmp_path / "elsewhere")
    assert folders["cache"] == str(tmp_path / "elsewhere" / "cache")


def test_a_wrong_setting_is_bad_input(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODEGRAPH_MEMORY_CACHE", "plenty")
    shown = cli("nodes")
    assert shown.code == 2
    assert "memory_cache" in shown.err


def test_the_module_runs_like_the_command(command: Callable[..., Result]) -> None:
    assert command("version").out == f"nodegraph {VERSION}\n"


def test_the_shell_completes_a_workflows_parameters(
    command: Callable[..., Result], pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(WORKFLOW)
    monkeypatch.setenv("_NODEGRAPH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"nodegraph run wf.json --pack {pack} --gr")
    monkeypatch.setenv("COMP_CWORD", "5")
    assert "--greeting" in command().out


def test_the_shell_completes_the_commands_of_a_group(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_NODEGRAPH_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "nodegraph cache ex")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert command().out.split() == ["export"]
