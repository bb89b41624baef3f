"""What is known of numbered files, so that saving one more needn't look at all of them.

A folder's own times tell whether anything came or went since; only then is it listed again. What
is known is never trusted for more than speed: a file is compared before it is reused, and a number
is taken only if nobody has it.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nodegraph.core.digests import Digest, digest_bytes

_NUMBERED = re.compile(r"(.+)_([0-9]{5,})([^0-9].*)?", re.DOTALL)
_LOCK_TIMEOUT = 30.0
"""Seconds to wait for another process that gives a file its name."""
_SETUP = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS folders (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS files (
    folder INTEGER, stem TEXT, suffix TEXT, number INTEGER, size INTEGER NOT NULL, digest TEXT,
    PRIMARY KEY (folder, stem, suffix, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_size ON files (folder, stem, suffix, size, digest);
"""
_OF = "folder = ? AND stem = ? AND suffix = ?"
_LIKE = f"""
SELECT number, digest FROM files WHERE {_OF} AND size = ? AND digest = ?
UNION ALL SELECT number, digest FROM files WHERE {_OF} AND size = ? AND digest IS NULL
"""  # noqa: S608 - of this module's own making
_LARGEST = f"SELECT max(number) FROM files WHERE {_OF}"  # noqa: S608 - likewise


@contextmanager
def open_number_index(index: Path | None, folder: Path) -> Iterator[NumberIndex]:
    """What is known of a folder's numbered files.

    Args:
        index: The database that remembers it, for all folders; in memory, and so for this time
            only, if there is none or if it can't be used.
    """
    connection = _opened(index)
    try:
        yield NumberIndex(connection, folder)
    finally:
        connection.close()


def _opened(index: Path | None) -> sqlite3.Connection:
    if index is not None:
        try:
            index.parent.mkdir(parents=True, exist_ok=True)
            return _ready(str(index))
        except sqlite3.OperationalError:
            pass  # locked, or nothing can be written there
        except sqlite3.DatabaseError:
            delete_index(index)
        except OSError:
            pass
    return _ready(":memory:")


def delete_index(index: Path) -> None:
    """Remove a database that is damaged, as by a power cut. Nothing is lost with it but time."""
    for end in ("", "-wal", "-shm"):
        with suppress(OSError):
            index.with_name(f"{index.name}{end}").unlink(missing_ok=True)


def _ready(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_LOCK_TIMEOUT, isolation_level=None)
    try:
        connection.executescript(_SETUP)
        connection.execute("SELECT count(*) FROM folders WHERE id = 0").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


class NumberIndex:
    """The numbered files of one folder; for one thread."""

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._id = -1

    def find_same_content(self, stem: str, suffix: str, content: bytes) -> list[int]:
        """Numbers of files of a name that may have these bytes, the newest first."""
        if not self._is_current():
            with self._transaction():
                self._rescan()
        name = (self._id, stem, suffix, len(content))
        digest = digest_bytes(content)
        rows = self._connection.execute(_LIKE, (*name, digest, *name)).fetchall()
        unknown = [number for number, known in rows if known is None]
        numbers = [number for number, known in rows if known is not None]
        for number in unknown:
            # Somebody else put it there: it is read once, and known from then on.
            path = self._folder / file_name(stem, number, suffix)
            if self._record_digest(stem, suffix, number, path) == digest:
                numbers.append(number)
        return sorted(numbers, reverse=True)

    def _record_digest(self, stem: str, suffix: str, number: int, path: Path) -> Digest | None:
        try:
            digest = digest_bytes(path.read_bytes())
        except OSError:
            return None
        query = f"UPDATE files SET digest = ? WHERE {_OF} AND number = ?"  # noqa: S608 - as above
        self._connection.execute(query, (digest, self._id, stem, suffix, number))
        return digest

    @contextmanager
    def reserve(self, stem: str, suffix: str, content: bytes) -> Iterator[NumberReservation]:
        """Inside, nobody else who knows of the same files adds one."""
        with self._transaction():
            if not self._is_current():
                self._rescan()
            query = (self._id, stem, suffix)
            (largest,) = self._connection.execute(_LARGEST, query).fetchone()
            adding = NumberReservation((largest or 0) + 1)
            yield adding
            row = (*query, adding.number, len(content), digest_bytes(content))
            self._connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", row)
            values = (_stamp(self._folder), self._id)
            self._connection.execute("UPDATE folders SET stamp = ? WHERE id = ?", values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _is_current(self) -> bool:
        query = "SELECT id, stamp FROM folders WHERE path = ?"
        row = self._connection.execute(query, (str(self._folder.absolute()),)).fetchone()
        if row is None:
            return False
        self._id = row[0]
        return bool(row[1] == _stamp(self._folder))

    def _rescan(self) -> None:
        """Take in what is in the folder now."""
        # Before it is listed: what changes meanwhile is looked for next time.
        stamp = _stamp(self._folder)
        upsert = (
            "INSERT INTO folders (path, stamp) VALUES (?, ?) "
            "ON CONFLICT (path) DO UPDATE SET stamp = excluded.stamp RETURNING id"
        )
        values = (str(self._folder.absolute()), stamp)
        ((self._id,),) = self._connection.execute(upsert, values).fetchall()
        there = dict(self._listed())
        query = "SELECT stem, suffix, number FROM files WHERE folder = ?"
        known = set(self._connection.execute(query, (self._id,)))
        gone = [(self._id, *name) for name in known - there.keys()]
        delete = f"DELETE FROM files WHERE {_OF} AND number = ?"  # noqa: S608 - as above
        self._connection.executemany(delete, gone)
        new = [
            (self._id, *name, size)
            for name in there.keys() - known
            if (size := _size(there[name])) is not None
        ]
        insert = "INSERT INTO files VALUES (?, ?, ?, ?, ?, NULL)"
        self._connection.executemany(insert, new)

    def _listed(self) -> Iterator[tuple[tuple[str, str, int], os.DirEntry[str]]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if match := _NUMBERED.fullmatch(entry.name):
                    stem, number, suffix = match[1], int(match[2]), match[3] or ""
                    if entry.name == file_name(stem, number, suffix) and number < 1 << 62:
                        yield (stem, suffix, number), entry


class NumberReservation:
    """A file that is about to get its name.

    Attributes:
        number: The first that is free as far as is known; to be set to the one that it got.
    """

    def __init__(self, number: int) -> None:
        self.number = number


def file_name(stem: str, number: int, suffix: str) -> str:
    """The name of a numbered file."""
    return f"{stem}_{number:05}{suffix}"


def _stamp(folder: Path) -> str:
    status = folder.stat()
    return f"{status.st_dev} {status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}"


def _size(entry: os.DirEntry[str]) -> int | None:
    try:
        return entry.stat().st_size
    except OSError:
        return None
