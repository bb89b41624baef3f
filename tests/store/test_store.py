"""What is put comes back equal or not at all, in this process, the next one and beside others."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from nodegraph.core.digests import digest_value
from nodegraph.core.keys import list_digest
from nodegraph.errors import InvalidFile, OutputError
from nodegraph.store.entries import UNLOADED, NewEntry, OutputGone, StoredOutput, UnsavedOutput
from nodegraph.store.store import Store, open_store
from tests.messages import raises
from tests.properties import examples
from tests.store.other_process import other_process
from tests.store.support import files, key_of, new_entry, open_at, output, put, unsaved
from tests.store.values import Token, same

IMAGE = torch.arange(3 * 64 * 64, dtype=torch.float32).reshape(1, 64, 64, 3)
"""48 KiB: too large for a row."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with open_at(folder) as opened:
        yield opened


def reopened(store: Store) -> Store:
    store.close()
    return open_at(store.folder)


# -- there and back ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [3, "text", [1, (2.5, None)], Token("a"), IMAGE],
    ids=lambda value: type(value).__name__,
)
def test_a_value_comes_back(folder: Path, value: Any) -> None:
    with open_at(folder) as store:
        put(store, "a", value)
    with open_at(folder) as store:
        found = output(store, "a")
        assert store.has(found)
        assert same(store.load(found), value)


def test_an_entry_tells_what_is_known_of_it(store: Store) -> None:
    entry = replace(new_entry(1, seconds=2.5), parts=lambda: {"type": "Test", "links": {"a": "b"}})
    store.put(key_of("a"), entry)
    store.flush()
    found = store.entry(key_of("a"))
    assert found is not None
    assert (found.node_type, found.seconds, found.run) == ("Test", 2.5, "run-1")
    assert found.parts == {"type": "Test", "links": {"a": "b"}}
    assert found.requested_input is None
    assert found.outputs is not None
    assert found.outputs[0].digest == digest_value(1)
    assert store.entry(key_of("b")) is None


def test_a_lazy_input_that_was_asked_for(store: Store) -> None:
    store.put(key_of("a"), NewEntry(None, "image", "Test", 0.0, "run-1"))
    for _ in range(2):
        found = store.entry(key_of("a"))
        assert found is not None
        assert found.outputs is None
        assert found.requested_input == "image"
        store.flush()


def test_lists_are_made_of_their_items(store: Store) -> None:
    items = (unsaved(IMAGE), unsaved("text"), unsaved(IMAGE + 1))
    digest = list_digest(item.digest for item in items)
    listed = UnsavedOutput(digest, 0, UNLOADED, items)
    store.put(key_of("a"), NewEntry((listed,), None, "Test", 100.0, "run-1"))
    waiting = store.load(output(store, "a"))
    store.flush()
    found = output(store, "a")
    assert found.digest == digest
    assert found.items is not None
    assert store.has(found)
    assert same(store.load(found), [IMAGE, "text", IMAGE + 1])
    assert same(waiting, [IMAGE, "text", IMAGE + 1])
    for file in files(store.folder)[:1]:
        file.unlink()
    with pytest.raises(OutputGone):
        store.load(found)
    assert not store.has(found)


def test_several_outputs(store: Store) -> None:
    put(store, "a", 1, IMAGE, "two")
    assert [store.load(output(store, "a", at)) for at in (0, 2)] == [1, "two"]
    assert same(store.load(output(store, "a", 1)), IMAGE)


def test_a_key_that_is_put_again(store: Store) -> None:
    put(store, "a", 1)
    put(store, "a", 2)
    assert store.load(output(store, "a")) == 2


def test_equal_values_share_a_file(store: Store) -> None:
    put(store, "a", IMAGE)
    put(store, "b", IMAGE.clone())
    assert len(files(store.folder)) == 1
    assert same(store.load(output(store, "b")), IMAGE)


def test_loaded_values_are_apart(store: Store) -> None:
    put(store, "a", IMAGE)
    store.load(output(store, "a")).zero_()
    assert same(store.load(output(store, "a")), IMAGE)


# -- before it is committed ----------------------------------------------------------------------


