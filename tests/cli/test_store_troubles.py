"""A store that is damaged, full or gone: runs go on without it, and commands say what is wrong."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import WORKFLOW, Cli, Result, saved

COMMANDS = [
    ("plan", "wf.json"),
    ("why", "wf.json"),
    ("runs", "list"),
    ("runs", "show"),
    ("runs", "compare"),
    ("cache", "info"),
    ("cache", "list"),
    ("cache", "verify"),
    ("cache", "prune", "--older-than", "1d"),
    ("cache", "prune", "--all"),
    ("cache", "export", "out.zip"),
]
_PAGE = 4096


@pytest.fixture
def index(home: Path) -> Path:
    return home / "cache" / "store" / "index.sqlite"


@pytest.fixture
def run(cli: Cli, pack: Path) -> Callable[..., Result]:
    saved(WORKFLOW)

    def run_it(*arguments: str) -> Result:
        return cli("run", "wf.json", "--pack", pack, "--json", *arguments)

    return run_it


def _damage(index: Path, chance: random.Random) -> None:
    """Garbage in all pages but the first."""
    data = bytearray(index.read_bytes())
    for page in range(_PAGE, len(data), _PAGE):
        data[page : page + _PAGE] = chance.randbytes(_PAGE)
    index.write_bytes(data)


def test_with_a_damaged_index_a_run_goes_on(
    cli: Cli, run: Callable[..., Result], index: Path, pack: Path
) -> None:
    assert run().code == 0
    _damage(index, random.Random(1))
    done = run()
    assert done.code == 0, done.err
    assert done.json["status"] == "ok"
    assert {node["status"] for node in done.json["nodes"].values()} == {"ran"}
    assert "warning: " in done.err
    assert "malformed" in done.err
    for words in COMMANDS:
        packs = ("--pack", str(pack)) if words[0] in ("plan", "why") else ()
        shown = cli(*words, *packs)  # nothing is raised
        # Without any index, plans and reasons are still right, with a warning.
        assert shown.code in ((0, 1, 2) if packs else (1, 2)), (words, shown)
        assert "malformed" in shown.out + shown.err, words


def test_an_index_that_is_none_is_told_by_plan_and_why(
    cli: Cli, run: Callable[..., Result], index: Path, pack: Path
) -> None:
    run()
    index.write_bytes(b"no index " * 10_000)
    for command in ("plan", "why"):
        shown = cli(command, "wf.json", "--pack", pack)
        assert shown.code == 0
        assert "warning: results are not kept on disk: the store's index" in shown.err
    assert "is damaged" in run().err


def test_a_store_that_can_only_be_read_is_told(
    cli: Cli, run: Callable[..., Result], index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "touch", refuse)
    done = run()
    assert done.code == 0
    assert done.json["nodes"]["join"]["source"] == "disk"
    assert "warning: results are read from disk, but not stored there" in done.err
    for words in (("cache", "prune", "--all"), ("cache", "prune")):
        shown = cli(*words)
        assert shown.code == 2
        assert "can only be read: " in shown.err
        assert "No space left on device" in shown.err
        assert "free some space first" in shown.err
    assert cli("cache", "verify", "--repair").code == 2
    assert "1 run" in cli("cache", "info").out
    assert len(cli("runs", "list", "--json").json["runs"]) >= 1


def test_a_run_that_can_not_be_noted_is_no_failure(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nodegraph.store.history import Runs

    def refuse(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Runs, "finish", refuse)
    done = run()
    assert done.code == 0
    assert (
        "the run could not be recorded in the store's index: database or disk is full" in done.err
    )
    monkeypatch.setattr(Runs, "begin", refuse)
    assert run().code == 0


def test_other_stores_that_are_not_there_are_told(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_STORES", "/nowhere")
    shown = cli("cache", "info")
    assert shown.code == 0
    assert "warning: the store /nowhere is not used: there is no store at /nowhere" in shown.err


def test_only_an_earlier_archive_is_replaced(cli: Cli, run: Callable[..., Result]) -> None:
    run()
    before = Path("wf.json").read_text()
    for words in (("wf.json",), ("wf.json", "out.zip")):
        shown = cli("cache", "export", *words)
        assert shown.code == 2
        assert "Name the archive first" in shown.err
    assert Path("wf.json").read_text() == before
    Path("empty").touch()
    for target in ("out.zip", "out.zip", "empty"):
        assert cli("cache", "export", target).code == 0
    for folder in ("/", "."):
        shown = cli("cache", "export", folder)
        assert shown.code == 2
        assert "Is a directory" in shown.err


def test_pruning_all_takes_files_that_no_entry_leads_to(cli: Cli, index: Path) -> None:
    cli("cache", "info")
    orphan = index.parent / "artifacts" / "ab" / f"{'c' * 62}.msgpack"
    orphan.parent.mkdir()
    orphan.write_bytes(b"left")
    assert cli("cache", "prune", "--all", "--dry-run").code == 0
    assert orphan.exists()
    assert cli("cache", "prune", "--all").code == 0
    assert not orphan.exists()


def test_what_can_not_be_read_is_not_called_repaired(cli: Cli, index: Path) -> None:
    cli("cache", "info")
    name = bytes.fromhex("ab" + "c" * 62)
    with closing(sqlite3.connect(index)) as connection, connection:
        connection.execute(
            "INSERT INTO artifacts (digest, file, suffix, bytes, seconds, score, used)"
            " VALUES (?, ?, 'msgpack', 4, 1, 1, 1)",
            (name, name),
        )
        connection.execute("UPDATE meta SET value = 4 WHERE name = 'bytes'")
    (index.parent / "artifacts" / "ab" / f"{'c' * 62}.msgpack").mkdir(parents=True)
    shown = cli("cache", "verify", "--repair")
    assert shown.code == 1
    assert "unreadable: artifacts/ab/" in shown.out
    assert "unreadable files were not changed" in shown.out
