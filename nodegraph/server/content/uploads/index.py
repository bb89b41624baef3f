"""Index of uploads: which client uploaded which file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.core.file_access import upload_reference
from nodegraph.jobs.queue.backend import Connection, Tables
from nodegraph.server.http.media_types import SUFFIXES
from nodegraph.store.database import Format

_FIRST = """
-- Who brought what; the same bytes may be brought by several, and under several names.
CREATE TABLE uploads (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL,          -- blake3 of the bytes
    client TEXT NOT NULL,
    name TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    width INTEGER,
    height INTEGER,
    created REAL NOT NULL,         -- Unix time when it was brought last
    used REAL NOT NULL,            -- the same, or when a job was submitted with it
    UNIQUE (digest, client, name)
);
CREATE INDEX uploads_by_client ON uploads (client, number);
CREATE INDEX uploads_by_use ON uploads (used);
"""

MIGRATIONS: Sequence[str] = (_FIRST,)

APPLICATION = 0x6E677570
"""Marks the file, so that no other program's database is taken for one."""
_COLUMNS = "number, digest, client, name, media_type, size, width, height, created, used"
_ADD = """
INSERT INTO uploads (digest, client, name, media_type, size, width, height, created, used)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (digest, client, name) DO UPDATE SET created = excluded.created, used = excluded.used
"""
_HELD = """
SELECT coalesce(sum(size), 0) FROM (SELECT max(size) AS size FROM uploads GROUP BY digest) AS files
"""
_ALL = 1 << 62
"""Rows."""


