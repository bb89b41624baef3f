"""PostgreSQL database of a queue: migrations, reads, and one change at a time."""

from __future__ import annotations

import logging
import secrets
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from selectors import EVENT_READ, BaseSelector, DefaultSelector
from threading import Event, RLock, Thread
from time import monotonic, sleep

import psycopg
from psycopg import errors, sql

from nodegraph.errors import InvalidFile, NodegraphError
from nodegraph.jobs.queue.backend import Connection, RecoverServers, server_name
from nodegraph.jobs.queue.errors import QueueUnreachable
from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.jobs.queue.postgres.connections import (
    Connections,
    PostgresConnection,
    RawConnection,
    explained,
    is_lost,
    rolled_back,
)
from nodegraph.jobs.queue.postgres.live_relay import PostgresRelay
from nodegraph.jobs.queue.postgres.schema import MIGRATIONS, SCHEMA

CHANNEL = "nodegraph"
"""On which it is told that the queue was changed, and by whom."""
BEAT_SECONDS = 3.0
GONE_SECONDS = 15.0
"""Without a beat, after which a server counts as gone and its jobs go on elsewhere."""
_AGAIN = 0.5
BEAT = """
INSERT INTO servers VALUES (?, ?, 0) ON CONFLICT (id) DO UPDATE SET beat = servers.beat + 1
"""
"""Counts up a server's number."""
LIST = "INSERT INTO servers VALUES (?, ?, 0) ON CONFLICT DO NOTHING"
"""Lists a server that others took for gone."""


