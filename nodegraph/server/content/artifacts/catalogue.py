"""The catalogue of artifacts: its tables, which file holds which bytes, and which job wrote it."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.core.text_format import to_well_formed
from nodegraph.errors import InvalidFile, OutputError
from nodegraph.jobs.queue.backend import Connection, Tables, placeholders
from nodegraph.jobs.queue.events import GivenOutputs
from nodegraph.server.content.artifacts.annotations import LibraryChanges
from nodegraph.server.content.artifacts.search import (
    Artifact,
    ArtifactFilter,
    JobWords,
    fold_case,
    row_conditions,
    set_conditions,
    term_values,
)
from nodegraph.server.content.files.shared_files import ADD_EXISTED, ADD_SEARCH
from nodegraph.store.database import Database, Format

_FIRST = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- Where files lie; the same bytes may lie in several places.
CREATE TABLE files (
    number INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,          -- blake3 of the bytes
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    stamp TEXT,                    -- of the file when its bytes were last seen to be these
    UNIQUE (digest, path)
);

-- Which jobs gave them.
CREATE TABLE uses (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    file INTEGER NOT NULL,
    job TEXT NOT NULL,
    client TEXT NOT NULL,
    node TEXT NOT NULL,
    kind TEXT NOT NULL,
    at REAL NOT NULL,              -- Unix time at which the job told of it
    UNIQUE (job, file, node)
);
CREATE INDEX uses_by_file ON uses (file);
CREATE INDEX uses_by_client ON uses (client, number);
CREATE TRIGGER use_removed AFTER DELETE ON uses BEGIN
    DELETE FROM files WHERE number = OLD.file
        AND NOT EXISTS (SELECT 1 FROM uses WHERE file = OLD.file);
END;
"""

_SECOND = """
-- All that is in it is entered anew, from the job queue, with what was left out so far.
DELETE FROM uses;
DELETE FROM meta WHERE name = 'last';
ALTER TABLE files ADD COLUMN width INTEGER;   -- of an image, in pixels
ALTER TABLE files ADD COLUMN height INTEGER;
ALTER TABLE uses ADD COLUMN words TEXT NOT NULL DEFAULT '';  -- that it is found by

CREATE TABLE jobs (
    job TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    words TEXT NOT NULL            -- that all it gave is found by
) WITHOUT ROWID;
CREATE TRIGGER job_unused AFTER DELETE ON uses BEGIN
    DELETE FROM jobs WHERE job = OLD.job
        AND NOT EXISTS (SELECT 1 FROM uses WHERE job = OLD.job);
END;
"""

_FACTS_REMOVED = """
CREATE TRIGGER use_facts_removed AFTER DELETE ON uses BEGIN
    DELETE FROM facts WHERE use = OLD.number;
END;
"""

MIGRATIONS: Sequence[str] = (_FIRST, _SECOND, ADD_EXISTED, ADD_SEARCH + _FACTS_REMOVED)

APPLICATION = 0x6E676163
"""Marks the file, so that no other program's database is taken for one."""


def catalogue_format() -> Format:
    """What a catalogue's file holds."""
    return Format(
        application=APPLICATION,
        migrations=MIGRATIONS,
        name="the catalogue of artifacts",
        whole="the catalogue of artifacts",
        foreign="a catalogue of artifacts",
        absent="no catalogue of artifacts",
        loss="it is created again from the job queue.",
        is_private=True,
    )


