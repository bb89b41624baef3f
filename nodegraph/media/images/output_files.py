"""Numbered output files, and the SQLite index of their numbers and digests.

A folder is listed again only if its own times show a change. The index only saves time and is never
trusted: a file is compared before it is reused, and a number is taken only if no file has it.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.core.text_format import is_well_formed
from nodegraph.errors import InvalidValue, OutputError
from nodegraph.media.images.output_names import check_name

_NUMBERED = re.compile(r"(.+)_([0-9]{5,})([^0-9].*)?", re.DOTALL)
_LOCK_TIMEOUT = 30.0
"""Seconds to wait for another process that gives a file its name."""
_SETUP = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS folders (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS files (
    folder INTEGER, stem TEXT, suffix TEXT, number INTEGER, size INTEGER NOT NULL, digest TEXT,
    PRIMARY KEY (folder, stem, suffix, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_size ON files (folder, stem, suffix, size, digest);
"""
_OF = "folder = ? AND stem = ? AND suffix = ?"
_LIKE = f"""
SELECT number, digest FROM files WHERE {_OF} AND size = ? AND digest = ?
UNION ALL SELECT number, digest FROM files WHERE {_OF} AND size = ? AND digest IS NULL
"""  # noqa: S608 - of this module's own making
_LARGEST = f"SELECT max(number) FROM files WHERE {_OF}"  # noqa: S608 - likewise


@contextmanager
def open_number_index(index: Path | None, folder: Path) -> Iterator[NumberIndex]:
    """What is known of a folder's numbered files.

    Args:
        index: The database that remembers it, for all folders; in memory, and so for this time
            only, if there is none or if it can't be used.
    """
    connection = _opened(index)
    try:
        yield NumberIndex(connection, folder)
    finally:
        connection.close()


def _opened(index: Path | None) -> sqlite3.Connection:
    if index is not None:
        try:
            index.parent.mkdir(parents=True, exist_ok=True)
            return _ready(str(index))
        except sqlite3.OperationalError:
            pass  # locked, or nothing can be written there
        except sqlite3.DatabaseError:
            delete_index(index)
        except OSError:
            pass
    return _ready(":memory:")


def delete_index(index: Path) -> None:
    """Remove a database that is damaged, as by a power cut. Nothing is lost with it but time."""
    for end in ("", "-wal", "-shm"):
        with suppress(OSError):
            index.with_name(f"{index.name}{end}").unlink(missing_ok=True)


def _ready(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_LOCK_TIMEOUT, isolation_level=None)
    try:
        connection.executescript(_SETUP)
        connection.execute("SELECT count(*) FROM folders WHERE id = 0").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


