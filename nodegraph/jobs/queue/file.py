"""A queue in a file of SQLite, which one process at a time may change."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from nodegraph.errors import OutputError
from nodegraph.jobs.queue import ownership
from nodegraph.jobs.queue.connection import Connection
from nodegraph.jobs.queue.engine import RecoverServers
from nodegraph.jobs.queue.moving import follow_folder
from nodegraph.jobs.queue.schema import queue_format
from nodegraph.store.database import PATIENCE, Database


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


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
            hint="Put it back or stop the server, and start it again.",
        )

    def opened(self, connection: Connection, server: str) -> None:
        """Note who changes the queue from now on."""
        ownership.mark_opened(connection, server)
        follow_folder(connection, str(self.path.parent.absolute()))

    def still_open(self, connection: Connection, server: str) -> None:
        """Note it once more."""
        ownership.mark_open(connection)

    def register_server(self, connection: Connection, server: str) -> None:
        """Nobody else can have taken it for gone."""

    def closed(self, connection: Connection, server: str) -> None:
        """Note that all that was committed is safe."""
        ownership.mark_closed(connection)

    def watch_servers(
        self, changed: Callable[[], None], bury: RecoverServers
    ) -> Callable[[], None]:
        """There are no other servers."""
        return lambda: None

    def relay(self, take: Callable[[Sequence[bytes]], None], is_heard: Callable[[], bool]) -> None:
        """There are no other servers."""
