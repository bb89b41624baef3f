"""Store writer: encodes values and commits queued entries in batches."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Thread
from time import perf_counter, time
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.core.summary import summarize
from nodegraph.core.values import Recipe
from nodegraph.errors import NodegraphError, OutputError
from nodegraph.store.artifacts import Eviction, bytes_on_disk, level_of
from nodegraph.store.backlog import Backlog, QueuedEntry, Use, leaves
from nodegraph.store.blobs import Blobs, StagedBlob, TransferSpeeds
from nodegraph.store.codec import Encoded, Serializers, Unstorable, encode
from nodegraph.store.entries import (
    UNLOADED,
    Files,
    SharedValue,
    StoredOutput,
    UnsavedOutput,
    pack_outputs,
    unpack_outputs,
)
from nodegraph.store.index import Index
from nodegraph.store.msgpack_codec import SerializerFailed
from nodegraph.store.packing import pack

LONGEST_INLINE = 4096
"""Bytes of an encoded value that go into the entry's row."""
LONGEST_RECIPE = 1 << 18
"""The same of a model's recipe. Manifests of later runs need it, and it is never worth a file."""
_SYNCING = 4
"""Files that are brought onto the disk at once: most of that is waiting."""
_MOST_VALUES = 200
"""Values in one SELECT."""


@dataclass(frozen=True, slots=True)
class EncodedEntry:
    """An entry that is ready to be written."""

    put: QueuedEntry
    outputs: tuple[StoredOutput, ...] | None
    parts: bytes | None = None


@dataclass(frozen=True, slots=True)
class PendingArtifact:
    """A file that is to become an artifact.

    Attributes:
        seconds: Its share of those that its call took.
        synced: Done once its bytes are on the disk; gives the seconds that writing took.
    """

    digest: Digest
    staged: StagedBlob
    seconds: float
    synced: Future[float]


@dataclass(slots=True)
class EncodedBatch:
    """What one transaction is to write.

    Attributes:
        stored: Values that are on disk already, and their files.
        known: Those of them that were put again.
        intact: Whether values, by identity, are those that their digests name. Found out while
            all calls that were handed them have ended, so once is enough for all of these.
    """

    rows: list[EncodedEntry] = field(default_factory=list)
    files: dict[Digest, PendingArtifact] = field(default_factory=dict)
    stored: dict[Digest, tuple[Digest, str]] = field(default_factory=dict)
    known: dict[Digest, tuple[Digest, str]] = field(default_factory=dict)
    intact: dict[int, bool] = field(default_factory=dict)


