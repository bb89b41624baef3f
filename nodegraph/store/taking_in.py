"""Taking in what was computed elsewhere, beside what is there: entries, and files of values."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from time import time
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.store.blobs import Blobs, StagedBlob
from nodegraph.store.eviction import level_of
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
