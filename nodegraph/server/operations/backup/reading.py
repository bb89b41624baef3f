"""Reading a backup: nothing in it is believed that can't be checked."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from blake3 import blake3
from pydantic import ValidationError

from nodegraph.errors import InvalidFile, OutputError
from nodegraph.server.operations.backup import manifest as listed
from nodegraph.server.operations.backup.databases import PARTS
from nodegraph.server.operations.backup.manifest import FileEntry, Manifest

STEP = 4 << 20
"""Bytes that are copied at a time."""
Progress = Callable[[int, int], None]

_UNREADABLE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""What `zipfile` raises about a file that is damaged, or made to do harm."""
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


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
        self._archive = archive
        with self._reading():
            members = self._members()
            self.manifest = self._read_list(members)
            self._check_list(members)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"]))
            raise self._refused(f"its list is wrong at {place}") from None
        except _UNREADABLE as error:
            raise InvalidFile(f"the backup {self._path} is damaged: {error}") from error

    def _refused(self, reason: str, given: str | None = None) -> InvalidFile:
        shown = None if given is None else ascii(given[:200])
        return InvalidFile(f"the backup {self._path} is refused: {reason}", given=shown)

    def _members(self) -> Mapping[str, zipfile.ZipInfo]:
        found: dict[str, zipfile.ZipInfo] = {}
        for member in self._archive.infolist():
            name = member.filename
            if name in found:
                raise self._refused("it holds a file twice", name)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG) or member.is_dir():
                raise self._refused("it holds something that is no plain file", name)
            if member.flag_bits & 1 or member.compress_type not in _KINDS:
                raise self._refused("it holds a file of an unknown form", name)
            found[name] = member
        if listed.NAME not in found:
            raise self._refused("it has no list of its files, so it is no backup")
        return found

    def _read_list(self, members: Mapping[str, zipfile.ZipInfo]) -> Manifest:
        if members[listed.NAME].file_size > listed.LARGEST:
            raise self._refused("its list is too long")
        found = Manifest.model_validate_json(self._archive.read(listed.NAME))
        if unknown := [part for part in found.parts if part not in PARTS]:
            raise self._refused("it holds parts that aren't known", unknown[0])
        return found

    def _check_list(self, members: Mapping[str, zipfile.ZipInfo]) -> None:
        """The list is that of the files, and each lies where it may."""
        names = {listed.NAME}
        for file in self.manifest.files:
            if not _is_safe(file.path) or file.path.split("/")[0] not in self.manifest.parts:
                raise self._refused("it holds a file that doesn't belong there", file.path)
            member = members.get(file.path)
            if member is None or member.file_size != file.size:
                raise self._refused("a file isn't as its list says", file.path)
            names.add(file.path)
        if len(names) != len(self.manifest.files) + 1:
            raise self._refused("its list names a file twice")
        if extra := sorted(set(members) - names):
            raise self._refused("it holds a file that isn't listed", extra[0])

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
                raise OutputError(f"can't write {target}: {error}") from error

    def _chunks(self, file: FileEntry) -> Iterator[bytes]:
        """The bytes of a file; it raises in the end unless they are as listed."""
        hasher, left = blake3(max_threads=blake3.AUTO), file.size
        with self._reading():
            with self._archive.open(file.path) as member:
                while chunk := member.read(min(STEP, left + 1)):
                    left -= len(chunk)
                    if left < 0:
                        raise self._refused("a file is larger than its list says", file.path)
                    hasher.update(chunk)
                    yield chunk
            if left or hasher.hexdigest() != file.digest:
                raise InvalidFile(f"the backup {self._path} is damaged", given=ascii(file.path))


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def _write(descriptor: int, chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:
        left = left[os.write(descriptor, left) :]


def _is_safe(path: str) -> bool:
    """Whether a path stays below the folder that it is put into."""
    parts = path.split("/")
    is_bad = any(part in ("", ".", "..") or "\0" in part for part in parts)
    if os.name == "nt":
        is_bad = is_bad or any(mark in path for mark in '\\:*?"<>|')
    return not is_bad


@contextmanager
def opened(path: Path) -> Iterator[BackupReader]:
    """A backup to read from, until the end of the `with`.

    Raises:
        InvalidFile: It isn't there, is no backup, is damaged, or was written by a newer version.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise InvalidFile(f"can't read {path}: {error.strerror or error}") from error
    with file:
        try:
            archive = zipfile.ZipFile(file)
        except _UNREADABLE as error:
            raise InvalidFile(
                f"{path} is no backup: {error}", expected="a file that `nodegraph backup` has made"
            ) from error
        with archive:
            yield BackupReader(path, archive)
