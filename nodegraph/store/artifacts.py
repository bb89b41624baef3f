"""Artifacts: rows and files of values, pins, and eviction when the store is full.

Each artifact has a score: a level, plus its seconds to recompute per byte. The lowest is removed
first, and its score becomes the new level, which later writes and uses start from. So a costly
artifact outlives many cheap ones, but not forever (GreedyDual-Size).
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from time import time
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.store.blobs import Blob, Blobs, StagedBlob
from nodegraph.store.index import Index

_PUT_ENTRY = """
INSERT OR IGNORE INTO entries
    (key, outputs, asked, node_type, seconds, created, run, parts, used)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_FILE = "SELECT file, suffix FROM artifacts WHERE digest = ?"
_WHOLE_FILE = "SELECT file, suffix, bytes, seconds FROM artifacts WHERE digest = ?"
_PUT_ARTIFACT = """
INSERT INTO artifacts (digest, file, suffix, bytes, seconds, score, used)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, slots=True)
class ValueFile:
    """A file that a value lies in.

    Attributes:
        digest: Of the value.
        file: Of the file's bytes.
        seconds: To compute it again.
    """

    digest: Digest
    file: Digest
    suffix: str
    bytes: int
    seconds: float


def find_value_file(index: Index, digest: Digest) -> tuple[Digest, Digest, str, int, float] | None:
    """The fields of a `ValueFile` of this store; None if it has none of that value."""
    row = index.fetch_one(_WHOLE_FILE, (bytes.fromhex(digest),))
    return None if row is None else (digest, row[0].hex(), *row[1:])


def has_value_file(index: Index, blobs: Blobs, digest: Digest) -> bool:
    """Whether a value's file is there."""
    return _is_there(index.fetch_one(_FILE, (bytes.fromhex(digest),)), blobs)


def insert_value_file(
    connection: sqlite3.Connection, blobs: Blobs, file: ValueFile, staged: StagedBlob
) -> bool:
    """Take a staged file in; False if there is one of the value, or its bytes have gone."""
    blob, digest = staged.blob, bytes.fromhex(file.digest)
    if _is_there(connection.execute(_FILE, (digest,)).fetchone(), blobs):
        return False
    # Several values may lie in one file: the first of them placed it.
    if staged.temporary.exists():
        blobs.commit(staged)
    elif not blobs.exists(blob.digest, blob.suffix):
        return False
    connection.execute("DELETE FROM artifacts WHERE digest = ?", (digest,))
    score = level_of(connection) + file.seconds / blob.bytes
    values = (digest, bytes.fromhex(blob.digest), blob.suffix, blob.bytes, file.seconds)
    connection.execute(_PUT_ARTIFACT, (*values, score, time()))
    return True


def _is_there(row: tuple[Any, ...] | None, blobs: Blobs) -> bool:
    return row is not None and blobs.exists(row[0].hex(), row[1])


def insert_entries(connection: sqlite3.Connection, rows: Iterable[tuple[Any, ...]]) -> int:
    """Take entries in, but for those whose keys are there; gives how many were taken.

    Args:
        rows: All columns but the last, which is when an entry was used: now.
    """
    now = time()
    return connection.executemany(_PUT_ENTRY, [(*row, now) for row in rows]).rowcount


MOST_ENTRIES = 1_000_000
_AT_ONCE = 512
"""Files that go in one transaction, so that other processes get their turn."""


class Pins:
    """Digests of what a run needs; they stay on disk until it lets go."""

    def __init__(self, pinned: PinCounts) -> None:
        self._pinned = pinned
        self._digests: set[Digest] = set()
        self._lock = Lock()

    def add(self, digest: Digest) -> None:
        """Pin an artifact, or a digest that may become one; from any thread."""
        with self._lock:
            if digest not in self._digests:
                self._digests.add(digest)
                self._pinned.count(digest, 1)

    def release(self) -> None:
        """Let go of all of them."""
        with self._lock:
            for digest in self._digests:
                self._pinned.count(digest, -1)
            self._digests.clear()


class PinCounts:
    """What the runs of this process need.

    Args:
        used: Told of each digest, so that other processes see that it is in use.
    Attributes:
        is_complete: Whether runs say what they need at all.
    """

    def __init__(self, used: Callable[[Digest], None]) -> None:
        self.is_complete = False
        self._counts: Counter[Digest] = Counter()
        self._lock = Lock()
        self._used = used

    def count(self, digest: Digest, change: int) -> None:
        """Pin once more, or once less."""
        with self._lock:
            self._counts[digest] += change
            if not self._counts[digest]:
                del self._counts[digest]
        if change > 0:
            self._used(digest)

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._counts

    @contextmanager
    def run(self) -> Iterator[Pins]:
        """The pins of one run, released at its end."""
        pins = Pins(self)
        self.is_complete = True
        try:
            yield pins
        finally:
            pins.release()


@dataclass(frozen=True, slots=True)
class TrimReport:
    """What was removed.

    Attributes:
        artifacts: How many artifacts; their entries stay.
        bytes: Of their files.
        entries: How many entries, as there were too many.
    """

    artifacts: int = 0
    bytes: int = 0
    entries: int = 0


@dataclass(frozen=True, slots=True)
class _Row:
    digest: bytes
    blob: Blob
    score: float
    used: float