def test_what_waits_can_be_found(store: Store) -> None:
    with store.index.writing():  # the writer must wait
        store.put(key_of("a"), new_entry(IMAGE, 5))
        for at, value in ((0, IMAGE), (1, 5)):
            found = output(store, "a", at)
            assert store.has(found)
            assert same(store.load(found), value)
    store.flush()
    assert same(store.load(output(store, "a")), IMAGE)


def test_what_was_found_waiting_can_be_loaded_afterwards(store: Store) -> None:
    with store.index.writing():
        store.put(key_of("a"), new_entry(5, IMAGE))
        small, large = output(store, "a", 0), output(store, "a", 1)
    store.flush()
    assert store.load(small) == 5
    assert same(store.load(large), IMAGE)


def test_the_backlog_has_a_limit(store: Store) -> None:
    value = torch.zeros(1 << 20)
    begun, ended = threading.Event(), threading.Event()

    def put_much() -> None:
        for number in range(20_001):
            store.put(key_of(number), new_entry(1, seconds=0.0))
            begun.set()
        ended.set()

    with store.index.writing():
        thread = threading.Thread(target=put_much)
        thread.start()
        begun.wait()
        assert not ended.wait(0.3)
    thread.join()
    store.put(key_of("last"), new_entry(value))
    store.flush()
    assert store.load(output(store, 20_000)) == 1


def test_the_committed_are_told(store: Store) -> None:
    told = threading.Event()
    store.put(key_of("a"), new_entry(1), committed=told.set)
    assert told.wait(30)
    with Store(store.folder, read_only=True) as other:
        assert other.entry(key_of("a")) is not None


def test_a_callback_that_fails_stops_nothing(store: Store) -> None:
    def fail() -> None:
        raise RuntimeError("no")

    store.put(key_of("a"), new_entry(1), committed=fail)
    put(store, "b", 2)
    put(store, "c", 3)
    assert store.load(output(store, "c")) == 3
    assert "no" in str(store.problem)


def test_closing_writes_what_waits(folder: Path) -> None:
    store = open_at(folder)
    for number in range(500):
        store.put(key_of(number), new_entry(number))
    store = reopened(store)
    assert [store.load(output(store, number)) for number in range(500)] == list(range(500))
    store.close()
    store.close()
    with raises(ValueError):
        store.put(key_of("a"), new_entry(1))


# -- what is written -----------------------------------------------------------------------------


def test_what_is_quick_to_compute_is_not_written(store: Store) -> None:
    put(store, "a", IMAGE, seconds=1e-7)
    found = output(store, "a")
    assert found.digest == digest_value(IMAGE)
    assert not store.has(found)
    assert files(store.folder) == []
    with pytest.raises(OutputGone):
        store.load(found)


def test_a_call_with_many_outputs_is_judged_as_a_whole(store: Store) -> None:
    values = [IMAGE + number for number in range(50)]
    # Enough for each of them alone, not for all.
    put(store, "a", *values, seconds=0.02)
    assert files(store.folder) == []


def test_all_is_written_if_that_is_wished(folder: Path) -> None:
    with open_at(folder, keep_cheap=True) as store:
        put(store, "a", IMAGE, seconds=0.0)
        assert len(files(folder)) == 1
        assert same(store.load(output(store, "a")), IMAGE)


def test_small_values_are_kept_however_quick(store: Store) -> None:
    put(store, "a", torch.ones(3), seconds=0.0)
    assert files(store.folder) == []
    assert same(store.load(output(store, "a")), torch.ones(3))


def test_what_has_no_form_in_a_file_is_known_by_its_digest(store: Store) -> None:
    class Live:
        pass

    lost = UnsavedOutput("ab" * 32, 10, Live())
    store.put(key_of("a"), NewEntry((lost, unsaved(5)), None, "Test", 9.0, "run-1"))
    store.flush()
    assert output(store, "a").digest == "ab" * 32
    assert not store.has(output(store, "a"))
    with pytest.raises(OutputGone):
        store.load(output(store, "a"))
    assert store.load(output(store, "a", 1)) == 5
    assert store.problem is None


def test_one_value_that_fails_spoils_no_other(store: Store) -> None:
    def fail() -> Mapping[str, Any]:
        raise RuntimeError("not today")

    store.put(key_of("a"), replace(new_entry(1), parts=fail))
    store.put(key_of("b"), new_entry(2))
    store.flush()
    assert output(store, "a").digest == digest_value(1)
    assert store.load(output(store, "b")) == 2
    assert "not today" in str(store.problem)


