"""Transfers between the local tier and shared storage, in both directions."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from threading import Condition, Lock, Thread
from time import monotonic, perf_counter

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.store.artifacts import (
    bytes_on_disk,
    find_value_file,
    insert_entries,
    insert_value_file,
)
from nodegraph.store.blobs import Blobs, StagedBlob, TransferSpeeds
from nodegraph.store.entries import leaves, repack_outputs, unpack_outputs
from nodegraph.store.index import Index
from nodegraph.store.remote.ledger import Ledger
from nodegraph.store.remote.object_storage import (
    AccessDenied,
    ObjectStorage,
    Reachability,
    Unreachable,
)
from nodegraph.store.remote.objects import (
    RemoteEntry,
    RemoteFile,
    entry_name,
    pack_entry,
    unpack_entry,
)

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
            self._found_unusable(remote_file.name, "it is listed but missing")
            self._ledger.forget(digest)
            return False
        if staged.blob.digest != remote_file.file or staged.blob.bytes != remote_file.bytes:
            self._blobs.discard(staged)
            self._ledger.forget(digest)
            self._found_unusable(remote_file.name, "its bytes do not match its name")
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
        _LOG.warning("%s of the remote store %s is ignored: %s", name, self._storage.url, reason)


def files_of(index: Index, digests: Sequence[Digest]) -> tuple[RemoteFile, ...]:
    """The local tier's files of some values, as others are told of them."""
    rows = (find_value_file(index, digest) for digest in dict.fromkeys(digests))
    return tuple(RemoteFile(*row) for row in rows if row is not None)


_AT_ONCE = 64
_IDLE = 20.0
"""Seconds between two looks at what dead processes have left."""
_ENTRY = """
SELECT outputs, asked, node_type, seconds, created, run, parts FROM entries WHERE key = ?
"""


