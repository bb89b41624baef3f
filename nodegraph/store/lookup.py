"""Looking results up: in what waits for the writer, in the index, in files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from time import perf_counter, time
from typing import Any, Protocol

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.errors import InvalidFile, NodegraphError
from nodegraph.store.backlog import Backlog, QueuedEntry
from nodegraph.store.blobs import Blobs, DamagedBlob, TransferSpeeds
from nodegraph.store.codec import (
    Serializers,
    Undecodable,
    Unstorable,
    decode,
    decode_inline,
    encode,
)
from nodegraph.store.entries import (
    UNLOADED,
    CallResult,
    Entry,
    OutputGone,
    StoredOutput,
    UnsavedOutput,
    unpack_result,
)
from nodegraph.store.index import Index
from nodegraph.store.msgpack_codec import NotLoaded, Relocated
from nodegraph.store.writer import LONGEST_INLINE

_FRESH = 3600.0
"""Seconds within which a second use of an entry isn't noted."""
_ENTRY = """
SELECT outputs, asked, node_type, seconds, created, run, parts, used FROM entries WHERE key = ?
"""
_FILE = "SELECT file, suffix FROM artifacts WHERE digest = ?"


class RemoteValues(Protocol):
    """Values' files that lie elsewhere and can be brought here."""

    def has(self, digest: Digest) -> bool:
        """Whether a value's file can be had, as far as is known."""

    def fetch(self, digest: Digest) -> bool:
        """Bring it; whether it is here now."""

    def make_room(self) -> None:
        """Once what was brought is read: let go of others, if it is too much."""


