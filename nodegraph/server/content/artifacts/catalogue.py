"""The catalogue of artifacts: its tables, which file holds which bytes, and which job wrote it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.core.text_format import to_well_formed
from nodegraph.errors import InvalidFile, OutputError
from nodegraph.jobs.queue import Job
from nodegraph.jobs.queue.backend import Connection, Tables
from nodegraph.jobs.queue.events import GivenOutputs
from nodegraph.server.content.files.shared_files import ADD_EXISTED
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

MIGRATIONS: Sequence[str] = (_FIRST, _SECOND, ADD_EXISTED)

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
_USES = """
SELECT uses.number, digest, path, size, media_type, width, height, kind, node, uses.job, client,
    at, jobs.name, existed, {maker}, {jobs}
FROM uses JOIN files ON files.number = uses.file JOIN jobs ON jobs.job = uses.job
WHERE {which} ORDER BY uses.number DESC LIMIT {limit}
"""
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
_STORE_LAST = """
INSERT INTO meta (name, value) VALUES ('last', ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
_HOME = """
INSERT INTO meta (name, value) VALUES ('home', ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
_MOVE = """
UPDATE OR IGNORE files SET path = :after || substr(path, :length)
WHERE substr(path, 1, :length) IN (:before || '/', :before || '\\')
"""
_EXISTED = 13
"""Place in a row of `_USES`."""
_ALL = 1 << 62
"""Rows."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a job gave.

    Attributes:
        number: Grows from artifact to artifact.
        digest: blake3 of the bytes.
        path: Where it lay when the job told of it.
        size: Bytes.
        media_type: As the node says that wrote it.
        width, height: Of an image, in pixels; None where that isn't known.
        kind: What it is to people, such as ``image`` or ``preview``.
        node: That wrote it.
        client: The job's.
        at: Unix time at which the job told of it.
        job_name: For display.
        existed: Whether the file was there already, as an earlier job had made it.
        made_by: The job that made it; None if that isn't there any more, or is another client's.
        jobs: How many of the client's jobs gave the same bytes, in lists that tell.
    """

    number: int
    digest: Digest
    path: str
    size: int
    media_type: str
    width: int | None
    height: int | None
    kind: str
    node: str
    job: str
    client: str
    at: float
    job_name: str
    existed: bool = False
    made_by: str | None = None
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class ArtifactFilter:
    """Some artifacts; all that is given must hold.

    Attributes:
        client: Whose; None for everybody's.
        job: Only its own.
        kind: Only those of this kind.
        words: Each of them is in the file's name, its node's, or in what is known of the job; see
            `words`.
        after, before: Unix times, the first included, the second not.
        distinct: Of the same bytes only the newest.
    """

    client: str | None = None
    job: str | None = None
    kind: str | None = None
    words: Sequence[str] = ()
    after: float | None = None
    before: float | None = None
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class JobWords:
    """What the catalogue keeps of a job itself.

    Attributes:
        words: That what it gave is found by.
    """

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class ArtifactPage:
    """Some artifacts, the newest first.

    Attributes:
        next: Cursor of the next page; None if this is the last.
    """

    artifacts: tuple[Artifact, ...]
    next: str | None


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
                connection.execute(_HOME, (folder,))

    def last(self, queue: str) -> int:
        """The number of the queue's last event whose job was entered; 0 for none.

        Args:
            queue: Which queue it is; a new one begins again.
        """
        with self._database.explaining(), self._database.reading() as connection:
            return _last(connection, queue)

    def unknown_jobs(self, jobs: Iterable[str]) -> list[str]:
        """Those of some jobs of which nothing is in it."""
        query = "SELECT 1 FROM jobs WHERE job = ?"
        with self._database.explaining(), self._database.reading() as connection:
            return [
                job
                for job in dict.fromkeys(jobs)
                if connection.execute(query, (job,)).fetchone() is None
            ]

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
            jobs: Those that are unknown so far; what others gave that are unknown is left out.
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
            connection.execute(_STORE_LAST, (text,))
        return True

    def entries(self, digest: Digest, client: str | None, limit: int = 100) -> list[Artifact]:
        """The artifacts of certain bytes, the newest first.

        Args:
            client: Whose; None for everybody's.
        """
        which = "digest = :digest AND (CAST(:client AS TEXT) IS NULL OR client = :client)"
        return self._artifacts(which, limit, digest=digest, client=client)

    def list_before(self, number: int | None, which: ArtifactFilter, limit: int) -> list[Artifact]:
        """The artifacts before one, the newest first."""
        words = {f"word{at}": word for at, word in enumerate(which.words)}
        text = "(CAST(:number AS BIGINT) IS NULL OR uses.number < :number)"
        text += f" AND {_matching('uses', 'jobs', words)}"
        if which.distinct:
            text += _NEWEST.format(which=_matching("later", "maker", words))
        values = {"client": which.client, "job": which.job, "kind": which.kind}
        times = {"after": which.after, "before": which.before}
        return self._artifacts(text, limit, _JOBS, number=number, **values, **times, **words)

    def find_for_job(self, digest: Digest, client: str | None, job: str | None) -> list[Artifact]:
        """All artifacts of certain bytes, of one job or of a client's."""
        which = (
            "digest = :digest AND (CAST(:client AS TEXT) IS NULL OR client = :client)"
            " AND (CAST(:job AS TEXT) IS NULL OR uses.job = :job)"
        )
        return self._artifacts(which, _ALL, digest=digest, client=client, job=job)

    def remove(self, artifacts: Iterable[Artifact]) -> list[str]:
        """Forget some artifacts; the paths that nothing in it names any more."""
        gone = list(artifacts)
        paths = dict.fromkeys(artifact.path for artifact in gone)
        numbers = [(artifact.number,) for artifact in gone]
        with self._database.explaining(), self._database.writing() as connection:
            connection.executemany("DELETE FROM uses WHERE number = ?", numbers)
            query = "SELECT 1 FROM files WHERE path = ?"
            return [p for p in paths if connection.execute(query, (p,)).fetchone() is None]

    def _artifacts(self, which: str, limit: int, jobs: str = "1", **values: Any) -> list[Artifact]:
        query = _USES.format(which=which, limit=limit, jobs=jobs, maker=_MAKER)
        values = {"client": None, **values}
        with self._database.explaining(), self._database.reading() as connection:
            rows = connection.execute(query, values).fetchall()
        return [Artifact(*_with_truth(row)) for row in rows]

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


def _with_truth(row: Sequence[Any]) -> Sequence[Any]:
    """A row of `_USES`, with what is a yes or a no as one."""
    return (*row[:_EXISTED], bool(row[_EXISTED]), *row[_EXISTED + 1 :])


def _matching(uses: str, jobs: str, words: Iterable[str]) -> str:
    """That a use is as `ArtifactFilter` says.

    Args:
        uses, jobs: What the tables are called in the query.
        words: Names of the values that are looked for.
    """
    # PostgreSQL wants to know the type of each value that may be none. A kind is compared as an
    # expression, as SQLite would else go through all of a client's to find a job's few.
    text = (
        f"(CAST(:client AS TEXT) IS NULL OR {uses}.client = :client)"
        f" AND (CAST(:job AS TEXT) IS NULL OR {uses}.job = :job)"
        f" AND (CAST(:kind AS TEXT) IS NULL OR {uses}.kind || '' = :kind)"
        f" AND (CAST(:after AS DOUBLE PRECISION) IS NULL OR {uses}.at >= :after)"
        f" AND (CAST(:before AS DOUBLE PRECISION) IS NULL OR {uses}.at < :before)"
    )
    for name in words:
        text += f" AND (instr({uses}.words, :{name}) > 0 OR instr({jobs}.words, :{name}) > 0)"
    return text


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


_MOST = 20_000
"""Characters that are kept of a job."""
_MOST_WORDS = 32
"""That are looked for at a time."""


def fold_case(parts: Iterable[str]) -> str:
    """Texts in one, as they are compared: whatever the case of their letters."""
    text = "\n".join(parts)[:_MOST].replace("\0", " ").casefold()
    well_formed: str = to_well_formed(text)
    return well_formed


def parse_search(text: str) -> list[str]:
    """The words of a search, each of which must be found."""
    return fold_case([text]).split()[:_MOST_WORDS]


def job_search_text(job: Job, workflow: str) -> str:
    """A job's name and tags, the title of its workflow, and the texts in its inputs.

    Args:
        workflow: Its text.
    """
    try:
        document = json.loads(workflow)
    except ValueError:
        document = {}
    fields = document if isinstance(document, Mapping) else {}
    texts = [
        job.name,
        *job.tags,
        str(fields.get("title", "")),
        *_texts(list(job.parameters.values())),
    ]
    return fold_case([*texts, *_of_inputs(fields, _overridden_inputs(fields, job.parameters))])


def _overridden_inputs(document: Mapping[str, Any], parameters: Mapping[str, Any]) -> set[str]:
    """Inputs whose values the parameters replace, as ``node.input``."""
    declared = document.get("parameters")
    named = declared if isinstance(declared, Mapping) else {}
    return {_target(named[name]) for name in parameters if name in named}


def _target(declared: Any) -> str:
    return str(declared.get("input", "") if isinstance(declared, Mapping) else declared)


def _of_inputs(document: Mapping[str, Any], replaced: set[str]) -> Iterator[str]:
    blocks = document.get("subgraphs")
    inner = blocks.values() if isinstance(blocks, Mapping) else ()
    for holder in (document, *inner):
        nodes = holder.get("nodes") if isinstance(holder, Mapping) else None
        for name, node in nodes.items() if isinstance(nodes, Mapping) else ():
            inputs = node.get("inputs") if isinstance(node, Mapping) else None
            for port, value in inputs.items() if isinstance(inputs, Mapping) else ():
                if holder is not document or f"{name}.{port}" not in replaced:
                    yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value, but for those that name another node's output."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Mapping) and set(value) != {"from"}:
        for item in value.values():
            yield from _texts(item)


def _last(connection: Connection, queue: str) -> int:
    row = connection.execute("SELECT value FROM meta WHERE name = 'last'").fetchone()
    position = json.loads(row[0]) if row is not None else {}
    return int(position.get("seq", 0)) if position.get("queue") == queue else 0
