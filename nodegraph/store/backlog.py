"""What was put and isn't committed yet: it can be found already, and waits for the writer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Condition, Lock
from time import monotonic

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.store.entries import UNLOADED, NewEntry, UnsavedOutput

_LONGEST_BATCH = 256
_LARGEST_BATCH = 128 << 20
"""Bytes of values after which a batch is committed."""
_LINGER = 0.05
"""Seconds to wait for more, so that many entries share a transaction."""
_LINGER_FOR_USES = 1.0


Use = tuple[tuple[str, Digest], float]
"""Table, digest and Unix time of a use."""


@dataclass(frozen=True, slots=True, eq=False)
class QueuedEntry:
    """An entry on its way.

    Attributes:
        created: Unix time.
        size: Bytes of its values in memory, about.
        committed: Called once it is committed, or given up.
    """

    key: Key
    entry: NewEntry
    created: float
    size: int
    committed: Callable[[], None] | None


class Backlog:
    """A queue with a limit. Lookups take no lock.

    Args:
        limit: Bytes of values that may wait; `add` blocks beyond it.
        length: Entries that may wait.
    """

    def __init__(self, limit: int = 128 << 20, length: int = 20_000) -> None:
        self._limit = limit
        self._length = length
        self._changed = Condition(Lock())
        self._queue: deque[QueuedEntry] = deque()
        self._bytes = 0
        self._entries: dict[Key, QueuedEntry] = {}
        self._values: dict[Digest, tuple[UnsavedOutput, QueuedEntry]] = {}
        self._uses: dict[tuple[str, Digest], float] = {}
        self._has_uses = False
        self._added = 0
        self._done = 0
        self._rounds = 0  # of the writer that have begun
        self._rounds_done = 0
        self._flushing = 0
        self._is_writer_idle = False  # whether the writer must be woken for a first entry
        self._error: BaseException | None = None
        self._is_closed = False

    def add(self, put: QueuedEntry) -> None:
        """Queue an entry; blocks while too much waits already.

        Raises:
            ValueError: The store is closed.
        """
        with self._changed:
            while self._is_full and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                raise ValueError("the store is closed")
            self._queue.append(put)
            self._added += 1
            self._bytes += put.size
            for leaf in leaves(put.entry.outputs or ()):
                if leaf.value is not UNLOADED:
                    self._values[leaf.digest] = (leaf, put)
            self._entries[put.key] = put
            if self._is_writer_idle or len(self._queue) == _LONGEST_BATCH or self._is_full:
                self._changed.notify_all()

    @property
    def _is_full(self) -> bool:
        waiting = self._added - self._done
        return waiting > 0 and (self._bytes > self._limit or waiting >= self._length)

    def note_use(self, kind: str, digest: Digest, now: float) -> None:
        """Note a use, to be written with what comes next, or soon."""
        self._uses[kind, digest] = now
        if not self._has_uses:
            with self._changed:
                self._has_uses = True
                self._changed.notify_all()

    def entry(self, key: Key) -> QueuedEntry | None:
        """What waits under a key."""
        return self._entries.get(key)

    def value(self, digest: Digest) -> UnsavedOutput | None:
        """A value that waits."""
        waiting = self._values.get(digest)
        return None if waiting is None else waiting[0]

    def take(self) -> tuple[list[QueuedEntry], list[Use]] | None:
        """For the writer: the next entries and the uses noted; None once it is closed and empty."""
        with self._changed:
            self._wait_for_work()
            batch: list[QueuedEntry] = []
            size = 0
            while self._queue and len(batch) < _LONGEST_BATCH and size < _LARGEST_BATCH:
                batch.append(self._queue.popleft())
                size += batch[-1].size
            # Others may still add to the same dictionary: what comes now is lost, and be it so.
            uses = list(self._uses.items())
            self._uses = {}
            self._has_uses = False
            if not batch and not uses and self._is_closed:
                return None
            self._rounds += 1
            return batch, uses

    def _wait_for_work(self) -> None:
        self._is_writer_idle = True
        while not (self._queue or self._has_uses or self._is_closed):
            self._changed.wait()
        end = monotonic() + _LINGER_FOR_USES
        while not (self._flushing or self._is_closed or self._is_full):
            if len(self._queue) >= _LONGEST_BATCH:
                break
            if self._queue and self._is_writer_idle:
                self._is_writer_idle = False
                end = monotonic() + _LINGER
            if not self._changed.wait(end - monotonic()):
                break
        self._is_writer_idle = False

    def done(self, batch: Sequence[QueuedEntry], error: BaseException | None = None) -> None:
        """For the writer: a batch is committed, or given up for an error."""
        with self._changed:
            for put in batch:
                if self._entries.get(put.key) is put:
                    del self._entries[put.key]
                for leaf in leaves(put.entry.outputs or ()):
                    if self._values.get(leaf.digest, (None, None))[1] is put:
                        del self._values[leaf.digest]
                self._bytes -= put.size
            self._done += len(batch)
            self._rounds_done += 1
            self._error = error or self._error
            self._changed.notify_all()

    def flush(self) -> BaseException | None:
        """Wait until everything added so far is done; what went wrong since the last time."""
        with self._changed:
            target = self._added
            target_round = self._rounds + self._has_uses
            self._flushing += 1
            self._changed.notify_all()
            try:
                while self._done < target or self._rounds_done < target_round:
                    self._changed.wait()
            finally:
                self._flushing -= 1
            error, self._error = self._error, None
            return error

    def close(self) -> None:
        """Take nothing more; what waits is still written."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()


def leaves(outputs: Sequence[UnsavedOutput]) -> Iterator[UnsavedOutput]:
    """The outputs that are no lists, those in lists included."""
    for output in outputs:
        if output.items is None:
            yield output
        else:
            yield from leaves(output.items)
