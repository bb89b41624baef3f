"""`nodegraph cache`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodegraph.session.settings import Settings
from tests.cli.conftest import WORKFLOW, Cli, Result, saved

HEAVY = '''
import time
from typing import Annotated

from nodegraph import Lazy, Seed, node


@node(category="text")
def Big(seed: Annotated[int, Seed()] = 0, size: int = 200000) -> str:
    """Take a while to make a long text."""
    time.sleep(0.05)
    return str(seed) * size


@node(category="text")
def Numbers(count: int) -> list[int]:
    """Count."""
    return list(range(count))


@node(category="text")
def Double(value: int) -> int:
    """Double a number."""
    return value * 2


@node(category="number")
def Total(values: list[int]) -> int:
    """Add numbers up."""
    return sum(values)


@node(category="number")
async def Choose(first: Lazy[int], second: Lazy[int], limit: int = 5) -> int:
    """Take the second number if the first is too small."""
    found = await first()
    return found if found >= limit else await second()
'''

LONG: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Long",
    "parameters": {"seed": "big.seed"},
    "nodes": {
        "big": {"type": "heavy:Big", "inputs": {"seed": 1}},
        "write": {"type": "toys:Write", "inputs": {"text": {"from": "big"}, "name": "long"}},
    },
}

MAPPED: dict[str, Any] = {
    "format": "nodegraph/1",
    "nodes": {
        "numbers": {"type": "heavy:Numbers", "inputs": {"count": 4}},
        "double": {"type": "heavy:Double", "inputs": {"value": {"from": "numbers"}}},
        "total": {"type": "heavy:Total", "inputs": {"values": {"from": "double"}}},
        "write": {"type": "toys:Write", "inputs": {"text": {"from": "total"}, "name": "total"}},
    },
}

CHOOSING: dict[str, Any] = {
    "format": "nodegraph/1",
    "nodes": {
        "one": {"type": "heavy:Double", "inputs": {"value": 1}},
        "three": {"type": "heavy:Double", "inputs": {"value": 3}},
        "choose": {
            "type": "heavy:Choose",
            "inputs": {"first": {"from": "one"}, "second": {"from": "three"}},
        },
        "write": {"type": "toys:Write", "inputs": {"text": {"from": "choose"}, "name": "chosen"}},
    },
}

Run = Callable[..., Result]


@pytest.fixture
def run(cli: Cli, pack: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a workflow with both packs.

    Whatever is large becomes a file: a slow disk must not make it look cheap.
    """
    monkeypatch.setenv("NODEGRAPH_KEEP_CHEAP", "true")
    Path("heavy.py").write_text(HEAVY)

    def run_it(document: dict[str, Any] = LONG, *arguments: str | Path) -> Result:
        file = saved(document)
        done = cli("run", file, "--pack", pack, "--pack", "heavy.py", "--json", *arguments)
        assert done.code == 0, done.err
        return done

    return run_it


@pytest.fixture
def store(home: Path) -> Path:
    return home / "cache" / "store"


def statuses(done: Result) -> dict[str, str]:
    return {name: node["status"] for name, node in done.json["nodes"].items()}


def artifact(store: Path) -> Path:
    """The file of the only result that has one."""
    (found,) = (path for path in (store / "artifacts").rglob("*") if path.is_file())
    return found


# info


def test_an_empty_store_is_described(cli: Cli, store: Path) -> None:
    shown = cli("cache", "info")
    assert shown.code == 0
    assert shown.out.startswith(f"Store  {store}\n")
    assert "0 files" in shown.out
    assert "quarantine" not in shown.out


def test_the_store_is_described_in_numbers(cli: Cli, run: Run, store: Path) -> None:
    run()
    found = cli("cache", "info", "--json").json
    assert (found["folder"], found["artifacts"], found["runs"]) == (str(store), 1, 1)
    assert found["artifact_bytes"] == artifact(store).stat().st_size
    assert (found["budget"], found["memory_budget"]) == (20 << 30, Settings().memory_budget)
    types = {item["node_type"]: item for item in found["types"]}
    assert types["heavy:Big"]["entries"] == 1
    text = cli("cache", "info").out
    assert "of 21.5 GB, 1 file" in text
    assert any(line.startswith("heavy:Big ") for line in text.splitlines())


def test_a_store_that_is_turned_off_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODEGRAPH_DISK_CACHE", "0")
    shown = cli("cache", "info")
    assert shown.code == 2
    assert "results are not kept on disk" in shown.err
    assert cli("runs", "list").code == 2


def test_a_store_that_is_none_is_told(cli: Cli, tmp_path: Path, run: Run) -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere/config.toml").write_text(f"store = '{tmp_path / 'taken' / 'store'}'")
    Path("taken").write_text("a file")
    shown = cli("cache", "info", "--home", "elsewhere")
    assert shown.code == 2
    assert "results are not kept on disk" in shown.err