class RemoteSender:
    """Brings entries and their files to the place, in a thread of its own.

    An entry goes after its files, so whoever sees it finds them. One that is there already stays:
    of two machines that computed one key, the first counts.

    Args:
        owner: Of the claim that this process holds.
        is_alive: Whether the process behind another one's name still runs.
        may_send: Asked right before an entry goes: False where another machine has taken over.
        ended: Told the keys that are done with, and whether they are there.
    """

    def __init__(
        self,
        storage: ObjectStorage,
        reach: Reachability,
        ledger: Ledger,
        fetching: RemoteFetcher,
        index: Index,
        blobs: Blobs,
        speeds: TransferSpeeds,
        *,
        owner: str,
        is_alive: Callable[[str], bool],
        may_send: Callable[[Key], bool],
        ended: Callable[[Key, bool], None],
    ) -> None:
        self._storage = storage
        self._reach = reach
        self._ledger = ledger
        self._fetching = fetching
        self._index = index
        self._blobs = blobs
        self._speeds = speeds
        self._owner = owner
        self._is_alive = is_alive
        self._may_send = may_send
        self._ended = ended
        self._changed = Condition(Lock())
        self._is_waiting = True  # what was left by others is looked at first
        self._is_refused = False
        self._end: float | None = None
        self._thread = Thread(target=self._work, name="nodegraph-remote", daemon=True)
        self._thread.start()

    def add(self, keys: Collection[Key]) -> None:
        """Bring entries there, soon."""
        if self._is_refused:
            return
        lost = self._ledger.add(keys, self._owner)
        if lost:
            _LOG.warning(
                "%d results are not uploaded to the remote store %s: too many are waiting",
                lost,
                self._storage.url,
            )
        with self._changed:
            self._is_waiting = True
            self._changed.notify_all()

    def wait_until_sent(self, patience: float) -> bool:
        """Wait until nothing waits any more, unless the place is away; whether nothing does."""
        end = monotonic() + patience
        with self._changed:
            while self._is_waiting and not self._reach.is_unreachable and monotonic() < end:
                self._changed.wait(max(0.0, min(0.5, end - monotonic())))
            return not self._is_waiting

    def close(self, patience: float) -> None:
        """Bring there what can be brought in so many seconds; the rest waits for later."""
        with self._changed:
            self._end = monotonic() + patience
            self._changed.notify_all()
        self._thread.join(patience + 1.0)
        left = self._ledger.waiting()
        if left:
            _LOG.warning(
                "%d results are not yet uploaded to the remote store %s: the next command or "
                "server on this store uploads them",
                left,
                self._storage.url,
            )

    # The thread.

    def _work(self) -> None:
        try:
            self._ledger.adopt(self._owner, self._is_alive)
            while self._wait_for_work():
                self._round()
        except sqlite3.Error as error:
            if self._end is None:
                _LOG.warning("nothing more is uploaded to the remote store: %s", error)

    def _wait_for_work(self) -> bool:
        """Wait for something to do; False at the end."""
        with self._changed:
            if self._reach.is_unreachable:
                pause = self._reach.seconds_left
            else:
                pause = 0.0 if self._is_waiting else _IDLE
            if pause and self._end is None:
                self._changed.wait(pause)
            if self._end is None:
                return True
            return self._is_waiting and not self._reach.is_unreachable and monotonic() < self._end

    def _round(self) -> None:
        if self._reach.is_unreachable and (self._reach.seconds_left or not self._is_back()):
            return
        queued = self._ledger.next(self._owner, _AT_ONCE)
        for number, key in queued:
            if self._end is not None and monotonic() > self._end:
                return
            try:
                is_there = self._send(key)
            except AccessDenied as error:
                self._refused(error)
                return
            except Unreachable as error:
                self._reach.note_failure(error)
                return
            except (OSError, ValueError) as error:
                _LOG.warning("a result cannot be uploaded to the remote store: %s", error)
                is_there = False
            self._ledger.done(number)
            self._ended(key, is_there)
        if not queued:
            self._become_idle()

    def _become_idle(self) -> None:
        more = self._ledger.adopt(self._owner, self._is_alive)
        with self._changed:
            self._is_waiting = bool(more or self._ledger.next(self._owner, 1))
            self._changed.notify_all()

    def _is_back(self) -> bool:
        try:
            self._storage.size("entries")
        except Unreachable as error:
            self._reach.note_failure(error)
            return False
        self._reach.note_answer()
        return True

    def _refused(self, error: AccessDenied) -> None:
        """Nothing may be written there: it is only read, then."""
        self._is_refused = True
        _LOG.warning(
            "the remote store %s is only read, because it cannot be written: %s",
            self._storage.url,
            error,
        )
        for number, key in self._ledger.next(self._owner, -1):
            self._ledger.done(number)
            self._ended(key, False)
        with self._changed:
            self._is_waiting = False
            self._changed.notify_all()

    # One entry.

    def _send(self, key: Key) -> bool:
        entry = self._local(key)
        if entry is None:
            return False
        there = self._fetching.entry(key)
        whole = self._upload(entry.files)
        if there is not None:
            kept_files = self._mergeable_files(entry, there)
            if kept_files is None:
                return True
            known = {each.digest for each in whole}
            whole += tuple(each for each in kept_files if each.digest not in known)
        if not self._may_send(key):
            _LOG.warning("the result %s came too late: another machine has taken it over", key)
            return False
        data = pack_entry(replace(entry, files=whole))
        start = perf_counter()
        name = entry_name(key)
        if there is not None or name in self._fetching.unusable:
            self._storage.write(name, data)
            self._fetching.unusable.discard(name)
        elif not self._storage.create(name, data):
            return True  # another machine was quicker
        self._speeds.record_write(len(data), perf_counter() - start)
        self._reach.note_answer()
        self._ledger.remember(whole)
        return True

    def _mergeable_files(
        self, entry: RemoteEntry, there: RemoteEntry
    ) -> tuple[RemoteFile, ...] | None:
        """The files that an entry there tells of, where this machine can add to it; else None."""
        whole = tuple(each for each in there.files if each.name not in self._fetching.unusable)
        known_digests = {each.digest for each in whole}
        adds = any(each.digest not in known_digests for each in entry.files)
        is_same = _digests(entry) == _digests(there)
        if is_same:
            return whole if adds else None
        # The first one counts, unless what it led to can't be had any more.
        return () if len(whole) < len(there.files) else None

    def _local(self, key: Key) -> RemoteEntry | None:
        row = self._index.fetch_one(_ENTRY, (bytes.fromhex(key),))
        if row is None:
            return None
        packed, requested, node_type, seconds, created, run, parts = row
        outputs = () if packed is None else unpack_outputs(packed)
        digests = [leaf.digest for leaf in leaves(outputs) if leaf.inline is None]
        files = files_of(self._index, digests)
        clean = None if packed is None else repack_outputs(packed)
        return RemoteEntry(key, clean, requested, node_type, seconds, created, run, parts, files)

    def _upload(self, files: Collection[RemoteFile]) -> tuple[RemoteFile, ...]:
        """Bring files there that aren't; gives those that are there whole."""
        there = []
        for file in files:
            is_damaged = file.name in self._fetching.unusable
            if not is_damaged and self._storage.size(file.name) == file.bytes:
                there.append(file)
                continue
            if not self._blobs.check(file.file, file.suffix):
                continue  # it was evicted, or is damaged here
            start = perf_counter()
            try:
                self._storage.upload(file.name, self._blobs.path(file.file, file.suffix))
            except FileNotFoundError:
                continue
            self._speeds.record_write(file.bytes, perf_counter() - start)
            self._fetching.unusable.discard(file.name)
            there.append(file)
        return tuple(there)


def _digests(entry: RemoteEntry) -> list[Digest] | None:
    """Of the outputs."""
    return None if entry.outputs is None else [o.digest for o in unpack_outputs(entry.outputs)]
