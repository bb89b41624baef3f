"""What a backup holds: its list, and which files the databases in it speak of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from nodegraph.jobs.queue.reader import QueueReader
from nodegraph.server.http.types import SUFFIXES
from nodegraph.server.operations.backup.databases import QUEUE, UPLOADED, UPLOADS_INDEX

NAME = "backup.json"
"""Of the list in the archive."""
LARGEST = 1 << 30
"""Bytes of it."""

Size = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Part):
    """A file.

    Attributes:
        path: Below the home folder, parted by slashes; its name in the archive too.
        size: Bytes.
        digest: blake3 of the bytes.
        modified: Nanoseconds since 1970.
        mode: Who may read and write it, as `chmod` has it.
    """

    path: str
    size: Size
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    modified: int
    mode: Annotated[int, Field(ge=0, le=0o777)]


class BackupManifest(_Part):
    """The list.

    Attributes:
        program: Version of nodegraph that wrote it.
        created: Unix time.
        home: Folder that it was made of.
        parts: Names in that folder that are in it with all they held, if they held anything.
        jobs: How many are in the queue.
        missing: Files that jobs or uploads refer to, and that were gone or changed.
        left_out: Files that can't be in it: links, devices, names that are no text.
    """

    format: Literal["nodegraph backup"] = "nodegraph backup"
    version: Literal[1] = 1
    program: str
    created: float
    home: str
    parts: list[str]
    files: list[FileEntry]
    jobs: Size
    missing: list[str]
    left_out: list[str]

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.size for file in self.files)


_UPLOADS = "SELECT DISTINCT digest, media_type FROM uploads"


@dataclass(frozen=True, slots=True)
class Reference:
    """A file that ought to be there.

    Attributes:
        path: Below the home folder, parted by slashes.
        digest: blake3 of the bytes.
    """

    path: str
    digest: str


@dataclass(frozen=True, slots=True)
class References:
    """All of a backup.

    Attributes:
        jobs: That are in the queue.
        files: Each once.
    """

    jobs: int
    files: list[Reference]


def references(copies: Mapping[str, Path], home: Path) -> References:
    """What copies of the databases refer to below a home folder."""
    jobs, referenced = 0, dict.fromkeys(_uploads(copies.get(UPLOADS_INDEX)))
    queue = copies.get(QUEUE)
    if queue is not None:
        with QueueReader(queue) as reader:
            counts = reader.counts()
            jobs = counts.queued + counts.running
            jobs += counts.finished + counts.failed + counts.cancelled
            referenced.update(dict.fromkeys(_outputs(reader, home)))
    return References(jobs, list(referenced))


def _uploads(index: Path | None) -> Iterator[Reference]:
    if index is None:
        return
    with closing(sqlite3.connect(index)) as connection:
        for digest, media_type in connection.execute(_UPLOADS):
            yield Reference(f"{UPLOADED}/{digest}{SUFFIXES.get(media_type, '')}", digest)


def _outputs(queue: QueueReader, home: Path) -> Iterator[Reference]:
    last, is_complete = 0, False
    while not is_complete:
        page = queue.outputs_after(last)
        for job_outputs in page.entries:
            files = job_outputs.outputs.get("files", ())
            for file in files if isinstance(files, list) else ():
                yield from _output(file, home)
        last, is_complete = page.last, page.is_complete


def _output(file: Any, home: Path) -> Iterator[Reference]:
    try:
        path, digest = Path(file["path"]), str(file["digest"])
        inner = path.relative_to(home).as_posix()
    except (KeyError, TypeError, ValueError):
        return  # it lies elsewhere, or is listed in no form that is known
    yield Reference(inner, digest)
