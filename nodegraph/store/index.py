"""The index of a store: one SQLite file that several processes may use at once."""

from __future__ import annotations

from pathlib import Path

from nodegraph.store.database import Database, Format
from nodegraph.store.schema import APPLICATION, MIGRATIONS


class Index(Database):
    """Connections to the index; safe to use from several threads.

    Readers never wait for writers (WAL). Each `writing` is one transaction: all of it or nothing.
    A commit survives the process; after a power cut the last ones may be missing.

    Args:
        path: The file; made if it isn't there, unless read only.
        read_only: No content is ever written. The file may lie where nothing can be written.
    Raises:
        InvalidFile: It is no index, is damaged, or was written by a newer version.
        OutputError: It can't be written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        kind = Format(
            application=APPLICATION,
            migrations=MIGRATIONS,
            name="the store's index",
            whole="the store",
            foreign="the index of a store",
            absent="no store",
            loss="results will be computed again.",
        )
        super().__init__(path, kind, read_only=read_only)
