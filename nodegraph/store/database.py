"""A SQLite file that several threads and processes use at once, and that outlives them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from time import monotonic, sleep
from typing import Any

from nodegraph.core.files import restrict_to_owner
from nodegraph.errors import InvalidFile, OutputError

PATIENCE = 30.0
"""Seconds to wait for another process's transaction."""
_LARGEST_JOURNAL = 64 << 20
"""Bytes of journal that stay allocated after a large transaction."""
_MOST_IDLE = 8
"""Connections that are kept for readers to come."""


@dataclass(frozen=True, slots=True)
class Format:
    """What a database file holds, and the words to speak of it.

    Attributes:
        application: Marks the file, so that no other program's database is taken for one.
        migrations: Step `n` leads a file of version `n` to `n + 1`; an empty file is version 0. One
            that is only a note keeps older programs from a file that they can't read; this one
            reads both.
        name: The file, as in "the store's index".
        whole: What it is part of, as in "the store".
        foreign: What another file isn't, as in "the index of a store".
        absent: What isn't there if it isn't, as in "no store".
        loss: What starting afresh without a damaged file means, as a sentence's end.
        is_private: Whether nobody but the file's owner may read it.
        is_irreplaceable: Whether what it holds can't be made again. An empty file isn't taken for a
            new one then, as it is what a fault of the disk may have left of it.
    """

    application: int
    migrations: Sequence[str]
    name: str
    whole: str
    foreign: str
    absent: str
    loss: str
    is_private: bool = False
    is_irreplaceable: bool = False

    @property
    def version(self) -> int:
        """That of a file which is up to date."""
        return len(self.migrations)


