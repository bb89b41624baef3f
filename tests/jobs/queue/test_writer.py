"""Changes share commits, but not their faults."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from nodegraph.errors import InvalidValue, NodegraphError, OutputError
from nodegraph.jobs.queue.sqlite_queue import QueueFile
from nodegraph.jobs.queue.writer import QueueChange, QueueWriter
from tests.messages import raises

Note = Callable[[str], QueueChange[str]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[QueueFile]:
    with closing(QueueFile(tmp_path / "queue.sqlite", patience=0.2)) as database:
        yield database


def note(name: str, size: int = 1) -> QueueChange[str]:
    """A change that leaves a trace."""

    def change(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO meta VALUES (?, ?)", (name, "x" * size))
        return name

    return change


def noted(database: QueueFile) -> list[str]:
    with database.reading() as connection:
        rows = connection.execute("SELECT name FROM meta ORDER BY name")
        return [name for (name,) in rows]


class Blocked:
    """A writer that is busy until all that is put was put, so that it shares one commit."""

    def __init__(self, database: QueueFile) -> None:
        self.commits = 0
        self._began, self._go = Event(), Event()
        self.writer = QueueWriter(database, self._count)
        self.writer.put(self._wait)
        assert self._began.wait(60)

    def _count(self) -> None:
        self.commits += 1

    def _wait(self, connection: sqlite3.Connection) -> None:
        self._began.set()
        assert self._go.wait(60)

    def go(self) -> None:
        self._go.set()
        self.writer.close()


def test_one_commit_serves_many(database: QueueFile) -> None:
    blocked = Blocked(database)
    futures = [blocked.writer.put(note(f"n{at}")) for at in range(9)]
    assert not any(future.done() for future in futures)
    blocked.go()
    assert [future.result() for future in futures] == noted(database)
    assert blocked.commits == 2


@pytest.mark.parametrize("error", [InvalidValue("no"), KeyError("no"), RecursionError()])
def test_one_that_fails_takes_back_its_own(database: QueueFile, error: Exception) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        note("half")(connection)
        raise error

    blocked = Blocked(database)
    before, failed, after = (blocked.writer.put(each) for each in (note("a"), fail, note("b")))
    blocked.go()
    assert failed.exception() is error
    assert (before.result(), after.result(), noted(database)) == ("a", "b", ["a", "b"])
    assert blocked.commits == 2


def test_a_fault_of_sqlite_is_for_the_one_that_caused_it(database: QueueFile) -> None:
    blocked = Blocked(database)
    before, failed, after = (blocked.writer.put(each) for each in (note("a"), note("a"), note("b")))
    blocked.go()
    assert (before.result(), after.result(), noted(database)) == ("a", "b", ["a", "b"])
    with raises(NodegraphError):
        failed.result()


def test_a_full_disk_refuses_what_doesnt_fit(database: QueueFile) -> None:
    with database.writing() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 5}")
    blocked = Blocked(database)
    small, large, other = (
        blocked.writer.put(each) for each in (note("a"), note("b", 1 << 20), note("c"))
    )
    blocked.go()
    with raises(OutputError):
        large.result()
    assert (small.result(), other.result(), noted(database)) == ("a", "c", ["a", "c"])


def test_what_is_locked_by_another_program(database: QueueFile) -> None:
    other = sqlite3.connect(database.path, isolation_level=None)
    with closing(other), closing(QueueWriter(database, lambda: None)) as writer:
        other.execute("BEGIN IMMEDIATE")
        futures = [writer.put(note(name)) for name in "ab"]
        for future in futures:
            with raises(OutputError):
                future.result()
        other.execute("ROLLBACK")
        assert writer.put(note("c")).result() == "c"
    assert noted(database) == ["c"]


def test_who_cancels_in_time_gets_no_change(database: QueueFile) -> None:
    blocked = Blocked(database)
    stays, goes = blocked.writer.put(note("a")), blocked.writer.put(note("b"))
    assert goes.cancel()
    blocked.go()
    wait([stays, goes])
    assert noted(database) == ["a"]


def test_a_removed_file_is_told(database: QueueFile) -> None:
    """What is written to it would be lost without any error."""
    with closing(QueueWriter(database, lambda: None)) as writer:
        writer.put(note("a")).result()
        moved = database.path.rename(database.path.with_name("elsewhere"))
        with raises(OutputError):
            writer.put(note("b")).result()
        moved.rename(database.path)
        writer.put(note("c")).result()
    assert noted(database) == ["a", "c"]


def test_only_what_is_promised_waits_for_the_disk(database: QueueFile) -> None:
    def level(connection: sqlite3.Connection) -> int:
        return int(connection.execute("PRAGMA synchronous").fetchone()[0])

    with closing(QueueWriter(database, lambda: None)) as writer:
        assert [writer.put(level, synced=synced).result() for synced in (True, False)] == [2, 1]
    with closing(QueueWriter(database, lambda: None, synced=False)) as writer:
        assert writer.put(level).result() == 1


def test_a_closed_writer_has_made_what_was_put(database: QueueFile) -> None:
    writer = QueueWriter(database, lambda: None)
    futures = [writer.put(note(str(at))) for at in range(20)]
    writer.close()
    assert all(future.done() for future in futures)
    with raises(OutputError):
        writer.put(note("late"))
