"""Reading a backup: nothing in it is believed that can't be checked."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from blake3 import blake3
from pydantic import ValidationError

from nodegraph.errors import InvalidFile, OutputError
from nodegraph.server.operations.backup import manifest as listed
from nodegraph.server.operations.backup.databases import PARTS
from nodegraph.server.operations.backup.manifest import BackupManifest, FileEntry
from nodegraph.store.zip_reader import ZipReader, is_safe, opened_zip

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
        if listed.NAME not in self._zip.sizes:
            raise self._refused("it has no list of its files, so it is no backup")
        with self._zip.reading():
            self.manifest = self._read_list()
        self._check_list()

    def _read_list(self) -> BackupManifest:
        try:
            manifest = BackupManifest.model_validate_json(
                self._zip.read(listed.NAME, listed.LARGEST)
            )
        except ValidationError as error:
            location = ".".join(map(str, error.errors()[0]["loc"]))
            raise self._refused(f"its list is wrong at {location}") from None
        if unknown := [part for part in manifest.parts if part not in PARTS]:
            raise self._refused("it holds parts that aren't known", unknown[0])
        return manifest

    def _check_list(self) -> None:
        """The list is that of the files, and each lies where it may."""
        names = {listed.NAME}
        for file in self.manifest.files:
            if not is_safe(file.path) or file.path.split("/")[0] not in self.manifest.parts:
                raise self._refused("it holds a file that doesn't belong there", file.path)
            if self._zip.sizes.get(file.path) != file.size:
                raise self._refused("a file isn't as its list says", file.path)
            names.add(file.path)
        if len(names) != len(self.manifest.files) + 1:
            raise self._refused("its list names a file twice")
        if extra := sorted(set(self._zip.sizes) - names):
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
    expected = "a file that `nodegraph backup` has made"
    with opened_zip(path, f"{path} is no backup", expected) as archive:
        yield BackupReader(path, archive)