class PeerMonitor:
    """Listens and counts in a thread of its own, until it is closed.

    Args:
        connect: Makes a connection.
        server: This one.
        changed: Is called when another has changed the queue, or may have.
        bury: Is given servers that are gone, with their last numbers, to put back what they ran.
    """

    def __init__(
        self,
        connect: Callable[[], RawConnection],
        server: str,
        changed: Callable[[], None],
        bury: RecoverServers,
    ) -> None:
        self._connect = connect
        self._server = server
        self._changed = changed
        self._recover = bury
        self._seen: dict[str, tuple[int, float]] = {}
        self._ending = Event()
        self._wake, self._woken = socket.socketpair()
        self._thread = Thread(target=self._work, name="nodegraph-neighbours", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._ending.set()
        self._wake.send(b"x")
        self._thread.join()
        self._wake.close()
        self._woken.close()

    def _work(self) -> None:
        # Not `select`: a busy server has more connections than that can wait for.
        with DefaultSelector() as selector:
            selector.register(self._woken, EVENT_READ)
            self._listen(selector)

    def _listen(self, selector: BaseSelector) -> None:
        is_well = True
        while not self._ending.is_set():
            try:
                with self._connect() as connection:
                    connection.execute(f"LISTEN {CHANNEL}".encode())
                    self._seen.clear()
                    # What was told while nobody listened.
                    self._changed()
                    if not is_well:
                        _LOG.warning("the job queue's database can be reached again")
                    is_well = True
                    with _watched(selector, connection.fileno()):
                        self._follow(connection, selector)
            except psycopg.Error as error:
                if is_well:
                    first_line = str(error).strip().splitlines()[:1]
                    _LOG.error(
                        "the job queue's database cannot be reached: %s",
                        *first_line or [type(error).__name__],
                    )
                is_well = False
                self._ending.wait(_AGAIN)

    def _follow(self, connection: RawConnection, selector: BaseSelector) -> None:
        due = monotonic()
        while not self._ending.is_set():
            if monotonic() >= due:
                self._beat(connection)
                due = monotonic() + BEAT_SECONDS
            # What came along with the answers of a beat wakes nobody who waits for the connection.
            while payloads := {notice.payload for notice in connection.notifies(timeout=0)}:
                if payloads - {self._server}:
                    self._changed()
            selector.select(max(0.0, due - monotonic()))

    def _beat(self, connection: RawConnection) -> None:
        alive = PostgresConnection(connection)
        alive.execute(BEAT, (self._server, server_name()))
        now = monotonic()
        rows: list[tuple[str, int]] = alive.execute("SELECT id, beat FROM servers").fetchall()
        self._seen = {
            server: (beat, self._seen[server][1])
            if server in self._seen and self._seen[server][0] == beat
            else (beat, now)
            for server, beat in rows
            if server != self._server
        }
        gone = {
            server: beat
            for server, (beat, since) in self._seen.items()
            if now - since >= GONE_SECONDS
        }
        if gone:
            # What can't be written now is tried at the next beat.
            with suppress(NodegraphError):
                self._recover(gone).result()


@contextmanager
def _watched(selector: BaseSelector, descriptor: int) -> Iterator[None]:
    selector.register(descriptor, EVENT_READ)
    try:
        yield
    finally:
        selector.unregister(descriptor)


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


_VERSION = b"SELECT value FROM meta WHERE name = 'version'"
_IDENTITY = b"SELECT value FROM meta WHERE name = 'identity'"


def migrate(
    connection: RawConnection,
    address: PostgresAddress,
    lock: int,
    *,
    read_only: bool,
    schema: str = SCHEMA,
    migrations: Sequence[str] = MIGRATIONS,
) -> None:
    """See that the tables are there and of today's version.

    Args:
        lock: That whoever changes them takes.
        read_only: Nothing is changed.
        schema: In which they lie, among them one called ``meta``.
        migrations: Step `n` leads those of version `n` to version `n + 1`.
    Raises:
        InvalidFile: They aren't.
    """
    current = _version(connection, address, schema)
    if current == len(migrations):
        return
    if current > len(migrations):
        raise InvalidFile(
            f"the job queue {address} has an unsupported version",
            given=str(current),
            expected=str(len(migrations)),
            hint="Update nodegraph.",
        )
    if read_only:
        raise InvalidFile(
            f"there is no job queue at {address}"
            if not current
            else f"the job queue {address} has an older version",
            hint="Start a server there first. It creates the tables.",
        )
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock,))
        if not _is_there(connection, f"to_regnamespace('{schema}')"):
            connection.execute(f"CREATE SCHEMA {schema}".encode())
        # Another server may have been first.
        for script in migrations[_version(connection, address, schema) :]:
            connection.execute(script.encode())
        _set(connection, "version", len(migrations))
        if connection.execute(_IDENTITY).fetchone() is None:
            _set(connection, "identity", secrets.randbits(62))


def identity(connection: RawConnection) -> str:
    """What tells this queue from any other."""
    row = connection.execute(_IDENTITY).fetchone()
    assert row is not None
    return f"postgresql-{row[0]:x}"


def _version(connection: RawConnection, address: PostgresAddress, schema: str) -> int:
    encoding = connection.execute(b"SHOW server_encoding").fetchone()
    if encoding != ("UTF8",):
        raise InvalidFile(
            f"the database {address} cannot store all texts",
            given=f"encoding {encoding[0] if encoding else 'unknown'}",
            expected="encoding UTF8",
            hint="Create one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.",
        )
    if not _is_there(connection, f"to_regclass('{schema}.meta')"):
        return 0
    row = connection.execute(_VERSION).fetchone()
    return 0 if row is None else int(row[0])


def _is_there(connection: RawConnection, name: str) -> bool:
    row = connection.execute(f"SELECT {name}::text".encode()).fetchone()
    return row is not None and row[0] is not None


def _set(connection: RawConnection, name: str, value: int) -> None:
    connection.execute(
        "INSERT INTO meta VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


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
                _LOG.debug("it cannot be checked yet whether a change was saved", exc_info=True)
            sleep(0.1)
        raise QueueUnreachable(
            str(self._address),
            "the connection was lost during a change, which may or may not have been saved",
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
