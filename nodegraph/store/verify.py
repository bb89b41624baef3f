"""Whether a store holds what it says that it holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.store.blobs import Blob, Blobs
from nodegraph.store.checkpoints import Checkpoints
from nodegraph.store.entries import unpack_outputs
from nodegraph.store.packing import unpack
from nodegraph.store.store import Store

Progress = Callable[[int, int], None]
"""Is told how many bytes of how many were checked."""

_AT_ONCE = 1000
_USED = {
    "artifacts": "SELECT 1 FROM artifacts WHERE file = ? LIMIT 1",
    "checkpoints": "SELECT 1 FROM checkpoints WHERE file = ? LIMIT 1",
}
_FORGET = {
    "artifacts": "DELETE FROM artifacts WHERE file = ?",
    "checkpoints": "DELETE FROM checkpoints WHERE file = ?",
}
_BYTES = "SELECT coalesce(sum(bytes), 0) FROM (SELECT DISTINCT file, bytes FROM artifacts)"


@dataclass(slots=True)
class VerifyReport:
    """What was found.

    Attributes:
        files, bytes: That were read.
        index: What SQLite finds wrong with the index.
        damaged: Files that don't hold what their names say.
        missing: Files that the index tells of and that aren't there.
        unreadable: Files that can't be read now, with the reason.
        unknown: Files that the index doesn't tell of.
        entries: Keys of entries that can't be read.
        count_is_off: Whether the index's count of bytes was wrong.
        repaired: Whether damaged files were set aside, unknown ones deleted and rows mended.
    """

    files: int = 0
    bytes: int = 0
    index: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    entries: list[Key] = field(default_factory=list)
    count_is_off: bool = False
    repaired: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong. Files that nobody knows of only take room."""
        wrong = (self.index, self.damaged, self.missing, self.unreadable, self.entries)
        return not any(wrong) and not self.count_is_off


def verify(store: Store, *, repair: bool = False, progress: Progress | None = None) -> VerifyReport:
    """Read everything in a store and compare it with the names and the index.

    Other processes may go on with the store meanwhile.

    Args:
        repair: Set damaged files aside, delete unknown ones, and forget what isn't there: it will
            be computed again. An index that is damaged itself can't be repaired.
        progress: Called after each file.
    Raises:
        OutputError: The store can't be written, to be repaired.
    """
    store.flush()
    checking = _Checking(store, progress or _no_progress, repair=repair and not store.read_only)
    return checking.report()