# list


def test_results_are_listed(cli: Cli, run: Run) -> None:
    assert cli("cache", "list").out == "No results.\n"
    run()
    run(LONG, "--seed", "2")
    found = cli("cache", "list", "--json").json["entries"]
    assert [entry["node_type"] for entry in found] == ["heavy:Big", "heavy:Big"]
    assert found[0]["created"] >= found[1]["created"]
    assert all(entry["bytes"] > 100_000 and entry["is_whole"] for entry in found)
    heads, *rows = cli("cache", "list").out.splitlines()
    assert heads.split()[:2] == ["node", "type"]
    assert len(rows) == 2
    assert "200 kB" in rows[0]


def test_results_are_selected_and_ordered(cli: Cli, run: Run) -> None:
    run(LONG, "--seed", "1")
    run(LONG, "--seed", "2", "--set", "big.size=300000")
    run(WORKFLOW)
    sizes = [
        entry["bytes"]
        for entry in cli("cache", "list", "--sort", "bytes", "--json").json["entries"]
    ]
    assert sizes == sorted(sizes, reverse=True)
    (largest,) = cli("cache", "list", "--sort", "bytes", "--limit", "1", "--json").json["entries"]
    assert largest["bytes"] > 290_000
    (oldest, *_) = cli("cache", "list", "--sort", "age", "--json").json["entries"]
    assert 190_000 < oldest["bytes"] < 290_000
    seconds = [
        entry["seconds"]
        for entry in cli("cache", "list", "--sort", "seconds", "--json").json["entries"]
    ]
    assert seconds == sorted(seconds, reverse=True)
    toys = cli("cache", "list", "--type", "toys:*", "--json").json["entries"]
    assert {entry["node_type"] for entry in toys} == {"toys:Join", "toys:Draw", "toys:Wait"}


@pytest.mark.parametrize("wrong", [("--sort", "colour"), ("--limit", "0")])
def test_wrong_selections_are_bad_input(cli: Cli, wrong: tuple[str, str]) -> None:
    assert cli("cache", "list", *wrong).code == 2


# prune


def test_everything_is_removed_and_computed_again(cli: Cli, run: Run, store: Path) -> None:
    run()
    assert statuses(run())["big"] == "cached"
    would = cli("cache", "prune", "--all", "--dry-run", "--json").json
    assert artifact(store).exists()
    done = cli("cache", "prune", "--all", "--json").json
    assert {**would, "dry_run": False} == done
    assert (done["artifacts"], done["entries"]) == (1, 1)
    assert done["bytes"] > 100_000
    assert not [path for path in (store / "artifacts").rglob("*") if path.is_file()]
    assert cli("cache", "info", "--json").json["artifact_bytes"] == 0
    assert statuses(run())["big"] == "ran"
    assert len(cli("runs", "list", "--json").json["runs"]) == 3


def test_pruning_to_a_size_leaves_what_fits(cli: Cli, run: Run) -> None:
    for seed in "123":
        run(LONG, "--seed", seed)
    would = cli("cache", "prune", "--to", "450kB", "--dry-run", "--json").json
    assert would["artifacts"] == 1
    shown = cli("cache", "prune", "--to", "450kB")
    assert shown.out == "Removed 1 value of 200 kB.\n"
    found = cli("cache", "info", "--json").json
    assert (found["artifacts"], found["entries"], found["whole"]) == (2, 3, 2)
    assert "only the digest is known" in cli("cache", "list").out


def test_what_is_used_is_not_old(cli: Cli, run: Run, store: Path) -> None:
    run()
    shown = cli("cache", "prune", "--older-than", "1h")
    assert (shown.code, shown.out) == (0, "Removed nothing.\n")
    assert artifact(store).exists()
    assert cli("cache", "prune", "--older-than", "0s", "--dry-run").out.startswith("Would remove 1")


def test_within_the_budget_there_is_nothing_to_prune(cli: Cli, run: Run) -> None:
    run()
    assert cli("cache", "prune").out == "Removed nothing.\n"
    assert cli("cache", "prune", "--dry-run").out == "Would remove nothing.\n"


@pytest.mark.parametrize(
    "wrong",
    [
        ("--to", "2XB"),
        ("--older-than", "30"),
        ("--all", "--to", "0"),
        ("--to=1", "--older-than=1d"),
    ],
)
def test_wrong_ways_to_prune_remove_nothing(
    cli: Cli, run: Run, store: Path, wrong: tuple[str, ...]
) -> None:
    run()
    assert cli("cache", "prune", *wrong).code == 2
    assert artifact(store).exists()


# verify


