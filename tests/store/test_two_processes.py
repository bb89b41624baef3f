"""Two real processes with one store: nothing is lost, and neither fails because of the other."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nodegraph.store.checkpoints import Checkpoints
from nodegraph.store.claims import Claims
from nodegraph.store.costs import Costs
from nodegraph.store.history import Runs
from nodegraph.store.store import Store
from nodegraph.store.verify import verify
from tests.store.other_process import Other, other_processes
from tests.store.support import files, key_of, open_at, output

_SCRIPT = """
from pathlib import Path
from nodegraph.core.digests import digest_value
from nodegraph.store.archive import export_archive
from nodegraph.store.checkpoints import Checkpoints
from nodegraph.store.claims import Claims
from nodegraph.store.costs import Costs
from nodegraph.store.entries import OutputGone, NewEntry, UnsavedOutput
from nodegraph.store.history import Runs
from nodegraph.store.file_records import SinkFiles
from nodegraph.store.store import Store
from nodegraph.store.verify import verify

folder = Path({folder!r})
store = Store(folder, budget={budget})
claims = Claims(folder / "claims")
runs = Runs(store.index, claims)
costs = Costs(store.index)
checkpoints = Checkpoints(store)
written = SinkFiles(store.index)

def value(number):
    return f"value {{number}} " * (1 if number % 3 else 2000)

def key_of(name):
    return digest_value(["key", str(name)])

def new_entry(value):
    return NewEntry((UnsavedOutput(digest_value(value), len(value), value),), None, "Test", 100.0,
    "")

def output(number):
    return store.entry(key_of(number)).outputs[0]

def put(numbers):
    for number in numbers:
        store.put(key_of(number), new_entry(value(number)))
        if number % 10 == 0:
            store.flush()
    store.flush()
    return len(numbers)

def everything(numbers, who):
    # All that a session writes, at once with the other's.
    for number in numbers:
        run = runs.begin(who)
        store.put(key_of(number), new_entry(value(number)))
        costs.record("Sample", str(number % 5), "cpu", 1.0)
        costs.flush()
        checkpoints.save(key_of(f"{{who}} {{number % 3}}"), number, 100, {{"state": value(number)}})
        written.remember(key_of(number), [])
        runs.finish(run, "done", 1.0, {{"number": number}})
    store.flush()
    return str(store.problem)

def seen(numbers):
    found = [output(number) for number in numbers]
    return sum(store.load(each) == value(number) for each, number in zip(found, numbers))

def taken(names):
    return [name for name in names if claims.try_claim(name)]

def loaded(numbers):
    # Under a small budget: whatever is there is right.
    count = 0
    for number in numbers:
        entry = store.entry(key_of(number))
        try:
            value_there = store.load(entry.outputs[0]) if entry is not None else value(number)
        except OutputGone:
            continue
        assert value_there == value(number), number
        count += 1
    return count
