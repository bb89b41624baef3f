"""What a database does beyond what the tests of the store's index show."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from nodegraph.errors import InvalidFile, OutputError
from nodegraph.store.database import Database, Format
from tests.messages import raises

KIND = Format(
    application=0x1234,
    migrations=("CREATE TABLE notes (value INTEGER);",),
    name="the book of notes",
    whole="the notes",
    foreign="a book of notes",
    absent="no book of notes",
    loss="all is lost.",
)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path / "notes.sqlite", KIND, patience=0.1)) as database:
        yield database


def note(database: Database) -> None:
    with database.writing() as connection:
        connection.execute("INSERT INTO notes VALUES (1)")


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM notes").fetchone()[0])


def test_readers_have_connections_of_their_own(database: Database) -> None:
    with database.reading() as first, database.reading() as second:
        assert first is not second
        note(database)
        assert count(first) == count(second) == 1
    for _ in range(2):
        with database.reading() as again:
            assert again in (first, second)


def test_many_readers_leave_few_connections(database: Database) -> None:
    def read(depth: int) -> None:
        with database.reading() as connection:
            assert count(connection) == 0
            if depth:
                read(depth - 1)

    threads = [Thread(target=read, args=(9,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(database._idle) <= 8


def test_a_snapshot_is_of_one_moment(database: Database) -> None:
    note(database)
    with database.snapshot() as connection:
        assert count(connection) == 1
        note(database)
        assert count(connection) == 1
    with database.snapshot() as connection:
        assert count(connection) == 2


def test_a_reader_may_outlast_the_database(tmp_path: Path) -> None:
    database = Database(tmp_path / "notes.sqlite", KIND)
    with database.reading() as connection:
        database.close()
        assert count(connection) == 0
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")
    with pytest.raises(sqlite3.ProgrammingError, match="closed"), database.reading():
        pass


def test_it_is_told_when_the_file_is_another(database: Database) -> None:
    assert database.is_in_place()
    moved = database.path.rename(database.path.with_name("moved"))
    assert not database.is_in_place()
    database.path.write_bytes(b"")
    assert not database.is_in_place()
    moved.replace(database.path)
    assert database.is_in_place()


def test_commits_are_synced_where_it_is_asked(database: Database) -> None:
    for synced, level in ((True, 2), (False, 1), (True, 2)):
        with database.writing(synced=synced) as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (level,)


def test_faults_are_told_in_its_own_words(database: Database) -> None:
    locked = database.explained(sqlite3.OperationalError("database is locked"))
    assert isinstance(locked, OutputError)
    assert "cannot write the book of notes" in str(locked)
    broken = database.explained(sqlite3.DatabaseError("malformed"))
    assert isinstance(broken, InvalidFile)
    assert "to start the notes again: all is lost." in str(broken)


def test_opening_waits_as_long_as_it_is_told(database: Database) -> None:
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with raises(OutputError):
            Database(database.path, KIND, patience=0.05)


@pytest.mark.skipif(os.name != "posix", reason="rights of files are those of POSIX")
def test_what_cant_be_made_again_is_not_begun_anew_in_an_empty_file(tmp_path: Path) -> None:
    path, kind = tmp_path / "notes.sqlite", replace(KIND, is_irreplaceable=True)
    with closing(Database(path, kind)) as database:
        note(database)
    assert [each.name for each in tmp_path.iterdir()] == ["notes.sqlite"]
    with closing(Database(path, kind)) as database, database.reading() as connection:
        assert count(connection) == 1
    path.write_bytes(b"")
    with raises(InvalidFile):
        Database(path, kind)
    assert path.read_bytes() == b""
    # What can be made again is.
    with closing(Database(path, KIND)) as database, database.reading() as connection:
        assert count(connection) == 0


def test_one_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    wrong = replace(KIND, migrations=("CREATE TABLE notes (", "no SQL;"), is_irreplaceable=True)
    with raises(OutputError):
        Database(tmp_path / "notes.sqlite", wrong)
    assert list(tmp_path.iterdir()) == []


def test_what_is_private_is_so_from_its_first_byte_on_and_becomes_it_when_opened(
    tmp_path: Path,
) -> None:
    path = tmp_path / "notes.sqlite"

    def rights() -> set[str]:
        assert len(list(tmp_path.iterdir())) == 3  # with its journals
        return {f"{each.stat().st_mode & 0o777:o}" for each in tmp_path.iterdir()}

    with closing(Database(path, KIND)) as database:
        note(database)
        assert rights() == {"644"}
        private = replace(KIND, is_private=True)
        with closing(Database(path, private)):
            assert rights() == {"600"}
    path.unlink()
    with closing(Database(path, private)) as database:
        note(database)
        assert rights() == {"600"}
