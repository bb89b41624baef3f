"""A check finds everything that is wrong with a store, and mends what can be mended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodegraph.store.checkpoints import Checkpoints
from nodegraph.store.store import Store
from nodegraph.store.verify import VerifyReport, verify
from tests.store.support import files, key_of, new_entry, open_at, output, put

_SIZE = 10_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_at(tmp_path / "store") as store:
        for name in ("a", "b", "c"):
            put(store, name, name * _SIZE)
        put(store, "small", 1)
        Checkpoints(store).save(key_of("d"), 1, 2, {"state": "d" * _SIZE})
        yield store


def _path(store: Store, name: str) -> Path:
    """The file of what was put under a name."""
    (path,) = [path for path in files(store.folder) if name.encode() * _SIZE in path.read_bytes()]
    return path


def _damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_nothing_is_wrong_with_a_fresh_store(store: Store) -> None:
    told: list[tuple[int, int]] = []
    report = verify(store, progress=lambda done, total: told.append((done, total)))
    assert report == VerifyReport(files=4, bytes=report.bytes)
    assert report.is_sound
    assert report.bytes > 4 * _SIZE
    assert told[-1] == (report.bytes, report.bytes)
    assert told == sorted(told)


@pytest.mark.parametrize("repair", [False, True])
def test_damage_is_found(store: Store, repair: bool) -> None:
    damaged, missing = _path(store, "a"), _path(store, "b")
    (checkpoint,) = files(store.folder, "checkpoints")
    _damage(damaged)
    _damage(checkpoint)
    missing.unlink()
    report = verify(store, repair=repair)
    assert [Path(name).name for name in report.damaged] == [damaged.name, checkpoint.name]
    assert report.missing == [f"artifacts/{missing.parent.name}/{missing.name}"]
    assert not report.is_sound
    assert report.repaired == repair
    assert store.has(output(store, "a")) != repair
    assert store.has(output(store, "c"))
    assert len(files(store.folder, "quarantine")) == (2 if repair else 0)
    assert verify(store).is_sound == repair
    if repair:
        put(store, "a", "a" * _SIZE)
        assert store.load(output(store, "a")) == "a" * _SIZE


@pytest.mark.parametrize("kind", ["artifacts", "checkpoints"])
@pytest.mark.parametrize("name", ["ab/" + "cd" * 31 + ".msgpack", "xy/no digest.txt"])
def test_files_that_nobody_knows_of(store: Store, kind: str, name: str) -> None:
    path = store.folder / kind / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x")
    report = verify(store)
    assert report.unknown == [f"{kind}/{name}"]
    assert report.is_sound
    assert path.exists()
    verify(store, repair=True)
    assert not path.exists()
    assert verify(store) == VerifyReport(files=4, bytes=report.bytes)


def test_entries_that_cannot_be_read(store: Store) -> None:
    with store.index.writing() as connection:
        for name, column in (("a", "outputs"), ("b", "parts")):
            query = f"UPDATE entries SET {column} = x'c1' WHERE key = ?"
            connection.execute(query, (bytes.fromhex(key_of(name)),))
    report = verify(store, repair=True)
    assert sorted(report.entries) == sorted([key_of("a"), key_of("b")])
    assert store.entry(key_of("a")) is None
    assert store.entry(key_of("c")) is not None
    assert verify(store).is_sound


def test_a_wrong_count_is_set_right(store: Store) -> None:
    with store.index.writing() as connection:
        connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'bytes'")
    report = verify(store)
    assert report.count_is_off
    assert not report.is_sound
    verify(store, repair=True)
    assert verify(store).is_sound


def test_a_damaged_index_is_told_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with open_at(folder) as store:
        for number in range(300):
            store.put(key_of(number), new_entry(number))
        store.flush()
    index = folder / "index.sqlite"
    connection = sqlite3.connect(index)
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'entries_by_type'"
    ).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    data = bytearray(index.read_bytes())
    data[(page - 1) * size : page * size] = bytes(size)
    index.write_bytes(data)
    with open_at(folder) as store:
        report = verify(store, repair=True)
        assert report.index
        assert not report.is_sound
        assert not report.repaired


def test_a_read_only_store_is_checked_and_not_repaired(store: Store) -> None:
    _damage(_path(store, "a"))
    with open_at(store.folder, read_only=True) as reading:
        report = verify(reading, repair=True)
    assert len(report.damaged) == 1
    assert not report.repaired
    assert store.has(output(store, "a"))


def test_a_changed_value_in_the_index_is_found(store: Store) -> None:
    (packed,) = store.index.fetch_one(
        "SELECT outputs FROM entries WHERE key = ?", (bytes.fromhex(key_of("small")),)
    )
    with store.index.writing() as connection:
        connection.execute(
            "UPDATE entries SET outputs = ? WHERE key = ?",
            (packed[:-1] + bytes([packed[-1] ^ 1]), bytes.fromhex(key_of("small"))),
        )
    assert verify(store).entries == [key_of("small")]
    assert verify(store, repair=True).repaired
    assert verify(store).is_sound
