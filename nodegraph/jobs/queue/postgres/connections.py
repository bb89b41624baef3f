"""PostgreSQL connections of a queue: pool, translated statements, explained errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from threading import Lock
from time import monotonic
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError, OutputError
from nodegraph.jobs.queue.backend import Rows
from nodegraph.jobs.queue.errors import QueueUnreachable
from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.jobs.queue.postgres.schema import SCHEMA

_BUSY = (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected)
_FULL = (errors.DiskFull, errors.OutOfMemory)
_REFUSED = (errors.InsufficientPrivilege, errors.InvalidAuthorizationSpecification)


def is_lost(error: Exception) -> bool:
    """Whether the connection is, or there never was one."""
    if isinstance(error, psycopg.InterfaceError):
        return True
    # What a server says itself has a code; of these, 08… and 57P… are of its going away.
    code = getattr(error, "sqlstate", None) or "08"
    return isinstance(error, psycopg.OperationalError) and code.startswith(("08", "57P"))


def explained(address: PostgresAddress, error: Exception) -> NodegraphError:
    """A fault, in words; none of them has the password."""
    message = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, errors.DataError):
        return InvalidValue(f"the job queue {address} cannot store this: {message}")
    if isinstance(error, _BUSY):
        return OutputError(
            f"cannot write the job queue {address}: it is locked by another server: {message}",
            hint="The server retries; a server that hangs is disconnected after a while.",
        )
    if isinstance(error, _FULL):
        return OutputError(
            f"cannot write the job queue {address}: {message}",
            hint="Free some space on the database's disk; nothing was partly written.",
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return OutputError(
            f"cannot write the job queue {address}: {message}",
            hint="It may be a standby server. Use the address of the primary server.",
        )
    if isinstance(error, _REFUSED):
        return OutputError(
            f"access to the job queue {address} is denied: {message}",
            hint="Its user needs the right to connect and, the first time, to create a schema: "
            "GRANT CREATE ON DATABASE … TO ….",
        )
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return QueueUnreachable(str(address), message)
    return InvalidFile(
        f"the job queue {address} is damaged: {message}",
        hint="Restore a backup of the database if there is one.",
    )


_PLACEHOLDER = re.compile(r"'[^']*'|\?|(?<![:\w]):(\w+)|%")


@lru_cache(maxsize=512)
def translated(query: str) -> bytes:
    """A statement with its places for values written as psycopg has them."""
    return _PLACEHOLDER.sub(_written, query).encode()


def _written(match: re.Match[str]) -> str:
    text = match[0]
    if text == "?":
        return "%s"
    if match[1] is not None:
        return f"%({match[1]})s"
    return text.replace("%", "%%")


class PostgresConnection:
    """A connection that understands the queue's statements."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.raw = raw

    def execute(self, query: str, values: Any = (), /) -> Rows:
        """Run a statement."""
        return self.raw.execute(translated(query), values)

    def executemany(self, query: str, values: Iterable[Sequence[Any]], /) -> None:
        """Run a statement with each of some lists of values."""
        self.raw.cursor().executemany(translated(query), list(values))


RawConnection = psycopg.Connection[tuple[Any, ...]]

_READ = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_RETRY_PAUSE = 0.5
"""Seconds after a try in vain in which others aren't kept waiting by one more."""
_MOST_IDLE = 8
"""Connections that are kept for readers to come."""
_OPTIONS = {
    "application_name": "nodegraph",
    "connect_timeout": "3",
    # A machine that is gone says nothing: without these, its connections hang for hours.
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}


class Connections:
    """Makes connections, and keeps some that nobody uses.

    Args:
        patience: Seconds to wait for another's lock.
        schema: In which the tables lie.
    Raises:
        InvalidValue: It is no address.
    """

    def __init__(self, address: PostgresAddress, patience: float, schema: str = SCHEMA) -> None:
        try:
            url_options = {
                name: value for name, value in conninfo_to_dict(address.url).items() if value
            }
        except psycopg.ProgrammingError:
            # What it says of it may hold the password.
            raise InvalidValue(
                "this address of a PostgreSQL database cannot be read",
                given=str(address),
                expected="only options of libpq, and % only before two hexadecimal digits",
            ) from None
        self._options: dict[str, Any] = {**_OPTIONS, **url_options, "client_encoding": "utf8"}
        # One that hangs in the middle of a change would keep all others from theirs.
        self._session = (
            f"SET search_path TO {schema}; SET bytea_output TO hex; "
            f"SET lock_timeout TO {int(patience * 1000) or 1}; "
            "SET idle_in_transaction_session_timeout TO '20s'"
        )
        self._idle: list[RawConnection] = []
        self._is_open = True
        self._failing = Lock()
        self._failed: tuple[float, psycopg.OperationalError] | None = None

    def new(self) -> RawConnection:
        """A connection that nobody else has.

        Raises:
            psycopg.OperationalError: There is none to be had.
        """
        with self._failing:
            failed = self._failed
            if failed is not None and monotonic() < failed[0]:
                raise psycopg.OperationalError(str(failed[1]))
        try:
            connection = psycopg.connect(autocommit=True, **self._options)
            try:
                connection.execute(self._session.encode())
            except BaseException:
                connection.close()
                raise
        except psycopg.OperationalError as error:
            with self._failing:
                self._failed = (monotonic() + _RETRY_PAUSE, error)
            raise
        self._failed = None
        return connection

    @contextmanager
    def reading(self) -> Iterator[PostgresConnection]:
        """One to read with, for one thread; all that is read is of one moment."""
        with self.borrow(_READ) as connection:
            yield PostgresConnection(connection)

    @contextmanager
    def borrow(self, begin: bytes) -> Iterator[RawConnection]:
        """One in a transaction, which is rolled back after the `with` unless it was committed."""
        connection = self._begun(begin)
        try:
            yield connection
        finally:
            rolled_back(connection)
            self.give_back(connection)

    def _begun(self, statement: bytes) -> RawConnection:
        """A connection in a transaction; one that was lost while nobody used it is replaced."""
        while True:
            connection, is_new = self._taken()
            try:
                connection.execute(statement)
            except psycopg.Error:
                connection.close()
                if is_new:
                    raise
            else:
                return connection

    def _taken(self) -> tuple[RawConnection, bool]:
        if not self._is_open:
            raise psycopg.InterfaceError("the job queue is closed")
        try:
            return self._idle.pop(), False
        except IndexError:
            return self.new(), True

    def give_back(self, connection: RawConnection) -> None:
        """Let others have it, once it is in no transaction any more."""
        if connection.closed or not self._is_open or len(self._idle) >= _MOST_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Close those that nobody uses; others are closed when they are given back."""
        self._is_open = False
        while self._idle:
            self._idle.pop().close()


def rolled_back(connection: RawConnection) -> None:
    """End its transaction; a connection that can't even do that is closed."""
    if connection.closed:
        return
    try:
        connection.execute(b"ROLLBACK")
    except psycopg.Error:
        with suppress(psycopg.Error):
            connection.close()
