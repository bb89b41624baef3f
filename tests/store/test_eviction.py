"""The budget holds; what is dear for its bytes, in use or pinned stays longest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.store.artifacts import bytes_on_disk
from nodegraph.store.blobs import TransferSpeeds
from nodegraph.store.claims import Claims
from nodegraph.store.store import Store
from tests.store.other_process import other_process
from tests.store.support import files, key_of, new_entry, open_at, output, put


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with open_at(folder) as opened:
        yield opened


def value(number: int) -> torch.Tensor:
    """40 kB of bytes of its own."""
    return torch.full((10_000,), float(number))


def there(store: Store, names: range) -> list[int]:
    return [name for name in names if store.has(output(store, name))]


def size(store: Store) -> int:
    with store.index.reading() as connection:
        return bytes_on_disk(connection)


def on_disk(folder: Path) -> int:
    return sum(file.stat().st_size for file in files(folder))


def test_the_cheapest_go_first(store: Store) -> None:
    for name, seconds in enumerate([50.0, 10.0, 40.0, 20.0, 30.0]):
        put(store, name, value(name), seconds=seconds)
    trimmed = store.trim(3 * size(store) // 5)
    assert (trimmed.artifacts, trimmed.entries) == (2, 0)
    assert trimmed.bytes > 80_000
    assert there(store, range(5)) == [0, 2, 4]
    assert len(files(store.folder)) == 3
    assert size(store) == on_disk(store.folder)


def test_bytes_count_against_seconds(store: Store) -> None:
    put(store, 0, torch.zeros(100_000), seconds=10.0)
    put(store, 1, torch.zeros(10_000), seconds=5.0)
    store.trim(size(store) - 1)
    assert there(store, range(2)) == [1]


def test_what_was_dear_once_does_not_stay_for_ever(store: Store) -> None:
    put(store, 0, value(0), seconds=60.0)
    each = size(store)
    for name in range(1, 20):
        put(store, name, value(name), seconds=10.0)
        store.trim(2 * each)
    left = there(store, range(20))
    assert len(left) == 2
    assert 0 not in left


def test_a_use_makes_young_again(store: Store) -> None:
    put(store, 0, value(0), seconds=60.0)
    each = size(store)
    for name in range(1, 20):
        put(store, name, value(name), seconds=10.0)
        store.load(output(store, 0))
        store.trim(2 * each)
    left = there(store, range(20))
    assert len(left) == 2
    assert 0 in left


def test_entries_outlive_their_values(store: Store) -> None:
    put(store, 0, value(0), 5)
    store.trim(0)
    assert files(store.folder) == []
    assert not store.has(output(store, 0))
    assert store.load(output(store, 0, 1)) == 5


def test_the_writer_keeps_to_the_budget(folder: Path) -> None:
    with open_at(folder, budget=200_000) as store:
        for name in range(50):
            store.put(key_of(name), new_entry(value(name), seconds=10.0 + name))
            if name % 5 == 0:
                store.flush()
        store.flush()
        assert 100_000 < on_disk(folder) <= 200_000
        assert store.has(output(store, 49))


def test_pins_hold_and_let_go(store: Store) -> None:
    for name in range(4):
        put(store, name, value(name), seconds=10.0)
    with store.pinned() as first, store.pinned() as second:
        first.add(output(store, 0).digest)
        first.add(output(store, 1).digest)
        second.add(output(store, 1).digest)
        store.trim(0)
        assert there(store, range(4)) == [0, 1]
        first.release()
        store.trim(0)
        assert there(store, range(4)) == [1]
    store.trim(0)
    assert there(store, range(4)) == []


def test_a_pin_may_come_before_the_value(store: Store) -> None:
    entry = new_entry(value(0))
    assert entry.outputs is not None
    with store.pinned() as pins:
        pins.add(entry.outputs[0].digest)
        store.put(key_of(0), entry)
        store.trim(0)
        assert there(store, range(1)) == [0]


def begin_run(store: Store, owner: str, started: float) -> None:
    with store.index.writing() as connection:
        connection.execute(
            "INSERT INTO runs (id, title, started, status, owner) VALUES (?, '', ?, '', ?)",
            (owner, started, owner),
        )


def set_used(store: Store, name: int, used: float) -> None:
    digest = bytes.fromhex(output(store, name).digest)
    with store.index.writing() as connection:
        connection.execute("UPDATE artifacts SET used = ? WHERE digest = ?", (used, digest))


def test_what_another_processs_run_may_need_stays(store: Store) -> None:
    for name in range(3):
        put(store, name, value(name), seconds=10.0)
        set_used(store, name, 100.0 * name)
    owner = "cd" * 16
    begin_run(store, owner, started=100.0)
    script = (
        "from pathlib import Path\n"
        "from nodegraph.store.claims import Claims\n"
        f"claims = Claims(Path({str(store.folder / 'claims')!r}))"
    )
    with other_process(script) as other:
        assert other.ask(f"claims.try_claim({owner!r})") == "true"
        store.trim(0)
        assert there(store, range(3)) == [1, 2]
        other.kill()
    store.trim(0)
    assert there(store, range(3)) == []


def test_runs_that_never_end_can_not_fill_the_disk(folder: Path) -> None:
    with open_at(folder, budget=60_000) as store:
        other = Claims(folder / "claims")
        owner = "cd" * 16
        other.try_claim(owner)
        begin_run(store, owner, started=0.0)
        for name in range(10):
            put(store, name, value(name), seconds=10.0)
        other.close()
        assert 60_000 < on_disk(folder) <= 120_000


def test_a_run_of_this_process_is_known_by_its_pins(store: Store) -> None:
    put(store, 0, value(0), seconds=10.0)
    begin_run(store, store.owner, started=0.0)
    store.trim(0)
    assert there(store, range(1)) == [0]
    with store.pinned() as pins:
        pins.add(output(store, 0).digest)
        store.trim(0)
        assert there(store, range(1)) == [0]
    store.trim(0)
    assert there(store, range(1)) == []


def test_a_file_that_two_values_share_stays_with_the_second(store: Store) -> None:
    put(store, 0, value(0), seconds=10.0)
    each = size(store)
    with store.index.writing() as connection:
        connection.execute(
            "INSERT INTO artifacts SELECT ?, file, suffix, bytes, seconds, score + 1, used "
            "FROM artifacts",
            (b"x" * 32,),
        )
    assert size(store) == each
    with store.pinned() as pins:
        pins.add((b"x" * 32).hex())
        assert store.trim(0).bytes == 0
    assert len(files(store.folder)) == 1
    assert size(store) == each
    store.trim(0)
    assert files(store.folder) == []
    assert size(store) == 0


def test_too_many_entries_go_by_use(store: Store) -> None:
    for name in range(10):
        put(store, name, name)
    with store.index.writing() as connection:
        connection.executemany(
            "UPDATE entries SET used = ? WHERE key = ?",
            [(float(name % 5), bytes.fromhex(key_of(name))) for name in range(10)],
        )
    trimmed = store._eviction.trim(store.budget, store.budget, entries=6)
    assert trimmed.entries == 4
    left = [name for name in range(10) if store.entry(key_of(name)) is not None]
    assert left == [2, 3, 4, 7, 8, 9]


def test_files_without_a_row_are_swept(store: Store) -> None:
    put(store, 0, value(0))
    store.blobs.write([b"unknown"], "msgpack")
    (store.blobs.folder / "zz").mkdir()
    (store.blobs.folder / "zz" / "odd.txt").write_bytes(b"")
    assert store.sweep().unknown == 2
    assert len(files(store.folder)) == 1
    assert store.has(output(store, 0))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 1 << 34), st.floats(0, 1e6)), max_size=50))
def test_speeds_stay_sane(measured: list[tuple[int, float]]) -> None:
    speeds = TransferSpeeds()
    for size, seconds in measured:
        speeds.record_write(size, seconds)
        speeds.record_read(size, seconds)
    assert 1e-5 < speeds.round_trip_seconds(1, 1000) < 2
    assert speeds.round_trip_seconds(1, 1 << 20) < speeds.round_trip_seconds(1, 1 << 24)


def test_speeds_follow_what_is_measured(folder: Path) -> None:
    speeds = TransferSpeeds()
    for _ in range(100):
        speeds.record_write(1 << 24, 1.6)
        speeds.record_read(1 << 24, 0.16)
        speeds.record_write(100, 0.1)
    assert speeds.write_byte == pytest.approx(1e-7, rel=0.1)
    assert speeds.read_byte == pytest.approx(1e-8, rel=0.1)
    assert speeds.write_file == pytest.approx(0.1, rel=0.1)
    with open_at(folder) as store:
        with store.index.writing() as connection:
            speeds.save(connection)
        restored = TransferSpeeds()
        with store.index.reading() as connection:
            restored.restore(connection)
        assert restored == speeds