def _no_progress(done: int, total: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class _Folder:
    """Files of one kind.

    Attributes:
        table: The one that tells of them.
    """

    table: str
    blobs: Blobs
    known: Sequence[Blob]


class _Checking:
    """One check of a store."""

    def __init__(self, store: Store, progress: Progress, *, repair: bool) -> None:
        self._store = store
        self._index = store.index
        self._progress = progress
        self._repair = repair
        self._checkpoints = Checkpoints(store)
        self._report = VerifyReport(repaired=repair)

    def report(self) -> VerifyReport:
        self._check_index()
        if self._report.index:
            # What it says of the files can't be relied on.
            self._report.repaired = False
            return self._report
        folders = [
            _Folder("artifacts", self._store.blobs, self._artifacts()),
            _Folder("checkpoints", self._checkpoints.blobs, self._checkpoints.blobs_in_use()),
        ]
        total = sum(blob.bytes for folder in folders for blob in folder.known)
        for folder in folders:
            for blob in folder.known:
                self._check_file(folder, blob)
                self._progress(self._report.bytes, total)
            self._find_unknown(folder)
        self._check_entries()
        self._check_count()
        if self._repair:
            self._store.sweep()
            self._checkpoints.sweep()
        return self._report

    def _check_index(self) -> None:
        try:
            with self._index.reading() as connection:
                rows = connection.execute("PRAGMA integrity_check(20)").fetchall()
        except sqlite3.DatabaseError as error:
            rows = [(str(error),)]
        self._report.index = [text for (text,) in rows if text != "ok"]

    def _artifacts(self) -> list[Blob]:
        with self._index.reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT file, suffix, bytes FROM artifacts"
            ).fetchall()
        return [Blob(file.hex(), suffix, size) for file, suffix, size in rows]

    def _check_file(self, folder: _Folder, blob: Blob) -> None:
        path = folder.blobs.path(blob.digest, blob.suffix)
        name = f"{folder.table}/{path.parent.name}/{path.name}"
        report = self._report
        report.files += 1
        report.bytes += blob.bytes
        stamp: tuple[int, int, int] | None = None
        try:
            with suppress(FileNotFoundError):
                status = path.stat()
                stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
            if folder.blobs.check(blob.digest, blob.suffix):
                return
        except OSError as error:
            report.unreadable.append(f"{name}: {error.strerror or error}")
            return
        if not self._is_used(folder.table, blob.digest):
            return  # it was evicted in the meantime
        (report.missing if stamp is None else report.damaged).append(name)
        if self._repair:
            self._forget(folder, blob, stamp)

    def _is_used(self, table: str, file: Digest) -> bool:
        return self._index.fetch_one(_USED[table], (bytes.fromhex(file),)) is not None

    def _forget(self, folder: _Folder, blob: Blob, stamp: tuple[int, int, int] | None) -> None:
        blobs = folder.blobs
        with self._index.writing() as connection:
            # Another process may have written it anew by now.
            if stamp is None:
                is_gone = not blobs.exists(blob.digest, blob.suffix)
            else:
                is_gone = blobs.quarantine(blob.digest, blob.suffix, stamp)
            if is_gone:
                connection.execute(_FORGET[folder.table], (bytes.fromhex(blob.digest),))

    def _find_unknown(self, folder: _Folder) -> None:
        for blob in list(folder.blobs):
            if not self._is_known(folder, blob):
                path = folder.blobs.path(blob.digest, blob.suffix)
                self._report.unknown.append(f"{folder.table}/{path.parent.name}/{path.name}")

    def _is_known(self, folder: _Folder, blob: Blob) -> bool:
        try:
            name = bytes.fromhex(blob.digest)
        except ValueError:
            return False
        if self._index.fetch_one(_USED[folder.table], (name,)) is not None:
            return True
        if self._store.read_only:
            return False
        # Once more with the lock: it may have been placed just now, its row not yet committed.
        with self._index.writing() as connection:
            return connection.execute(_USED[folder.table], (name,)).fetchone() is not None

    def _check_entries(self) -> None:
        number = -1
        while True:
            with self._index.reading() as connection:
                rows = connection.execute(
                    "SELECT rowid, key, outputs, asked, parts FROM entries"
                    " WHERE rowid > ? ORDER BY rowid LIMIT ?",
                    (number, _AT_ONCE),
                ).fetchall()
            bad = [key for _, key, *columns in rows if not _is_readable(*columns)]
            self._report.entries += [key.hex() for key in bad]
            if bad and self._repair:
                with self._index.writing() as connection:
                    connection.executemany(
                        "DELETE FROM entries WHERE key = ?", [(key,) for key in bad]
                    )
            if len(rows) < _AT_ONCE:
                return
            number = rows[-1][0]

    def _check_count(self) -> None:
        with self._index.reading() as connection:
            # Within one statement, as other processes add to both.
            query = f"SELECT ({_BYTES}) - value FROM meta WHERE name = 'bytes'"  # noqa: S608
            row = connection.execute(query).fetchone()
        self._report.count_is_off = row is None or row[0] != 0
        if self._report.count_is_off and self._repair:
            with self._index.writing() as connection:
                connection.execute(
                    f"INSERT OR REPLACE INTO meta VALUES ('bytes', ({_BYTES}))"  # noqa: S608
                )


def _is_readable(outputs: bytes | None, requested: str | None, parts: bytes | None) -> bool:
    try:
        if outputs is not None:
            unpack_outputs(outputs)
        if parts is not None:
            unpack(parts)
    except (ValueError, TypeError, AttributeError):
        return False
    return outputs is not None or requested is not None
