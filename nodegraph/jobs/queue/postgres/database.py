"""The database that keeps a queue: reading, and one change at a time for all its servers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import RLock
from time import monotonic, sleep

import psycopg
from psycopg import errors, sql

from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue.connection import Connection
from nodegraph.jobs.queue.engine import RecoverServers, server_name
from nodegraph.jobs.queue.errors import QueueUnreachable
from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.jobs.queue.postgres.connecting import Connections, RawConnection, rolled_back
from nodegraph.jobs.queue.postgres.faults import explained, is_lost
from nodegraph.jobs.queue.postgres.live import PostgresRelay
from nodegraph.jobs.queue.postgres.migrating import identity, migrate
from nodegraph.jobs.queue.postgres.neighbours import BEAT, CHANNEL, LIST, PeerMonitor
from nodegraph.jobs.queue.postgres.statements import PostgresConnection

_LOG = logging.getLogger(__name__)
PATIENCE = 5.0
"""Seconds to wait for another server's transaction."""
_NUMBERS = b"""
UPDATE counters SET value = (SELECT last_value FROM events_seq_seq)
WHERE name = 'events' AND value < (SELECT last_value FROM events_seq_seq WHERE is_called)
"""
_WRITTEN = b"SELECT txid_current_if_assigned()::text"
_LOCK = 0x6E676A71
"""Of whoever changes the queue. It is held until the change is committed, so that the order of
events' numbers is the order in which they are seen, and turns are taken as in a file."""


class PostgresDatabase:
    """See `QueueBackend`.

    Each change is a transaction that has the queue to itself, whichever server makes it: what holds
    for a file holds here for the same reasons. Commits always wait for the database's disk, as
    others have acted by what one that is lost would take back.

    Args:
        server: That opens it; its changes are told to the others in its name.
        patience: Seconds to wait for another server's transaction.
        read_only: Nothing is ever written.
    Raises:
        InvalidFile: What is there is no queue, or of a newer version.
        OutputError: It can't be reached, or not written.
    """

    faults = psycopg.Error
    is_shared = True

    def __init__(
        self,
        address: PostgresAddress,
        server: str = "",
        *,
        patience: float = PATIENCE,
        read_only: bool = False,
    ) -> None:
        self._address = address
        self._server = server
        self._patience = patience
        self._connections = Connections(address, patience)
        self._writing = RLock()
        self._writer: RawConnection | None = None
        self._notify = sql.SQL(
            "SELECT pg_notify({}, {}) WHERE txid_current_if_assigned() IS NOT NULL"
        ).format(CHANNEL, server)
        with self.explaining():
            connection = self._connections.new()
            try:
                migrate(connection, address, _LOCK, read_only=read_only)
                self.identity = identity(connection)
            except BaseException:
                connection.close()
                raise
            self._connections.give_back(connection)

    def explained(self, error: Exception) -> NodegraphError:
        """A fault, in words."""
        return explained(self._address, error)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """What the database raises in the `with` is raised in words."""
        try:
            yield
        except psycopg.Error as error:
            raise self.explained(error) from error

    def affects_all_writes(self, error: Exception) -> bool:
        """Whether whatever else is written now would fail, or wait, for the same reason."""
        busy = isinstance(error, (errors.LockNotAvailable, errors.ReadOnlySqlTransaction))
        return not isinstance(error, psycopg.Error) or busy or is_lost(error)

    def find_displacement(self) -> None:
        """What is written to a server is there, or refused."""

    def snapshot(self) -> AbstractContextManager[Connection]:
        """A connection to read with, for one thread; all that is read is of one moment."""
        return self._connections.reading()

    @contextmanager
    def writing(self, *, synced: bool = False) -> Iterator[Connection]:
        """A transaction that no other server's overlaps."""
        with self._writing:
            connection = self._begun()
            try:
                yield PostgresConnection(connection)
                self._commit(connection)
            except BaseException:
                rolled_back(connection)
                raise

    def _begun(self) -> RawConnection:
        # Commits wait for the disk whatever is asked for: see above.
        begin = f"BEGIN; SELECT pg_advisory_xact_lock({_LOCK})".encode()
        if self._writer is not None and not self._writer.closed:
            try:
                self._writer.execute(begin)
                return self._writer
            except psycopg.Error as error:
                rolled_back(self._writer)
                if not is_lost(error):
                    raise
                self._writer.close()
        self._writer = self._connections.new()
        try:
            self._writer.execute(begin)
        except psycopg.Error:
            rolled_back(self._writer)
            raise
        return self._writer

    def _commit(self, connection: RawConnection) -> None:
        connection.execute(_NUMBERS)
        row = connection.execute(_WRITTEN).fetchone()
        transaction = None if row is None else row[0]
        connection.execute(self._notify)
        try:
            connection.execute(b"COMMIT")
        except psycopg.Error as error:
            if transaction is None or not is_lost(error) or not self._is_committed(transaction):
                raise

    def _is_committed(self, transaction: str) -> bool:
        """Whether a transaction was committed whose answer never came.

        Raises:
            QueueUnreachable: Nobody can be asked.
        """
        end = monotonic() + self._patience
        while monotonic() < end:
            try:
                with self._connections.new() as connection:
                    query = b"SELECT txid_status(%s::bigint)"
                    row = connection.execute(query, (transaction,)).fetchone()
                    if row is not None and row[0] in ("committed", "aborted"):
                        return bool(row[0] == "committed")
            except psycopg.OperationalError:
                _LOG.debug("nobody can be asked yet whether a change was kept", exc_info=True)
            sleep(0.1)
        raise QueueUnreachable(
            str(self._address),
            "it went away in the middle of a change, which may have been kept or not",
        )

    # The servers of the queue.

    def opened(self, connection: Connection, server: str) -> None:
        """Note that a server changes the queue from now on."""
        connection.execute(BEAT, (server, server_name()))

    still_open = opened

    def register_server(self, connection: Connection, server: str) -> None:
        """See that a server is listed; one that is writes nothing."""
        connection.execute(LIST, (server, server_name()))

    def closed(self, connection: Connection, server: str) -> None:
        """Note that it changes nothing any more."""
        connection.execute("DELETE FROM servers WHERE id = ?", (server,))

    def watch_servers(
        self, changed: Callable[[], None], bury: RecoverServers
    ) -> Callable[[], None]:
        """Tell of what other servers change, and of those that are gone, until it is ended."""
        return PeerMonitor(self._connections.new, self._server, changed, bury).close

    def relay(
        self, take: Callable[[Sequence[bytes]], None], is_heard: Callable[[], bool]
    ) -> PostgresRelay:
        """What tells other servers what is of the moment only, and hears of it."""
        return PostgresRelay(self._connections.new, self._server, take, is_heard)

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()
        if self._writer is not None:
            with self._writing:
                self._writer.close()