class NumberIndex:
    """The numbered files of one folder; for one thread."""

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        path = str(folder.absolute())
        # A path need not be UTF-8, which SQLite's texts are.
        self._path = path if is_well_formed(path) else os.fsencode(path)
        self._id = -1

    def find_same_content(self, stem: str, suffix: str, content: bytes) -> list[int]:
        """Numbers of files of a name that may have these bytes, the newest first."""
        if not self._is_current():
            with self._transaction():
                self._rescan()
        name = (self._id, stem, suffix, len(content))
        digest = digest_bytes(content)
        rows = self._connection.execute(_LIKE, (*name, digest, *name)).fetchall()
        unknown = [number for number, known in rows if known is None]
        numbers = [number for number, known in rows if known is not None]
        for number in unknown:
            # Somebody else put it there: it is read once, and known from then on.
            path = self._folder / file_name(stem, number, suffix)
            if self._record_digest(stem, suffix, number, path) == digest:
                numbers.append(number)
        return sorted(numbers, reverse=True)

    def _record_digest(self, stem: str, suffix: str, number: int, path: Path) -> Digest | None:
        try:
            digest = digest_bytes(path.read_bytes())
        except OSError:
            return None
        query = f"UPDATE files SET digest = ? WHERE {_OF} AND number = ?"  # noqa: S608 - as above
        self._connection.execute(query, (digest, self._id, stem, suffix, number))
        return digest

    @contextmanager
    def reserve(self, stem: str, suffix: str, content: bytes) -> Iterator[NumberReservation]:
        """Inside, nobody else who knows of the same files adds one."""
        with self._transaction():
            if not self._is_current():
                self._rescan()
            query = (self._id, stem, suffix)
            (largest,) = self._connection.execute(_LARGEST, query).fetchone()
            adding = NumberReservation((largest or 0) + 1)
            yield adding
            row = (*query, adding.number, len(content), digest_bytes(content))
            self._connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", row)
            values = (_stamp(self._folder), self._id)
            self._connection.execute("UPDATE folders SET stamp = ? WHERE id = ?", values)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _is_current(self) -> bool:
        query = "SELECT id, stamp FROM folders WHERE path = ?"
        row = self._connection.execute(query, (self._path,)).fetchone()
        if row is None:
            return False
        self._id = row[0]
        return bool(row[1] == _stamp(self._folder))

    def _rescan(self) -> None:
        """Take in what is in the folder now."""
        # Before it is listed: what changes meanwhile is looked for next time.
        stamp = _stamp(self._folder)
        upsert = (
            "INSERT INTO folders (path, stamp) VALUES (?, ?) "
            "ON CONFLICT (path) DO UPDATE SET stamp = excluded.stamp RETURNING id"
        )
        values = (self._path, stamp)
        ((self._id,),) = self._connection.execute(upsert, values).fetchall()
        there = dict(self._listed())
        query = "SELECT stem, suffix, number FROM files WHERE folder = ?"
        known = set(self._connection.execute(query, (self._id,)))
        gone = [(self._id, *name) for name in known - there.keys()]
        delete = f"DELETE FROM files WHERE {_OF} AND number = ?"  # noqa: S608 - as above
        self._connection.executemany(delete, gone)
        new = [
            (self._id, *name, size)
            for name in there.keys() - known
            if (size := _size(there[name])) is not None
        ]
        insert = "INSERT INTO files VALUES (?, ?, ?, ?, ?, NULL)"
        self._connection.executemany(insert, new)

    def _listed(self) -> Iterator[tuple[tuple[str, str, int], os.DirEntry[str]]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if match := _NUMBERED.fullmatch(entry.name):
                    stem, number, suffix = match[1], int(match[2]), match[3] or ""
                    is_own = entry.name == file_name(stem, number, suffix) and number < 1 << 62
                    if is_own and is_well_formed(entry.name):
                        yield (stem, suffix, number), entry


class NumberReservation:
    """A file that is about to get its name.

    Attributes:
        number: The first that is free as far as is known; to be set to the one that it got.
    """

    def __init__(self, number: int) -> None:
        self.number = number


def file_name(stem: str, number: int, suffix: str) -> str:
    """The name of a numbered file."""
    return f"{stem}_{number:05}{suffix}"


def _stamp(folder: Path) -> str:
    status = folder.stat()
    return f"{status.st_dev} {status.st_ino} {status.st_mtime_ns} {status.st_ctime_ns}"


def _size(entry: os.DirEntry[str]) -> int | None:
    try:
        return entry.stat().st_size
    except OSError:
        return None


_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A result on disk.

    Attributes:
        existed: A file with these bytes was there already and was left as it is.
    """

    path: Path
    existed: bool


def save_numbered(
    folder: Path, name: str, suffix: str, contents: Sequence[bytes], *, index: Path | None = None
) -> list[SavedFile]:
    """Save files under the next free numbers; a file of that name with the same bytes is reused.

    Existing files are never overwritten, even if other processes write at the same time.

    Args:
        folder: All files stay inside it. It is created if it does not exist.
        name: Prefix of the file names; may contain subfolders, as in ``fruit/apple``.
        suffix: For example ``.png``.
        index: Database of the contents of such folders, so that they are not scanned each time.
            It is created if it does not exist.
    Returns:
        One entry per item of `contents`.
    Raises:
        InvalidValue: The name is outside the folder or is not a valid file name.
        OutputError: No permission, no space.
    """
    check_name(name)
    stem = folder / name
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        check_inside(folder, stem)
        try:
            return _saved(stem, suffix, contents, index)
        except sqlite3.Error as error:
            _LOG.warning("%s cannot be used, so %s is scanned: %s", index, folder, error)
            if index is not None and not isinstance(error, sqlite3.OperationalError):
                delete_index(index)
            return _saved(stem, suffix, contents, None)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"cannot write to {stem.parent}: {reason}") from error


def _saved(
    stem: Path, suffix: str, contents: Sequence[bytes], index: Path | None
) -> list[SavedFile]:
    saved: list[SavedFile] = []
    with open_number_index(index, stem.parent) as numbers:
        for content in contents:
            taken = [item.path for item in saved]
            paths = (
                stem.with_name(file_name(stem.name, number, suffix))
                for number in numbers.find_same_content(stem.name, suffix, content)
            )
            # A file doesn't stand for two of the results.
            known = next(
                (path for path in paths if path not in taken and _has_content(path, content)), None
            )
            path = known or _write_new(stem, suffix, numbers, content)
            saved.append(SavedFile(path, existed=known is not None))
    return saved


def save_by_content(folder: Path, suffix: str, content: bytes) -> SavedFile:
    """Put a file into a folder under a name made of its content; equal content is reused.

    Raises:
        OutputError: No permission, no space.
    """
    path = folder / f"{digest_bytes(content)[:16]}{suffix}"
    if _has_content(path, content):
        return SavedFile(path, existed=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"cannot create the folder {folder}: {error.strerror or error}"
        ) from error
    _write(path, content)
    return SavedFile(path, existed=False)


def check_inside(folder: Path, stem: Path) -> None:
    """Refuse a name whose folder is a link that leads elsewhere.

    Raises:
        InvalidValue: It is.
    """
    if not stem.parent.resolve().is_relative_to(folder.resolve()):
        raise InvalidValue(
            "this cannot be the name of a result: a link points outside the output folder",
            port="name",
            given=str(stem),
        )


def _has_content(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except OSError:
        # Gone or unreadable: then it can't be reused.
        return False


def _write_new(stem: Path, suffix: str, numbers: NumberIndex, content: bytes) -> Path:
    """Write under the first free number."""
    descriptor = _open_unnamed(stem.parent, content)
    if descriptor is not None:
        try:
            with numbers.reserve(stem.name, suffix, content) as adding:
                return _claim_path(stem, suffix, adding, partial(_link_open, descriptor))
        except OSError as error:
            _LOG.debug("a file without a name cannot be named %s: %s", stem, error)
        finally:
            os.close(descriptor)
    temporary = stem.with_name(f".{os.urandom(8).hex()}{suffix}")
    with numbers.reserve(stem.name, suffix, content) as adding:
        _write(temporary, content)
        try:
            return _claim_path(stem, suffix, adding, partial(_claim, temporary))
        except OSError as error:
            raise OutputError(f"cannot write {stem}: {error.strerror or error}") from error
        finally:
            temporary.unlink(missing_ok=True)


def _claim_path(
    stem: Path, suffix: str, adding: NumberReservation, claim: Callable[[Path], bool]
) -> Path:
    """Try one number after the other until one is free."""
    while True:
        path = stem.with_name(file_name(stem.name, adding.number, suffix))
        if claim(path):
            return path
        adding.number += 1


def _open_unnamed(folder: Path, content: bytes) -> int | None:
    """An open file that has no name yet; None where there are none, or it can't be written.

    Of a process that is killed before it has given it one, nothing is left.
    """
    if not hasattr(os, "O_TMPFILE"):
        return None
    descriptor: int | None = None
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666)
        left = memoryview(content)
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    except OSError:
        # The way with a name says what is wrong, if anything is.
        if descriptor is not None:
            os.close(descriptor)
        return None
    return descriptor


def _link_open(descriptor: int, path: Path) -> bool:
    """Give an open file without a name its name, unless that is taken."""
    try:
        # With a folder's descriptor, which isn't used, the system follows the link in /proc.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor, follow_symlinks=True)
    except FileExistsError:
        return False
    return True


def _write(path: Path, content: bytes) -> None:
    # Names are checked before a run, when numpy and Pillow aren't needed yet.
    from nodegraph.media.images.images import write_atomically

    write_atomically(path, content)


def _claim(temporary: Path, path: Path) -> bool:
    """Give a written file its name, unless that is taken."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        # A file system without hard links: the check and the rename are two steps there.
        if path.exists():
            return False
        temporary.rename(path)
    return True