_LOG = logging.getLogger(__name__)
_ANY_TYPE = "application/octet-stream"
_FROM = """
FROM uses JOIN files ON files.number = uses.file JOIN jobs ON jobs.job = uses.job
    LEFT JOIN marks ON marks.client = uses.client AND marks.digest = files.digest
"""
_USES = (
    """
SELECT uses.number, files.digest, path, size, media_type, width, height, kind, node, uses.job,
    uses.client, at, jobs.name, existed, {maker}, {jobs}, marks.stars, marks.tags, marks.note,
    marks.board, marks.trashed
"""
    + _FROM
    + "WHERE {which} ORDER BY uses.number DESC LIMIT {limit}"
)
# Makers and numbers of jobs are looked up for what is listed alone.
_CHOSEN = "uses.number IN (SELECT uses.number {source} WHERE {which} ORDER BY uses.number DESC LIMIT {limit})"  # noqa: E501
_FLOOR = """
SELECT number FROM uses WHERE (CAST(:number AS BIGINT) IS NULL OR number < :number)
    AND (CAST(:client AS TEXT) IS NULL OR client = :client)
ORDER BY number DESC LIMIT 1 OFFSET {window}
"""
_WINDOW = 1_000
"""Rows that are looked through one by one before indexes are asked for all that match: most
searches find a page among the newest."""
# The last one that made these bytes before the job found them.
_MAKER = """
(SELECT other.job
    FROM uses AS other JOIN files AS same ON same.number = other.file
    WHERE same.digest = files.digest AND other.existed = 0 AND other.number <= uses.number
        AND (CAST(:client AS TEXT) IS NULL OR other.client = :client)
    ORDER BY other.number DESC LIMIT 1)
"""
_JOBS = """
(SELECT count(DISTINCT other.job)
    FROM uses AS other JOIN files AS same ON same.number = other.file
    WHERE same.digest = files.digest AND (CAST(:client AS TEXT) IS NULL OR other.client = :client))
"""
# Like the outer query, so that the newest of those that match stands for the same bytes.
_NEWEST = """
 AND NOT EXISTS (SELECT 1
    FROM uses AS later JOIN files AS same ON same.number = later.file
        JOIN jobs AS maker ON maker.job = later.job
        LEFT JOIN marks AS mark ON mark.client = later.client AND mark.digest = same.digest
    WHERE same.digest = files.digest AND later.number > uses.number AND {which})
"""
_ADD_FILE = """
INSERT INTO files (digest, path, size, media_type, width, height)
VALUES (:digest, :path, :size, :media_type, :width, :height)
ON CONFLICT (digest, path) DO UPDATE SET media_type = excluded.media_type
RETURNING number
"""
_ADD_USE = """
INSERT INTO uses (file, job, client, node, kind, at, words, existed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""
_USE = "SELECT number FROM uses WHERE job = ? AND file = ? AND node = ?"
_ADD_FACT = "INSERT INTO facts (use, name, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_ADD_MARK = """
INSERT INTO marks (client, digest, stars, tags, note, board, trashed, words)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_DELETED = """
DELETE FROM uses WHERE client || '' = ? AND at <= ?
    AND file IN (SELECT number FROM files WHERE digest = ?)
"""
_ADD_TAG = "INSERT INTO mark_tags (tag, client, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_SET_META = """
INSERT INTO meta (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
_MOVE = """
UPDATE OR IGNORE files SET path = :after || substr(path, :length)
WHERE substr(path, 1, :length) IN (:before || '/', :before || '\\')
"""
_AT = 11
"""Place of the time in a row of `_USES`."""
_ALL = 1 << 62
"""Rows."""
_AT_ONCE = 400
"""Digests of a query."""
_KEYS = """
SELECT uses.client, files.digest, max(uses.at) FROM files JOIN uses ON uses.file = files.number
WHERE files.digest IN ({digests}) GROUP BY uses.client, files.digest
"""
# Results, not files: bytes that several jobs gave count once. A client is compared as an
# expression, as SQLite would else go through all of its rows for each mark.
_SHOWN_MARKS = """
FROM marks WHERE (CAST(:client AS TEXT) IS NULL OR marks.client = :client)
    AND EXISTS (SELECT 1 FROM files JOIN uses ON uses.file = files.number
        WHERE files.digest = marks.digest AND uses.client || '' = marks.client
            AND (marks.trashed IS NULL OR uses.at > marks.trashed))
"""
_TAG_COUNTS = f"SELECT tags, count(*) {_SHOWN_MARKS} AND tags <> '[]' GROUP BY tags"
_BOARD_COUNTS = f"""
SELECT board, count(*), (SELECT its.digest FROM marks AS its
        JOIN files AS newest ON newest.digest = its.digest
        JOIN uses AS used ON used.file = newest.number AND used.client || '' = its.client
    WHERE its.board = marks.board AND (its.trashed IS NULL OR used.at > its.trashed)
    ORDER BY used.number DESC LIMIT 1)
{_SHOWN_MARKS} AND board IS NOT NULL GROUP BY board
"""  # noqa: S608
_ANNOTATED = """
SELECT DISTINCT uses.job FROM marks JOIN files ON files.digest = marks.digest
    JOIN uses ON uses.file = files.number AND uses.client = marks.client
"""


@dataclass(frozen=True, slots=True)
class FileLocation:
    """A file that holds, or held, certain bytes.

    Attributes:
        stamp: Of the file when its bytes were last seen to be these; None before that.
    """

    number: int
    path: str
    stamp: str | None


class DamagedCatalogue(InvalidFile):
    """A catalogue's file that can't be read; nothing is lost with it."""


class CatalogueFile(Database):
    """A file with a catalogue.

    Raises:
        DamagedCatalogue: It is damaged; also when it is read.
        InvalidFile, OutputError: It is none, of a newer version, or can't be opened.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, catalogue_format())

    def explained(self, error: Exception) -> InvalidFile | OutputError:
        explanation = super().explained(error)
        if isinstance(explanation, OutputError):
            return explanation
        return DamagedCatalogue(explanation.problem.message, hint=explanation.problem.hint)


class Catalogue:
    """Which job gave what; safe to use from several threads.

    It follows the job queue: `last` is the number of the last event whose job is in it.

    Args:
        database: A file, see `catalogue_format`, or what several servers share.
    """

    def __init__(self, database: Tables) -> None:
        self._database = database

    def close(self) -> None:
        """Close what keeps it."""
        self._database.close()

    def follow_home(self, folder: str) -> None:
        """Have files of a file's folder named where they lie, if it was moved since.

        Args:
            folder: That the file is in now.
        """
        if to_well_formed(folder) != folder:
            return  # a name that is no text can't be kept
        with self._database.explaining(), self._database.writing() as connection:
            row = connection.execute("SELECT value FROM meta WHERE name = 'home'").fetchone()
            before = None if row is None else row[0]
            if before is not None and before != folder:
                values = {"before": before, "after": folder, "length": len(before) + 1}
                connection.execute(_MOVE, values)
            if before != folder:
                connection.execute(_SET_META, ("home", folder))

    def last(self, queue: str) -> int:
        """The number of the queue's last event whose job was entered; 0 for none.

        Args:
            queue: Which queue it is; a new one begins again.
        """
        with self._database.explaining(), self._database.reading() as connection:
            return _last(connection, queue)

    def enter(
        self,
        outputs: Iterable[GivenOutputs],
        jobs: Mapping[str, JobWords],
        queue: str,
        last: int,
        *,
        after: int,
    ) -> bool:
        """Enter what jobs gave, and that all events up to one were seen.

        Args:
            jobs: What is known of them; what others gave that aren't entered is left out.
            after: What `last` returned before the outputs were read.
        Returns:
            False, and nothing is entered, if another server has entered events since: what it
            entered may have been deleted by now.
        """
        with self._database.explaining(), self._database.writing() as connection:
            if _last(connection, queue) != after:
                return False
            for each in outputs:
                for file in _files(each):
                    _enter(connection, each, file, jobs.get(each.id))
            text = json.dumps({"queue": queue, "seq": last})
            connection.execute(_SET_META, ("last", text))
        return True

    def entries(self, digest: Digest, client: str | None, limit: int = 100) -> list[Artifact]:
        """The artifacts of certain bytes, the newest first.

        Args:
            client: Whose; None for everybody's.
        """
        which = (
            "files.digest = :digest AND (CAST(:client AS TEXT) IS NULL OR uses.client = :client)"
        )
        return self._artifacts(which, limit, digest=digest, client=client)

    def list_before(self, number: int | None, which: ArtifactFilter, limit: int) -> list[Artifact]:
        """The artifacts before one, the newest first."""
        values: dict[str, Any] = {"client": which.client, "job": which.job, "kind": which.kind}
        values |= {"after": which.after, "before": which.before, **term_values(which.terms)}
        bounds = "(CAST(:number AS BIGINT) IS NULL OR uses.number < :number)"
        usual = _matching("uses", "files", "jobs", "marks", which)
        if which.distinct:
            usual += _NEWEST.format(which=_matching("later", "same", "maker", "mark", which))
        indexed = set_conditions(which.terms)
        if not indexed or which.job is not None:
            return self._listed(f"{bounds} AND {usual}", limit, number=number, **values)
        floor = self._window_end(number, which.client)
        window = f"{bounds} AND (CAST(:floor AS BIGINT) IS NULL OR uses.number >= :floor)"
        first = self._listed(f"{window} AND {usual}", limit, number=number, floor=floor, **values)
        if floor is None or len(first) >= limit:
            return first
        sets = " AND ".join([bounds, *indexed, usual])
        return first + self._listed(sets, limit - len(first), number=floor, **values)

    def _listed(self, which: str, limit: int, **values: Any) -> list[Artifact]:
        chosen = _CHOSEN.format(source=_FROM, which=which, limit=limit)
        return self._artifacts(chosen, limit, _JOBS, **values)

    def _window_end(self, number: int | None, client: str | None) -> int | None:
        """The number of the last row that is looked through one by one; None for all."""
        query = _FLOOR.format(window=_WINDOW)
        with self._database.explaining(), self._database.reading() as connection:
            row = connection.execute(query, {"number": number, "client": client}).fetchone()
        return None if row is None else int(row[0])

    def keys(
        self, digests: Sequence[Digest], client: str | None
    ) -> dict[tuple[str, Digest], float]:
        """Client and digest of artifacts with certain bytes, with the time of the newest.

        Args:
            client: Whose; None for everybody's.
        """
        keys: dict[tuple[str, Digest], float] = {}
        with self._database.explaining(), self._database.reading() as connection:
            for start in range(0, len(digests), _AT_ONCE):
                part = digests[start : start + _AT_ONCE]
                query = _KEYS.format(digests=placeholders(part))
                for owner, digest, newest in connection.execute(query, part):
                    if client in (None, owner):
                        keys[owner, digest] = newest
        return keys

    def tag_counts(self, client: str | None) -> list[tuple[str, int]]:
        """The tags of what isn't in the trash, each with the number of results that have it."""
        tags: Counter[str] = Counter()
        spelling: dict[str, str] = {}
        with self._database.explaining(), self._database.reading() as connection:
            for text, count in connection.execute(_TAG_COUNTS, {"client": client}):
                for tag in json.loads(text):
                    tags[tag.casefold()] += count
                    spelling.setdefault(tag.casefold(), tag)
        return [(spelling[key], tags[key]) for key in sorted(tags)]

    def board_counts(self, client: str | None) -> dict[str, tuple[int, Digest]]:
        """The number of results on each board, and the newest of them."""
        with self._database.explaining(), self._database.reading() as connection:
            rows = connection.execute(_BOARD_COUNTS, {"client": client}).fetchall()
        return {board: (count, digest) for board, count, digest in rows}

    def library(self) -> tuple[str, int]:
        """Identity of the library that it copies, and the number of the last change."""
        with self._database.explaining(), self._database.reading() as connection:
            return _library(connection)

    def copy_library(self, identity: str, changes: LibraryChanges, after: tuple[str, int]) -> bool:
        """Copy changes of the library.

        Args:
            after: What `library` returned before they were read.
        Returns:
            False, and nothing is copied, if another server has copied changes since.
        """
        rows, tags = [], []
        for each in changes.annotations:
            if not each.is_empty:
                row = (each.client, each.digest, each.stars, json.dumps(each.tags), each.note)
                words = fold_case([*each.tags, each.note or ""])
                rows.append((*row, each.board, each.trashed, words))
                tags += [(fold_case([tag]), each.client, each.digest) for tag in each.tags]
        keys = [(each.client, each.digest) for each in changes.annotations]
        gone = [
            (each.client, each.deleted, each.digest)
            for each in changes.annotations
            if each.deleted is not None
        ]
        with self._database.explaining(), self._database.writing() as connection:
            if _library(connection) != after:
                return False
            for table in ("marks", "mark_tags"):
                if changes.is_reset:
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608
                query = f"DELETE FROM {table} WHERE client = ? AND digest = ?"  # noqa: S608
                connection.executemany(query, keys)
            connection.executemany(_DELETED, gone)
            connection.executemany(_ADD_MARK, rows)
            connection.executemany(_ADD_TAG, tags)
            text = json.dumps({"library": identity, "change": changes.last})
            connection.execute(_SET_META, ("library", text))
        return True

    def annotated_jobs(self) -> set[str]:
        """Ids of jobs with results about which somebody noted something."""
        with self._database.explaining(), self._database.reading() as connection:
            return {job for (job,) in connection.execute(_ANNOTATED)}

    def find_for_job(self, digest: Digest, client: str | None, job: str | None) -> list[Artifact]:
        """All artifacts of certain bytes, of one job or of a client's."""
        which = (
            "files.digest = :digest AND (CAST(:client AS TEXT) IS NULL OR uses.client = :client)"
            " AND (CAST(:job AS TEXT) IS NULL OR uses.job = :job)"
        )
        return self._artifacts(which, _ALL, digest=digest, client=client, job=job)

    def remove(self, artifacts: Iterable[Artifact]) -> list[str]:
        """Forget some artifacts; the paths that nothing in it names any more."""
        gone = list(artifacts)
        paths = list(dict.fromkeys(artifact.path for artifact in gone))
        numbers = [(artifact.number,) for artifact in gone]
        with self._database.explaining(), self._database.writing() as connection:
            connection.executemany("DELETE FROM uses WHERE number = ?", numbers)
            named: set[str] = set()
            # Paths have no index, so all rows are read: once for many of them.
            for start in range(0, len(paths), _AT_ONCE):
                part = paths[start : start + _AT_ONCE]
                query = f"SELECT path FROM files WHERE path IN ({placeholders(part)})"  # noqa: S608
                named.update(path for (path,) in connection.execute(query, part))
        return [path for path in paths if path not in named]

    def _artifacts(self, which: str, limit: int, jobs: str = "1", **values: Any) -> list[Artifact]:
        query = _USES.format(which=which, limit=limit, jobs=jobs, maker=_MAKER)
        values = {"client": None, **values}
        with self._database.explaining(), self._database.reading() as connection:
            rows = connection.execute(query, values).fetchall()
        return [_artifact(row) for row in rows]

    def locations(self, digest: Digest) -> list[FileLocation]:
        """Where the bytes lie, or lay; the latest first."""
        query = "SELECT number, path, stamp FROM files WHERE digest = ? ORDER BY number DESC"
        with self._database.explaining(), self._database.reading() as connection:
            return [FileLocation(*row) for row in connection.execute(query, (digest,))]

    def mark(self, location: FileLocation, stamp: str) -> None:
        """Note of a file that its bytes are still the same."""
        with self._database.explaining(), self._database.writing() as connection:
            connection.execute(
                "UPDATE files SET stamp = ? WHERE number = ?", (stamp, location.number)
            )

    def jobs(self, after: str, limit: int = 500) -> list[str]:
        """Ids of jobs whose files are in it, sorted, beginning after one."""
        query = "SELECT DISTINCT job FROM uses WHERE job > ? ORDER BY job LIMIT ?"
        with self._database.explaining(), self._database.reading() as connection:
            return [job for (job,) in connection.execute(query, (after, limit))]

    def digests(self, jobs: Iterable[str]) -> set[Digest]:
        """Of what jobs gave."""
        query = "SELECT digest FROM files JOIN uses ON uses.file = files.number WHERE uses.job = ?"
        with self._database.explaining(), self._database.reading() as connection:
            return {row[0] for job in jobs for row in connection.execute(query, (job,))}

    def forget(self, jobs: Iterable[str]) -> None:
        """Forget the files of jobs; the files themselves stay."""
        with self._database.explaining(), self._database.writing() as connection:
            connection.executemany("DELETE FROM uses WHERE job = ?", [(job,) for job in jobs])


def _artifact(row: Sequence[Any]) -> Artifact:
    """A row of `_USES`, with a yes or a no as one, and what isn't noted as nothing."""
    *known, existed, made_by, jobs, stars, tags, note, board, trashed = row
    listed_tags = tuple(json.loads(tags or "[]"))
    in_trash = trashed if trashed is not None and known[_AT] <= trashed else None
    noted = (stars or 0, listed_tags, note, board, in_trash)
    values: Sequence[Any] = (*known, bool(existed), made_by, jobs, *noted)
    return Artifact(*values)


def _matching(uses: str, files: str, jobs: str, marks: str, which: ArtifactFilter) -> str:
    """That a use is as `ArtifactFilter` says; the other arguments are what tables are called."""
    # PostgreSQL wants to know the type of each value that may be none. A kind is compared as an
    # expression, as SQLite would else go through all of a client's to find a job's few.
    text = (
        f"(CAST(:client AS TEXT) IS NULL OR {uses}.client = :client)"
        f" AND (CAST(:job AS TEXT) IS NULL OR {uses}.job = :job)"
        f" AND (CAST(:kind AS TEXT) IS NULL OR {uses}.kind || '' = :kind)"
        f" AND (CAST(:after AS DOUBLE PRECISION) IS NULL OR {uses}.at >= :after)"
        f" AND (CAST(:before AS DOUBLE PRECISION) IS NULL OR {uses}.at < :before)"
    )
    if which.trashed is not None:
        is_in = f"{marks}.trashed IS NOT NULL AND {uses}.at <= {marks}.trashed"
        text += f" AND ({is_in})" if which.trashed else f" AND NOT ({is_in})"
    conditions = row_conditions(which.terms, uses=uses, files=files, jobs=jobs, marks=marks)
    return " AND ".join([text, *conditions])


def _files(job: GivenOutputs) -> Iterator[dict[str, Any]]:
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
                "width": _pixels(file.get("width")),
                "height": _pixels(file.get("height")),
                "existed": int(file.get("existed") is True),
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _LOG.warning("%s lists a file that cannot be read: %r", job.id, error)


def _text(value: Any) -> str:
    """Text that can be kept: half a character can't, nor a NUL in every database."""
    text: str = to_well_formed(str(value))
    return text.replace("\0", "\ufffd")


def _pixels(value: Any) -> int | None:
    return value if type(value) is int and 0 < value < 1 << 31 else None


def _enter(
    connection: Connection, outputs: GivenOutputs, file: dict[str, Any], job: JobWords | None
) -> None:
    if job is not None:
        values = (outputs.id, job.name, job.words)
        connection.execute("INSERT INTO jobs VALUES (?, ?, ?) ON CONFLICT DO NOTHING", values)
    (number,) = connection.execute(_ADD_FILE, file).fetchone()
    words = fold_case([PurePath(file["path"]).name, file["node"]])
    use = (number, outputs.id, outputs.client, file["node"], file["kind"], outputs.at, words)
    connection.execute(_ADD_USE, (*use, file["existed"]))
    if job is not None and (facts := job.facts(file["node"])):
        (entered,) = connection.execute(_USE, (outputs.id, number, file["node"])).fetchone()
        connection.executemany(_ADD_FACT, [(entered, *fact) for fact in facts])


def _library(connection: Connection) -> tuple[str, int]:
    row = connection.execute("SELECT value FROM meta WHERE name = 'library'").fetchone()
    position = json.loads(row[0]) if row is not None else {}
    return str(position.get("library", "")), int(position.get("change", 0))


def _last(connection: Connection, queue: str) -> int:
    row = connection.execute("SELECT value FROM meta WHERE name = 'last'").fetchone()
    position = json.loads(row[0]) if row is not None else {}
    return int(position.get("seq", 0)) if position.get("queue") == queue else 0