"""


def _script(folder: Path, budget: int = 20 << 30) -> str:
    return _SCRIPT.format(folder=str(folder), budget=budget)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def two(folder: Path) -> Iterator[list[Other]]:
    """Both are started at once, so both may make the store."""
    with other_processes(_script(folder), 2) as others:
        yield others


def _both(two: list[Other], one: str, other: str) -> list[str]:
    """Have both do something at the same time."""
    two[0].tell(one)
    two[1].tell(other)
    return [json.loads(process.answer()) for process in two]


def test_each_name_is_claimed_once(two: list[Other], folder: Path) -> None:
    names = [key_of(number) for number in range(2000)]
    one, other = _both(two, f"taken({names})", f"taken({names[::-1]})")
    assert sorted([*one, *other]) == sorted(names)
    assert two[0].ask(f"any(map(claims.try_claim, {other}))") == "false"
    two[1].kill()
    with closing(Claims(folder / "claims")) as claims:
        assert [name for name in names if claims.is_held(name)] == [
            name for name in names if name in set(one)
        ]
    assert json.loads(two[0].ask(f"all(map(claims.try_claim, {other}))"))


def test_both_put_and_both_see_all(two: list[Other], folder: Path) -> None:
    # Half of the keys are put by both.
    counts = _both(two, "put(range(0, 300))", "put(range(150, 450))")
    assert counts == [300, 300]
    assert _both(two, "seen(range(450))", "seen(range(450))") == [450, 450]
    with open_at(folder) as store:
        assert all(store.has(output(store, number)) for number in range(450))
        report = verify(store)
        assert report.is_sound
        assert report.unknown == []
        (rows,) = store.index.fetch_one("SELECT count(*) FROM entries")
        assert rows == 450
        assert files(folder, "temporary") == []


@pytest.mark.slow
def test_all_that_a_session_writes_at_once(two: list[Other], folder: Path) -> None:
    problems = _both(two, "everything(range(0, 60), 'one')", "everything(range(30, 90), 'two')")
    assert problems == ["None", "None"]
    with open_at(folder) as store, closing(Claims(folder / "claims")) as claims:
        assert verify(store).is_sound
        runs = Runs(store.index, claims).list(1000)
        assert sorted(run.title for run in runs) == ["one"] * 60 + ["two"] * 60
        assert {run.status for run in runs} == {"done"}
        assert len({run.id for run in runs}) == 120
        cost = Costs(store.index).expected("Sample", "", "cpu")
        assert cost is not None
        assert cost.count == 120
        rows = {row.key: row.step for row in Checkpoints(store).rows()}
        assert rows == {
            key_of(f"{who} {number % 3}"): number
            for who, numbers in (("one", range(57, 60)), ("two", range(87, 90)))
            for number in numbers
        }
        assert len(files(folder, "checkpoints")) == 6 - 3 + 3


@pytest.mark.slow
def test_one_puts_while_the_other_is_killed(two: list[Other], folder: Path) -> None:
    two[0].tell("put(range(0, 500))")
    two[1].tell("put(range(400, 5000))")
    assert json.loads(two[0].answer()) == 500
    two[1].kill()
    assert json.loads(two[0].ask("seen(range(500))")) == 500
    assert json.loads(two[0].ask("put(range(500, 600))")) == 100
    with open_at(folder) as store:
        report = verify(store, repair=True)
        assert (report.damaged, report.missing, report.index) == ([], [], [])
        assert files(folder, "temporary") == []
        assert verify(store).unknown == []


@pytest.mark.slow
def test_one_evicts_what_the_other_reads(folder: Path) -> None:
    with other_processes(_script(folder, budget=200_000), 2) as two:
        for begin in (0, 150):
            numbers = f"range({begin}, {begin + 150})"
            put, loaded = _both(two, f"put({numbers})", f"loaded(list({numbers}) * 3)")
            assert put == 150
            assert loaded > 0
        with open_at(folder, budget=200_000) as store:
            store.trim()
            assert sum(file.stat().st_size for file in files(folder)) <= 200_000
            assert verify(store).is_sound


@pytest.mark.slow
def test_a_check_and_an_export_beside_work(two: list[Other], folder: Path, tmp_path: Path) -> None:
    two[0].ask("put(range(0, 100))")
    path = str(tmp_path / "results.zip")
    exported, count = _both(
        two,
        f"[verify(store, repair=True).is_sound, export_archive(store, Path({path!r})).left_out]",
        "put(range(50, 400))",
    )
    assert exported == [True, 0]
    assert count == 350
    assert json.loads(two[0].ask("seen(range(400))")) == 400


def test_a_long_transaction_of_the_other_is_waited_for(two: list[Other], folder: Path) -> None:
    connection = sqlite3.connect(folder / "index.sqlite", isolation_level=None)
    with closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        two[0].tell("put(range(0, 20))")
        two[1].tell("everything(range(20, 40), 'two')")
        # Readers go on meanwhile.
        with open_at(folder, read_only=True) as reading:
            assert isinstance(reading, Store)
            assert reading.entry(key_of(0)) is None
        connection.execute("COMMIT")
    assert json.loads(two[0].answer()) == 20
    assert json.loads(two[1].answer()) == "None"
    assert json.loads(two[0].ask("seen(range(40))")) == 40
