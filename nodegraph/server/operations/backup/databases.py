"""Copies of databases of one moment, while others write to them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from nodegraph.errors import InvalidFile
from nodegraph.store.database import Database, Format


def copy_database(source: Path, target: Path, kind: Format) -> None:
    """Copy a database as it is at one moment; nobody who writes to it waits.

    Args:
        target: Isn't there yet.
    Raises:
        InvalidFile: It is something else, is damaged, or was written by another version.
        OutputError: The copy can't be written.
    """
    with closing(Database(source, kind, read_only=True)) as database:
        try:
            with closing(sqlite3.connect(target)) as copy, database.reading() as connection:
                connection.backup(copy)
                # One file, with no journal beside it.
                copy.execute("PRAGMA journal_mode = DELETE")
                _check(copy, source)
        except sqlite3.Error as error:
            raise database.explained(error) from error


def check_database(path: Path, kind: Format) -> None:
    """See that a copy can be opened as what it is to be.

    Raises:
        InvalidFile: It is something else, is damaged, or was written by a newer version.
    """
    try:
        with closing(sqlite3.connect(path)) as connection:
            _check(connection, path)
    except sqlite3.Error as error:
        raise InvalidFile(f"{path.name} in the backup is damaged: {error}") from error
    # An older one becomes today's by being opened.
    Database(path, kind).close()


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise InvalidFile(f"{path} is damaged: {found}", hint="Restore an earlier backup of it.")