class EntryEncoder:
    """Encodes values and writes their files, still under temporary names.

    Args:
        budget: Bytes; a larger file isn't written.
        on_error: Told of what can't be stored; its entry is kept without the value.
        keep_cheap: Values are written, too, that are quicker to compute again.
    """

    def __init__(
        self,
        index: Index,
        blobs: Blobs,
        speeds: TransferSpeeds,
        serializers: Callable[[], Serializers],
        budget: int,
        on_error: Callable[[Exception], None],
        *,
        keep_cheap: bool = False,
    ) -> None:
        self._index = index
        self._blobs = blobs
        self._speeds = speeds
        self._keep_cheap = keep_cheap
        self._serializers = serializers
        self._budget = budget
        self._on_error = on_error
        self._pool = ThreadPoolExecutor(_SYNCING, "nodegraph-store-sync")

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def finish(self, prepared: EncodedBatch) -> None:
        """Wait until all files are on the disk; what doesn't get there is left out."""
        for file in tuple(prepared.files.values()):
            try:
                self._speeds.record_write(file.staged.blob.bytes, file.synced.result())
            except OSError as error:
                self._on_error(error)
                self._blobs.discard(file.staged)
                del prepared.files[file.digest]

    def prepare(self, batch: Iterable[QueuedEntry]) -> EncodedBatch:
        """Begin a batch; which of its values are on disk already is asked for all at once."""
        prepared = EncodedBatch()
        large = {
            leaf.digest
            for put in batch
            for leaf in leaves(put.entry.outputs or ())
            if leaf.inline is None and leaf.size > LONGEST_INLINE
        }
        digests = [*map(bytes.fromhex, large)]
        for at in range(0, len(digests), _MOST_VALUES):
            some = digests[at : at + _MOST_VALUES]
            marks = ", ".join("?" * len(some))
            query = f"SELECT digest, file, suffix FROM artifacts WHERE digest IN ({marks})"  # noqa: S608 - no values
            with self._index.reading() as connection:
                rows = connection.execute(query, some).fetchall()
            prepared.stored |= {digest.hex(): (file.hex(), end) for digest, file, end in rows}
        return prepared

    def add(self, put: QueuedEntry, prepared: EncodedBatch) -> None:
        """Prepare an entry, unless what it was computed from isn't what it was taken for."""
        if not all(self._is_sound(source, prepared) for source in put.entry.sources):
            return
        try:
            row = self._row(put, prepared)
        except Exception as error:  # noqa: BLE001 - packs' values and devices may raise anything
            self._on_error(error)
            outputs = put.entry.outputs
            row = EncodedEntry(put, None if outputs is None else tuple(map(_bare, outputs)))
        prepared.rows.append(row)

    def _is_sound(self, source: SharedValue, prepared: EncodedBatch) -> bool:
        known = prepared.intact.get(id(source.value))
        if known is None:
            known = prepared.intact[id(source.value)] = source.is_intact()
        if not known:
            source.on_changed()
            self._on_error(
                NodegraphError(
                    "an input of a result changed while it was computed, so the result is not "
                    "stored",
                    given=summarize(source.value),
                    hint="`nodegraph run --check-mutation` names the node that changes its input.",
                )
            )
        return known

    def _row(self, put: QueuedEntry, prepared: EncodedBatch) -> EncodedEntry:
        entry = put.entry
        parts = None if entry.parts is None else pack(entry.parts())
        if entry.outputs is None:
            return EncodedEntry(put, None, parts)
        call = _Call(put.key, prepared)
        outputs = tuple(self._stored(output, call) for output in entry.outputs)
        self._write(entry.seconds, call)
        return EncodedEntry(put, outputs, parts)

    def _stored(self, output: UnsavedOutput, call: _Call) -> StoredOutput:
        if output.items is not None:
            items = tuple(self._stored(item, call) for item in output.items)
            return StoredOutput(output.digest, output.size, None, items)
        inline = output.inline
        if inline is None and not self._is_on_disk(output, call.prepared):
            inline = self._inline(output, call)
        return StoredOutput(output.digest, output.size, inline)

    def _is_on_disk(self, output: UnsavedOutput, prepared: EncodedBatch) -> bool:
        if output.digest in prepared.files:
            return True
        file = prepared.stored.get(output.digest)
        if file is not None:
            prepared.known[output.digest] = file
        return file is not None

    def _inline(self, output: UnsavedOutput, call: _Call) -> bytes | None:
        """The encoded value, if it is small; a large one is noted."""
        if output.value is UNLOADED:
            # It came from this very row, maybe.
            return self._inlines(call).get(output.digest)
        try:
            encoded = encode(output.value, self._serializers())
        except SerializerFailed as error:
            self._on_error(NodegraphError(f"a result is not stored on disk: {error}"))
            return None
        except Unstorable:
            return None
        longest = LONGEST_RECIPE if isinstance(output.value, Recipe) else LONGEST_INLINE
        if encoded.size > longest:
            call.large[output.digest] = _Large(encoded, output)
            return None
        inline = encoded.inline()
        return inline if self._is_intact(output, call.prepared) else None

    def _is_intact(self, output: UnsavedOutput, prepared: EncodedBatch) -> bool:
        """Asked once the value's bytes were read, so it counts for those who used it, too."""
        if output.is_intact is None:
            return True
        is_intact = prepared.intact[id(output.value)] = output.is_intact()
        if is_intact:
            return True
        self._on_error(
            NodegraphError(
                "a result was changed after its node returned it, so it is not stored",
                given=summarize(output.value),
                hint="`nodegraph run --check-mutation` names the node that changes its input.",
            )
        )
        return False

    def _inlines(self, call: _Call) -> Mapping[Digest, bytes]:
        if call.inlines is None:
            query = "SELECT outputs FROM entries WHERE key = ?"
            row = self._index.fetch_one(query, (bytes.fromhex(call.key),))
            outputs = () if row is None or row[0] is None else unpack_outputs(row[0])
            call.inlines = dict(_inlines_of(outputs))
        return call.inlines

    def _write(self, seconds: float, call: _Call) -> None:
        """Write the large values of a call, if that is worth it."""
        size = sum(large.encoded.size for large in call.large.values())
        if not size:
            return
        is_cheap = seconds <= self._speeds.round_trip_seconds(len(call.large), size)
        if is_cheap and not self._keep_cheap:
            return
        for digest, large in call.large.items():
            encoded = large.encoded
            if encoded.size > self._budget:
                continue
            start = perf_counter()
            staged = self._blobs.stage(encoded.chunks(), encoded.suffix, sync=False)
            took = perf_counter() - start
            if not self._is_intact(large.output, call.prepared):
                self._blobs.discard(staged)
                continue
            synced = self._pool.submit(self._sync, staged, took)
            share = seconds * encoded.size / size
            call.prepared.files[digest] = PendingArtifact(digest, staged, share, synced)

    def _sync(self, staged: StagedBlob, before: float) -> float:
        start = perf_counter()
        self._blobs.sync(staged)
        return before + perf_counter() - start


@dataclass(frozen=True, slots=True)
class _Large:
    """A value that may become a file."""

    encoded: Encoded
    output: UnsavedOutput


@dataclass(slots=True)
class _Call:
    """What one entry needs on the way."""

    key: Key
    prepared: EncodedBatch
    large: dict[Digest, _Large] = field(default_factory=dict)
    inlines: dict[Digest, bytes] | None = None


def _bare(output: UnsavedOutput) -> StoredOutput:
    items = None if output.items is None else tuple(map(_bare, output.items))
    return StoredOutput(output.digest, output.size, output.inline, items)


def _inlines_of(outputs: Sequence[StoredOutput]) -> Iterator[tuple[Digest, bytes]]:
    for output in outputs:
        if output.inline is not None:
            yield output.digest, output.inline
        yield from _inlines_of(output.items or ())


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
        prepared = self._encoder.prepare(batch)
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
        return OutputError(f"cannot write to the store: {error.strerror or error}")
    if isinstance(error, sqlite3.Error):
        return OutputError(f"cannot write to the store's index: {error}")
    return OutputError(f"cannot store a result: {type(error).__name__}: {error}")
