"""Fetched files of remote models on this machine, by digest, no more than a number of bytes.

The processes of a machine share it: each file has a lock, which whoever reads it shares and whoever
fetches or removes it has alone. What is being fetched counts with all the bytes that it will have.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import sleep
from typing import BinaryIO

from blake3 import blake3

from nodegraph.core.context import report_progress
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.files import make_private_folder
from nodegraph.core.text_format import format_excess
from nodegraph.errors import InvalidFile, InvalidValue, OutputError
from nodegraph.models.remote.manifests import RemoteModelFile

if sys.platform == "win32":
    import msvcrt

    def _locked(descriptor: int, *, shared: bool) -> bool:
        # It knows no shared locks: readers take turns.
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _locked(descriptor: int, *, shared: bool) -> bool:
        # Of the descriptor, unlike those of `nodegraph.store.claims`: threads exclude one
        # another, too.
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def trying_lock(path: Path, *, shared: bool = False) -> Iterator[bool]:
    """Hold a file's lock inside the `with`; False if somebody else has it.

    Raises:
        OSError: The file can't be made, or its file system has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield _locked(descriptor, shared=shared)
    finally:
        os.close(descriptor)


_LOG = logging.getLogger(__name__)
_STEP = 8 << 20
_PAUSE = 0.05
_MIB = 1 << 20
_PART = ".part"

Chunks = Callable[[RemoteModelFile, int], Iterator[bytes]]
"""Bytes of a file at the place, from one of them on."""


class FileCache:
    """The files below a folder. Safe to use from several threads and processes.

    Args:
        budget: Bytes that they may take.
        chunks: Where they come from.
    """

    def __init__(self, folder: Path, budget: int, chunks: Chunks) -> None:
        self._files, self._locks = folder / "files", folder / "locks"
        self._budget = budget
        self._chunks = chunks

    @contextmanager
    def using(self, file: RemoteModelFile) -> Iterator[Path]:
        """A file, whole and as its digests say, for as long as the `with` lasts.

        Raises:
            InvalidFile: It is damaged where it comes from.
            InvalidValue: It is larger than all of the cache.
            OutputError: It can't be written here.
            Cancelled: The node's run was cancelled meanwhile; a later one goes on from there.
        """
        path = self._path(file)
        lock = self._locks / file.sha256
        try:
            for folder in (self._files, self._locks):
                make_private_folder(folder)
        except OSError as error:
            raise OutputError(f"cannot create the folder {error.filename}: {error}") from error
        while True:
            with self._locked(lock, shared=True):
                if _is_whole(path, file):
                    os.utime(lock)  # the file's own times tell whether it was changed
                    yield path
                    return
            with self._locked(lock):
                if not _is_whole(path, file):
                    self._fetch(path, file)

    def has(self, file: RemoteModelFile) -> bool:
        """Whether a file was fetched and is still there."""
        return self._path(file).is_file()

    def _path(self, file: RemoteModelFile) -> Path:
        return self._files / f"{file.sha256}{Path(file.path).suffix}"

    @contextmanager
    def _locked(self, lock: Path, *, shared: bool = False) -> Iterator[None]:
        while True:
            with trying_lock(lock, shared=shared) as is_mine:
                if is_mine:
                    yield
                    return
            report_progress(0, 1)
            sleep(_PAUSE)

    def _fetch(self, path: Path, file: RemoteModelFile) -> None:
        path.unlink(missing_ok=True)
        part = self._files / f"{file.sha256}.{file.bytes}{_PART}"
        try:
            self._make_room(part, file)
            began = part.stat().st_size
            digests = self._fetched(part, file)
            if digests != (file.sha256, file.digest) and began:
                # What an earlier attempt had left may be at fault.
                os.truncate(part, 0)
                digests = self._fetched(part, file)
            if digests != (file.sha256, file.digest):
                part.unlink()
                raise _damaged(file, digests)
            part.replace(path)
        except OSError as error:
            raise OutputError(
                f"cannot store the remote model file {file.path} at {path}: "
                f"{error.strerror or error}",
                hint="Free disk space, or set `model_cache` to a folder with more.",
            ) from error

    def _fetched(self, part: Path, file: RemoteModelFile) -> tuple[str, str]:
        """Bring what lacks of a file; SHA-256 and blake3 of what there is then."""
        whole, digest = hashlib.sha256(), blake3()
        with part.open("r+b") as target:
            done = 0
            for chunk in _chunks_of(target):
                whole.update(chunk)
                digest.update(chunk)
                done += len(chunk)
            for chunk in self._chunks(file, done) if done < file.bytes else ():
                target.write(chunk)
                whole.update(chunk)
                digest.update(chunk)
                done += len(chunk)
                report_progress(-(-done // _MIB), -(-file.bytes // _MIB))
            target.flush()
            os.fsync(target.fileno())
        return whole.hexdigest(), digest.hexdigest()

    def _make_room(self, part: Path, file: RemoteModelFile) -> None:
        """Have no more than the budget once a file is here; its empty part holds its place."""
        if file.bytes > self._budget:
            size, most = format_excess(file.bytes, self._budget)
            raise InvalidValue(
                f"the remote model file {file.path} has {size}, more than the budget of all "
                "downloaded models",
                given=f"model_cache_budget = {most}",
                hint="Raise `model_cache_budget`, for example to 200GB.",
            )
        while True:
            with self._locked(self._locks / "room"):
                if self._evict(file.bytes, besides=part):
                    part.touch(mode=0o600)
                    return
            # The others are in use, which ends: a file is read only once.
            report_progress(0, 1)
            sleep(_PAUSE)

    def _evict(self, needed: int, *, besides: Path) -> bool:
        """Remove what was used least lately, until so much fits; whether it does."""
        there = [path for path in self._files.iterdir() if path != besides]
        there.sort(key=self._last_used)
        taken = sum(map(_reserved, there))
        for path in there:
            if taken + needed <= self._budget:
                break
            with trying_lock(self._lock_of(path)) as is_mine:
                if is_mine:
                    taken -= _reserved(path)
                    path.unlink(missing_ok=True)
        return taken + needed <= self._budget

    def _lock_of(self, path: Path) -> Path:
        return self._locks / path.name.partition(".")[0]

    def _last_used(self, path: Path) -> float:
        with suppress(OSError):
            return self._lock_of(path).stat().st_mtime
        return 0.0


def _reserved(path: Path) -> int:
    """Bytes that a file takes, or will."""
    if path.suffix == _PART:
        return int(path.name.split(".")[1])
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _is_whole(path: Path, file: RemoteModelFile) -> bool:
    if not path.is_file():
        return False
    if FILE_DIGESTS.digest(path) == file.digest:
        return True
    _LOG.warning("%s is damaged on this disk and is downloaded again", path)
    return False


def _chunks_of(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_STEP):
        report_progress(0, 1)
        yield chunk


def _damaged(file: RemoteModelFile, digests: tuple[str, str]) -> InvalidFile:
    is_other = digests[0] != file.sha256
    return InvalidFile(
        f"the remote model file {file.path} is damaged: its content does not match its manifest",
        given=f"SHA-256 {digests[0]}" if is_other else f"blake3 {digests[1]}",
        expected=f"SHA-256 {file.sha256}" if is_other else f"blake3 {file.digest}",
        hint=f"Remove {file.object} there, and upload the model again: nodegraph models --push",
    )
