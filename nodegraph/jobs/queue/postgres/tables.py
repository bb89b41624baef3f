"""Tables that a queue's servers share besides the queue itself, in a schema of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import psycopg

from nodegraph.jobs.queue.connection import Connection
from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.jobs.queue.postgres.connecting import Connections
from nodegraph.jobs.queue.postgres.database import PATIENCE
from nodegraph.jobs.queue.postgres.faults import explained
from nodegraph.jobs.queue.postgres.migrating import migrate
from nodegraph.jobs.queue.postgres.statements import PostgresConnection


class PostgresTables:
    """Reading, and one change at a time for all servers; safe to use from several threads.

    Args:
        schema: In which they lie; made if it isn't there.
        migrations: Step `n` leads those of version `n` to version `n + 1`.
        lock: Of whoever changes them, until that is committed.
    Raises:
        InvalidFile: They are of a newer version.
        OutputError: The database can't be reached, or not written.
    """

    def __init__(
        self, address: PostgresAddress, schema: str, migrations: Sequence[str], lock: int
    ) -> None:
        self._address = address
        self._connections = Connections(address, PATIENCE, schema)
        self._begin = f"BEGIN; SELECT pg_advisory_xact_lock({lock})".encode()
        with self.explaining():
            connection = self._connections.new()
            try:
                migrate(
                    connection,
                    address,
                    lock,
                    read_only=False,
                    schema=schema,
                    migrations=migrations,
                )
            except BaseException:
                connection.close()
                raise
            self._connections.give_back(connection)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """What the database raises in the `with` is raised in words."""
        try:
            yield
        except psycopg.Error as error:
            raise explained(self._address, error) from error

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read with, for one thread."""
        return self._connections.reading()

    @contextmanager
    def writing(self, *, synced: bool = False) -> Iterator[Connection]:
        """A transaction that no other server's overlaps, committed at the end of the `with`."""
        with self._connections.borrow(self._begin) as connection:
            yield PostgresConnection(connection)
            connection.execute(b"COMMIT")

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()