class Database:
    """Connections to a database file; safe to use from several threads.

    Readers never wait for writers (WAL), nor for each other. Each `writing` is one transaction:
    all of it or nothing.

    Args:
        path: The file; made if it isn't there, unless read only.
        read_only: No content is ever written. The file may lie where nothing can be written.
        patience: Seconds to wait for another process's transaction.
    Raises:
        InvalidFile: It is something else, is damaged, or was written by a newer version.
        OutputError: It can't be written.
    """

    def __init__(
        self,
        path: Path,
        kind: Format,
        *,
        read_only: bool = False,
        patience: float = PATIENCE,
    ) -> None:
        self.path = path
        self.read_only = read_only
        self._format = kind
        self._patience = patience
        self._address = str(path)
        self._idle: list[sqlite3.Connection] = []
        self._is_open = True
        self._writing = RLock()
        self._writer: sqlite3.Connection | None = None
        self._is_synced = False
        try:
            if read_only:
                self._idle.append(self._opened_to_read())
            else:
                self._writer = self._opened_to_write()
                self._idle.append(self._connected(self._address))
        except sqlite3.Error as error:
            if self._writer is not None:
                self._writer.close()
            raise self._refusal(error) from error
        self._opened = _identity(path)

    def _opened_to_write(self) -> sqlite3.Connection:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the folder {self.path.parent}: {error.strerror or error}"
            ) from error
        if self._format.is_irreplaceable:
            self._create_atomically()
        if self._format.is_private:
            self._make_private()
        connection = _ready(self._connected(self._address), self._migrate)
        # Another thread's connection must not make an empty file where somebody took this one away.
        self._address = f"{self.path.absolute().as_uri()}?mode=rw"
        return connection

    def _create_atomically(self) -> None:
        """Make the file in one step, if it isn't there: killed meanwhile, none that is empty."""
        if self.path.exists():
            if not _size(self.path):
                raise sqlite3.DatabaseError("it is empty")
            return
        made = self.path.with_name(f".{self.path.name}.{os.urandom(4).hex()}.tmp")
        try:
            kind = replace(self._format, is_irreplaceable=False)
            Database(made, kind, patience=self._patience).close()
            # Those of a file that was removed would be worked into this one.
            _remove_journals(self.path)
            made.replace(self.path)
        except OutputError as error:
            if isinstance(error.__cause__, sqlite3.Error):
                raise error.__cause__ from None  # to be told of this file
            raise
        except OSError as error:
            raise OutputError(
                f"cannot make {self._format.name} {self.path}: {error.strerror or error}"
            ) from error
        finally:
            _remove_journals(made)
            made.unlink(missing_ok=True)

    def _make_private(self) -> None:
        """Make the file before SQLite does, which gives its journals the same rights."""
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            for end in ("", "-wal", "-shm"):
                restrict_to_owner(self.path.with_name(f"{self.path.name}{end}"))
        except OSError:
            return  # SQLite is about to say why, in its own words

    def _opened_to_read(self) -> sqlite3.Connection:
        self._address = f"{self.path.absolute().as_uri()}?mode=ro"
        try:
            return _ready(self._connected(self._address), self._check)
        except sqlite3.OperationalError:
            # Readers, too, keep a file beside the database, to agree with writers. Where that can't
            # be made nobody writes either; but then no part of the content may be in a journal.
            if not self.path.exists() or _size(self.path.with_name(f"{self.path.name}-wal")):
                raise
        self._address += "&immutable=1"
        return _ready(self._connected(self._address), self._check)

    def _connected(self, address: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            address,
            uri=address.startswith("file:"),
            timeout=self._patience,
            check_same_thread=False,
            isolation_level=None,
            cached_statements=256,
        )
        connection.execute("PRAGMA cache_size = -16000")
        _sync(connection, False)
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        self._patiently(connection, "PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_JOURNAL}")
        # Also where there is nothing to do: it fails now, not later, if nothing can be written.
        self._patiently(connection, "BEGIN IMMEDIATE")
        try:
            current = _number(connection, "user_version")
            if not current and not _is_empty(connection):
                raise self._foreign()
            for script in self._format.migrations[current:]:
                for statement in _statements(script):
                    connection.execute(statement)
            if current < self._format.version:
                connection.execute(f"PRAGMA application_id = {self._format.application}")
                connection.execute(f"PRAGMA user_version = {self._format.version}")
            self._check(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _patiently(self, connection: sqlite3.Connection, statement: str) -> None:
        """Run what SQLite itself doesn't wait for, such as the switch to WAL, until it works."""
        end = monotonic() + self._patience
        while True:
            try:
                connection.execute(statement).fetchall()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or monotonic() > end:
                    raise
            else:
                return
            sleep(0.005)

    def _check(self, connection: sqlite3.Connection) -> None:
        current, version = _number(connection, "user_version"), self._format.version
        if _number(connection, "application_id") != self._format.application:
            raise self._foreign()
        missing = self._format.migrations[current:]
        # A step that is only a note changes nothing for those who read.
        if current > version or any(any(_statements(script)) for script in missing):
            raise InvalidFile(
                f"{self._format.name} {self.path} has an unsupported version",
                given=str(current),
                expected=str(version),
                hint=f"Update nodegraph, or use another folder for {self._format.whole}."
                if current > version
                else "Open it once with write access to update it.",
            )

    def _foreign(self) -> InvalidFile:
        return InvalidFile(
            f"{self.path} is not {self._format.foreign}",
            hint=f"Choose another folder for {self._format.whole}.",
        )

    def _refusal(self, error: sqlite3.Error) -> InvalidFile | OutputError:
        """Why the file can't be opened."""
        if self.read_only and not self.path.exists():
            return InvalidFile(f"there is {self._format.absent} at {self.path.parent}")
        if self.read_only and isinstance(error, sqlite3.OperationalError):
            return InvalidFile(
                f"cannot read {self._format.name} {self.path}: {error}",
                hint="Open it once with write access, so that its journal is applied.",
            )
        return self.explained(error)

    def explained(self, error: Exception) -> InvalidFile | OutputError:
        """What SQLite raised, in words."""
        if isinstance(error, sqlite3.OperationalError):
            return OutputError(
                f"cannot write {self._format.name} {self.path}: {error}",
                hint=_repair_hint(str(error)),
            )
        return InvalidFile(
            f"{self._format.name} {self.path} is damaged: {error}",
            hint=f"Remove it, {self.path.name}-wal and {self.path.name}-shm to start "
            f"{self._format.whole} again: {self._format.loss}",
        )

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """What SQLite raises in the `with` is raised in words."""
        try:
            yield
        except sqlite3.Error as error:
            raise self.explained(error) from error

    def fetch_one(self, query: str, values: Sequence[Any] = ()) -> Any:
        """The first row of a query, or None; the quickest way to look something up."""
        connection = self._taken()
        try:
            return connection.execute(query, values).fetchone()
        finally:
            self._give_back(connection)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with, for one thread; it sees what was committed before."""
        connection = self._taken()
        try:
            yield connection
        finally:
            self._give_back(connection)

    def _taken(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            if not self._is_open:
                raise sqlite3.ProgrammingError("the database is closed") from None
            return self._connected(self._address)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        self._idle.append(connection)
        if len(self._idle) > _MOST_IDLE or not self._is_open:
            self._close_one()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """As `reading`, but all that is read is of one moment."""
        with self.reading() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def writing(self, *, synced: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction, committed at the end of the `with` unless it raises.

        Args:
            synced: Whether the commit, with all that came before it, survives a power cut. Without,
                it survives the process, and a power cut may take the last commits.
        Raises:
            sqlite3.OperationalError: It is read only, or another process holds it too long.
        """
        if self._writer is None:
            raise sqlite3.OperationalError(f"{self._format.whole} is read only")
        with self._writing:
            if synced is not self._is_synced:
                _sync(self._writer, synced)
                self._is_synced = synced
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                # Some faults, such as a full disk, have rolled back already.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def is_in_place(self) -> bool:
        """Whether the path still leads to the open file: it may have been removed or replaced.

        What is written to a removed file is lost with the process, without any error.
        """
        return _identity(self.path) == self._opened

    def close(self) -> None:
        """Close the connections; one that is being read with is closed by its reader."""
        self._is_open = False
        while self._idle:
            self._close_one()
        if self._writer is not None:
            with self._writing:
                self._writer.close()

    def _close_one(self) -> None:
        try:
            connection = self._idle.pop()
        except IndexError:
            return  # another thread took it, and will close it
        connection.close()


def _ready(
    connection: sqlite3.Connection, prepare: Callable[[sqlite3.Connection], None]
) -> sqlite3.Connection:
    try:
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _sync(connection: sqlite3.Connection, synced: bool) -> None:
    connection.execute(f"PRAGMA synchronous = {'FULL' if synced else 'NORMAL'}")


def _repair_hint(message: str) -> str | None:
    if "full" in message:
        return "Free some space on its disk; nothing was partly written."
    if "locked" in message:
        return "Another program uses it: end that program, or try again."
    return None


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


def _remove_journals(path: Path) -> None:
    for end in ("-wal", "-shm"):
        path.with_name(f"{path.name}{end}").unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _statements(script: str) -> Iterator[str]:
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