def uploads_format() -> Format:
    """What an index's file holds."""
    return Format(
        application=APPLICATION,
        migrations=MIGRATIONS,
        name="the index of uploads",
        whole="the uploads",
        foreign="an index of uploads",
        absent="no index of uploads",
        loss="all files must be uploaded again.",
        is_private=True,
        is_irreplaceable=True,
    )


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a client brought.

    Attributes:
        number: Grows from upload to upload.
        digest: blake3 of the bytes.
        name: Safe as a file's.
        size: Bytes.
        width, height: Of an image, in pixels.
        created, used: Unix times: when it was last brought, and when it was last needed.
    """

    number: int
    digest: Digest
    client: str
    name: str
    media_type: str
    size: int
    width: int | None
    height: int | None
    created: float
    used: float

    @property
    def reference(self) -> str:
        """What a workflow calls it."""
        return upload_reference(self.digest, self.name)

    @property
    def file(self) -> str:
        """Name of the file that holds it."""
        return f"{self.digest}{SUFFIXES[self.media_type]}"


@dataclass(frozen=True, slots=True)
class UploadPage:
    """Some uploads, the newest first.

    Attributes:
        next: Cursor of the next page; None if this is the last.
    """

    uploads: tuple[Upload, ...]
    next: str | None


class UploadIndex:
    """Who brought what; safe to use from several threads.

    Args:
        database: A file, see `uploads_format`, or what several servers share.
    """

    def __init__(self, database: Tables) -> None:
        self._database = database

    def close(self) -> None:
        """Close what keeps it."""
        self._database.close()

    def add(self, upload: Upload) -> tuple[Upload, bool]:
        """Enter an upload, whose number doesn't count; as it is entered, and whether it is new."""
        values = [getattr(upload, name) for name in _COLUMNS.split(", ")[1:]]
        with self._writing(synced=True) as connection:
            known = _find_upload(connection, upload)
            connection.execute(_ADD, values)
            entered = _find_upload(connection, upload)
        assert entered is not None
        return entered, known is None

    def find(self, digest: Digest, client: str | None) -> list[Upload]:
        """The uploads of certain bytes, the newest first.

        Args:
            client: Whose; None for everybody's.
        """
        which = "digest = :digest AND (CAST(:client AS TEXT) IS NULL OR client = :client)"
        return self._uploads(which, "number DESC", _ALL, digest=digest, client=client)

    def find_named(self, names: Sequence[str], client: str | None) -> Upload | None:
        """The upload that was brought last of those with one of some names; see `find`."""
        named = ", ".join(f":name{at}" for at in range(len(names)))
        which = f"name IN ({named}) AND (CAST(:client AS TEXT) IS NULL OR client = :client)"
        values = {f"name{at}": name for at, name in enumerate(names)}
        uploads = self._uploads(which, "created DESC, number DESC", 1, client=client, **values)
        return next(iter(uploads), None)

    def before(self, number: int | None, client: str | None, limit: int) -> list[Upload]:
        """The uploads before one, the newest first."""
        # PostgreSQL wants to know the type of each value that may be none.
        which = (
            "(CAST(:number AS BIGINT) IS NULL OR number < :number)"
            " AND (CAST(:client AS TEXT) IS NULL OR client = :client)"
        )
        return self._uploads(which, "number DESC", limit, number=number, client=client)

    def unused(self, before: float) -> list[Upload]:
        """The uploads that weren't used since a time; the longest unused first."""
        return self._uploads("used < :before", "used, number", _ALL, before=before)

    def _uploads(self, which: str, order: str, limit: int, **values: Any) -> list[Upload]:
        query = f"SELECT {_COLUMNS} FROM uploads WHERE {which} ORDER BY {order} LIMIT {limit}"  # noqa: S608
        with self._database.explaining(), self._database.reading() as connection:
            return [Upload(*row) for row in connection.execute(query, values)]

    def total_bytes(self) -> int:
        """Bytes that all uploads take together."""
        with self._database.explaining(), self._database.reading() as connection:
            return int(connection.execute(_HELD).fetchone()[0])

    def touch(self, uploads: Sequence[Upload], now: float) -> None:
        """Note that uploads are needed."""
        rows = [(now, upload.number) for upload in uploads]
        with self._writing() as connection:
            connection.executemany("UPDATE uploads SET used = ? WHERE number = ?", rows)

    def remove(self, uploads: Sequence[Upload], used_before: float | None = None) -> list[Upload]:
        """Forget uploads; those of them whose bytes are nobody's upload any more.

        Args:
            used_before: Only those that still weren't used since.
        """
        gone = []
        query = (
            "DELETE FROM uploads WHERE number = :number"
            " AND (CAST(:used_before AS DOUBLE PRECISION) IS NULL OR used < :used_before)"
        )
        with self._writing(synced=True) as connection:
            for upload in uploads:
                values = {"number": upload.number, "used_before": used_before}
                connection.execute(query, values)
                if not _is_held(connection, upload.digest):
                    gone.append(upload)
        return gone

    def is_held(self, digest: Digest) -> bool:
        """Whether it is anybody's upload."""
        with self._database.explaining(), self._database.reading() as connection:
            return _is_held(connection, digest)

    def digests(self) -> set[Digest]:
        """Of all that was brought."""
        with self._database.explaining(), self._database.reading() as connection:
            return {row[0] for row in connection.execute("SELECT DISTINCT digest FROM uploads")}

    # Of files that several servers share.

    def add_removal(self, name: str, digest: Digest) -> None:
        """Note that a shared file is to be removed, which is impossible now."""
        add = "INSERT INTO removals (path, digest) VALUES (?, ?) ON CONFLICT DO NOTHING"
        with self._writing() as connection:
            connection.execute(add, (name, digest))

    def take_removals(self, folder: str) -> list[tuple[str, Digest]]:
        """Names of shared files below a folder that are still to be removed, and that nobody has
        brought again; they are noted no more."""
        held = "EXISTS (SELECT 1 FROM uploads WHERE uploads.digest = removals.digest)"
        taken = f"DELETE FROM removals WHERE path LIKE ? RETURNING path, digest, {held}"  # noqa: S608
        with self._writing() as connection:
            rows = connection.execute(taken, (f"{folder}/%",)).fetchall()
        return [(path, digest) for path, digest, is_held in rows if not is_held]

    @contextmanager
    def _writing(self, *, synced: bool = False) -> Iterator[Connection]:
        with self._database.explaining(), self._database.writing(synced=synced) as connection:
            yield connection


def _find_upload(connection: Connection, upload: Upload) -> Upload | None:
    query = f"SELECT {_COLUMNS} FROM uploads WHERE digest = ? AND client = ? AND name = ?"  # noqa: S608
    row = connection.execute(query, (upload.digest, upload.client, upload.name)).fetchone()
    return None if row is None else Upload(*row)


def _is_held(connection: Connection, digest: Digest) -> bool:
    query = "SELECT 1 FROM uploads WHERE digest = ? LIMIT 1"
    return connection.execute(query, (digest,)).fetchone() is not None
