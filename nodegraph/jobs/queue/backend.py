"""Protocols of a queue's database: connection, tables, backend, relay of live events.

Statements must run on other databases than SQLite too: they use ``?`` or ``:name`` for values,
``ON CONFLICT``, ``RETURNING``, and whole numbers instead of truth values.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Protocol

from nodegraph.errors import NodegraphError

Values = Sequence[Any] | Mapping[str, Any]


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""

    def fetchone(self) -> Any:
        """The next row; None after the last."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """A connection, in a transaction that is its owner's affair; for one thread at a time."""

    def execute(self, query: str, values: Any = (), /) -> Rows:
        """Run a statement; `values` are `Values`."""

    def executemany(self, query: str, values: Iterable[Sequence[Any]], /) -> object:
        """Run a statement with each of some lists of values."""


class Tables(Protocol):
    """Tables in a file, or in a database that several servers change; for any thread."""

    def explaining(self) -> AbstractContextManager[None]:
        """What they raise in the `with` is raised in words."""

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection to read with, for one thread; it sees what was committed before."""

    def writing(self, *, synced: bool = False) -> AbstractContextManager[Connection]:
        """A transaction, committed at the end of the `with` unless it raises.

        Args:
            synced: Whether the commit survives a power cut, with all that came before it.
        """

    def close(self) -> None:
        """Close the connections."""


def placeholders(values: Sequence[Any]) -> str:
    """A place for each of some values, as in `IN (?, ?)`; for none, a value that nothing equals."""
    return ", ".join("?" * len(values)) or "NULL"


LiveKey = tuple[str, str, str]
"""A job, a node or nothing, and a kind: of each, only the newest is of interest."""
RecoverServers = Callable[[Mapping[str, int]], Future[Any]]


class LiveRelay(Protocol):
    """Tells a queue's other servers what is of the moment only.

    Attributes:
        has_followers: Whether any of them wants to know.
    """

    @property
    def has_followers(self) -> bool: ...

    def publish(self, key: LiveKey, body: bytes) -> None:
        """Tell them the newest of something; what wasn't told yet of it is left out."""

    def close(self) -> None:
        """Tell, and hear, no more."""


class QueueBackend(Protocol):
    """Connections to where a queue lies; safe to use from several threads.

    Attributes:
        faults: What it raises when something is wrong with it.
        identity: Tells this queue from any other that is or was at its place.
        is_shared: Whether other servers may change it, too. A database has it then, so that reading
            takes longer than a moment.
    """

    @property
    def faults(self) -> type[Exception]: ...
    @property
    def identity(self) -> str: ...
    @property
    def is_shared(self) -> bool: ...

    def snapshot(self) -> AbstractContextManager[Connection]:
        """A connection to read with, for one thread; all that is read is of one moment."""

    def writing(self, *, synced: bool = False) -> AbstractContextManager[Connection]:
        """A transaction, committed at the end of the `with` unless it raises.

        Args:
            synced: Whether the commit survives a power cut, with all that came before it.
        """

    def explaining(self) -> AbstractContextManager[None]:
        """What it raises in the `with` is raised in words."""

    def explained(self, error: Exception) -> NodegraphError:
        """One of its faults, in words."""

    def affects_all_writes(self, error: Exception) -> bool:
        """Whether whatever else is written now would fail, or wait, for the same reason."""

    def find_displacement(self) -> NodegraphError | None:
        """Why what is written would be lost without any error; None if it wouldn't."""

    # Who changes the queue: of a file one server at a time, of a database any number.

    def opened(self, connection: Connection, server: str) -> None:
        """Note that a server changes the queue from now on."""

    def still_open(self, connection: Connection, server: str) -> None:
        """Note it once more."""

    def register_server(self, connection: Connection, server: str) -> None:
        """See that a server is noted which is about to have a job, as others may have taken it
        for gone: jobs of servers that aren't noted are put back."""

    def closed(self, connection: Connection, server: str) -> None:
        """Note that it changes nothing any more."""

    def watch_servers(
        self, changed: Callable[[], None], bury: RecoverServers
    ) -> Callable[[], None]:
        """Look after the queue's other servers.

        Args:
            changed: Is called when another has changed the queue, or may have; from any thread.
            bury: Is given servers that are gone, with what they had counted to, to put back what
                they ran.
        Returns:
            What ends it.
        """

    def relay(
        self, take: Callable[[Sequence[bytes]], None], is_heard: Callable[[], bool]
    ) -> LiveRelay | None:
        """What tells other servers, and hears of them; None if there are none.

        Args:
            take: Is called with what others tell, from another thread.
            is_heard: Whether anybody here wants to know.
        """

    def close(self) -> None:
        """Close the connections."""


def server_name() -> str:
    """What people know this process by."""
    return f"{platform.node()}, process {os.getpid()}"
