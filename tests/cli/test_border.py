"""Errors become messages and exit codes; output survives its reader."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nodegraph.cli import error_boundary as border
from nodegraph.cli.error_boundary import run_guarded
from tests.cli.conftest import (
    BROKEN,
    PATIENCE,
    WORKFLOW,
    Cli,
    Result,
    process_arguments,
    saved,
)


def test_problems_are_told_by_node_and_counted(cli: Cli, pack: Path) -> None:
    shown = cli("run", saved(BROKEN), "--pack", pack)
    assert (shown.code, shown.out) == (2, "")
    assert "node `join` (toys:Join)\n  input `frist`: has no such input\n" in shown.err
    assert "    Did you mean `first`?\n" in shown.err
    assert "    given: 9\n    expected: a whole number from 1 to 5\n" in shown.err
    assert shown.err.count("node `join` (toys:Join)\n") == 1
    assert shown.err.splitlines()[-1].endswith("problems.")


def test_problems_are_one_document_with_json(cli: Cli, pack: Path) -> None:
    shown = cli("run", saved(BROKEN), "--pack", pack, "--json")
    assert (shown.code, shown.json["status"]) == (2, "invalid")
    found = {(problem["code"], problem["node"]) for problem in shown.json["problems"]}
    assert {("unknown-input", "join"), ("unknown-node-type", "draw")} <= found


def test_usage_errors_are_one_document_with_json(cli: Cli) -> None:
    shown = cli("run", "--json")
    assert shown.code == 2
    assert shown.json["problems"] == [{"code": "usage", "message": "Missing argument 'WORKFLOW'."}]


@pytest.mark.parametrize(
    "arguments",
    [
        ["new", "{}.json"],
        ["pack", "new", "{}"],
        ["pack", "test", "{}"],
        ["run", "{}.json"],
        ["show", "{}.json"],
        ["import", "{}.json"],
        ["nodes", "--pack", "{}"],
    ],
    ids=" ".join,
)
def test_a_place_that_no_system_takes_is_told(cli: Cli, arguments: list[str]) -> None:
    name = "x" * 300
    shown = cli(*(each.format(name) for each in arguments))
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.startswith("error: cannot use `")
    assert name in shown.err
    assert "File name too long" in shown.err


@pytest.mark.skipif(sys.platform == "win32", reason="every name may have a home there")
def test_a_home_that_nobody_has_is_told(cli: Cli) -> None:
    shown = cli("lineage", "~no-such-user/a.png")
    assert (shown.code, shown.out) == (2, "")
    assert "the home folder that it stands for is not known" in shown.err
    assert "~no-such-user/a.png" in shown.err


def test_an_unexpected_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, cli: Cli) -> None:
    def broken(arguments: list[str]) -> int:
        raise ZeroDivisionError("a fault of nodegraph")

    monkeypatch.setattr(border, "_run", broken)
    with pytest.raises(ZeroDivisionError):
        cli("nodes")


def test_ctrl_c_before_anything_runs_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(border, "_run", interrupted)
    assert run_guarded([]) == 130


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGPIPE")
def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        done = subprocess.run(
            process_arguments("nodes"),
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
        )
    assert done.returncode == 141
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_terminal_without_unicode_gets_escapes(
    command: Callable[..., Result], pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = {**WORKFLOW, "title": "Größe 漢字"}
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("PYTHONUTF8", "0")
    shown = command("show", saved(document))
    assert shown.code == 0
    assert shown.out.startswith("Gr\\xf6\\xdfe \\u6f22\\u5b57")
    assert "`- text <- join (toys:Join)" in shown.out


def test_json_stays_json_on_a_terminal_without_unicode(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    saved({**WORKFLOW, "title": "x"}, "größe.json")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    shown = command("validate", "größe.json", "--json")
    assert shown.json["files"][0]["file"] == "größe.json"


def test_files_cannot_steer_the_terminal(cli: Cli) -> None:
    shown = cli("show", saved({**WORKFLOW, "title": "\x1b[31mred\x07"}))
    assert shown.out.startswith("\\x1b[31mred\\x07")
