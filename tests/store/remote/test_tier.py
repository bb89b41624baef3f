"""Two machines, each with a store of its own, and a place that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from nodegraph.store.entries import NewEntry, OutputGone
from nodegraph.store.remote import transfers as sending
from nodegraph.store.remote.object_storage import ObjectStorage, open_storage
from nodegraph.store.store import Store
from tests.store.remote.conftest import BOTH
from tests.store.remote.s3_server import S3Server
from tests.store.support import files, key_of, open_at, output, put, unsaved

LONG = "a long text " * 2_000
Machine = Callable[..., Store]


@pytest.fixture
def machine(tmp_path: Path, place: ObjectStorage) -> Iterator[Machine]:
    """Opens the store of a machine, by its name."""
    with ExitStack() as opened:

        def open_machine(name: str, **options: Any) -> Store:
            return opened.enter_context(open_at(tmp_path / name, storage=place, **options))

        yield open_machine


def share(store: Store, name: object, *values: Any) -> None:
    """Put values and wait until the others can have them."""
    put(store, name, *values)
    assert store.remote is not None
    assert store.remote.wait_until_sent()


def names(place: ObjectStorage, kind: str) -> list[str]:
    return sorted(name for name, _ in place.list(kind))


@BOTH
def test_what_one_machine_computed_the_other_has(machine: Machine) -> None:
    one, two = machine("one"), machine("two")
    share(one, "a", LONG, 7)
    assert two.entry(key_of("a")) is None
    assert two.bring(key_of("a"))
    assert files(two.folder) == []  # values come when somebody reads them
    assert two.has(output(two, "a"))
    assert two.load(output(two, "a")) == LONG
    assert two.load(output(two, "a", 1)) == 7
    assert [file.name for file in files(two.folder)] == [file.name for file in files(one.folder)]
    assert not two.bring(key_of("b"))


def test_what_is_had_stays_when_the_place_is_gone(
    s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    place = open_storage(bucket)
    with open_at(tmp_path / "1", storage=place) as one:
        share(one, "a", LONG)
    with open_at(tmp_path / "2", storage=place) as two:
        assert two.bring(key_of("a"))
        assert two.load(output(two, "a")) == LONG
    with s3.away(), open_at(tmp_path / "2", storage=place) as two:
        assert two.load(output(two, "a")) == LONG


def test_only_what_is_worth_the_way_goes_there(machine: Machine, place: ObjectStorage) -> None:
    one = machine("one")
    cheap = NewEntry((unsaved("cheap"),), None, "Test", 0.001, "", worth=0.001)
    own = NewEntry((unsaved("own"),), None, "Test", 100.0, "")
    one.put(key_of("cheap"), cheap)
    one.put(key_of("own"), own)
    share(one, "dear", "dear")
    assert len(names(place, "entries")) == 1
    assert names(place, "artifacts") == []


def test_files_that_many_results_share_go_once(machine: Machine, place: ObjectStorage) -> None:
    one = machine("one")
    for name in range(3):
        share(one, name, LONG)
    assert len(names(place, "entries")) == 3
    assert len(names(place, "artifacts")) == 1


@pytest.mark.parametrize("damage", [lambda data: data[:-7], lambda data: b"x" + data[1:]])
def test_damaged_files_are_never_taken_and_written_anew(
    machine: Machine,
    place: ObjectStorage,
    damage: Callable[[bytes], bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    one, two = machine("one"), machine("two")
    share(one, "a", LONG)
    (name,) = names(place, "artifacts")
    whole = place.read(name)
    place.write(name, damage(whole))
    assert two.bring(key_of("a"))
    with pytest.raises(OutputGone):
        two.load(output(two, "a"))
    assert not two.has(output(two, "a"))
    assert files(two.folder) == files(two.folder, "temporary") == []
    assert name in caplog.text
    share(two, "a", LONG)  # it is computed again
    assert place.read(name) == whole


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data[:-1] + b"x"])
def test_damaged_entries_are_never_taken_and_written_anew(
    machine: Machine,
    place: ObjectStorage,
    damage: Callable[[bytes], bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    one, two = machine("one"), machine("two")
    share(one, "a", "text")
    (name,) = names(place, "entries")
    whole = place.read(name)
    place.write(name, damage(whole))
    assert not two.bring(key_of("a"))
    assert two.entry(key_of("a")) is None
    assert f"{name} of the remote store" in caplog.text
    share(two, "a", "text")
    third = machine("three")
    assert third.bring(key_of("a"))
    assert third.load(output(third, "a")) == "text"


@BOTH
def test_a_file_that_is_gone_there_is_brought_again(machine: Machine, place: ObjectStorage) -> None:
    one, two, three = machine("one"), machine("two"), machine("three")
    share(one, "a", LONG)
    (name,) = names(place, "artifacts")
    place.remove(name)
    assert two.bring(key_of("a"))
    with pytest.raises(OutputGone):
        two.load(output(two, "a"))
    share(two, "a", LONG)
    assert three.bring(key_of("a"))
    assert three.load(output(three, "a")) == LONG


def test_the_first_of_two_results_counts(machine: Machine) -> None:
    one, two, three = machine("one"), machine("two"), machine("three")
    share(one, "a", "first")
    share(two, "a", "second")
    assert two.load(output(two, "a")) == "second"
    assert three.bring(key_of("a"))
    assert three.load(output(three, "a")) == "first"


def test_what_comes_from_there_counts_in_the_local_budget(machine: Machine) -> None:
    one, two = machine("one"), machine("two", budget=3 * len(LONG))
    for name in range(8):
        share(one, name, f"{name}{LONG}")
    for name in range(8):
        assert two.bring(key_of(name))
        assert two.load(output(two, name)) == f"{name}{LONG}"
    two.trim()
    assert 0 < sum(file.stat().st_size for file in files(two.folder)) <= 3 * len(LONG)
    # What was let go of here is still there.
    assert all(two.load(output(two, name)) == f"{name}{LONG}" for name in range(8))


def test_the_server_is_taken_away_and_comes_back(
    s3: S3Server, bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = open_storage(bucket)
    with (
        open_at(tmp_path / "1", storage=place) as one,
        open_at(tmp_path / "2", storage=place) as two,
    ):
        assert one.remote is not None
        share(one, "before", LONG)
        with s3.away():
            for name in range(8):
                put(one, name, f"{name} {LONG}")
                assert one.load(output(one, name)) == f"{name} {LONG}"
            assert not one.bring(key_of("elsewhere"))
            assert one.remote.info().waiting == 8
            assert one.remote.reach.is_unreachable
            assert not one.is_worth_asking(100.0)
        assert caplog.text.count("cannot be reached") == 1
        while one.remote.info().waiting:
            one.remote.wait_until_sent(1.0)
        assert caplog.text.count("can be reached again\n") == 1
        assert all(two.bring(key_of(name)) for name in ("before", *range(8)))
        assert two.load(output(two, 7)) == f"7 {LONG}"


def test_what_a_process_left_the_next_one_brings_there(
    s3: S3Server, bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = open_storage(bucket)
    with s3.away():
        with open_at(tmp_path / "1", storage=place) as one:
            put(one, "a", LONG)
        assert "1 results are not yet uploaded" in caplog.text
    with open_at(tmp_path / "1", storage=place) as one:
        assert one.remote is not None
        assert one.remote.wait_until_sent()
    with open_at(tmp_path / "2", storage=place) as two:
        assert two.bring(key_of("a"))
        assert two.load(output(two, "a")) == LONG


def test_the_backlog_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("nodegraph.store.remote.ledger.MOST_WAITING", 5)
    place = open_storage((tmp_path / "away").as_uri())
    with open_at(tmp_path / "1", storage=place) as one:
        for name in range(12):
            put(one, name, name)
        assert one.remote is not None
        assert one.remote.info().waiting == 5
    assert "are not uploaded to the remote store" in caplog.text
    (tmp_path / "away").mkdir()
    with open_at(tmp_path / "1", storage=place) as one:
        assert one.remote is not None
        assert one.remote.wait_until_sent()
    assert len(names(place, "entries")) == 5


def test_a_store_that_may_not_write_there_reads(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(type(open_storage(tmp_path.as_uri()))):  # type: ignore[misc]
        """As a bucket with read-only credentials; a folder's rights don't bind root."""

        def create(self, name: str, data: bytes) -> bool:
            raise sending.AccessDenied("no permission")

        upload = write = create

    with open_at(tmp_path / "1", storage=open_storage(tmp_path.as_uri())) as one:
        share(one, "a", LONG)
    with open_at(tmp_path / "2", storage=Refusing(tmp_path.as_uri(), tmp_path)) as two:
        share(two, "b", LONG)
        assert "is only read" in caplog.text
        assert two.bring(key_of("a"))
        assert two.load(output(two, "a")) == LONG
