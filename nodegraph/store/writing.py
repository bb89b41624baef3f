"""The writer: a thread that commits what was put, many entries at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from threading import Thread
from time import time
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.errors import NodegraphError, OutputError
from nodegraph.store.backlog import Backlog, QueuedEntry, Use
from nodegraph.store.blobs import Blobs
from nodegraph.store.eviction import Eviction, bytes_on_disk, level_of
from nodegraph.store.index import Index
from nodegraph.store.preparing import EncodedBatch, EncodedEntry, EntryEncoder, PendingArtifact
from nodegraph.store.rows import Files, pack_outputs
from nodegraph.store.speeds import TransferSpeeds

SLACK = 0.95
"""Of the budget that is left when the store was full, so that not every batch must evict."""
_PUT_ENTRY = """
INSERT INTO entries (key, outputs, asked, node_type, seconds, created, run, parts, used)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    outputs = excluded.outputs, asked = excluded.asked, node_type = excluded.node_type,
    seconds = excluded.seconds, created = excluded.created, run = excluded.run,
    parts = excluded.parts, used = excluded.used
"""
_PUT_ARTIFACT = """
INSERT INTO artifacts (digest, file, suffix, bytes, seconds, score, used)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (digest) DO UPDATE SET
    score = max(score, excluded.score), used = max(used, excluded.used)
"""
_USE_ENTRY = "UPDATE entries SET used = max(used, ?) WHERE key = ?"
_USE_ARTIFACT = """
UPDATE artifacts SET used = max(used, ?), score = max(score, ? + seconds / bytes) WHERE digest = ?
"""


class StoreWriter:
    """Writes what is put, in a thread of its own.

    Args:
        budget: Bytes that artifacts' files may take in all.
        on_error: Told of what can't be written; work goes on without.
        on_commit: Told of the entries that were committed.
    """

    def __init__(
        self,
        index: Index,
        blobs: Blobs,
        backlog: Backlog,
        eviction: Eviction,
        encoder: EntryEncoder,
        speeds: TransferSpeeds,
        budget: int,
        on_error: Callable[[Exception], None],
        on_commit: Callable[[Sequence[EncodedEntry]], None] | None = None,
    ) -> None:
        self._on_commit = on_commit
        self._index = index
        self._blobs = blobs
        self._backlog = backlog
        self._eviction = eviction
        self._encoder = encoder
        self._speeds = speeds
        self._budget = budget
        self._on_error = on_error
        self._thread = Thread(target=self._work, name="nodegraph-store", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the closed backlog is written."""
        self._thread.join()
        self._encoder.close()

    def _work(self) -> None:
        while (work := self._backlog.take()) is not None:
            batch, uses = work
            error: Exception | None = None
            try:
                self._write(batch, uses)
            except Exception as caught:  # noqa: BLE001 - whoever waits for the batch is told
                self._on_error(caught)
                error = caught
            self._backlog.done(batch, error)
            self._notify(batch)
            # What a batch held must not stay in memory until the next.
            del batch, work

    def _notify(self, batch: Iterable[QueuedEntry]) -> None:
        for put in batch:
            if put.committed is not None:
                try:
                    put.committed()
                except Exception as error:  # noqa: BLE001 - the others are told all the same
                    self._on_error(error)

    def _write(self, batch: Sequence[QueuedEntry], uses: Sequence[Use]) -> None:
        prepared = EncodedBatch()
        try:
            for put in batch:
                self._encoder.add(put, prepared)
            self._encoder.finish(prepared)
            with self._index.writing() as connection:
                self._commit(connection, prepared, uses)
                is_full = bytes_on_disk(connection) > self._budget
        except BaseException:
            # Those that have their final name already have no row: a sweep takes them.
            for file in prepared.files.values():
                self._blobs.discard(file.staged)
            raise
        if self._on_commit is not None:
            self._on_commit(prepared.rows)
        if is_full:
            self._eviction.trim(int(self._budget * SLACK), 2 * self._budget)

    def _commit(
        self, connection: sqlite3.Connection, prepared: EncodedBatch, uses: Sequence[Use]
    ) -> None:
        now = time()
        level = level_of(connection)
        files = dict(prepared.known)
        for file in prepared.files.values():
            try:
                files[file.digest] = self._insert_artifact(connection, file, level, now)
            except OSError as error:
                self._on_error(error)
                self._blobs.discard(file.staged)
        connection.executemany(_PUT_ENTRY, [_values(row, files) for row in prepared.rows])
        used = [(now, level, bytes.fromhex(digest)) for digest in prepared.known]
        used += [
            (when, level, bytes.fromhex(digest))
            for (table, digest), when in uses
            if table == "artifacts"
        ]
        connection.executemany(_USE_ARTIFACT, used)
        connection.executemany(
            _USE_ENTRY,
            [(when, bytes.fromhex(key)) for (table, key), when in uses if table == "entries"],
        )
        if prepared.files:
            self._speeds.save(connection)

    def _insert_artifact(
        self, connection: sqlite3.Connection, file: PendingArtifact, level: float, now: float
    ) -> tuple[Digest, str]:
        """Give a file its name, and a row; gives the digest and suffix of the one that counts."""
        digest = bytes.fromhex(file.digest)
        blob = file.staged.blob
        query = "SELECT file, suffix FROM artifacts WHERE digest = ?"
        known = connection.execute(query, (digest,)).fetchone()
        if known is not None and known[0].hex() != blob.digest:
            # Another process wrote an equal value in other bytes.
            if self._blobs.exists(known[0].hex(), known[1]):
                self._blobs.discard(file.staged)
                return known[0].hex(), known[1]
            connection.execute("DELETE FROM artifacts WHERE digest = ?", (digest,))
        self._blobs.commit(file.staged)
        score = level + file.seconds / blob.bytes
        values = (digest, bytes.fromhex(blob.digest), blob.suffix, blob.bytes, file.seconds)
        connection.execute(_PUT_ARTIFACT, (*values, score, now))
        return blob.digest, blob.suffix


def _values(row: EncodedEntry, files: Files) -> tuple[Any, ...]:
    put, entry = row.put, row.put.entry
    outputs = None
    if row.outputs is not None:
        outputs = pack_outputs(row.outputs, files, entry.warnings)
    return (
        bytes.fromhex(put.key),
        outputs,
        entry.requested_input,
        entry.node_type,
        entry.seconds,
        put.created,
        entry.run,
        row.parts,
        put.created,
    )


def to_store_error(error: Exception) -> NodegraphError:
    """What went wrong with the store, in words."""
    if isinstance(error, NodegraphError):
        return error
    if isinstance(error, OSError):
        return OutputError(f"can't write to the store: {error.strerror or error}")
    if isinstance(error, sqlite3.Error):
        return OutputError(f"can't write to the store's index: {error}")
    return OutputError(f"can't store a result: {type(error).__name__}: {error}")
