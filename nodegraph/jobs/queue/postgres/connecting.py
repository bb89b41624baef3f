"""Connections to the database, made anew when they are lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from time import monotonic
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.jobs.queue.postgres.schema import SCHEMA
from nodegraph.jobs.queue.postgres.statements import PostgresConnection

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
                "this address of a PostgreSQL database can't be read",
                given=str(address),
                expected="only options that libpq knows, and % only before two hexadecimal digits",
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
