"""Files recognized by size and times: digests of files read, records of files written."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.core.file_digests import FileStamp, hash_file
from nodegraph.core.keys import Key
from nodegraph.store.entries import CallWarning, pack_warnings, unpack_warnings
from nodegraph.store.index import Index
from nodegraph.store.packing import pack, unpack

_LOG = logging.getLogger(__name__)

_GET = """
SELECT digest FROM files
WHERE path = ? AND size = ? AND mtime_ns = ? AND ctime_ns = ? AND inode = ?
"""
# The folder that a file is in may have been moved: what was never written since has these still.
_MOVED = """
SELECT digest FROM files
WHERE size = ? AND mtime_ns = ? AND ctime_ns = ? AND inode = ? LIMIT 1
"""
_PUT = """
INSERT OR REPLACE INTO files (path, size, mtime_ns, ctime_ns, inode, digest)
VALUES (?, ?, ?, ?, ?, ?)
"""


class StoredFileDigests:
    """Digests of files in a store's index, for `nodegraph.core.file_digests.FileDigests.attach`.

    It must be detached before the index is closed. An index that can't be read or written now
    costs the time to hash a file again, no more.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def get(self, stamp: FileStamp) -> Digest | None:
        """The digest of the file that had this stamp."""
        try:
            with self._index.reading() as connection:
                row = connection.execute(_GET, _columns(stamp)).fetchone()
                if row is None:
                    row = connection.execute(_MOVED, _columns(stamp)[1:]).fetchone()
        except sqlite3.Error as error:
            _LOG.warning("cannot look up the digest of %s: %s", stamp.path, error)
            return None
        return None if row is None else Digest(row[0].hex())

    def put(self, stamp: FileStamp, digest: Digest) -> None:
        """Remember it, in place of what the file was before."""
        if self._index.read_only:
            return
        try:
            with self._index.writing() as connection:
                connection.execute(_PUT, (*_columns(stamp), bytes.fromhex(digest)))
        except sqlite3.Error as error:
            _LOG.warning("cannot remember the digest of %s: %s", stamp.path, error)


def _columns(stamp: FileStamp) -> tuple[bytes, int, int, int, int]:
    # A path need not be valid text, and some file systems have inodes of more than 63 bits.
    inode = stamp.inode % (1 << 63)
    return os.fsencode(stamp.path), stamp.size, stamp.mtime_ns, stamp.ctime_ns, inode


_UNKNOWN = 0
"""Time of change of a file that was just written: another change could leave the same."""
_FRESH = 3600.0
"""Seconds for which a use isn't noted again."""
_KEPT = 100_000
"""Keys; beyond, those go that weren't used for longest."""


@dataclass(frozen=True, slots=True)
class SinkFile:
    """A file as a sink left it.

    Attributes:
        path: Absolute.
        kind: What it holds, as the sink says.
        node: The node that wrote it.
        mtime_ns, ctime_ns: Times of change; 0 where only the digest tells whether it was changed.
    """

    path: Path
    kind: str
    node: str
    size: int
    mtime_ns: int
    digest: Digest
    ctime_ns: int = _UNKNOWN

    @classmethod
    def from_path(cls, path: Path, kind: str, node: str, digest: Digest = "") -> SinkFile:
        """A file as it is now.

        Args:
            digest: Of its bytes, if that is known.
        Raises:
            OSError: It can't be read.
        """
        path = path.absolute()
        stamp = FileStamp.of(path)
        mtime, ctime = _lasting(stamp)
        return cls(path, kind, node, stamp.size, mtime, digest or hash_file(path), ctime)

    def if_unchanged(self) -> SinkFile | None:
        """The same file if its content is still the same, else None."""
        try:
            stamp = FileStamp.of(self.path)
            if stamp.size != self.size:
                return None
            if (stamp.mtime_ns, stamp.ctime_ns) == (self.mtime_ns, self.ctime_ns):
                return self
            if hash_file(self.path) != self.digest:
                return None
            mtime, ctime = _lasting(stamp)
            return replace(self, mtime_ns=mtime, ctime_ns=ctime)
        except OSError:
            return None


class SinkFiles:
    """Which files came of which key; safe to use from several threads."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def remember(
        self, key: Key, files: Iterable[SinkFile], warnings: Sequence[CallWarning] = ()
    ) -> None:
        """Note what a sink wrote, in place of what it wrote before.

        Args:
            warnings: What it said of them.
        Raises:
            sqlite3.Error: The index can't be written.
        """
        rows: Any = [
            [
                str(file.path),
                file.kind,
                file.node,
                file.size,
                file.mtime_ns,
                file.digest,
                file.ctime_ns,
            ]
            for file in files
        ]
        if warnings:
            rows = {"files": rows, "warnings": pack_warnings(warnings)}
        with self._index.writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO written (key, files, used) VALUES (?, ?, ?)",
                (bytes.fromhex(key), pack(rows), time.time()),
            )
            (count,) = connection.execute("SELECT count(*) FROM written").fetchone()
            if count > _KEPT:
                connection.execute(
                    "DELETE FROM written WHERE key IN"
                    " (SELECT key FROM written ORDER BY used LIMIT ?)",
                    (count - _KEPT,),
                )

    def unchanged(self, key: Key) -> tuple[SinkFile, ...] | None:
        """The files that a sink wrote if each still lies there with the same content, else None.

        Files are told apart by size and times; one that only has other times is read.
        """
        with self._index.reading() as connection:
            row = connection.execute(
                "SELECT files, used FROM written WHERE key = ?", (bytes.fromhex(key),)
            ).fetchone()
        if row is None:
            return None
        rows, warnings = _parted(row[0])
        before = [SinkFile(Path(path), *details) for path, *details in rows]
        files = []
        for file in before:
            now = file.if_unchanged()
            if now is None:
                return None
            files.append(now)
        if files != before or time.time() - row[1] > _FRESH:
            self._refresh(key, files, warnings)
        return tuple(files)

    def warnings(self, key: Key) -> tuple[CallWarning, ...]:
        """What a sink said of the files that it wrote."""
        query = "SELECT files FROM written WHERE key = ?"
        row = self._index.fetch_one(query, (bytes.fromhex(key),))
        return () if row is None else _parted(row[0])[1]

    def _refresh(
        self, key: Key, files: Sequence[SinkFile], warnings: Sequence[CallWarning]
    ) -> None:
        if self._index.read_only:
            return
        try:
            self.remember(key, files, warnings)
        except sqlite3.Error as error:
            _LOG.warning("cannot record that the files of a sink are unchanged: %s", error)

    def forget(self, key: Key) -> None:
        """Let a sink run again."""
        with self._index.writing() as connection:
            connection.execute("DELETE FROM written WHERE key = ?", (bytes.fromhex(key),))


def _parted(packed: bytes) -> tuple[list[Any], tuple[CallWarning, ...]]:
    """A row's files, and what was said of them."""
    unpacked = unpack(packed)
    if not isinstance(unpacked, dict):
        return unpacked, ()
    return unpacked["files"], unpack_warnings(unpacked["warnings"])


def _lasting(stamp: FileStamp) -> tuple[int, int]:
    return (stamp.mtime_ns, stamp.ctime_ns) if stamp.is_settled else (_UNKNOWN, _UNKNOWN)