def damage(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_a_sound_store_is_verified(cli: Cli, run: Run) -> None:
    run()
    shown = cli("cache", "verify")
    assert shown.code == 0
    assert shown.out == "1 file of 200 kB read: all intact.\n"
    assert cli("cache", "verify", "--json").json["sound"] is True


def test_damage_is_found_repaired_and_computed_again(cli: Cli, run: Run, store: Path) -> None:
    run()
    damage(artifact(store))
    shown = cli("cache", "verify")
    assert shown.code == 1
    assert f"damaged: artifacts/{artifact(store).parent.name}/{artifact(store).name}" in shown.out
    assert "--repair repairs it" in shown.out
    repaired = cli("cache", "verify", "--repair", "--json")
    assert (repaired.code, repaired.json["sound"], len(repaired.json["damaged"])) == (0, False, 1)
    assert cli("cache", "verify").code == 0
    assert cli("cache", "info", "--json").json["quarantined"] == 1
    assert "1 damaged file, kept for inspection" in cli("cache", "info").out
    Path("output/long.txt").unlink()
    assert statuses(run())["big"] == "ran"
    assert len(Path("output/long.txt").read_text()) == 200_000


def test_a_missing_file_is_found(cli: Cli, run: Run, store: Path) -> None:
    run()
    artifact(store).unlink()
    assert "missing: artifacts/" in cli("cache", "verify").out


# export and import


@pytest.fixture
def elsewhere(cli: Cli, run: Run, pack: Path) -> Run:
    """Run a workflow with another home, as on another machine."""

    def run_it(document: dict[str, Any] = LONG, *arguments: str | Path) -> Result:
        return run(document, "--home", "elsewhere", "--out", "out2", *arguments)

    return run_it


def test_results_move_to_another_machine(cli: Cli, run: Run, elsewhere: Run) -> None:
    run()
    run(WORKFLOW)
    packed = cli("cache", "export", "results.nodegraph", "--json").json
    assert (packed["entries"], packed["artifacts"]) == (4, 1)
    assert packed["size"] == Path("results.nodegraph").stat().st_size
    taken = cli("cache", "import", "results.nodegraph", "--home", "elsewhere")
    assert taken.out == "4 results with 1 value of 200 kB imported.\n"
    found = elsewhere()
    assert statuses(found) == {"big": "cached", "write": "ran"}
    assert found.json["nodes"]["big"]["source"] == "disk"
    assert len(Path("out2/long.txt").read_text()) == 200_000
    again = cli("cache", "import", "results.nodegraph", "--home", "elsewhere", "--json").json
    assert (again["entries"], again["known_entries"], again["artifacts"]) == (0, 4, 0)


def test_only_what_a_workflow_needs_is_packed(
    cli: Cli, run: Run, elsewhere: Run, pack: Path
) -> None:
    run(WORKFLOW)
    run(MAPPED)
    file = saved(MAPPED, "mapped.json")
    packs = ("--pack", pack, "--pack", "heavy.py")
    packed = cli("cache", "export", "some.nodegraph", file, *packs, "--json").json
    assert packed["entries"] == 6
    cli("cache", "import", "some.nodegraph", "--home", "elsewhere")
    assert set(statuses(elsewhere(MAPPED)).values()) == {"cached", "ran"}
    assert statuses(elsewhere(MAPPED))["double"] == "cached"
    assert statuses(elsewhere(WORKFLOW))["join"] == "ran"


def test_only_what_a_run_had_is_packed(cli: Cli, run: Run, elsewhere: Run, pack: Path) -> None:
    run(LONG, "--seed", "7")
    run(MAPPED)
    run(LONG, "--seed", "8")
    packs = ("--pack", pack, "--pack", "heavy.py")
    assert cli("cache", "export", "one", "--run", "last~2", *packs, "--json").json["entries"] == 1
    cli("cache", "import", "one", "--home", "elsewhere")
    assert statuses(elsewhere(LONG, "--seed", "8"))["big"] == "ran"
    assert statuses(elsewhere(LONG, "--seed", "7"))["big"] == "cached"


def test_a_run_takes_along_what_it_found_computed(
    cli: Cli, run: Run, elsewhere: Run, pack: Path
) -> None:
    run(MAPPED)
    run(MAPPED)
    packs = ("--pack", pack, "--pack", "heavy.py")
    packed = cli("cache", "export", "one", "--run", "last", *packs, "--json").json
    assert packed["entries"] == 6


def test_what_a_node_asked_for_on_its_way_is_packed(
    cli: Cli, run: Run, elsewhere: Run, pack: Path
) -> None:
    run(CHOOSING)
    file = saved(CHOOSING, "choosing.json")
    assert cli("cache", "export", "some", file, "--pack", pack, "--pack", "heavy.py").code == 0
    cli("cache", "import", "some", "--home", "elsewhere")
    found = elsewhere(CHOOSING)
    assert statuses(found)["choose"] == "cached"
    assert Path("out2/chosen.txt").read_text() == "6"


def test_a_workflow_that_cannot_run_is_not_packed(cli: Cli, run: Run, pack: Path) -> None:
    document = json.loads(json.dumps(MAPPED))
    document["nodes"]["total"]["type"] = "heavy:Totl"
    shown = cli("cache", "export", "out", saved(document), "--pack", pack, "--pack", "heavy.py")
    assert shown.code == 2
    assert "heavy:Totl" in shown.err
    assert not Path("out").exists()


def test_a_workflow_without_results_packs_nothing(cli: Cli, run: Run, pack: Path) -> None:
    file = saved(LONG)
    shown = cli("cache", "export", "out", file, "--pack", pack, "--pack", "heavy.py")
    assert shown.code == 0
    assert "warning: none of these results is kept here; run the workflow first" in shown.err


def test_workflows_and_a_run_exclude_each_other(cli: Cli, run: Run) -> None:
    run()
    assert cli("cache", "export", "out", "wf.json", "--run", "last").code == 2
    assert cli("cache", "export", "out", "--run", "nowhere").code == 2
    assert not Path("out").exists()


def test_what_is_no_archive_is_bad_input(cli: Cli) -> None:
    Path("odd").write_text("not an archive")
    assert cli("cache", "import", "odd").code == 2
    shown = cli("cache", "import", "gone")
    assert shown.code == 2
    assert "gone" in shown.err
    assert cli("cache", "export", "nowhere/out").code == 2


def test_a_damaged_value_is_left_out(cli: Cli, run: Run, store: Path) -> None:
    run()
    damage(artifact(store))
    shown = cli("cache", "export", "out")
    assert "warning: 1 value left out: damaged or missing" in shown.err


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_a_terminal_sees_how_far_the_reading_is(
    run: Run, pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.cli.conftest import process_arguments
    from tests.cli.test_progress import in_terminal

    monkeypatch.setenv("TERM", "xterm-256color")
    run()
    code, seen = in_terminal(process_arguments("cache", "verify"))
    assert code == 0
    assert "reading" in seen
    assert "all intact" in seen


def test_what_was_taught_goes_when_nothing_speaks_of_it(cli: Cli, run: Run, home: Path) -> None:
    taught = home / "taught"
    small, large, gone, other = "ab" * 32, "12" * 32, "cd" * 32, "notes"
    document: dict[str, Any] = {
        "format": "nodegraph/1",
        "nodes": {
            "join": {"type": "toys:Join", "inputs": {"first": "ab" * 8, "second": "", "times": 4}},
            "big": {"type": "heavy:Big", "inputs": {"seed": 12}},
            "small": {"type": "toys:Write", "inputs": {"text": {"from": "join"}, "name": "small"}},
            "write": {"type": "toys:Write", "inputs": {"text": {"from": "big"}, "name": "long"}},
        },
    }
    run(document)
    for name in (small, large, gone, other):
        (taught / name).mkdir(parents=True)
        (taught / name / "weights.safetensors").write_bytes(b"weights")
    told = cli("cache", "prune", "--taught", "--dry-run", "--json").json
    assert (told["taught"], told["taught_bytes"]) == (1, 7)
    assert (taught / gone).is_dir()
    assert "1 taught model of 7 B" in cli("cache", "prune", "--taught").out
    assert {path.name for path in taught.iterdir()} == {small, large, other}
    cli("cache", "prune", "--all", "--taught")
    assert {path.name for path in taught.iterdir()} == {other}
    assert cli("cache", "prune", "--taught").out == "Removed nothing.\n"


def test_what_machines_share_is_told_and_checked(
    cli: Cli, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("NODEGRAPH_REMOTE_STORE", shared.as_uri())
    monkeypatch.setenv("NODEGRAPH_KEEP_CHEAP", "true")
    run()
    told = cli("cache", "info")
    assert f"in 1 file known here, {shared.as_uri()}" in told.out
    assert cli("cache", "info", "--json").json["remote"]["waiting"] == 0
    assert "--remote reads it too" in cli("cache", "verify").out
    assert "1 result and 1 file" in cli("cache", "verify", "--remote").out
    (file,) = (shared / "artifacts").rglob("*.msgpack")
    file.write_bytes(b"nothing")
    found = cli("cache", "verify", "--remote")
    assert found.code == 1
    assert f"artifacts/{file.parent.name}/{file.name}" in found.out
    assert cli("cache", "verify", "--remote", "--repair").code == 0
    assert not file.exists()


def test_a_check_of_what_machines_share_needs_a_place(cli: Cli) -> None:
    found = cli("cache", "verify", "--remote")
    assert found.code == 2
    assert "remote_store" in found.err
