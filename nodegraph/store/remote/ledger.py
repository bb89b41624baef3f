"""What this machine knows of the shared place: files that lie there, and what is still to go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.store.database import Database, Format
from nodegraph.store.remote.objects import RemoteFile

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- Files that entries of the place have told of, by the digest of the value in them.
CREATE TABLE files (
    number INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    file BLOB NOT NULL,
    suffix TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    seconds REAL NOT NULL
);

-- Keys of entries that are to go there, in the order in which they came.
CREATE TABLE waiting (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    key BLOB NOT NULL UNIQUE,
    owner TEXT NOT NULL        -- of the claim that the process holds which brings it there
);
"""
_MOST_FILES = 1_000_000
MOST_WAITING = 20_000
_NEXT = "SELECT number, key FROM waiting WHERE owner = ? ORDER BY number LIMIT ?"


class Ledger:
    """A small database beside the store's index, for all processes of the store.

    Args:
        folder: The store's.
        url: The place; what was known of another one is forgotten.
    Raises:
        InvalidFile: It is damaged, or of a newer version.
        OutputError: It can't be written.
    """

    def __init__(self, folder: Path, url: str) -> None:
        kind = Format(
            application=0x6E677274,
            migrations=(_FIRST,),
            name="the list of what the remote store has",
            whole="the store",
            foreign="a store's list of what the remote store has",
            absent="no such list",
            loss="it is created again.",
        )
        self._database = Database(folder / "remote.sqlite", kind)
        with self._database.writing() as connection:
            row = connection.execute("SELECT value FROM meta WHERE name = 'url'").fetchone()
            if row is None or row[0] != url:
                connection.execute("DELETE FROM files")
                connection.execute("INSERT OR REPLACE INTO meta VALUES ('url', ?)", (url,))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def remember(self, files: Sequence[RemoteFile]) -> None:
        """Note that files lie there."""
        if not files:
            return
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO files (digest, file, suffix, bytes, seconds)"
                " VALUES (?, ?, ?, ?, ?)",
                [
                    (
                        bytes.fromhex(each.digest),
                        bytes.fromhex(each.file),
                        each.suffix,
                        each.bytes,
                        each.seconds,
                    )
                    for each in files
                ],
            )
            connection.execute(
                "DELETE FROM files WHERE number <= (SELECT max(number) FROM files) - ?",
                (_MOST_FILES,),
            )

    def forget(self, digest: Digest) -> None:
        """Note that a value's file can't be had there."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM files WHERE digest = ?", (bytes.fromhex(digest),))

    def file(self, digest: Digest) -> RemoteFile | None:
        """The file of a value there; None if none is known."""
        row = self._database.fetch_one(
            "SELECT file, suffix, bytes, seconds FROM files WHERE digest = ?",
            (bytes.fromhex(digest),),
        )
        return None if row is None else RemoteFile(digest, row[0].hex(), *row[1:])

    def files(self) -> tuple[int, int]:
        """How many files are known there, and their bytes."""
        count, size = self._database.fetch_one(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM files"
        )
        return count, size

    def add(self, keys: Iterable[Key], owner: str) -> int:
        """Note that entries are to go there; how many older ones are given up for it."""
        with self._database.writing() as connection:
            connection.executemany(
                "INSERT INTO waiting (key, owner) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET owner = excluded.owner",
                [(bytes.fromhex(key), owner) for key in keys],
            )
            (count,) = connection.execute("SELECT count(*) FROM waiting").fetchone()
            if count <= MOST_WAITING:
                return 0
            return connection.execute(
                "DELETE FROM waiting WHERE number IN"
                " (SELECT number FROM waiting ORDER BY number LIMIT ?)",
                (count - MOST_WAITING,),
            ).rowcount

    def next(self, owner: str, limit: int) -> list[tuple[int, Key]]:
        """Numbers and keys of what a process is to bring there next."""
        with self._database.reading() as connection:
            rows = connection.execute(_NEXT, (owner, limit)).fetchall()
        return [(number, key.hex()) for number, key in rows]

    def done(self, number: int) -> None:
        """Note that an entry is there, or never will be."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM waiting WHERE number = ?", (number,))

    def adopt(self, owner: str, is_alive: Callable[[str], bool]) -> int:
        """Take over what dead processes have left; how many."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT DISTINCT owner FROM waiting").fetchall()
        dead = [each for (each,) in rows if each != owner and not is_alive(each)]
        if not dead:
            return 0
        with self._database.writing() as connection:
            return connection.executemany(
                "UPDATE waiting SET owner = ? WHERE owner = ?", [(owner, each) for each in dead]
            ).rowcount

    def waiting(self) -> int:
        """How many entries are still to go there, of all processes."""
        (count,) = self._database.fetch_one("SELECT count(*) FROM waiting")
        return int(count)

    def is_waiting(self, key: Key) -> bool:
        """Whether an entry is still to go there."""
        query = "SELECT 1 FROM waiting WHERE key = ?"
        return self._database.fetch_one(query, (bytes.fromhex(key),)) is not None
