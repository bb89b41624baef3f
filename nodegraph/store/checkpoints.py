"""Unfinished work on disk, so that a call that was killed goes on from its last step."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection
from typing import Any, NamedTuple

from nodegraph.core.context import Checkpoint
from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.store.blobs import Blob, Blobs, DamagedBlob
from nodegraph.store.codec import MSGPACK, SAFETENSORS, Undecodable, decode, encode
from nodegraph.store.index import Index
from nodegraph.store.store import Store

_BUDGET = 4 << 30
_FOLDER = "checkpoints"
_PUT = """
INSERT OR REPLACE INTO checkpoints (key, step, total, file, bytes, created)
VALUES (?, ?, ?, ?, ?, ?)
"""


class CheckpointRow(NamedTuple):
    """A checkpoint, as the index knows it."""

    key: Key
    step: int
    total: int
    file: Digest
    bytes: int
    created: float


class Checkpoints:
    """The last checkpoint of each call that isn't finished, for all processes of a store.

    Safe to use from several threads. Whenever a process is killed, there is the checkpoint
    before or the new one, whole.

    Args:
        budget: Bytes that all checkpoints may take; beyond, the oldest go.
    """

    def __init__(self, store: Store, *, budget: int = _BUDGET) -> None:
        self._index = store.index
        self._budget = budget
        self.blobs = Blobs(store.folder, name=_FOLDER, owner=store.owner)

    def save(self, key: Key, step: int, total: int, state: Mapping[str, Any]) -> None:
        """Keep this one and forget the one before.

        Args:
            step, total: Step `step` of `total` was done.
            state: Plain values and tensors.
        Raises:
            Unstorable: There is something else in the state.
            OSError: No space, no permission; the one before stays.
            sqlite3.Error: The index can't be written; the one before stays.
        """
        encoded = encode(dict(state), {})
        staged = self.blobs.stage(encoded.chunks(), encoded.suffix)
        name = bytes.fromhex(key)
        file = bytes.fromhex(staged.blob.digest)
        try:
            with self._index.writing() as connection:
                before = _file(connection, key)
                self.blobs.commit(staged)
                row = (name, step, total, file, staged.blob.bytes, time.time())
                connection.execute(_PUT, row)
        except BaseException:
            self.blobs.discard(staged)
            raise
        # Only now that the row is there for good, a power cut included.
        if before is not None:
            _sync(self._index)
            with self._index.writing() as connection:
                self._remove_unused(connection, before)
        self.prune(self._budget, spared=key)

    def load(self, key: Key) -> Checkpoint | None:
        """The checkpoint of a key, if it is there whole; one that is damaged is set aside."""
        while (row := self._row(key)) is not None:
            suffix = self._suffix(row.file)
            try:
                data = self.blobs.read(row.file, suffix)
                return Checkpoint(row.step, row.total, decode(data, suffix, {}))
            except DamagedBlob as damage:
                self._drop(row, suffix, damage)
            except FileNotFoundError:
                # Another process may have saved a later one in the meantime.
                if self._row(key) == row:
                    self._drop(row, suffix)
                    return None
            except Undecodable:
                # By another version of the engine: of no use to this one.
                return None
            if self._index.read_only:
                return None
        return None

    def _row(self, key: Key) -> CheckpointRow | None:
        row = self._index.fetch_one(
            "SELECT key, step, total, file, bytes, created FROM checkpoints WHERE key = ?",
            (bytes.fromhex(key),),
        )
        return None if row is None else _row(row)

    def _suffix(self, file: Digest) -> str:
        return SAFETENSORS if self.blobs.exists(file, SAFETENSORS) else MSGPACK

    def _drop(self, row: CheckpointRow, suffix: str, damage: DamagedBlob | None = None) -> None:
        if self._index.read_only:
            return
        with self._index.writing() as connection:
            if damage is not None:
                self.blobs.quarantine(row.file, suffix, damage.stamp)
            connection.execute(
                "DELETE FROM checkpoints WHERE key = ? AND file = ?",
                (bytes.fromhex(row.key), bytes.fromhex(row.file)),
            )

    def remove(self, key: Key) -> None:
        """Forget a key's checkpoint, if there is one.

        Raises:
            sqlite3.Error: The index can't be written.
        """
        if self._row(key) is None:
            return
        with self._index.writing() as connection:
            self._forget(connection, key)

    def prune(self, budget: int, spared: Key | None = None) -> int:
        """Forget the oldest, but for one that is spared, until all take no more than so many bytes.

        Returns:
            How many were forgotten.
        """
        excess = self._index.fetch_one("SELECT sum(bytes) FROM checkpoints")[0] or 0
        if excess <= budget:
            return 0
        count = 0
        with self._index.writing() as connection:
            rows = connection.execute(
                "SELECT key, bytes FROM checkpoints ORDER BY created"
            ).fetchall()
            excess = sum(size for _, size in rows) - budget
            for name, size in rows:
                if excess <= 0:
                    break
                if name.hex() != spared:
                    self._forget(connection, name.hex())
                    excess -= size
                    count += 1
        return count

    def _forget(self, connection: Connection, key: Key) -> None:
        before = _file(connection, key)
        connection.execute("DELETE FROM checkpoints WHERE key = ?", (bytes.fromhex(key),))
        if before is not None:
            self._remove_unused(connection, before)

    def _remove_unused(self, connection: Connection, file: Digest) -> None:
        if not _is_used(connection, file):
            for suffix in (SAFETENSORS, MSGPACK):
                self.blobs.remove(file, suffix)

    def rows(self) -> list[CheckpointRow]:
        """All that are kept, the oldest first."""
        with self._index.reading() as connection:
            rows = connection.execute(
                "SELECT key, step, total, file, bytes, created FROM checkpoints ORDER BY created"
            ).fetchall()
        return [_row(row) for row in rows]

    def blobs_in_use(self) -> list[Blob]:
        """The files of all that are kept."""
        return [
            Blob(file, self._suffix(file), size)
            for file, size in {(row.file, row.bytes) for row in self.rows()}
        ]

    def sweep(self) -> int:
        """Delete files that no row tells of.

        Returns:
            How many were deleted.
        """
        count = 0
        blobs = list(self.blobs)
        known = {row.file for row in self.rows()}
        for blob in blobs:
            if blob.digest in known:
                continue
            # Once more with the lock: one may have been placed just now.
            with self._index.writing() as connection:
                if not _is_used(connection, blob.digest):
                    self.blobs.remove(blob.digest, blob.suffix)
                    count += 1
        return count


def _row(row: tuple[Any, ...]) -> CheckpointRow:
    key, step, total, file, size, created = row
    return CheckpointRow(key.hex(), step, total, file.hex(), size, created)


def _file(connection: Connection, key: Key) -> Digest | None:
    query = "SELECT file FROM checkpoints WHERE key = ?"
    row = connection.execute(query, (bytes.fromhex(key),)).fetchone()
    return None if row is None else Digest(row[0].hex())


def _is_used(connection: Connection, file: Digest) -> bool:
    try:
        name = bytes.fromhex(file)
    except ValueError:
        return False
    query = "SELECT 1 FROM checkpoints WHERE file = ? LIMIT 1"
    return connection.execute(query, (name,)).fetchone() is not None


def _sync(index: Index) -> None:
    """Let what was committed survive a power cut."""
    journal = Path(f"{index.path}-wal")
    with suppress(FileNotFoundError), journal.open("rb+") as file:
        os.fsync(file.fileno())
