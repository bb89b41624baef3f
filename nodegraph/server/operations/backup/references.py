"""Which files the databases in a backup speak of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodegraph.jobs.queue.reader import QueueReader
from nodegraph.server.http.types import SUFFIXES
from nodegraph.server.operations.backup.parts import QUEUE, UPLOADED, UPLOADS_INDEX

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
    jobs, found = 0, dict.fromkeys(_uploads(copies.get(UPLOADS_INDEX)))
    queue = copies.get(QUEUE)
    if queue is not None:
        with QueueReader(queue) as reader:
            counts = reader.counts()
            jobs = counts.queued + counts.running
            jobs += counts.finished + counts.failed + counts.cancelled
            found.update(dict.fromkeys(_outputs(reader, home)))
    return References(jobs, list(found))


def _uploads(index: Path | None) -> Iterator[Reference]:
    if index is None:
        return
    with closing(sqlite3.connect(index)) as connection:
        for digest, media_type in connection.execute(_UPLOADS):
            yield Reference(f"{UPLOADED}/{digest}{SUFFIXES.get(media_type, '')}", digest)


def _outputs(queue: QueueReader, home: Path) -> Iterator[Reference]:
    last, is_complete = 0, False
    while not is_complete:
        page = queue.given_after(last)
        for given in page.given:
            files = given.outputs.get("files", ())
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
