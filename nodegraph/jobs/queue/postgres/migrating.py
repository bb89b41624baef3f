"""Making the tables, or bringing older ones up to date."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from nodegraph.errors import InvalidFile
from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.jobs.queue.postgres.connecting import RawConnection
from nodegraph.jobs.queue.postgres.schema import MIGRATIONS, SCHEMA

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
            f"the job queue {address} is of another version",
            given=str(current),
            expected=str(len(migrations)),
            hint="Use the newer nodegraph.",
        )
    if read_only:
        raise InvalidFile(
            f"there is no job queue at {address}"
            if not current
            else f"the job queue {address} is of an older version",
            hint="Start a server there first, which makes the tables.",
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
            f"the database {address} can't hold all texts",
            given=f"encoding {encoding[0] if encoding else 'unknown'}",
            expected="encoding UTF8",
            hint="Make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0.",
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
