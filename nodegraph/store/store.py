"""The store: results that outlive the process, by key and by content.

Values name files by where they lie, such as recipes those of weights that were trained. Where the
store was before is noted in it, so what lay beside it is found where it lies now.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from time import time
from typing import TYPE_CHECKING, Any

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.errors import NodegraphError, OutputError
from nodegraph.store.artifacts import Eviction, PinCounts, Pins, TrimReport
from nodegraph.store.backlog import Backlog, QueuedEntry, leaves
from nodegraph.store.blobs import Blobs, TransferSpeeds
from nodegraph.store.claims import Claims
from nodegraph.store.codec import Serializers
from nodegraph.store.entries import UNLOADED, Entry, NewEntry, OutputGone, StoredOutput
from nodegraph.store.index import Index
from nodegraph.store.lookup import Lookup
from nodegraph.store.writer import SLACK, EncodedEntry, EntryEncoder, StoreWriter, to_store_error

if TYPE_CHECKING:
    from nodegraph.store.remote.object_storage import ObjectStorage
    from nodegraph.store.remote.tier import RemoteTier

_LOG = logging.getLogger(__name__)
_MOST = 16
"""Places that are remembered."""
_GET = "SELECT value FROM meta WHERE name = 'folders'"
_PUT = "INSERT OR REPLACE INTO meta VALUES ('folders', ?)"


class Relocation:
    """Where files lie by now.

    Args:
        before: Folders that the store was in.
        now: That it is in.
    """

    def __init__(self, before: Iterable[Path], now: Path) -> None:
        self._moves = tuple(dict.fromkeys(_moved(folder, now) for folder in before))

    def __call__(self, path: str) -> str | None:
        """Where the file of a path lies that was moved; None if there is none."""
        for before, after in self._moves:
            if Path(path).is_relative_to(before):
                moved = after / Path(path).relative_to(before)
                if moved.exists():
                    return str(moved)
        return None


def relocation_of(index: Index, folder: Path) -> Relocation:
    """What was moved with a store, whose folder is noted for the next time."""
    now = folder.absolute()
    try:
        before = _folders(index)
        if not index.read_only and str(now) not in before[-1:]:
            kept = [each for each in before if each != str(now)][1 - _MOST :]
            with index.writing() as connection:
                connection.execute(_PUT, (json.dumps([*kept, str(now)]),))
    except (sqlite3.Error, ValueError) as error:
        _LOG.warning("cannot look up where the store %s was before: %s", folder, error)
        before = []
    return Relocation([Path(each) for each in before if each != str(now)], now)


def _folders(index: Index) -> list[str]:
    row = index.fetch_one(_GET)
    return [] if row is None else [str(each) for each in json.loads(row[0])]


def _moved(before: Path, now: Path) -> tuple[Path, Path]:
    """The folders that stand for each other: above all that the two paths end in alike."""
    while before.name and before.name == now.name:
        before, now = before.parent, now.parent
    return before, now


__all__ = ["OutputGone", "Pins", "Store", "SweepReport", "TrimReport", "open_store"]

_INDEX = "index.sqlite"


def _no_serializers() -> Serializers:
    return {}


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What crashes had left.

    Attributes:
        temporary: Files of dead processes that never got a name.
        unknown: Files that no row of the index told of.
    """

    temporary: int
    unknown: int


