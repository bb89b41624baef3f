"""Where queues are, and what keeps them there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nodegraph.errors import OutputError
from nodegraph.jobs.queue.connection import Tables
from nodegraph.jobs.queue.engine import QueueBackend
from nodegraph.jobs.queue.file import QueueFile
from nodegraph.jobs.queue.ownership import Ownership
from nodegraph.jobs.queue.postgres.address import PostgresAddress

QueueLocation = Path | PostgresAddress
"""A file, which one process at a time may change, or a database, which several may."""


@contextmanager
def open_to_write(location: QueueLocation, server: str, patience: float) -> Iterator[QueueBackend]:
    """What keeps a queue, to change it; closed at the end of the `with`.

    Args:
        server: Who changes it.
        patience: Seconds to wait for another's transaction.
    """
    if isinstance(location, Path):
        ownership = Ownership(location)
        try:
            file = QueueFile(location, patience=patience)
            try:
                yield file
            finally:
                file.close()
        finally:
            ownership.close()
    else:
        database = _database(location, server, patience)
        try:
            yield database
        finally:
            database.close()


def open_to_read(location: QueueLocation) -> QueueBackend:
    """What keeps a queue, to look at it."""
    return (
        QueueFile(location, read_only=True) if isinstance(location, Path) else _database(location)
    )


def open_shared_tables(
    address: PostgresAddress, schema: str, migrations: Sequence[str], lock: int
) -> Tables:
    """More tables in a queue's database; see `PostgresTables`.

    Raises:
        InvalidFile: They are of a newer version.
        OutputError: The database can't be reached, or not written.
    """
    with _needing_psycopg(address):
        from nodegraph.jobs.queue.postgres.tables import PostgresTables
    return PostgresTables(address, schema, migrations, lock)


@contextmanager
def _needing_psycopg(address: PostgresAddress) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise OutputError(
            f"the job queue {address} needs psycopg: {error}",
            hint='Run `pip install "nodegraph[postgres]"`.',
        ) from error


def _database(
    address: PostgresAddress, server: str | None = None, patience: float = 5.0
) -> QueueBackend:
    with _needing_psycopg(address):
        from nodegraph.jobs.queue.postgres.database import PostgresDatabase
    return PostgresDatabase(address, server or "", patience=patience, read_only=server is None)