class Lookup:
    """Finds entries and loads values. A fault of the disk is a miss.

    Args:
        remote: Where values may be had that aren't here any more, or never were.
        on_use: Called for uses: the table, the key or digest, the time.
        on_error: Called for faults.
        relocated: Finds files that values name and that aren't there any more.
    """

    def __init__(
        self,
        index: Index,
        blobs: Blobs,
        backlog: Backlog,
        speeds: TransferSpeeds,
        serializers: Callable[[], Serializers],
        on_use: Callable[[str, Digest, float], None],
        on_error: Callable[[Exception], None],
        remote: RemoteValues | None = None,
        relocated: Relocated = lambda path: None,
    ) -> None:
        self._remote = remote
        self._relocated = relocated
        self._index = index
        self._blobs = blobs
        self._backlog = backlog
        self._speeds = speeds
        self._serializers = serializers
        self._on_use = on_use
        self._on_error = on_error
        self._missing: set[Digest] = set()  # of a store that can't be changed

    def entry(self, key: Key) -> Entry | None:
        """What a key led to, if it is known."""
        put = self._backlog.entry(key)
        if put is not None:
            return self._to_entry(put)
        try:
            row = self._index.fetch_one(_ENTRY, (bytes.fromhex(key),))
        except sqlite3.ProgrammingError:
            raise  # the store is closed
        except sqlite3.Error as error:
            self._on_error(error)
            return None
        if row is None:
            return None
        packed, requested, node_type, seconds, created, run, parts, used = row
        now = time()
        if now - used > _FRESH:
            self._on_use("entries", key, now)
        try:
            call_result = CallResult(()) if packed is None else unpack_result(packed)
        except ValueError as error:
            self._on_error(InvalidFile(f"{error}, so it is computed again"))
            return None
        outputs = None if packed is None else call_result.outputs
        about = (node_type, seconds, created, run, parts)
        return Entry(outputs, requested, *about, call_result.warnings)

    def _to_entry(self, put: QueuedEntry) -> Entry:
        entry = put.entry
        outputs = None
        if entry.outputs is not None:
            outputs = tuple(self._to_stored_output(output) for output in entry.outputs)
        about = (entry.node_type, entry.seconds, put.created, entry.run)
        return Entry(outputs, entry.requested_input, *about, warnings=entry.warnings)

    def _to_stored_output(self, output: UnsavedOutput) -> StoredOutput:
        if output.items is not None:
            items = tuple(self._to_stored_output(item) for item in output.items)
            return StoredOutput(output.digest, output.size, None, items)
        inline = output.inline
        if inline is None and output.size <= 4 * LONGEST_INLINE and output.value is not UNLOADED:
            # Whoever asks now may load it only when the row is all that has it.
            try:
                encoded = encode(output.value, self._serializers())
            except Unstorable:
                return StoredOutput(output.digest, output.size)
            if encoded.size <= LONGEST_INLINE and _is_intact(output):
                inline = encoded.inline()
        return StoredOutput(output.digest, output.size, inline)

    def has(self, output: StoredOutput) -> bool:
        """Whether an output's value can be loaded, as far as can be told without reading it."""
        if output.items is not None:
            return all(self.has(item) for item in output.items)
        if output.inline is not None or self._backlog.value(output.digest) is not None:
            return True
        if output.digest not in self._missing and self._file(output) is not None:
            return True
        return self._remote is not None and self._remote.has(output.digest)

    def _file(self, output: StoredOutput) -> tuple[Digest, str] | None:
        """Digest and suffix of the file that has an output's value.

        The entry's row tells it along, so the index is asked only where that file is gone.
        """
        if output.file is not None and self._blobs.exists(*output.file):
            return output.file
        try:
            row = self._index.fetch_one(_FILE, (bytes.fromhex(output.digest),))
        except sqlite3.ProgrammingError:
            raise  # the store is closed
        except sqlite3.Error as error:
            self._on_error(error)
            return None
        return None if row is None else (row[0].hex(), row[1])

    def load(self, output: StoredOutput) -> Any:
        """An output's value.

        Raises:
            OutputGone: It isn't there any more, never was, or turned out damaged.
        """
        if output.items is not None:
            return [self.load(item) for item in output.items]
        try:
            if output.inline is not None:
                return decode_inline(output.inline, self._serializers(), self._relocated)
            waiting = self._backlog.value(output.digest)
            if waiting is None:
                return self._read(output)
        except NotLoaded as error:  # which is nothing wrong with the disk
            raise OutputGone(str(error)) from error
        except Undecodable as error:
            self._on_error(NodegraphError(f"a result on disk cannot be read: {error}"))
            raise OutputGone(str(error)) from error
        if not _is_intact(waiting):
            raise OutputGone("it was changed after its node returned it")
        return waiting.value

    def _read(self, output: StoredOutput) -> Any:
        try:
            return self._read_here(output)
        except OutputGone:
            if self._remote is None or not self._remote.fetch(output.digest):
                raise
        try:
            return self._read_here(output)
        finally:
            self._remote.make_room()

    def _read_here(self, output: StoredOutput) -> Any:
        digest, location = output.digest, self._file(output)
        if location is None:
            raise OutputGone("it is not stored")
        file, suffix = location
        start = perf_counter()
        try:
            data = self._blobs.read(file, suffix)
        except FileNotFoundError as error:
            self._drop(digest, file, suffix, None)
            raise OutputGone("its file is gone") from error
        except DamagedBlob as error:
            self._drop(digest, file, suffix, error)
            raise OutputGone("its file is damaged") from error
        except OSError as error:
            self._on_error(error)
            raise OutputGone(f"its file cannot be read: {error.strerror or error}") from error
        self._speeds.record_read(len(data), perf_counter() - start)
        self._on_use("artifacts", digest, time())
        return decode(data, suffix, self._serializers(), self._relocated)

    def _drop(self, digest: Digest, file: Digest, suffix: str, damage: DamagedBlob | None) -> None:
        """Forget a file that is missing, or set a damaged one aside."""
        if self._index.read_only:
            self._missing.add(digest)
            return
        try:
            # Under the lock: another process may just be writing it anew.
            with self._index.writing() as connection:
                if damage is None:
                    is_gone = not self._blobs.exists(file, suffix)
                else:
                    is_gone = self._blobs.quarantine(file, suffix, damage.stamp)
                if is_gone:
                    connection.execute(
                        "DELETE FROM artifacts WHERE file = ?", (bytes.fromhex(file),)
                    )
        except (sqlite3.Error, OSError) as error:
            self._on_error(error)


def _is_intact(output: UnsavedOutput) -> bool:
    return output.is_intact is None or output.is_intact()