class Store:
    """Results in a folder that several processes may share. Safe to use from several threads.

    What is put is committed by a thread of its own, and can be found at once. A fault of the
    disk doesn't fail the work that puts results: see `problem`.

    Args:
        folder: Made if it isn't there, unless read only.
        budget: Bytes that results' files may take.
        keep_cheap: Large results are kept, too, that are quicker to compute again than to write and
            read.
        read_only: Nothing is ever changed; `put` is ignored.
        serializers: Those of the packs' types, asked for whenever they are needed.
        run: Hexadecimal name under which this process lists its runs; one of its own if empty.
        storage: What is shared with other machines, behind this folder; ignored if read only.
    Attributes:
        remote: The tier there.
        owner: That name; this process has a claim on it as long as the store is open.
        refusal: Why it can only be read, where writing was wanted.
    Raises:
        InvalidFile: The index is damaged, of a newer version, or no index; read only, there is
            none.
        OutputError: Nothing can be written there.
    """

    def __init__(
        self,
        folder: Path,
        *,
        budget: int = 20 << 30,
        keep_cheap: bool = False,
        read_only: bool = False,
        serializers: Callable[[], Serializers] = _no_serializers,
        run: str = "",
        storage: ObjectStorage | None = None,
    ) -> None:
        self.folder = folder
        self.budget = budget
        self.keep_cheap = keep_cheap
        self.read_only = read_only
        self.refusal: NodegraphError | None = None
        self.owner = run or os.urandom(16).hex()
        self.blobs = Blobs(folder, owner=self.owner)
        self.claims = None if read_only else self._claimed()
        try:
            self.index = Index(folder / _INDEX, read_only=read_only)
        except BaseException:
            if self.claims is not None:
                self.claims.close()
            raise
        self._serializers = serializers
        self._problem: NodegraphError | None = None
        self._backlog = Backlog()
        self._pinned = PinCounts(self._note_pin)
        self._eviction = Eviction(
            self.index, self.blobs, self._pinned, self._is_alive, self._is_own
        )
        self._speeds = self._known_speeds()
        self._is_closed = False
        self.remote = None if storage is None or read_only else self._remote_tier(storage)
        self._lookup = Lookup(
            self.index,
            self.blobs,
            self._backlog,
            self._speeds,
            serializers,
            self._note_use,
            self._failed,
            self.remote,
            relocation_of(self.index, folder),
        )
        self._writer: StoreWriter | None = None
        self._starting = Lock()
        self._sweep_temporaries()

    def _claimed(self) -> Claims:
        """A claim on the owner's name, before any temporary file bears it."""
        try:
            self.blobs.prepare()
            claims = Claims(self.folder / "claims")
        except OSError as error:
            raise OutputError(
                f"cannot write to the store {self.folder}: {error.strerror or error}"
            ) from error
        claims.try_claim(self.owner)
        return claims

    def _remote_tier(self, storage: ObjectStorage) -> RemoteTier:
        from nodegraph.store.remote.tier import RemoteTier  # what most stores have no use for

        try:
            return RemoteTier(
                storage,
                self.index,
                self.blobs,
                self.budget,
                owner=self.owner,
                is_alive=self._is_alive,
                trim=partial(self._eviction.trim, int(self.budget * SLACK), 2 * self.budget),
                keep_cheap=self.keep_cheap,
            )
        except BaseException:
            self.index.close()
            if self.claims is not None:
                self.claims.close()
            raise

    def _known_speeds(self) -> TransferSpeeds:
        speeds = TransferSpeeds()
        try:
            with self.index.reading() as connection:
                speeds.restore(connection)
        except sqlite3.Error as error:
            self._failed(error)
        return speeds

    @property
    def problem(self) -> NodegraphError | None:
        """What went wrong last, of what doesn't fail the work: results are computed again."""
        return self._problem

    def _failed(self, error: Exception) -> None:
        self._problem = to_store_error(error)

    def read_only_error(self) -> OutputError:
        """What to raise where the store would have to be written, but can only be read."""
        if self.refusal is None:
            return OutputError(f"the store {self.folder} can only be read")
        return OutputError(
            f"the store {self.folder} can only be read: {self.refusal}",
            hint="If its disk is full, free some space first. The files in its folder `artifacts` "
            "may be deleted; they are computed again.",
        )

    # -- looking up ------------------------------------------------------------------------------

    def entry(self, key: Key) -> Entry | None:
        """What a key led to, if it is known."""
        return self._lookup.entry(key)

    def has(self, output: StoredOutput) -> bool:
        """Whether an output's value can be loaded, as far as can be told without reading it."""
        return self._lookup.has(output)

    def is_worth_asking(self, expected: float) -> bool:
        """Whether `bring` may find anything, and takes less than computing it.

        Args:
            expected: Seconds that computing takes; 0 if unknown.
        """
        return self.remote is not None and self.remote.is_worth_asking(expected)

    def bring(self, key: Key) -> bool:
        """Ask the machines that this store shares a place with for what a key led to there.

        Takes its time. What is found is an entry from then on, its values to be loaded.

        Returns:
            Whether there was anything.
        """
        return self.remote is not None and self.remote.bring(key)

    def load(self, output: StoredOutput) -> Any:
        """An output's value.

        Raises:
            OutputGone: It isn't there any more, never was, or turned out damaged.
        """
        return self._lookup.load(output)

    def _note_use(self, table: str, digest: Digest, now: float) -> None:
        if not self.read_only and not self._is_closed:
            self._backlog.note_use(table, digest, now)
            self._start_writer()

    def _note_pin(self, digest: Digest) -> None:
        self._note_use("artifacts", digest, time())

    # -- putting ---------------------------------------------------------------------------------

    def put(self, key: Key, entry: NewEntry, committed: Callable[[], None] | None = None) -> None:
        """Keep what a call gave. Returns at once, unless very much waits already.

        Args:
            committed: Called in the writer's thread once others can see it, or once it is clear
                that it can't be written.
        """
        if self.read_only:
            if committed is not None:
                committed()
            return
        size = sum(leaf.size for leaf in leaves(entry.outputs or ()) if leaf.value is not UNLOADED)
        self._backlog.add(QueuedEntry(key, entry, time(), size, committed))
        if self._writer is None:
            self._start_writer()

    def _start_writer(self) -> None:
        if self._writer is not None:
            return
        with self._starting:
            if self._writer is None:
                preparing = EntryEncoder(
                    self.index,
                    self.blobs,
                    self._speeds,
                    self._serializers,
                    self.budget,
                    self._failed,
                    keep_cheap=self.keep_cheap,
                )
                self._writer = StoreWriter(
                    self.index,
                    self.blobs,
                    self._backlog,
                    self._eviction,
                    preparing,
                    self._speeds,
                    self.budget,
                    self._failed,
                    None if self.remote is None else self._share,
                )

    def _share(self, rows: Sequence[EncodedEntry]) -> None:
        """Bring what was committed to where other machines find it, as far as it is worth it."""
        assert self.remote is not None
        self.remote.send(
            [row.put.key for row in rows if self.remote.is_worth_sending(row.put, row.outputs)]
        )

    def flush(self) -> None:
        """Wait until everything put so far is committed.

        Raises:
            OutputError: Something couldn't be.
        """
        if self._writer is None:
            return
        error = self._backlog.flush()
        if isinstance(error, Exception):
            raise to_store_error(error) from error

    # -- room ------------------------------------------------------------------------------------

    def pinned(self) -> AbstractContextManager[Pins]:
        """A run's pins: what it adds isn't evicted while the `with` lasts."""
        return self._pinned.run()

    def trim(self, budget: int | None = None) -> TrimReport:
        """Evict down to a budget; the store's own if none is given.

        Raises:
            OutputError: The index can't be written.
        """
        if self.read_only:
            raise self.read_only_error()
        self.flush()
        with self._reporting():
            return self._eviction.trim(self.budget if budget is None else budget, 2 * self.budget)

    def sweep(self) -> SweepReport:
        """Delete what crashes left: temporary files of dead processes, files without a row.

        Raises:
            OutputError: The index can't be written.
        """
        with self._reporting():
            return SweepReport(self._sweep_temporaries(), self._eviction.sweep())

    def _sweep_temporaries(self) -> int:
        # Where claims don't reach other processes, theirs look like those of dead ones.
        if self.claims is None or not self.claims.is_shared:
            return 0
        return self.blobs.sweep(self._is_alive)

    def _is_alive(self, owner: str) -> bool:
        return self.claims is not None and self.claims.is_held(owner)

    def _is_own(self, owner: str) -> bool:
        return owner == self.owner

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise to_store_error(error) from error

    # -- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Write what waits and let go of the files; what couldn't be written is in `problem`."""
        with self._starting:
            if self._is_closed:
                return
            self._is_closed = True
        self._backlog.close()
        if self._writer is not None:
            self._writer.join()
        if self.remote is not None:
            self.remote.close()
        self.index.close()
        if self.claims is not None:
            self.claims.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(
    folder: Path,
    *,
    budget: int = 20 << 30,
    keep_cheap: bool = False,
    serializers: Callable[[], Serializers] = _no_serializers,
    run: str = "",
    storage: ObjectStorage | None = None,
) -> Store:
    """Open a store to write, or only to read where nothing can be written; see `read_only`.

    Raises:
        InvalidFile: The index is damaged, of a newer version, or no index.
        OutputError: Nothing can be written there, and there is no store to read.
    """
    try:
        return Store(
            folder,
            budget=budget,
            keep_cheap=keep_cheap,
            serializers=serializers,
            run=run,
            storage=storage,
        )
    except OutputError as error:
        if not _has_index(folder):
            raise
        refusal = error
    store = Store(folder, budget=budget, serializers=serializers, read_only=True)
    store.refusal = refusal
    return store


def _has_index(folder: Path) -> bool:
    try:
        # Where there was no room for a first row, the file is there and empty.
        return (folder / _INDEX).stat().st_size > 0
    except OSError:
        return False
