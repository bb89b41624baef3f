"""The index of a store: one SQLite file that several processes may use at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from time import monotonic, sleep
from typing import Any

from nodegraph.errors import InvalidFile, OutputError
from nodegraph.store.schema import APPLICATION, MIGRATIONS, VERSION

_PATIENCE = 30.0
"""Seconds to wait for another process's transaction."""
_LARGEST_JOURNAL = 64 << 20
"""Bytes of journal that stay allocated after a large transaction."""


class Index:
    """Connections to the index; safe to use from several threads.

    Readers never wait for writers (WAL). Each `writing` is one transaction: all of it or nothing.

    Args:
        path: The file; made if it isn't there, unless read only.
        read_only: No content is ever written. The file may lie where nothing can be written.
    Raises:
        InvalidFile: It is no index, is damaged, or was written by a newer version.
        OutputError: It can't be written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        self._reading = RLock()
        self._writing = RLock()
        self._writer: sqlite3.Connection | None = None
        try:
            if read_only:
                self._reader = self._opened_to_read()
            else:
                self._writer = self._opened_to_write()
                self._reader = self._connected(str(path))
        except sqlite3.Error as error:
            if self._writer is not None:
                self._writer.close()
            raise self._refusal(error) from error

    def _opened_to_write(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"can't make the folder {self.path.parent}: {error.strerror or error}"
            ) from error
        return self._ready(self._connected(str(self.path)), self._migrate)

    def _opened_to_read(self) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?mode=ro"
        try:
            return self._ready(self._connected(address), self._check)
        except sqlite3.OperationalError:
            # Readers, too, keep a file beside the index, to agree with writers. Where that can't
            # be made nobody writes either; but then no part of the index may be in a journal.
            if not self.path.exists() or _size(self.path.with_name(f"{self.path.name}-wal")):
                raise
        return self._ready(self._connected(f"{address}&immutable=1"), self._check)

    def _connected(self, address: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            address,
            uri=address.startswith("file:"),
            timeout=_PATIENCE,
            check_same_thread=False,
            isolation_level=None,
            cached_statements=256,
        )
        connection.execute("PRAGMA cache_size = -16000")
        # A commit survives the process; after a power cut the last ones may be missing.
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    def _ready(
        self, connection: sqlite3.Connection, prepare: Callable[[sqlite3.Connection], None]
    ) -> sqlite3.Connection:
        try:
            prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        _patiently(connection, "PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_JOURNAL}")
        # Also where there is nothing to do: it fails now, not later, if nothing can be written.
        _patiently(connection, "BEGIN IMMEDIATE")
        try:
            found = _number(connection, "user_version")
            if not found and not _is_empty(connection):
                raise self._foreign()
            for step in range(found, VERSION):
                for statement in _statements(MIGRATIONS[step]):
                    connection.execute(statement)
            if found < VERSION:
                connection.execute(f"PRAGMA application_id = {APPLICATION}")
                connection.execute(f"PRAGMA user_version = {VERSION}")
            self._check(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _check(self, connection: sqlite3.Connection) -> None:
        found = _number(connection, "user_version")
        if _number(connection, "application_id") != APPLICATION:
            raise self._foreign()
        if found != VERSION:
            raise InvalidFile(
                f"the store's index {self.path} is of another version",
                given=str(found),
                expected=str(VERSION),
                hint="Use the newer nodegraph, or another folder for the store."
                if found > VERSION
                else "Open it once where it may be written, to bring it up to date.",
            )

    def _foreign(self) -> InvalidFile:
        return InvalidFile(
            f"{self.path} isn't the index of a store", hint="Choose another folder for the store."
        )

    def _refusal(self, error: sqlite3.Error) -> InvalidFile | OutputError:
        if self.read_only and not self.path.exists():
            return InvalidFile(f"there is no store at {self.path.parent}")
        if self.read_only and isinstance(error, sqlite3.OperationalError):
            return InvalidFile(
                f"can't read the store's index {self.path}: {error}",
                hint="Open it once where it may be written, so that its journal is worked in.",
            )
        if isinstance(error, sqlite3.OperationalError):
            return OutputError(f"can't write the store's index {self.path}: {error}")
        return InvalidFile(
            f"the store's index {self.path} is damaged: {error}",
            hint=f"Remove it, {self.path.name}-wal and {self.path.name}-shm to start the store "
            "afresh: results will be computed again.",
        )

    def one(self, query: str, values: Sequence[Any] = ()) -> Any:
        """The first row of a query, or None; the quickest way to look something up."""
        with self._reading:
            return self._reader.execute(query, values).fetchone()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with; it sees what was committed before."""
        with self._reading:
            yield self._reader

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction, committed at the end of the `with` unless it raises.

        Raises:
            sqlite3.OperationalError: The index is read only, or another process holds it too long.
        """
        if self._writer is None:
            raise sqlite3.OperationalError("the store is read only")
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                # Some faults, such as a full disk, have rolled back already.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connections."""
        with self._reading:
            self._reader.close()
        if self._writer is not None:
            with self._writing:
                self._writer.close()


def _patiently(connection: sqlite3.Connection, statement: str) -> None:
    """Run a statement that SQLite doesn't wait for, such as the switch to WAL, until it works."""
    end = monotonic() + _PATIENCE
    while True:
        try:
            connection.execute(statement).fetchall()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or monotonic() > end:
                raise
        else:
            return
        sleep(0.005)


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    (number,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(number)


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
