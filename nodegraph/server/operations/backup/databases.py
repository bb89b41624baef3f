"""What of a home folder goes into a backup; its databases as they are at one moment."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

from nodegraph.errors import InvalidFile
from nodegraph.jobs.queue.schema import queue_format
from nodegraph.server.access.tokens import TOKENS_FILE as TOKENS
from nodegraph.server.content.uploads.index import uploads_format
from nodegraph.store.database import Database, Format


def copy_database(source: Path, target: Path, kind: Format) -> None:
    """Copy a database as it is at one moment; nobody who writes to it waits.

    Args:
        target: Isn't there yet.
    Raises:
        InvalidFile: It is something else, is damaged, or was written by another version.
        OutputError: The copy can't be written.
    """
    with (
        closing(Database(source, kind, read_only=True)) as database,
        database.explaining(),
        closing(sqlite3.connect(target)) as copy,
        database.reading() as connection,
    ):
        connection.backup(copy)
        # One file, with no journal beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
        _check(copy, source)


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
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise InvalidFile(f"{path} is damaged: {verdict}", hint="Restore an earlier backup of it.")


QUEUE = "queue.sqlite"
UPLOADS = "uploads"
UPLOADS_INDEX = f"{UPLOADS}/uploads.sqlite"
UPLOADED = f"{UPLOADS}/files"
CONFIG = "config.toml"
OUTPUTS = "outputs"
MODELS = "models"

ALWAYS = (QUEUE, UPLOADS, "workflows", "packs", "inputs", CONFIG)
"""Names in the home folder that are in every backup."""
PARTS = (*ALWAYS, OUTPUTS, TOKENS, MODELS)
"""All that may be in one, in the order in which they are written: what refers to files comes before
them, so that what it refers to is there."""

DATABASES: Mapping[str, Callable[[], Format]] = {
    QUEUE: queue_format,
    UPLOADS_INDEX: uploads_format,
}
"""Copied as of one moment, however much is written meanwhile."""

DERIVED = tuple(
    f"{name}{suffix}"
    for name in (QUEUE, "artifacts.sqlite")
    for suffix in ("", "-wal", "-shm")
    if name != QUEUE or suffix
)
"""Goes when a queue is put back: journals of the one before, and what is made again from it."""

IGNORED = re.compile(r"cache|lost\+found|.*-lock|\.DS_Store|\.restore.*")
"""Names in a home folder that are empty as far as a restore goes."""

_PASSING = re.compile(r"\.[0-9a-f]{16}\.tmp|\..*\.[0-9a-f]{8}\.tmp|__pycache__|.*\.part")


def is_passing(name: str) -> bool:
    """Whether a file or folder is only there for a moment, or made again by itself."""
    return _PASSING.fullmatch(name) is not None
