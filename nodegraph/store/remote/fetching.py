"""From the shared place into the local tier: entries by key, files by digest, each one checked."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from time import perf_counter

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.store.blobs import Blobs, StagedBlob
from nodegraph.store.eviction import bytes_on_disk
from nodegraph.store.index import Index
from nodegraph.store.remote.ledger import Ledger
from nodegraph.store.remote.objects import RemoteEntry, RemoteFile, entry_name, unpack_entry
from nodegraph.store.remote.place import ObjectStorage, Reachability, Unreachable
from nodegraph.store.rows import repack_outputs
from nodegraph.store.speeds import TransferSpeeds
from nodegraph.store.taking_in import find_value_file, insert_entries, insert_value_file

_LOG = logging.getLogger(__name__)


class RemoteFetcher:
    """Brings what others have computed. Safe to use from several threads.

    What is damaged there is never taken: it is named in the log, and is as if it weren't there.

    Args:
        budget: Bytes; a larger file isn't brought.
    Attributes:
        is_full: Whether the local tier holds more than its budget, by what was brought.
        unusable: Names of objects that were found damaged or gone: they aren't asked for again, and
            written anew once what they should hold is here.
    """

    def __init__(
        self,
        storage: ObjectStorage,
        reach: Reachability,
        ledger: Ledger,
        index: Index,
        blobs: Blobs,
        speeds: TransferSpeeds,
        budget: int,
    ) -> None:
        self._storage = storage
        self._reach = reach
        self._ledger = ledger
        self._index = index
        self._blobs = blobs
        self._speeds = speeds
        self._budget = budget
        self.is_full = False
        self.unusable: set[str] = set()

    def entry(self, key: Key) -> RemoteEntry | None:
        """What a key led to elsewhere; None if nobody has told.

        Raises:
            Unreachable: It can't be asked now.
        """
        name = entry_name(key)
        start = perf_counter()
        try:
            data = self._storage.read(name)
        except FileNotFoundError:
            self._reach.note_answer()
            return None
        self._speeds.record_read(len(data), perf_counter() - start)
        self._reach.note_answer()
        try:
            return unpack_entry(data, key)
        except ValueError as error:
            self._found_unusable(name, str(error))
            return None

    def save_entry(self, entry: RemoteEntry) -> None:
        """Keep an entry here; one that is here already stays.

        Raises:
            sqlite3.Error: The index can't be written.
        """
        packed = None
        if entry.outputs is not None:
            files = {each.digest: (each.file, each.suffix) for each in entry.files}
            packed = repack_outputs(entry.outputs, files)
        about = (entry.node_type, entry.seconds, entry.created, entry.run, entry.parts)
        self._ledger.remember([each for each in entry.files if each.name not in self.unusable])
        with self._index.writing() as connection:
            insert_entries(
                connection, [(bytes.fromhex(entry.key), packed, entry.requested_input, *about)]
            )

    def has(self, digest: Digest) -> bool:
        """Whether a value can be had there, as far as is known here."""
        if self._reach.is_unreachable:
            return False
        file = self._ledger.file(digest)
        return file is not None and file.bytes <= self._budget

    def file(self, digest: Digest) -> bool:
        """Bring a value's file into the local tier; whether it is there now."""
        remote_file = None if self._reach.is_unreachable else self._ledger.file(digest)
        if remote_file is None or remote_file.bytes > self._budget:
            return False
        try:
            staged = self._staged(remote_file)
        except Unreachable as error:
            self._reach.note_failure(error)
            return False
        except FileNotFoundError:
            self._found_unusable(remote_file.name, "it is told of, and not there")
            self._ledger.forget(digest)
            return False
        if staged.blob.digest != remote_file.file or staged.blob.bytes != remote_file.bytes:
            self._blobs.discard(staged)
            self._ledger.forget(digest)
            self._found_unusable(remote_file.name, "its bytes aren't those that its name promises")
            return False
        self._keep(remote_file, staged)
        return True

    def _staged(self, file: RemoteFile) -> StagedBlob:
        start = perf_counter()
        staged = self._blobs.stage(self._storage.chunks(file.name, file.bytes), file.suffix)
        self._speeds.record_read(staged.blob.bytes, perf_counter() - start)
        self._reach.note_answer()
        return staged

    def _keep(self, file: RemoteFile, staged: StagedBlob) -> None:
        try:
            with self._index.writing() as connection:
                if not insert_value_file(connection, self._blobs, file, staged):
                    self._blobs.discard(staged)
                    return
                is_full = bytes_on_disk(connection) > self._budget
        except (sqlite3.Error, OSError):
            self._blobs.discard(staged)
            raise
        self.is_full = self.is_full or is_full

    def _found_unusable(self, name: str, reason: str) -> None:
        self.unusable.add(name)
        _LOG.warning("%s of the remote store %s is left alone: %s", name, self._storage.url, reason)


def files_of(index: Index, digests: Sequence[Digest]) -> tuple[RemoteFile, ...]:
    """The local tier's files of some values, as others are told of them."""
    rows = (find_value_file(index, digest) for digest in dict.fromkeys(digests))
    return tuple(RemoteFile(*row) for row in rows if row is not None)
