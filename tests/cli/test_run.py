"""`nodegraph run`."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nodegraph.cli.argument_scan import RUN_OPTIONS, SUBMIT_OPTIONS, option_names
from nodegraph.cli.options import common_options, declared_options
from nodegraph.cli.plan import plan as plan_command
from nodegraph.cli.run import run as run_command
from nodegraph.cli.submit import submit as submit_command
from nodegraph.cli.why import why as why_command
from tests.cli.conftest import FAILING, WORKFLOW, Cli, Result, changed, saved


@pytest.fixture
def run(cli: Cli, pack: Path) -> Cli:
    """Run the workflow of these tests."""
    saved(WORKFLOW)

    def run_it(*arguments: str | Path) -> Result:
        return cli("run", "wf.json", "--pack", pack, *arguments)

    return run_it


def test_a_run_ends_with_what_was_run_and_the_files(run: Cli) -> None:
    shown = run()
    assert shown.code == 0
    first, *files = shown.out.replace("printed by a node\n", "").splitlines()
    assert first.startswith("Finished in ")
    assert first.endswith(": 5 nodes run.")
    assert sorted(files) == ["  output/number.txt", "  output/text.txt"]
    assert Path("output/text.txt").read_text() == "hello!"


def test_a_file_that_was_there_is_told(run: Cli) -> None:
    run()
    shown = run("--set", "draw.seed=9")
    assert "output/text.txt  (already there, unchanged)" in shown.out
    assert "output/number.txt\n" in shown.out


def test_each_node_is_a_line_where_there_is_no_terminal(run: Cli) -> None:
    lines = run().err.splitlines()
    assert lines[0].startswith("[1/5] ")
    assert any(re.search(r"\] join \(toys:Join\): [\d.]+ m?s$", line) for line in lines)
    assert any(" wait (toys:Wait): " in line for line in lines)
    assert lines[-1].startswith("[5/5] ")


def test_parameters_of_the_workflow_are_options(run: Cli) -> None:
    shown = run("--greeting", "3", "--seed", "8", "--rest-of-it=?", "--kind", "odd", "--loud")
    assert shown.code == 0
    assert Path("output/text.txt").read_text() == "3?"
    assert Path("output/number.txt").read_text() == "80"


def test_options_of_the_workflow_may_stand_before_it(cli: Cli, pack: Path) -> None:
    saved(WORKFLOW)
    shown = cli("run", "--pack", pack, "--no-loud", "--greeting", "hi", "wf.json", "-q")
    assert (shown.code, Path("output/text.txt").read_text()) == (0, "hi!")


def test_the_help_of_a_workflow_lists_its_parameters(run: Cli) -> None:
    shown = run("--help")
    assert shown.code == 0
    assert "Parameters of the workflow:" in shown.out
    text = " ".join(shown.out.split())
    assert '--greeting TEXT What to say. [join.first; default "hello"]' in text
    assert "--seed INT [draw.seed; default 3]" in text
    assert '--kind even|odd [draw.kind; default "even"]' in text
    assert "--loud / --no-loud [draw.loud; default false]" in text
    assert '--rest-of-it, --rest_of_it TEXT [join.second; default "!"]' in text


def test_the_help_needs_no_workflow_that_can_be_read(cli: Cli) -> None:
    shown = cli("run", "gone.json", "--help")
    assert shown.code == 0
    assert "Usage: nodegraph run [OPTIONS] WORKFLOW" in shown.out


@pytest.mark.parametrize("way", [["--set", "out=renamed"], ["--parameter-out", "renamed"]])
def test_a_parameter_named_like_an_option_is_set_otherwise(run: Cli, way: list[str]) -> None:
    shown = run("--out", "there", *way, "-q")
    assert shown.code == 0
    assert "there/renamed.txt\n" in shown.out


def test_the_options_that_no_parameter_can_have_are_those_of_the_commands() -> None:
    def options_of(command: Callable[..., object]) -> set[str]:
        names = option_names({**declared_options(command), **common_options()})
        return {name for name in names if name.startswith("--")}

    assert options_of(run_command) == RUN_OPTIONS
    assert options_of(submit_command) == SUBMIT_OPTIONS
    assert options_of(plan_command) <= RUN_OPTIONS
    assert options_of(why_command) <= RUN_OPTIONS


def test_spaces_of_a_parameter_are_hyphens_and_no_two_options_are_alike(
    cli: Cli, pack: Path
) -> None:
    parameters = {
        "who it is": "join.first",
        "who-it-is": "join.second",
        "größe": "draw.seed",
        "color": "write.name",
    }
    saved(WORKFLOW | {"parameters": parameters})
    text = cli("run", "wf.json", "--pack", pack, "--help").out
    assert "--who-it-is TEXT" in text
    assert "--parameter-who-it-is TEXT" in text
    assert "größe" not in text
    assert "`--parameter-color`" in cli("run", "wf.json", "--pack", pack, "--color", "red").err
    assert '--set "größe=…"' in cli("validate", "wf.json", "--pack", pack).out


def test_a_misspelt_parameter_is_answered_with_the_nearest(run: Cli) -> None:
    shown = run("--greting", "hi")
    assert shown.code == 2
    assert "there is no option `--greting`. Did you mean `--greeting`?" in shown.err


def test_values_are_checked_by_their_inputs(run: Cli) -> None:
    shown = run("--seed", "-1", "--kind", "evn", "--set", "join.times=x", "--set", "nothing")
    assert (shown.code, shown.out) == (2, "")
    assert "--set nothing does not assign a value" in shown.err
    assert "input `seed`: is too small" in shown.err
    assert "Did you mean `even`?" in shown.err
    assert "input `times`: has a value of the wrong type" in shown.err
    assert not Path("output").exists()


def test_set_reaches_any_input(run: Cli) -> None:
    assert run("--set", "join.second= = ", "--set", 'number.text={"from": "join"}').code == 0
    assert Path("output/text.txt").read_text() == "hello = "
    assert Path("output/number.txt").read_text() == "hello = "


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("jon.first=1", "Did you mean `join`?"),
        ("join.frist=1", "Did you mean `first`?"),
        ("first=1", "is not an input"),
    ],
)
def test_a_wrong_name_in_set_is_told(run: Cli, assignment: str, message: str) -> None:
    shown = run("--set", assignment)
    assert shown.code == 2
    assert message in shown.err


def test_only_targets_are_run(run: Cli) -> None:
    shown = run("--to", "write", "--json")
    assert set(shown.json["nodes"]) == {"join", "write"}
    assert "there is no node `wirte`" in run("--to", "wirte").err


def test_the_output_folder_can_be_chosen(run: Cli, tmp_path: Path) -> None:
    shown = run("--out", tmp_path / "deep" / "down", "-q")
    assert shown.out.splitlines()[-1].startswith("deep/down/")
    assert (tmp_path / "deep" / "down" / "text.txt").is_file()


def test_json_is_one_document_and_nothing_else(run: Cli, tmp_path: Path) -> None:
    shown = run("--json")
    found = shown.json
    assert (shown.code, found["status"], found["errors"]) == (0, "ok", [])
    assert found["nodes"]["join"]["status"] == "ran"
    assert {(item["path"], item["node"]) for item in found["files"]} == {
        (str(tmp_path / "output" / "text.txt"), "write"),
        (str(tmp_path / "output" / "number.txt"), "number"),
    }
    assert "printed by a node" in shown.err


def test_events_are_lines_of_json(run: Cli) -> None:
    shown = run("--events")
    events = [json.loads(line) for line in shown.out.splitlines()]
    assert [event["number"] for event in events] == list(range(len(events)))
    assert events[0]["kind"] == "job.started"
    assert events[-1]["kind"] == "job.finished"
    assert {"node": "wait", "data": {"step": 2, "total": 2}}.items() <= next(
        event for event in reversed(events) if event["kind"] == "node.progress"
    ).items()
    assert "Finished in" in shown.err


def test_json_and_events_exclude_each_other(run: Cli) -> None:
    assert run("--json", "--events").code == 2


def test_quiet_prints_only_files(run: Cli) -> None:
    shown = run("--quiet")
    lines = set(shown.out.replace("printed by a node\n", "").splitlines())
    assert (lines, shown.err) == ({"output/text.txt", "output/number.txt"}, "")


def test_repeating_counts_the_seeds_up_and_uses_the_cache(run: Cli) -> None:
    shown = run("--repeat", "3", "--json")
    runs = shown.json["runs"]
    assert [item["seeds"] for item in runs] == [{"draw.seed": seed} for seed in (3, 4, 5)]
    assert runs[0]["nodes"]["join"]["status"] == "ran"
    assert runs[1]["nodes"]["join"]["status"] == "cached"
    assert len(shown.json["files"]) == 6
    assert Path("output/number.txt").read_text() == "50"


def test_repeating_without_the_cache_computes_anew(run: Cli) -> None:
    runs = run("--repeat", "2", "--no-cache", "--json").json["runs"]
    assert runs[1]["nodes"]["join"]["status"] == "ran"


def test_seeds_are_given_as_a_list(run: Cli) -> None:
    shown = run("--seeds", "7,1-2")
    assert [line for line in shown.err.splitlines() if line.startswith("run ")] == [
        "run 1 of 3, seed 7",
        "run 2 of 3, seed 1",
        "run 3 of 3, seed 2",
    ]
    assert "Finished 3 of 3 runs in " in shown.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--seeds", "a"),
        ("--repeat", "2", "--seeds", "1"),
        ("--repeat", "0"),
        ("--rows", "rows.csv", "--seeds", "1"),
    ],
)
def test_wrong_repetitions_are_bad_input(run: Cli, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).code == 2


def test_a_run_for_each_row_of_a_table(run: Cli, tmp_path: Path) -> None:
    Path("rows.csv").write_text("draw.seed;greeting\n7;\n8;Hallo, du\n", "utf-8-sig")
    shown = run("--rows", "rows.csv", "--json")
    assert shown.code == 0
    assert [item["row"] for item in shown.json["runs"]] == [1, 2]
    assert Path("output/text.txt").read_text() == "Hallo, du!"
    lines = [line for line in run("--rows", "rows.csv").err.splitlines() if "row" in line]
    assert lines == ["run 1 of 2, row 1", "run 2 of 2, row 2"]


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.csv", b"draw.seed,nobody\n1,2\n", "nobody"),
        ("a.csv", b"draw.seed\n1\nx\n", "row 2: "),
        ("a.csv", b"draw.seed\n1,2\n", "line 2 has more cells"),
        ("a.csv", b"draw.seed,draw.seed\n1,2\n", "name each column once"),
        ("a.csv", b"", "cannot be read as a table"),
        ("a.csv", b"draw.seed\n", "it has no rows"),
        ("a.csv", b'draw.seed\n"1\n', "line 2"),
        ("a.csv", b"\xff\xfe\x00", "not UTF-8"),
        ("a.jsonl", b'{"draw.seed": 1}\n[2]\n', "line 2 is not a JSON object"),
        ("a.jsonl", b'{"draw.seed": \n', "line 1 is not JSON"),
        ("missing.csv", None, "missing.csv"),
    ],
)
def test_a_table_that_is_wrong_runs_nothing(
    run: Cli, name: str, content: bytes | None, part: str
) -> None:
    if content is not None:
        Path(name).write_bytes(content)
    shown = run("--rows", name)
    assert shown.code == 2
    assert part in shown.err
    assert not Path("output").exists()


def test_rows_of_json_have_types_and_may_leave_values(run: Cli) -> None:
    first = '{"draw.seed": 4, "greeting": "a\u2028b"}'
    Path("rows.jsonl").write_text(f'{first}\n\n{{"draw.seed": null}}\n', "utf-8")
    runs = run("--rows", "rows.jsonl", "--json").json["runs"]
    assert [item["row"] for item in runs] == [1, 2]


def test_a_failure_tells_node_inputs_and_the_packs_traceback(cli: Cli, pack: Path) -> None:
    shown = cli("run", saved(FAILING), "--pack", pack)
    assert shown.code == 1
    assert "node `fail` (toys:Fail) failed\n  RuntimeError: it broke\n" in shown.err
    assert "  inputs:\n    explained  False\n    value      30\n" in shown.err
    assert 'raise RuntimeError("it broke")' in shown.err
    assert "asyncio" not in shown.err
    assert "Failed after " in shown.out
    assert "2 nodes run, 1 failed, 1 skipped." in shown.out
    assert "output/number.txt" in shown.out


def test_a_failure_that_a_node_explains_has_no_traceback(cli: Cli, pack: Path) -> None:
    shown = cli("run", saved(FAILING), "--pack", pack, "--explained")
    assert shown.code == 1
    assert "  input `value`: is unlucky\n  given: 30\n  Give another.\n" in shown.err
    assert "in the code of the pack" not in shown.err


def test_a_failure_is_a_document_too(cli: Cli, pack: Path) -> None:
    shown = cli("run", saved(FAILING), "--pack", pack, "--json")
    (error,) = shown.json["errors"]
    assert (shown.code, shown.json["status"]) == (1, "failed")
    assert (error["node"], error["message"]) == ("fail", "RuntimeError: it broke")
    assert error["inputs"]["value"] == "30"
    assert "in Fail" in error["trace"]


def test_a_failure_ends_a_series(cli: Cli, pack: Path) -> None:
    shown = cli("run", saved(FAILING), "--pack", pack, "--repeat", "3")
    assert shown.code == 1
    assert "Failed 1 of 3 runs after " in shown.out


def test_a_workflow_comes_from_standard_input(
    cli: Cli, pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = json.dumps(WORKFLOW).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    shown = cli("run", "-", "--pack", pack, "--greeting", "from afar", "-q")
    assert (shown.code, Path("output/text.txt").read_text()) == (0, "from afar!")


def test_an_invalid_workflow_runs_nothing(cli: Cli, pack: Path) -> None:
    shown = cli("run", saved(changed(WORKFLOW, "join", times=9)), "--pack", pack)
    assert shown.code == 2
    assert "is too large" in shown.err
    assert not Path("output").exists()


def test_a_workflow_that_is_missing_is_told_before_its_parameters(cli: Cli) -> None:
    shown = cli("run", "gone.json", "--prompt", "x")
    assert (shown.code, shown.err) == (2, "error: there is no file gone.json\n")


def test_a_picture_is_run_again(command: Callable[..., Result], pack: Path) -> None:
    from tests.cli.test_opening import picture

    picture(Path("made.png"), {"workflow": json.dumps(WORKFLOW)})
    shown = command("run", "made.png", "--pack", pack, "--greeting", "again", "-q")
    assert (shown.code, Path("output/text.txt").read_text()) == (0, "again!")
