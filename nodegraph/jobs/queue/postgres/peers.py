"""The other servers of a queue: notice their changes, and those that are gone.

Each server counts up a number of its own in the database. One whose number hasn't moved for a while
is gone, by the clock of whoever looks: machines' clocks needn't agree, and a database that was away
makes nobody seem dead, as each begins to look anew.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from selectors import EVENT_READ, BaseSelector, DefaultSelector
from threading import Event, Thread
from time import monotonic

import psycopg

from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue.backend import RecoverServers, server_name
from nodegraph.jobs.queue.postgres.connections import PostgresConnection, RawConnection

CHANNEL = "nodegraph"
"""On which it is told that the queue was changed, and by whom."""
BEAT_SECONDS = 3.0
GONE_SECONDS = 15.0
"""Without a beat, after which a server counts as gone and its jobs go on elsewhere."""
_AGAIN = 0.5
_LOG = logging.getLogger(__name__)
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
