"""`nodegraph runs`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nodegraph.store.claims import Claims
from nodegraph.store.history import Runs
from nodegraph.store.index import Index
from tests.cli.conftest import FAILING, WORKFLOW, Cli, Result, saved


@pytest.fixture
def runs(home: Path) -> Iterator[Runs]:
    """The records in the store that the commands look at."""
    folder = home / "cache" / "store"
    index = Index(folder / "index.sqlite")
    with closing(index), closing(Claims(folder / "claims")) as claims:
        yield Runs(index, claims)


@pytest.fixture
def run(cli: Cli, pack: Path) -> Callable[..., Result]:
    """Run the workflow of these tests."""

    def run_it(*arguments: str | Path, document: Any = WORKFLOW) -> Result:
        return cli("run", saved(document), "--pack", pack, "-q", *arguments)

    return run_it


def noted(runs: Runs, title: str = "", *, status: str = "ok", **record: Any) -> str:
    name = runs.begin(title)
    runs.finish(name, status, 1.5, {"status": status, **record})
    return name


# list


def test_without_runs_the_list_says_so(cli: Cli) -> None:
    assert cli("runs", "list").out == "No runs.\n"
    assert cli("runs", "list", "--json").json == {"runs": []}


def test_a_title_takes_one_line(cli: Cli, runs: Runs) -> None:
    noted(runs, "long\ntitle " * 100)
    (line,) = [line for line in cli("runs", "list").out.splitlines() if "long" in line]
    assert line.endswith("…")
    assert len(line) < 130
    assert "…" in cli("runs", "show").out.splitlines()[0]


def test_a_run_is_listed(cli: Cli, run: Callable[..., Result]) -> None:
    run()
    shown = cli("runs", "list")
    heads, row = shown.out.splitlines()
    assert heads.split() == ["id", "started", "status", "took", "title"]
    assert row.endswith("Greeting")
    assert " ok " in row
    assert "nodegraph runs show ID" in shown.err


def test_the_last_runs_are_listed_first(cli: Cli, runs: Runs) -> None:
    ids = [noted(runs, title) for title in ("one", "two", "three")]
    found = cli("runs", "list", "--limit", "2", "--json").json["runs"]
    assert [item["id"] for item in found] == [ids[2], ids[1]]
    assert found[0] == {
        "id": ids[2],
        "title": "three",
        "started": found[0]["started"],
        "seconds": 1.5,
        "status": "ok",
    }


def test_a_run_that_goes_on_is_listed(cli: Cli, runs: Runs) -> None:
    runs.begin("long")
    assert " running " in cli("runs", "list").out


@pytest.mark.parametrize("limit", ["0", "x"])
def test_a_limit_is_a_number_of_runs(cli: Cli, limit: str) -> None:
    assert cli("runs", "list", "--limit", limit).code == 2


# show


def test_showing_tells_nodes_files_and_environment(cli: Cli, run: Callable[..., Result]) -> None:
    run("--seed", "5")
    text = cli("runs", "show").out
    assert "ok after " in text
    assert "nodegraph " in text
    wait = next(line for line in text.splitlines() if line.startswith("wait "))
    assert wait.split()[1:3] == ["toys:Wait", "ran"]
    assert "value=" in wait or "output=" in wait or "=" in wait
    assert "Files\n" in text
    assert "  output/number.txt" in text


def test_the_document_of_a_run_has_all_that_is_kept(
    cli: Cli, run: Callable[..., Result], tmp_path: Path
) -> None:
    run("--seed", "5")
    found = cli("runs", "show", "last", "--json").json
    assert (found["status"], found["title"]) == ("ok", "Greeting")
    draw = found["nodes"]["draw"]
    assert (draw["type"], draw["status"], draw["calls"]) == ("toys:Draw", "ran", 1)
    assert draw["key"]
    assert draw["outputs"]
    assert {file["path"] for file in found["files"]} == {
        str(tmp_path / "output/text.txt"),
        str(tmp_path / "output/number.txt"),
    }
    assert found["workflow"]["nodes"]["draw"]["inputs"]["seed"] == 5
    assert found["environment"]["device"]
    assert "toys" in found["environment"]["packs"]


def test_a_shown_workflow_can_be_run_again(
    cli: Cli, run: Callable[..., Result], pack: Path
) -> None:
    run("--seed", "5", "--greeting", "once more")
    Path("again.json").write_text(cli("runs", "show", "--workflow").out)
    Path("output/text.txt").unlink()
    assert cli("run", "again.json", "--pack", pack, "-q").code == 0
    assert Path("output/text.txt").read_text() == "once more!"
    assert Path("output/number.txt").read_text() == "50"


def test_a_failed_run_tells_its_errors(cli: Cli, run: Callable[..., Result]) -> None:
    run(document=FAILING)
    shown = cli("runs", "show")
    assert shown.code == 0
    assert "failed after " in shown.out
    assert "node `fail` (toys:Fail)\n  RuntimeError: it broke\n" in shown.out


def test_a_record_of_a_later_version_is_shown(cli: Cli, runs: Runs) -> None:
    error = {"code": "node-failed", "message": "it broke", "node": "n", "weather": "rain"}
    noted(runs, status="failed", errors=[error], moon="full")
    assert "  it broke" in cli("runs", "show").out


def test_ids_can_be_shortened(cli: Cli, runs: Runs) -> None:
    end = noted(runs, "fox").rpartition("-")[2]
    noted(runs, "other")
    assert cli("runs", "show", end, "--json").json["title"] == "fox"
    assert cli("runs", "show", "last~1", "--json").json["title"] == "fox"


def test_a_run_that_is_not_there_is_bad_input(cli: Cli, runs: Runs) -> None:
    noted(runs)
    shown = cli("runs", "show", "nowhere")
    assert shown.code == 2
    assert "there is no run 'nowhere'" in shown.err


def test_a_run_that_goes_on_has_no_workflow_yet(cli: Cli, runs: Runs) -> None:
    runs.begin("long")
    assert cli("runs", "show").out.startswith("2")
    shown = cli("runs", "show", "--workflow")
    assert (shown.code, shown.out) == (2, "")
    assert "It is still running, or its process was killed." in shown.err


# compare


def test_comparing_names_changed_inputs_and_outputs(cli: Cli, run: Callable[..., Result]) -> None:
    run("--seed", "5")
    run("--seed", "6")
    text = cli("runs", "compare").out
    assert "  draw.seed  5 → 6" in text
    rows = {line.split()[0]: line for line in text.splitlines() if line.strip()}
    assert rows["draw"].endswith(" changed")
    assert "×" in rows["wait"]
    assert "Environment" not in text


def test_of_less_than_a_millisecond_what_differs_is_chance(cli: Cli, runs: Runs) -> None:
    for seconds in (0.0002, 0.0009):
        quick = {"type": "Draw", "status": "ran", "seconds": seconds}
        noted(runs, nodes={"quick": quick, "slow": {**quick, "seconds": 2 * seconds}})
    rows = {line.split()[0]: line for line in cli("runs", "compare").out.splitlines() if line}
    assert "×" not in rows["quick"]
    assert "×4.50" in rows["slow"]


def test_what_came_from_the_cache_twice_is_only_counted(
    cli: Cli, run: Callable[..., Result]
) -> None:
    for _ in range(3):
        run("--to", "join", "--to", "draw")
    text = cli("runs", "compare").out
    assert "No input was changed." in text
    assert "2 nodes came from the cache in both runs, with the same outputs." in text


def test_a_comparison_is_a_document_too(cli: Cli, runs: Runs) -> None:
    node = {"type": "Sample", "status": "ran", "seconds": 1.0, "outputs": {"latent": "aa"}}
    slow = {**node, "seconds": 2.0}
    first = noted(runs, "one", nodes={"sample": node}, environment={"python": "3.11"})
    second = noted(
        runs, "two", nodes={"sample": slow, "save": node}, environment={"python": "3.12"}
    )
    found = cli("runs", "compare", first, second, "--json").json
    assert (found["first"]["title"], found["second"]["title"]) == ("one", "two")
    assert found["environment"] == [{"what": "python", "first": "3.11", "second": "3.12"}]
    sample, save = found["nodes"]
    assert (sample["ratio"], sample["same_outputs"]) == (2.0, True)
    assert (save["first"], save["same_outputs"]) == (None, None)
    text = cli("runs", "compare", first).out
    assert "1.0 s → 2.0 s  ×2.00  the same" in text
    assert "missing" in text
    assert "  python  3.11 → 3.12" in text


def test_one_run_cannot_be_compared(cli: Cli, runs: Runs) -> None:
    noted(runs)
    shown = cli("runs", "compare")
    assert shown.code == 2
    assert "there are no two runs to compare, only 1 run" in shown.err


def test_long_values_are_shortened(cli: Cli, runs: Runs) -> None:
    for prompt in ("fox " * 50, "owl " * 50):
        nodes = {"text": {"type": "Text", "inputs": {"prompt": prompt}}}
        noted(runs, workflow={"nodes": nodes})
    text = cli("runs", "compare").out
    assert "…" in text
    assert max(map(len, text.splitlines())) < 160


def test_control_characters_of_a_workflow_do_not_reach_the_terminal(cli: Cli, runs: Runs) -> None:
    noted(runs, "\x1b[31mred", nodes={"\x1b[2J": {"type": "T", "status": "ran", "seconds": 1.0}})
    for line in (("list",), ("show",)):
        assert "\x1b[2J" not in cli("runs", *line).out
        assert "\x1b[31m" not in cli("runs", *line).out
    assert json.loads(cli("runs", "show", "--json").out)["title"] == "\x1b[31mred"
