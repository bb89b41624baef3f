"""Only one process at a time changes a queue; others may read it."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from nodegraph.errors import NodegraphError, OutputError
from nodegraph.jobs.queue.changes import set_setting, setting
from nodegraph.jobs.queue.connection import Connection
from nodegraph.jobs.queue.engine import server_name
from nodegraph.jobs.queue.errors import QueueInUse
from nodegraph.jobs.queue.schema import queue_format
from nodegraph.store.claims import Claims
from nodegraph.store.database import Database

_NAME = "0123456789abcdef"
"""Of the claim; any would do, as a queue's file has but this one."""
_LEAP = 1 << 20
"""Events that are more than any power cut could take."""
_LEAP_ON = "UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'events'"


class Ownership:
    """The right to change a queue; the system takes it from a process that dies.

    Where the file system has no locks, it holds within the process alone.

    Args:
        path: Of the queue's file; what is locked lies beside it.
    Raises:
        QueueInUse: Another process has it, or another object of this one.
        OutputError: The file beside it can't be made.
    """

    def __init__(self, path: Path) -> None:
        lock_path = path.with_name(f"{path.name}-lock")
        try:
            lock_path.parent.mkdir(parents=True, exist_ok=True)
            self._claims = Claims(lock_path)
        except OSError as error:
            raise OutputError(
                f"can't make {lock_path} to lock the job queue: {error.strerror or error}"
            ) from error
        if not self._claims.try_claim(_NAME):
            self._claims.close()
            raise QueueInUse(str(path), _owner(path))

    def close(self) -> None:
        """Let others have it."""
        self._claims.close()


def _owner(path: Path) -> int | None:
    """The process that has it, as far as it has said so already."""
    try:
        database = Database(path, queue_format(), read_only=True)
    except NodegraphError:
        return None
    with closing(database), database.reading() as connection:
        pid = setting(connection, "pid")
    return pid if isinstance(pid, int) else None


def mark_opened(connection: Connection, server: str) -> None:
    """Note who changes the queue now: nobody else does.

    If nobody said that they had closed it, the power may have failed and taken events that were
    told to somebody already. The numbers of these are never given again: who goes on from one of
    them would miss what came in its place.
    """
    was_closed = setting(connection, "pid") is None
    if not was_closed and not connection.execute(_LEAP_ON, (_LEAP,)).rowcount:
        connection.execute("INSERT INTO sqlite_sequence VALUES ('events', ?)", (_LEAP,))
    connection.execute("DELETE FROM servers")
    connection.execute("INSERT INTO servers VALUES (?, ?, 0)", (server, server_name()))
    mark_open(connection)


def mark_open(connection: Connection) -> None:
    """Note once more who changes the queue."""
    # Of a value that stays the same nothing would be written, which tells nothing of a full disk.
    mark_closed(connection)
    set_setting(connection, "pid", os.getpid())


def mark_closed(connection: Connection) -> None:
    """Note that all that was committed is safe."""
    set_setting(connection, "pid", None)