def test_a_file_larger_than_the_budget_is_not_written(folder: Path) -> None:
    with open_at(folder, budget=10_000) as store:
        put(store, "a", IMAGE)
        assert not store.has(output(store, "a"))


def test_values_that_left_memory_keep_what_is_known_of_them(store: Store) -> None:
    put(store, "a", IMAGE, 5)
    again = tuple(
        UnsavedOutput(output(store, "a", at).digest, 100_000 if at == 0 else 10, UNLOADED)
        for at in (0, 1)
    )
    with store.index.writing():
        store.put(key_of("a"), NewEntry(again, None, "Test", 1.0, "run-2"))
        assert not store.has(StoredOutput(digest_value("other"), 10))
    store.flush()
    assert same(store.load(output(store, "a")), IMAGE)
    assert store.load(output(store, "a", 1)) == 5


def test_an_encoded_value_may_be_put(store: Store) -> None:
    put(store, "a", 5)
    known = output(store, "a")
    carried = UnsavedOutput(known.digest, known.size, UNLOADED, inline=known.inline)
    store.put(key_of("b"), NewEntry((carried,), None, "Test", 1.0, "run-2"))
    assert store.load(output(store, "b")) == 5
    store.flush()
    assert store.load(output(store, "b")) == 5


@pytest.mark.parametrize("step", ["stage", "sync", "commit"])
def test_a_full_disk_costs_values_not_results(
    store: Store, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    put(store, "before", IMAGE)
    with monkeypatch.context() as patch:
        patch.setattr(store.blobs, step, refuse)
        store.put(key_of("a"), new_entry(IMAGE + 1))
        store.put(key_of("b"), new_entry(5))
        store.flush()
        assert output(store, "a").digest == digest_value(IMAGE + 1)
        assert not store.has(output(store, "a"))
        assert store.load(output(store, "b")) == 5
    assert "No space" in str(store.problem)
    assert files(store.folder, "temporary") == []
    put(store, "a", IMAGE + 1)
    assert same(store.load(output(store, "a")), IMAGE + 1)
    assert same(store.load(output(store, "before")), IMAGE)


# -- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "removed"])
def test_damage_is_a_miss(store: Store, damage: str) -> None:
    put(store, "a", IMAGE)
    found = output(store, "a")
    (file,) = files(store.folder)
    content = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(content[:-1])
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    elif damage == "emptied":
        file.write_bytes(b"")
    else:
        file.unlink()
    with pytest.raises(OutputGone):
        store.load(found)
    assert not store.has(found)
    assert files(store.folder) == []
    assert len(files(store.folder, "quarantine")) == (damage != "removed")
    # The entry itself stays, and the value is written anew.
    assert output(store, "a").digest == found.digest
    put(store, "a", IMAGE)
    assert same(store.load(output(store, "a")), IMAGE)


def test_an_index_that_breaks_in_use_is_a_miss(folder: Path) -> None:
    with open_at(folder) as store:
        for number in range(2000):
            store.put(key_of(number), new_entry("x" * 200 + str(number)))
    index = folder / "index.sqlite"
    with closing(sqlite3.connect(index)) as connection:
        (roots,) = connection.execute("SELECT max(rootpage) FROM sqlite_master").fetchone()
        (page,) = connection.execute("PRAGMA page_size").fetchone()
    content, intact = bytearray(index.read_bytes()), roots * page  # the schema and each root
    content[intact:] = b"\xff" * (len(content) - intact)
    index.write_bytes(content)
    with open_at(folder) as store:
        assert [store.entry(key_of(number)) for number in range(2000)] == [None] * 2000
        assert isinstance(store.problem, OutputError)
        store.put(key_of("new"), new_entry(1))
        with pytest.raises(OutputError):
            store.flush()


def test_a_closed_store_is_no_miss(folder: Path) -> None:
    store = open_at(folder)
    store.close()
    with pytest.raises(sqlite3.ProgrammingError):
        store.entry(key_of("a"))


# -- several at once -----------------------------------------------------------------------------


def test_two_stores_on_one_folder(folder: Path) -> None:
    with open_at(folder) as first, open_at(folder) as second:
        put(first, "a", IMAGE)
        assert same(second.load(output(second, "a")), IMAGE)
        put(second, "b", IMAGE)
        assert len(files(folder)) == 1
        assert first.entry(key_of("b")) is not None


def test_many_threads(store: Store) -> None:
    failures: list[BaseException] = []

    def work(thread: int) -> None:
        try:
            for number in range(60):
                name = (thread + number) % 40
                value = IMAGE + name
                store.put(key_of(name), new_entry(value, name))
                found = output(store, name)
                assert same(store.load(found), value)
                assert store.load(output(store, name, 1)) == name
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    store.flush()
    assert len(files(store.folder)) == 40


_CHURN = """
from pathlib import Path
import random
from nodegraph.store.entries import OutputGone
from tests.store.support import key_of, new_entry, open_at, output
from tests.store.test_store import IMAGE
from tests.store.values import same

def churn(folder, seed, rounds):
    chance = random.Random(seed)
    with open_at(Path(folder), budget=300_000) as store:
        for _ in range(rounds):
            name = chance.randrange(12)
            store.put(key_of(name), new_entry(IMAGE + name, seconds=chance.uniform(1, 9)))
            name = chance.randrange(12)
            if store.entry(key_of(name)) is not None:
                try:
                    assert same(store.load(output(store, name)), IMAGE + name)
                except OutputGone:
                    pass
            if not chance.randrange(5):
                store.flush()
            if not chance.randrange(9):
                store.trim(chance.randrange(300_000))
            if not chance.randrange(20):
                store.sweep()
        return str(store.problem)
"""


@pytest.mark.slow
def test_processes_that_write_and_evict_at_once(folder: Path) -> None:
    with open_at(folder, budget=300_000) as store, other_process(_CHURN) as first:
        with other_process(_CHURN) as second:
            first.tell(f"churn({str(folder)!r}, 1, 300)")
            second.tell(f"churn({str(folder)!r}, 2, 300)")
            for name in list(range(12)) * 20:
                if store.entry(key_of(name)) is not None:
                    with suppress(OutputGone):
                        assert same(store.load(output(store, name)), IMAGE + name)
            assert first.answer() == second.answer() == '"None"'
        assert store.problem is None
        with store.index.reading() as connection:
            rows = connection.execute("SELECT file, suffix FROM artifacts").fetchall()
        # The lock on the index sees to it that no row is left without its file.
        assert all(store.blobs.check(file.hex(), suffix) for file, suffix in rows)
        assert len(rows) == len(list(store.blobs))


def test_a_read_only_store(folder: Path) -> None:
    told: list[bool] = []
    with open_at(folder) as store:
        put(store, "a", IMAGE, 5)
        with open_at(folder, read_only=True) as reader:
            assert same(reader.load(output(reader, "a")), IMAGE)
            reader.put(key_of("b"), new_entry(1), committed=lambda: told.append(True))
            reader.flush()
            assert told == [True]
            assert reader.entry(key_of("b")) is None
            (file,) = files(folder)
            file.write_bytes(b"damaged")
            found = output(reader, "a")
            with pytest.raises(OutputGone):
                reader.load(found)
            assert not reader.has(found)
            assert files(folder) == [file]
            with pytest.raises(OutputError):
                reader.trim(0)


def test_a_folder_that_can_only_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_at(folder) as store:
        put(store, "a", 5)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    with raises(OutputError):
        Store(folder)
    with open_store(folder) as store:
        assert store.read_only
        assert store.load(output(store, "a")) == 5
        with raises(OutputError):
            store.trim(0)
    (folder / "index.sqlite").write_bytes(b"")
    with raises(OutputError):
        open_store(folder)
    with pytest.raises(OutputError):
        open_store(folder / "new")


def test_a_store_that_is_not_there(folder: Path) -> None:
    with raises(InvalidFile):
        Store(folder, read_only=True)
    with open_store(folder) as store:
        assert not store.read_only


def test_a_small_value_that_was_changed_in_the_index_is_forgotten(store: Store) -> None:
    put(store, "a", 5, "text")
    query = "SELECT outputs FROM entries WHERE key = ?"
    (packed,) = store.index.fetch_one(query, (bytes.fromhex(key_of("a")),))
    for at in range(len(packed)):
        damaged = bytearray(packed)
        damaged[at] ^= 1
        with store.index.writing() as connection:
            connection.execute("UPDATE entries SET outputs = ?", (bytes(damaged),))
        assert store.entry(key_of("a")) is None
    assert "an entry of the store's index is damaged" in str(store.problem)
    put(store, "a", 5, "text")
    assert store.load(output(store, "a")) == 5


def test_uses_are_noted(store: Store) -> None:
    put(store, "a", IMAGE)
    with store.index.writing() as connection:
        connection.execute("UPDATE entries SET used = 1")
        connection.execute("UPDATE artifacts SET used = 1")
    store.load(output(store, "a"))
    store.flush()
    (created,) = store.index.fetch_one("SELECT created FROM entries")
    assert store.index.fetch_one("SELECT used FROM entries")[0] >= created
    assert store.index.fetch_one("SELECT used FROM artifacts")[0] >= created


# -- against a model -----------------------------------------------------------------------------

_VALUES: list[Any] = [
    0,
    "text",
    (1, [2.5]),
    torch.ones(3),
    *(torch.full((1500 + number,), float(number)) for number in range(6)),
]
_SMALL = 4


class AgainstModel(RuleBasedStateMachine):
    """A store, and what was put into it."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.expected: dict[int, int] = {}
        self.store: Store | None = None

    @initialize(budget=st.sampled_from([0, 15_000, 1 << 30]))
    def open(self, budget: int) -> None:
        self.budget = budget
        self.folder = self.root / str(len(list(self.root.iterdir())))
        self.store = open_at(self.folder, budget=budget)

    @property
    def opened(self) -> Store:
        assert self.store is not None
        return self.store

    @rule(
        name=st.integers(0, 5),
        value=st.integers(0, len(_VALUES) - 1),
        seconds=st.sampled_from([0.0, 10.0, 1000.0]),
    )
    def put(self, name: int, value: int, seconds: float) -> None:
        self.opened.put(key_of(name), new_entry(_VALUES[value], seconds=seconds))
        self.expected[name] = value

    @rule()
    def flush(self) -> None:
        self.opened.flush()

    @rule()
    def reopen(self) -> None:
        self.opened.close()
        self.store = open_at(self.folder, budget=self.budget)

    @rule(budget=st.sampled_from([0, 8000, 20_000]))
    def trim(self, budget: int) -> None:
        self.opened.trim(budget)
        assert sum(file.stat().st_size for file in files(self.folder)) <= budget

    @rule(name=st.integers(0, 5))
    def trim_but_what_is_pinned(self, name: int) -> None:
        self.opened.flush()
        if name not in self.expected:
            return
        found = output(self.opened, name)
        with self.opened.pinned() as pins:
            pins.add(found.digest)
            had = self.opened.has(found)
            self.opened.trim(0)
            assert self.opened.has(found) == had
            assert len(files(self.folder)) <= 1

    @rule(at=st.integers(0, 5), cut=st.booleans())
    def damage(self, at: int, cut: bool) -> None:
        self.opened.flush()
        found = files(self.folder)
        if found:
            file = found[at % len(found)]
            if cut:
                file.write_bytes(file.read_bytes()[:-3])
            else:
                file.unlink()

    @rule()
    def sweep(self) -> None:
        self.opened.flush()
        swept = self.opened.sweep()
        assert (swept.temporary, swept.unknown) == (0, 0)

    @rule(name=st.integers(0, 5))
    def load(self, name: int) -> None:
        entry = self.opened.entry(key_of(name))
        if name not in self.expected:
            assert entry is None
            return
        value = _VALUES[self.expected[name]]
        assert entry is not None
        assert entry.outputs is not None
        (found,) = entry.outputs
        assert found.digest == digest_value(value)
        try:
            loaded = self.opened.load(found)
        except OutputGone:
            assert self.expected[name] >= _SMALL
            if self.opened.has(found):  # the writer was quicker than the two calls
                loaded = self.opened.load(found)
            else:
                return
        assert same(loaded, value)

    @precondition(lambda self: self.store is not None)
    @invariant()
    def nothing_went_wrong(self) -> None:
        assert self.opened.problem is None

    def teardown(self) -> None:
        if self.store is not None:
            self.store.close()
            assert files(self.folder, "temporary") == []


@pytest.mark.slow
def test_against_a_model(tmp_path: Path) -> None:
    class Machine(AgainstModel):
        root = tmp_path

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples(80),
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
