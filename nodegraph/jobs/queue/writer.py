"""Group commit: one thread writes what many wait for, and one wait for the disk serves them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import monotonic
from typing import Any, Generic, TypeVar

from nodegraph.errors import OutputError
from nodegraph.jobs.queue.backend import Connection, QueueBackend

T = TypeVar("T")
QueueChange = Callable[[Connection], T]

_LONGEST_BATCH = 256
_LONGEST_WAIT = 0.001
"""Seconds to wait for more to write."""
_PART_TO_WAIT = 0.25
"""Of the time that the last commit took, to wait for more."""


class _Write(Generic[T]):
    """A change, and who waits for it."""

    __slots__ = ("_action", "_error", "_result", "future", "synced")

    def __init__(self, action: QueueChange[T], synced: bool) -> None:
        self._action = action
        self._error: Exception | None = None
        self._result: T | None = None
        self.synced = synced
        self.future: Future[T] = Future()

    def run(self, connection: Connection, faults: type[Exception]) -> None:
        """Make the change, or none of it.

        Raises:
            faults: The whole transaction has failed.
        """
        self._error = None
        connection.execute("SAVEPOINT change")
        try:
            self._result = self._action(connection)
        except faults:
            raise
        except Exception as error:  # noqa: BLE001 - it is for whoever waits
            connection.execute("ROLLBACK TO change")
            self._error = error
        connection.execute("RELEASE change")

    def tell(self, error: Exception | None = None) -> None:
        """Tell who waits that it is committed, or why it isn't."""
        failure = error or self._error
        if failure is not None:
            self.future.set_exception(failure)
        else:
            self.future.set_result(self._result)  # type: ignore[arg-type]


class QueueWriter:
    """Makes changes in the order in which they are put, in a thread of its own.

    Those that were put while the disk was busy are committed together, each all or nothing by
    itself. A future ends once its change is committed.

    Args:
        committed: Called after each commit, in the writer's thread.
        synced: Whether changes survive a power cut, unless they are put otherwise.
    """

    def __init__(
        self, database: QueueBackend, committed: Callable[[], None], *, synced: bool = True
    ) -> None:
        self._database = database
        self._committed = committed
        self._synced = synced
        self._queue: SimpleQueue[_Write[Any] | None] = SimpleQueue()
        self._closing = Lock()
        self._is_open = True
        self._expected = 1
        self._took = 0.0
        self._thread = Thread(target=self._work, name="nodegraph-jobs", daemon=True)
        self._thread.start()

    def put(self, action: QueueChange[T], *, synced: bool = True) -> Future[T]:
        """Have a change made.

        Args:
            synced: Whether it must survive a power cut. It does anyway if a later one does.
        """
        write = _Write(action, synced and self._synced)
        with self._closing:
            if not self._is_open:
                raise OutputError("the job queue is closed")
            self._queue.put(write)
        return write.future

    def close(self) -> None:
        """Make the changes that were put, and end."""
        with self._closing:
            self._is_open = False
            self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while batch := self._taken():
            # Who cancelled meanwhile gets no change; from here on nobody can.
            ready = [write for write in batch if write.future.set_running_or_notify_cancel()]
            start = monotonic()
            self._write(ready)
            self._took = monotonic() - start
            # Those who are answered now are likely to come back with what they do next. A claim
            # comes with a submission or an end, so nobody waits for one.
            answered = sum(write.synced for write in batch)
            self._expected = min(answered + self._queue.qsize(), _LONGEST_BATCH)
            # What a batch holds must not stay in memory until the next.
            del batch, ready

    def _taken(self) -> list[_Write[Any]]:
        """What is to be written next, at least one; empty at the end."""
        write = self._queue.get()
        if write is None:
            return []
        batch = [write]
        end = monotonic() + min(_LONGEST_WAIT, _PART_TO_WAIT * self._took)
        while len(batch) < _LONGEST_BATCH:
            left = end - monotonic() if len(batch) < self._expected else 0.0
            try:
                write = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except Empty:
                break
            if write is None:
                self._queue.put(None)
                break
            batch.append(write)
        return batch

    def _write(self, batch: Sequence[_Write[Any]]) -> None:
        if not batch:
            return
        error = self._tried(batch)
        if error is None:
            for write in batch:
                write.tell()
            self._committed()
        elif len(batch) == 1 or self._database.affects_all_writes(error):
            for write in batch:
                write.tell(self._explained(error))
        else:
            # One of them may be the cause, such as one that is larger than what is left of a disk.
            for write in batch:
                self._write([write])

    def _tried(self, batch: Sequence[_Write[Any]]) -> Exception | None:
        displaced = self._database.find_displacement()
        if displaced is not None:
            return displaced
        try:
            with self._database.writing(synced=any(write.synced for write in batch)) as connection:
                for write in batch:
                    write.run(connection, self._database.faults)
        except Exception as error:  # noqa: BLE001 - whoever waits for the batch is told
            return error
        return None

    def _explained(self, error: Exception) -> Exception:
        faults = self._database.faults
        return self._database.explained(error) if isinstance(error, faults) else error
