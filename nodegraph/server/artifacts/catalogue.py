"""Which file holds which bytes, and which jobs gave it."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.database import Database
from nodegraph.jobs.outputs import FinishedJob
from nodegraph.server.artifacts.schema import catalogue_format

_LOG = logging.getLogger(__name__)
_ANY_TYPE = "application/octet-stream"
_USES = """
SELECT uses.number, digest, path, size, media_type, kind, node, job, client, at
FROM uses JOIN files ON files.number = uses.file
WHERE {which} ORDER BY uses.number DESC LIMIT {limit}
"""
_ADD_FILE = """
INSERT INTO files (digest, path, size, media_type) VALUES (:digest, :path, :size, :media_type)
ON CONFLICT (digest, path) DO UPDATE SET media_type = excluded.media_type
RETURNING number
"""
_ADD_USE = """
INSERT OR IGNORE INTO uses (file, job, client, node, kind, at) VALUES (?, ?, ?, ?, ?, ?)
"""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a job gave.

    Attributes:
        number: Grows from artifact to artifact.
        digest: blake3 of the bytes.
        path: Where it lay when the job ended.
        size: Bytes.
        media_type: As the node says that wrote it.
        kind: What it is to people, such as ``image`` or ``preview``.
        node: That wrote it.
        client: The job's.
        at: Unix time at which the job ended.
    """

    number: int
    digest: Digest
    path: str
    size: int
    media_type: str
    kind: str
    node: str
    job: str
    client: str
    at: float


@dataclass(frozen=True, slots=True)
class ArtifactPage:
    """Some artifacts, the newest first.

    Attributes:
        next: Cursor of the next page; None if this is the last.
    """

    artifacts: tuple[Artifact, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file that holds, or held, certain bytes.

    Attributes:
        stamp: Of the file when its bytes were last seen to be these; None before that.
    """

    number: int
    path: str
    stamp: str | None


class Catalogue:
    """The catalogue's file; safe to use from several threads.

    It follows the job queue: `last` is the number of the last event whose job is in it.

    Raises:
        InvalidFile: It is something else, is damaged, or was written by a newer version.
        OutputError: It can't be written.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, catalogue_format())

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def last(self, queue: str) -> int:
        """The number of the queue's last event whose job was entered; 0 for none.

        Args:
            queue: Which queue it is; a new one begins again.
        """
        with self._explained():
            row = self._database.one("SELECT value FROM meta WHERE name = 'last'")
        found = json.loads(row[0]) if row is not None else {}
        return int(found.get("seq", 0)) if found.get("queue") == queue else 0

    def enter(self, jobs: Iterable[FinishedJob], queue: str, last: int) -> None:
        """Enter the files of finished jobs, and that all events up to one were seen."""
        with self._explained(), self._database.writing() as connection:
            for job in jobs:
                for file in _files(job):
                    _enter(connection, job, file)
            text = json.dumps({"queue": queue, "seq": last})
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('last', ?)", (text,))

    def entries(self, digest: Digest, client: str | None, limit: int = 100) -> list[Artifact]:
        """The artifacts of certain bytes, the newest first.

        Args:
            client: Whose; None for everybody's.
        """
        which = "digest = :digest AND (:client IS NULL OR client = :client)"
        return self._artifacts(which, limit, digest=digest, client=client)

    def before(
        self, number: int | None, client: str | None, job: str | None, kind: str | None, limit: int
    ) -> list[Artifact]:
        """The artifacts before one, the newest first; all that is given must hold."""
        # Without the plus, SQLite would go through all of a client's to find a job's few.
        which = (
            "(:number IS NULL OR uses.number < :number) AND (:client IS NULL OR client = :client)"
            " AND (:job IS NULL OR job = :job) AND (:kind IS NULL OR +kind = :kind)"
        )
        return self._artifacts(which, limit, number=number, client=client, job=job, kind=kind)

    def _artifacts(self, which: str, limit: int, **values: Any) -> list[Artifact]:
        query = _USES.format(which=which, limit=limit)
        with self._explained(), self._database.reading() as connection:
            return [Artifact(*row) for row in connection.execute(query, values)]

    def places(self, digest: Digest) -> list[FilePlace]:
        """Where the bytes lie, or lay; the latest first."""
        query = "SELECT number, path, stamp FROM files WHERE digest = ? ORDER BY number DESC"
        with self._explained(), self._database.reading() as connection:
            return [FilePlace(*row) for row in connection.execute(query, (digest,))]

    def mark(self, place: FilePlace, stamp: str) -> None:
        """Note of a file that its bytes are still the same."""
        with self._explained(), self._database.writing() as connection:
            connection.execute("UPDATE files SET stamp = ? WHERE number = ?", (stamp, place.number))

    def jobs(self, after: str, limit: int = 500) -> list[str]:
        """Ids of jobs whose files are in it, sorted, beginning after one."""
        query = "SELECT DISTINCT job FROM uses WHERE job > ? ORDER BY job LIMIT ?"
        with self._explained(), self._database.reading() as connection:
            return [job for (job,) in connection.execute(query, (after, limit))]

    def forget(self, jobs: Iterable[str]) -> None:
        """Forget the files of jobs; the files themselves stay."""
        with self._explained(), self._database.writing() as connection:
            connection.executemany("DELETE FROM uses WHERE job = ?", [(job,) for job in jobs])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._database.explained(error) from error


def _files(job: FinishedJob) -> Iterator[dict[str, Any]]:
    """The files that a job lists; a list that isn't as agreed keeps no other job's out."""
    listed = job.outputs.get("files", ())
    for file in listed if isinstance(listed, list) else ():
        try:
            yield {
                "digest": _text(file["digest"]),
                "path": _text(file["path"]),
                "size": int(file["size"]),
                "media_type": _text(file.get("media_type") or _ANY_TYPE),
                "node": _text(file.get("node") or ""),
                "kind": _text(file.get("kind") or "file"),
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _LOG.warning("%s lists a file that can't be read: %r", job.id, error)


def _text(value: Any) -> str:
    """Text that can be kept: half a character can't."""
    text = str(value)
    text.encode()
    return text


def _enter(connection: sqlite3.Connection, job: FinishedJob, file: dict[str, Any]) -> None:
    (number,) = connection.execute(_ADD_FILE, file).fetchone()
    use = (number, job.id, job.client, file["node"], file["kind"], job.at)
    connection.execute(_ADD_USE, use)
