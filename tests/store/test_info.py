"""What lies in a store, in numbers and as a list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph.store.checkpoints import Checkpoints
from nodegraph.store.info import EntryOrder, describe, list_entries
from nodegraph.store.store import Store
from tests.store.support import files, key_of, new_entry, open_at

_SIZE = 10_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_at(tmp_path / "store", budget=1 << 30) as store:
        _put(store, "decode", "Decode", "d" * 3 * _SIZE, 5.0)
        _put(store, "sample", "Sample", "s" * _SIZE, 100.0)
        _put(store, "again", "Sample", "s" * _SIZE, 50.0)
        _put(store, "small", "Number", 1, 0.1)
        _put(store, "cheap", "Blur", "b" * _SIZE, 0.0)
        for number, name in enumerate(("decode", "sample", "again", "small", "cheap")):
            _date(store, name, 1000.0 + number)
        yield store


def _put(store: Store, name: str, node_type: str, value: Any, seconds: float) -> None:
    store.put(key_of(name), replace(new_entry(value, seconds=seconds), node_type=node_type))
    store.flush()


def _date(store: Store, name: str, created: float) -> None:
    with store.index.writing() as connection:
        query = "UPDATE entries SET created = ? WHERE key = ?"
        connection.execute(query, (created, bytes.fromhex(key_of(name))))


def test_a_store_in_numbers(store: Store) -> None:
    Checkpoints(store).save(key_of("call"), 1, 2, {"state": "c" * _SIZE})
    info = describe(store)
    assert (info.folder, info.budget) == (store.folder, 1 << 30)
    assert info.artifacts == 2
    assert info.artifact_bytes == sum(path.stat().st_size for path in files(store.folder))
    assert (info.entries, info.whole) == (5, 4)
    assert info.seconds == pytest.approx(155.1)
    assert (info.oldest, info.newest) == (1000.0, 1004.0)
    assert info.checkpoints == 1
    assert info.checkpoint_bytes > _SIZE
    assert info.index_bytes > 0
    assert (info.runs, info.quarantined, info.quarantine_bytes) == (0, 0, 0)
    assert [each.node_type for each in info.types] == ["Decode", "Sample", "Number", "Blur"]
    assert [each.entries for each in info.types] == [1, 2, 1, 1]
    # The two calls of Sample gave the same.
    assert _SIZE < info.types[1].bytes < 2 * _SIZE
    assert info.types[1].seconds == 150.0
    assert info.types[3].bytes == 0


def test_an_empty_store(tmp_path: Path) -> None:
    with open_at(tmp_path / "store") as store:
        info = describe(store)
        assert (info.entries, info.artifact_bytes, info.oldest, info.types) == (0, 0, None, [])
        assert list_entries(store) == []


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("newest", ["cheap", "small", "again", "sample", "decode"]),
        ("oldest", ["decode", "sample", "again", "small", "cheap"]),
        ("slowest", ["sample", "again", "decode", "small", "cheap"]),
    ],
)
def test_the_order_of_entries(store: Store, order: EntryOrder, names: list[str]) -> None:
    found = [entry.key for entry in list_entries(store, order=order)]
    assert found == [key_of(name) for name in names]
    found = [entry.key for entry in list_entries(store, order=order, limit=2)]
    assert found == [key_of(name) for name in names[:2]]


def test_the_largest_entries(store: Store) -> None:
    largest, second, third, *_ = list_entries(store, order="largest")
    assert largest.key == key_of("decode")
    assert {second.key, third.key} == {key_of("sample"), key_of("again")}
    assert largest.bytes > 3 * _SIZE > second.bytes > _SIZE
    assert largest.size > 3 * _SIZE


def test_some_of_the_entries(store: Store) -> None:
    names = [key_of(name) for name in ("again", "sample")]
    assert [entry.key for entry in list_entries(store, node_type="Sample")] == names
    assert [entry.key for entry in list_entries(store, node_type="S*")] == names
    assert [entry.key for entry in list_entries(store, before=1002.0)] == [
        key_of("sample"),
        key_of("decode"),
    ]
    assert list_entries(store, node_type="sample", order="largest") == []


def test_what_is_told_of_an_entry(store: Store) -> None:
    (blur,) = list_entries(store, node_type="Blur")
    assert (blur.seconds, blur.created, blur.run) == (0.0, 1004.0, "run-1")
    assert not blur.is_whole
    assert blur.bytes == 0
    (number,) = list_entries(store, node_type="Number")
    assert number.is_whole
    assert 0 < number.bytes < 100