class Eviction:
    """Keeps a store within its budget.

    Args:
        pinned: What this process needs.
        is_alive: Whether the process behind an owner's name still runs.
        own: Whether that is this process: its pins say what it needs.
    """

    def __init__(
        self,
        index: Index,
        blobs: Blobs,
        pinned: PinCounts,
        is_alive: Callable[[str], bool],
        own: Callable[[str], bool],
    ) -> None:
        self._index = index
        self._blobs = blobs
        self._pinned = pinned
        self._is_alive = is_alive
        self._own = own

    def trim(self, budget: int, ceiling: int, entries: int = MOST_ENTRIES) -> TrimReport:
        """Remove artifacts, the least worth first, until their files fit the budget.

        What is pinned stays, and what another process's run may need: all that was used since it
        began. Where runs never cease that would be everything, so beyond the ceiling they must do
        without, and compute it again.

        Raises:
            sqlite3.Error: The index can't be written.
        """
        gone = self._shrink(budget, self._oldest_run())
        gone += self._shrink(max(budget, ceiling), float("inf"))
        return TrimReport(len(gone), sum(gone), self._thin(entries))

    def _shrink(self, budget: int, used_since: float) -> list[int]:
        gone: list[int] = []
        while True:
            with self._index.writing() as connection:
                more = self._round(connection, budget, used_since)
            gone += more
            if len(more) < _AT_ONCE:
                return gone

    def _round(self, connection: sqlite3.Connection, budget: int, used_since: float) -> list[int]:
        excess = bytes_on_disk(connection) - budget
        gone: list[int] = []
        freed = 0
        level = 0.0
        for row in self._victims(connection, used_since) if excess > 0 else ():
            connection.execute("DELETE FROM artifacts WHERE digest = ?", (row.digest,))
            size = row.blob.bytes
            if is_unused(connection, row.blob.digest):
                self._blobs.remove(row.blob.digest, row.blob.suffix)
            else:
                size = 0
            gone.append(size)
            freed += size
            level = row.score
            if freed >= excess:
                break
        if gone:
            raise_level(connection, level)
        return gone

    def _victims(self, connection: sqlite3.Connection, used_since: float) -> list[_Row]:
        rows = connection.execute(
            "SELECT digest, file, suffix, bytes, score, used FROM artifacts ORDER BY score"
        )
        victims = []
        for digest, file, suffix, size, score, used in rows:
            if used < used_since and digest.hex() not in self._pinned:
                victims.append(_Row(digest, Blob(file.hex(), suffix, size), score, used))
                if len(victims) == _AT_ONCE:
                    break
        rows.close()
        return victims

    def _oldest_run(self) -> float:
        """When the oldest run began that still goes on and hasn't said what it needs."""
        with self._index.reading() as connection:
            rows = connection.execute(
                "SELECT owner, started FROM runs WHERE seconds IS NULL ORDER BY started"
            ).fetchall()
        for owner, started in rows:
            is_exact = self._pinned.is_complete and self._own(owner)
            if not is_exact and self._is_alive(owner):
                return float(started)
        return float("inf")

    def _thin(self, most: int) -> int:
        with self._index.reading() as connection:
            (count,) = connection.execute("SELECT count(*) FROM entries").fetchone()
        if count <= most:
            return 0
        with self._index.writing() as connection:
            return connection.execute(
                "DELETE FROM entries WHERE rowid IN "
                "(SELECT rowid FROM entries ORDER BY used LIMIT ?)",
                (count - most,),
            ).rowcount

    def sweep(self) -> int:
        """Delete files that no row tells of, as a process died between the two.

        Returns:
            How many were deleted.
        """
        count = 0
        batch: list[Blob] = []
        for blob in self._blobs:
            batch.append(blob)
            if len(batch) == _AT_ONCE:
                count += self._remove_unknown(batch)
                batch.clear()
        return count + self._remove_unknown(batch)

    def _remove_unknown(self, blobs: Iterable[Blob]) -> int:
        with self._index.reading() as connection:
            suspects = [blob for blob in blobs if _is_unknown(connection, blob)]
        if not suspects:
            return 0
        count = 0
        # Once more with the lock: one may have been placed just now, its row not yet committed.
        with self._index.writing() as connection:
            for blob in suspects:
                if _is_unknown(connection, blob):
                    self._blobs.remove(blob.digest, blob.suffix)
                    count += 1
        return count


def _is_unknown(connection: sqlite3.Connection, blob: Blob) -> bool:
    try:
        return is_unused(connection, blob.digest)
    except ValueError:
        return True  # no digest at all


def is_unused(connection: sqlite3.Connection, file: Digest) -> bool:
    """Whether no artifact lies in a file."""
    query = "SELECT 1 FROM artifacts WHERE file = ? LIMIT 1"
    return connection.execute(query, (bytes.fromhex(file),)).fetchone() is None


def bytes_on_disk(connection: sqlite3.Connection) -> int:
    """Bytes of all artifacts' files."""
    (value,) = connection.execute("SELECT value FROM meta WHERE name = 'bytes'").fetchone()
    return int(value)


def level_of(connection: sqlite3.Connection) -> float:
    """The level that scores start from now."""
    row = connection.execute("SELECT value FROM meta WHERE name = 'level'").fetchone()
    return float(row[0]) if row else 0.0


def raise_level(connection: sqlite3.Connection, level: float) -> None:
    """Let the level rise; it never falls."""
    connection.execute(
        "INSERT INTO meta VALUES ('level', ?) "
        "ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        (level,),
    )
