"""A queue in an SQLite file: its lock, and file paths that follow a moved folder."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from nodegraph.core.digests import digest_bytes
from nodegraph.core.text_format import to_well_formed
from nodegraph.errors import NodegraphError, OutputError
from nodegraph.jobs.queue.backend import Connection, RecoverServers, server_name
from nodegraph.jobs.queue.errors import QueueInUse
from nodegraph.jobs.queue.job import set_setting, setting
from nodegraph.jobs.queue.schema import queue_format
from nodegraph.jobs.queue.submission import json_text
from nodegraph.store.claims import Claims
from nodegraph.store.database import PATIENCE, Database
from nodegraph.store.packing import pack_well_formed, unpack

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
                f"cannot make {lock_path} to lock the job queue: {error.strerror or error}"
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


_HOME = "home"
"""Setting: the folder that the queue was in when it was opened last."""
_WROTE = "SELECT seq, body FROM events WHERE kind = 'node.wrote' ORDER BY seq"
_PLACES = (
    ("workflows", "number", "content"),
    ("requests", "job", "content"),
    ("jobs", "number", "outputs"),
)
"""Tables, their keys and columns of JSON that may name files of the folder."""


def take_over(path: Path, before: str, after: str) -> None:
    """Make a copy of a queue ready to be opened as a server's own.

    Jobs that name files of the folder name them where they will lie. Numbers of events that were
    given since the copy was made are never given again.

    Args:
        path: Of the copy, which nobody has open.
        before: The folder that the queue was in.
        after: The one that it will be in.
    Raises:
        InvalidFile: It is no queue, is damaged, or was written by a newer version.
        OutputError: It can't be written.
    """
    with (
        closing(Database(path, queue_format())) as database,
        database.writing(synced=True) as connection,
    ):
        _move_all(connection, before, after)
        set_setting(connection, _HOME, after)
        # As if its process had been killed; whoever opens it is careful then.
        mark_open(connection)


def follow_folder(connection: Connection, folder: str) -> None:
    """Have jobs name files of the queue's folder where they lie, if it was moved since.

    Args:
        folder: That the queue is in now.
    """
    before = setting(connection, _HOME)
    if before == folder or to_well_formed(folder) != folder:
        return  # a name that is no text can't be kept, nor looked for in texts
    if isinstance(before, str):
        _move_all(connection, before, folder)
    set_setting(connection, _HOME, folder)


def _move_all(connection: Connection, before: str, after: str) -> None:
    if before == after:
        return
    for column in _PLACES:
        _move(connection, *column, before, after)
    for seq, body in connection.execute(_WROTE).fetchall():
        event = unpack(body)
        moved = _moved(event, before, after)
        if moved != event:
            change = "UPDATE events SET body = ? WHERE seq = ?"
            connection.execute(change, (pack_well_formed(moved), seq))


def _move(
    connection: Connection, table: str, key: str, column: str, before: str, after: str
) -> None:
    # Only those that can hold the path, in either of the ways in which JSON may have it.
    starts = (json.dumps(before)[1:-1], json.dumps(before, ensure_ascii=False)[1:-1])
    where = f"instr({column}, ?) OR instr({column}, ?)"
    query = f"SELECT {key}, {column} FROM {table} WHERE {where}"  # noqa: S608
    for number, text in connection.execute(query, starts).fetchall():
        moved = json_text(_moved(json.loads(text), before, after), column)
        if moved == text:
            continue
        change = f"UPDATE {table} SET {column} = ? WHERE {key} = ?"  # noqa: S608
        connection.execute(change, (moved, number))
        if table == "workflows":
            digest = digest_bytes(moved.encode())
            # The same workflow may have come by both paths; then each keeps the digest it has.
            change = "UPDATE OR IGNORE workflows SET digest = ? WHERE number = ?"
            connection.execute(change, (digest, number))


def _moved(value: Any, before: str, after: str) -> Any:
    if isinstance(value, str):
        return _moved_path(value, before, after)
    if isinstance(value, list):
        return [_moved(item, before, after) for item in value]
    if isinstance(value, dict):
        return {name: _moved(item, before, after) for name, item in value.items()}
    return value


def _moved_path(text: str, before: str, after: str) -> str:
    remainder = text.removeprefix(before)
    is_below = remainder != text and remainder[:1] in ("/", "\\")
    return f"{after}{remainder}" if is_below else text


_text = partial(str, encoding="utf-8", errors="replace")
"""Makes text of bytes, without a frame of Python's: of each column of each row."""


class QueueFile(Database):
    """See `QueueBackend`.

    Args:
        path: The file; made if it isn't there, unless read only.
        patience: Seconds to wait for another process's transaction.
    Raises:
        InvalidFile: It is no queue, is damaged, or was written by a newer version.
        OutputError: It can't be written.
    """

    faults = sqlite3.Error
    is_shared = False

    def __init__(self, path: Path, *, read_only: bool = False, patience: float = PATIENCE) -> None:
        super().__init__(path, queue_format(), read_only=read_only, patience=patience)

    @property
    def identity(self) -> str:
        """Tells it from another file that took its place."""
        status = self.path.stat()
        return f"{status.st_dev}-{status.st_ino}"

    def _connected(self, address: str) -> sqlite3.Connection:
        connection = super()._connected(address)
        # json_extract gives half a surrogate pair as bytes that are no UTF-8, and sqlite3 raises.
        connection.text_factory = _text
        return connection

    def affects_all_writes(self, error: Exception) -> bool:
        """Whether others would only fail, or wait, for the same reason."""
        return not isinstance(error, sqlite3.Error) or "locked" in str(error)

    def find_displacement(self) -> OutputError | None:
        """Why what is written would be lost."""
        if self.is_in_place():
            return None
        return OutputError(
            f"the job queue {self.path} was removed or replaced while in use",
            hint="Put it back, or stop the server and start it again.",
        )

    def opened(self, connection: Connection, server: str) -> None:
        """Note who changes the queue from now on."""
        mark_opened(connection, server)
        follow_folder(connection, str(self.path.parent.absolute()))

    def still_open(self, connection: Connection, server: str) -> None:
        """Note it once more."""
        mark_open(connection)

    def register_server(self, connection: Connection, server: str) -> None:
        """Nobody else can have taken it for gone."""

    def closed(self, connection: Connection, server: str) -> None:
        """Note that all that was committed is safe."""
        mark_closed(connection)

    def watch_servers(
        self, changed: Callable[[], None], bury: RecoverServers
    ) -> Callable[[], None]:
        """There are no other servers."""
        return lambda: None

    def relay(self, take: Callable[[Sequence[bytes]], None], is_heard: Callable[[], bool]) -> None:
        """There are no other servers."""
