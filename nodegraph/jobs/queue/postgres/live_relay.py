"""Relay of live events, such as progress, between the servers of a queue.

It costs a database little: of each thing only the newest is told, a few times a second, and only
while another server has clients that follow jobs.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from selectors import EVENT_READ, BaseSelector, DefaultSelector
from threading import Event, Lock, Thread
from time import monotonic

import psycopg

from nodegraph.jobs.queue.backend import LiveKey
from nodegraph.jobs.queue.postgres.connections import RawConnection

_CHANNEL = "nodegraph_live"
_FOLLOWERS = ""
"""Told in place of a server's name: who follows has changed."""
_EVERY = 0.1
"""Seconds between two times that something is told."""
_LOOK = 0.5
"""Seconds until it is seen that clients follow, or none any more."""
_SWEEP = 30.0
_AGAIN = 1.0
_LARGEST = 256 << 10
"""Bytes; a larger preview isn't worth it."""
_LOG = logging.getLogger(__name__)
_TELL = """
INSERT INTO live VALUES (%s, %s, %s, %s, %s, now(), %s)
ON CONFLICT (job, node, kind) DO UPDATE SET
    server = excluded.server, seq = excluded.seq, told = excluded.told, body = excluded.body
"""
_ANY_FOLLOWER = """
SELECT 1 FROM followers JOIN servers ON servers.id = followers.server
WHERE followers.server <> %s LIMIT 1
"""
_OLD = "DELETE FROM live WHERE told < now() - interval '1 minute'"
_GONE = "DELETE FROM followers WHERE server NOT IN (SELECT id FROM servers)"
_NEWS = "SELECT seq, body FROM live WHERE server = %s AND seq > %s ORDER BY seq"


class PostgresRelay:
    """See `LiveRelay`. Tells and listens in a thread of its own, until it is closed."""

    def __init__(
        self,
        connect: Callable[[], RawConnection],
        server: str,
        take: Callable[[Sequence[bytes]], None],
        is_heard: Callable[[], bool],
    ) -> None:
        self._connect = connect
        self._server = server
        self._take = take
        self._is_heard = is_heard
        self._telling = Lock()
        self._waiting: dict[LiveKey, bytes] = {}
        self._sequence = 0
        self._seen: dict[str, int] = {}
        self._is_listed = False
        self.has_followers = False
        self._due = self._swept = 0.0
        self._ending = Event()
        self._wake, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._thread = Thread(target=self._work, name="nodegraph-live", daemon=True)
        self._thread.start()

    def publish(self, key: LiveKey, body: bytes) -> None:
        """Tell the others of the newest of something."""
        if not self.has_followers or len(body) > _LARGEST:
            return
        with self._telling:
            is_first = not self._waiting
            self._waiting[key] = body
        if is_first:
            self._wake.send(b"x")

    def close(self) -> None:
        """Tell and listen no more."""
        self._ending.set()
        self._wake.send(b"x")
        self._thread.join()
        self._wake.close()
        self._woken.close()

    def _work(self) -> None:
        while not self._ending.is_set():
            # Without it nothing is lost but what is of the moment, so nobody need be told.
            try:
                with self._connect() as connection, DefaultSelector() as selector:
                    selector.register(self._woken, EVENT_READ)
                    selector.register(connection.fileno(), EVENT_READ)
                    connection.execute(b"SET synchronous_commit TO off")
                    connection.execute(f"LISTEN {_CHANNEL}".encode())
                    self._is_listed = False
                    self._look_for_followers(connection)
                    self._go_on(connection, selector)
                    self._unlist(connection)
            except psycopg.Error:
                _LOG.debug("live progress is not sent to other servers", exc_info=True)
                self.has_followers = False
                self._ending.wait(_AGAIN)

    def _go_on(self, connection: RawConnection, selector: BaseSelector) -> None:
        while not self._ending.is_set():
            self._list(connection)
            now = monotonic()
            if self._waiting and now >= self._due:
                self._send(connection)
                self._due = now + _EVERY
            if now >= self._swept + _SWEEP:
                connection.execute(_OLD.encode())
                connection.execute(_GONE.encode())
                self._swept = now
            self._receive(connection)
            selector.select(max(0.0, self._due - monotonic()) if self._waiting else _LOOK)
            with suppress(BlockingIOError):
                while self._woken.recv(256):
                    pass

    def _list(self, connection: RawConnection) -> None:
        """Have the others tell this server, or no more, as its clients need it."""
        is_heard = self._is_heard()
        if is_heard and not self._is_listed:
            add = b"INSERT INTO followers VALUES (%s) ON CONFLICT DO NOTHING"
            connection.execute(add, (self._server,))
            self._is_listed = True
            _notify(connection, _FOLLOWERS)
        elif self._is_listed and not is_heard:
            self._unlist(connection)

    def _unlist(self, connection: RawConnection) -> None:
        if self._is_listed:
            connection.execute(b"DELETE FROM followers WHERE server = %s", (self._server,))
            self._is_listed = False
            _notify(connection, _FOLLOWERS)

    def _send(self, connection: RawConnection) -> None:
        with self._telling:
            waiting, self._waiting = self._waiting, {}
        rows = []
        for key, body in waiting.items():
            self._sequence += 1
            rows.append((*key, self._server, self._sequence, body))
        with connection.transaction():
            connection.cursor().executemany(_TELL.encode(), rows)
            _notify(connection, self._server)

    def _receive(self, connection: RawConnection) -> None:
        # What came along with an answer wakes nobody who waits for the connection.
        while payloads := {notice.payload for notice in connection.notifies(timeout=0)}:
            if _FOLLOWERS in payloads:
                self._look_for_followers(connection)
            for server in payloads - {_FOLLOWERS, self._server} if self._is_listed else ():
                self._read(connection, server)

    def _read(self, connection: RawConnection, server: str) -> None:
        last = self._seen.get(server, 0)
        rows = connection.execute(_NEWS.encode(), (server, last)).fetchall()
        if rows:
            self._seen[server] = rows[-1][0]
            self._take([bytes(body) for _, body in rows])

    def _look_for_followers(self, connection: RawConnection) -> None:
        row = connection.execute(_ANY_FOLLOWER.encode(), (self._server,)).fetchone()
        self.has_followers = row is not None


def _notify(connection: RawConnection, payload: str) -> None:
    connection.execute(b"SELECT pg_notify(%s, %s)", (_CHANNEL, payload))
