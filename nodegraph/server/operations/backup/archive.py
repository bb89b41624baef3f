"""The backup archive: its parts, its manifest, and its reader."""

from __future__ import annotations

import os
import re
import sqlite3
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from blake3 import blake3
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nodegraph.errors import InvalidFile, OutputError
from nodegraph.jobs.queue.reader import QueueReader
from nodegraph.jobs.queue.schema import queue_format
from nodegraph.server.access.tokens import TOKENS_FILE as TOKENS
from nodegraph.server.content.artifacts.annotations import LIBRARY_FILE as LIBRARY
from nodegraph.server.content.artifacts.annotations import library_format
from nodegraph.server.content.drafts.store import DRAFTS_FILE as DRAFTS
from nodegraph.server.content.drafts.store import drafts_format
from nodegraph.server.content.prompt_lists import FOLDER as PROMPT_LISTS
from nodegraph.server.content.uploads.index import uploads_format
from nodegraph.server.content.user_files import FOLDER as USER_FILES
from nodegraph.server.http.media_types import SUFFIXES
from nodegraph.store.database import Database, Format
from nodegraph.store.zip_reader import ZipReader, is_safe, opened_zip


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

ALWAYS = (
    *(
        QUEUE,
        LIBRARY,
        UPLOADS,
        DRAFTS,
        "workflows",
        PROMPT_LISTS,
        USER_FILES,
        "packs",
        "inputs",
        CONFIG,
    ),
)
"""Names in the home folder that are in every backup."""
PARTS = (*ALWAYS, OUTPUTS, TOKENS, MODELS)
"""All that may be in one, in the order in which they are written: what refers to files comes before
them, so that what it refers to is there."""

DATABASES: Mapping[str, Callable[[], Format]] = {
    QUEUE: queue_format,
    LIBRARY: library_format,
    DRAFTS: drafts_format,
    UPLOADS_INDEX: uploads_format,
}
"""Copied as of one moment, however much is written meanwhile."""


def replaced_files(parts: Sequence[str]) -> tuple[str, ...]:
    """What goes when databases are put back: journals of those before, and what is made again."""
    names = [name for name in (QUEUE, LIBRARY, DRAFTS) if name in parts]
    journals = tuple(f"{name}{end}" for name in names for end in ("-wal", "-shm"))
    catalogue = tuple(f"artifacts.sqlite{end}" for end in ("", "-wal", "-shm"))
    # The catalogue is of the other two.
    return journals + (catalogue if {QUEUE, LIBRARY}.intersection(names) else ())


IGNORED = re.compile(r"cache|lost\+found|.*-lock|\.DS_Store|\.restore.*")
"""Names in a home folder that are empty as far as a restore goes."""

_PASSING = re.compile(
    r"\.[0-9a-f]{16}\.tmp|\..*\.[0-9a-f]{8}\.tmp|__pycache__|\.downloads|.*\.part"
)


def is_passing(name: str) -> bool:
    """Whether a file or folder is only there for a moment, or made again by itself."""
    return _PASSING.fullmatch(name) is not None


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


STEP = 4 << 20
"""Bytes that are copied at a time."""
Progress = Callable[[int, int], None]


class BackupReader:
    """A backup.

    Args:
        path: Only to speak of it.
    Attributes:
        manifest: The list of what is in it.
    Raises:
        InvalidFile: It is no backup, is damaged, or was written by a newer version.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._zip = ZipReader(path, archive, "the backup")
        self._refused = self._zip.refused
        if NAME not in self._zip.sizes:
            raise self._refused("it has no list of its files, so it is not a backup")
        with self._zip.reading():
            self.manifest = self._read_list()
        self._check_list()

    def _read_list(self) -> BackupManifest:
        try:
            manifest = BackupManifest.model_validate_json(self._zip.read(NAME, LARGEST))
        except ValidationError as error:
            location = ".".join(map(str, error.errors()[0]["loc"]))
            raise self._refused(f"its list is not valid at {location}") from None
        if unknown := [part for part in manifest.parts if part not in PARTS]:
            raise self._refused("it contains unknown parts", unknown[0])
        return manifest

    def _check_list(self) -> None:
        """The list is that of the files, and each lies where it may."""
        names = {NAME}
        for file in self.manifest.files:
            if not is_safe(file.path) or file.path.split("/")[0] not in self.manifest.parts:
                raise self._refused("it contains a file that does not belong there", file.path)
            if self._zip.sizes.get(file.path) != file.size:
                raise self._refused("a file differs from its list", file.path)
            names.add(file.path)
        if len(names) != len(self.manifest.files) + 1:
            raise self._refused("its list names a file twice")
        if extra := sorted(set(self._zip.sizes) - names):
            raise self._refused("it contains a file that is not listed", extra[0])

    def check(self, progress: Progress) -> None:
        """Read all files, and compare them with the list.

        Raises:
            InvalidFile: One of them is damaged.
        """
        done, total = 0, self.manifest.bytes
        for file in self.manifest.files:
            for chunk in self._chunks(file):
                done += len(chunk)
                progress(done, total)

    def extract(self, folder: Path, progress: Progress) -> None:
        """Write all files into an empty folder, and check them on the way.

        Raises:
            InvalidFile: One of them is damaged.
            OutputError: One of them can't be written.
        """
        done, total = 0, self.manifest.bytes
        for file in self.manifest.files:
            target = folder.joinpath(*file.path.split("/"))
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(target, _NEW, 0o600)
                with os.fdopen(descriptor, "wb", buffering=0) as written:
                    for chunk in self._chunks(file):
                        _write(written.fileno(), chunk)
                        done += len(chunk)
                        progress(done, total)
                target.chmod(file.mode | 0o600)
                os.utime(target, ns=(file.modified, file.modified))
            except (OSError, OverflowError) as error:
                raise OutputError(f"cannot write {target}: {error}") from error

    def _chunks(self, file: FileEntry) -> Iterator[bytes]:
        """The bytes of a file; it raises in the end unless they are as listed."""
        hasher = blake3(max_threads=blake3.AUTO)
        for chunk in self._zip.chunks(file.path, STEP):
            hasher.update(chunk)
            yield chunk
        if hasher.hexdigest() != file.digest:
            raise InvalidFile(f"the backup {self._path} is damaged", given=ascii(file.path))


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def _write(descriptor: int, chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:
        left = left[os.write(descriptor, left) :]


@contextmanager
def opened(path: Path) -> Iterator[BackupReader]:
    """A backup to read from, until the end of the `with`.

    Raises:
        InvalidFile: It isn't there, is no backup, is damaged, or was written by a newer version.
    """
    expected = "a file written by `nodegraph backup`"
    with opened_zip(path, f"{path} is not a backup", expected) as archive:
        yield BackupReader(path, archive)
