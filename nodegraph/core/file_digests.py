"""Digests of large files, computed once while the file stays the same."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Protocol

from blake3 import blake3

from nodegraph.core.digests import Digest
from nodegraph.errors import InvalidFile

_UNSETTLED = 2.0
"""Seconds for which a file counts as just written: the coarsest file systems note every other."""

_PORTION = 2**22
"""Bytes of a file that are hashed at once, by as many threads as there are cores."""


class FileStamp(NamedTuple):
    """What changes when a file is written or replaced.

    Attributes:
        path: Resolved.
        mtime_ns: When it was written; anybody may set it back.
        ctime_ns: When anything of it was changed, that time included; nobody can set it, but on
            Windows it is the time when the file was made.
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """The stamp that a file has now.

        Raises:
            OSError: There is no such file.
        """
        status = path.stat()
        return cls(
            str(path.resolve()),
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_ino,
        )

    @property
    def is_settled(self) -> bool:
        """Whether another change of the file would change the stamp for certain.

        Two changes within one tick of the file system's clock leave the same time behind. What is
        to be remembered for long is remembered only of files that were settled before they were
        read.
        """
        now = time.time()
        # Files may bear any time, also one to come: a change gives them another.
        is_old = abs(now - self.mtime_ns / 1e9) > _UNSETTLED
        return is_old and now - self.ctime_ns / 1e9 > _UNSETTLED


class DigestStore(Protocol):
    """Where digests of files outlive the process."""

    def get(self, stamp: FileStamp) -> Digest | None:
        """The digest of the file that had this stamp."""

    def put(self, stamp: FileStamp, digest: Digest) -> None:
        """Remember it."""


class FileDigests:
    """Remembers the digest of each file by path, size, times of change and inode."""

    def __init__(self) -> None:
        self._known: dict[FileStamp, Digest] = {}
        self._memories: tuple[DigestStore, ...] = ()
        self._lock = Lock()

    def attach(self, memory: DigestStore) -> None:
        """Look there as well from now on, and remember there what is computed."""
        with self._lock:
            self._memories = (*self._memories, memory)

    def detach(self, memory: DigestStore) -> None:
        """Look there no more."""
        with self._lock:
            self._memories = tuple(each for each in self._memories if each is not memory)

    def digest(self, path: Path) -> Digest:
        """blake3 of the file's bytes.

        Raises:
            InvalidFile: It can't be read.
        """
        try:
            stamp = FileStamp.of(path)
            known = self._known.get(stamp)
            return self._compute(path, stamp) if known is None else known
        except OSError as error:
            raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error

    def known(self, path: Path) -> Digest | None:
        """The digest if it was computed before and the file is the same; nothing is read for it."""
        try:
            stamp = FileStamp.of(path)
        except OSError:
            return None
        return self._known.get(stamp) or self._remembered(stamp)

    def _remembered(self, stamp: FileStamp) -> Digest | None:
        for memory in self._memories:
            digest = memory.get(stamp)
            if digest is not None:
                self._known[stamp] = digest
                return digest
        return None

    def _compute(self, path: Path, stamp: FileStamp) -> Digest:
        remembered = self._remembered(stamp)
        if remembered is not None:
            return remembered
        memories = self._memories
        is_settled = stamp.is_settled
        digest = hash_file(path)
        if is_settled and FileStamp.of(path) == stamp:
            self._known[stamp] = digest
            for memory in memories:
                memory.put(stamp, digest)
        return digest


def hash_file(path: Path) -> Digest:
    """blake3 of a file, read rather than mapped: one that is cut short meanwhile is no bus error.

    Raises:
        OSError: It can't be read.
    """
    hasher = blake3(max_threads=blake3.AUTO)
    with open(path, "rb", buffering=0, opener=_open) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        portions = _read_ahead(file) if status.st_size > _PORTION else _read(file, status.st_size)
        for portion in portions:
            hasher.update(portion)
    return hasher.hexdigest()


def _read(file: FileIO, size: int) -> Iterator[memoryview]:
    portion = bytearray(size or 1)
    while count := file.readinto(portion):
        yield memoryview(portion)[:count]


def _read_ahead(file: FileIO) -> Iterator[memoryview]:
    """The portions of a file, each read while the one before it is in use.

    Gigabytes that lie in memory take three quarters of the time, and less that lie on a disk.
    """
    from concurrent.futures import ThreadPoolExecutor

    buffer, other = bytearray(_PORTION), bytearray(_PORTION)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(file.readinto, buffer)
        while count := coming.result():
            coming = reader.submit(file.readinto, other)
            yield memoryview(buffer)[:count]
            buffer, other = other, buffer


def _open(path: str, flags: int) -> int:
    """A pipe without a writer would be waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


FILE_DIGESTS = FileDigests()
"""Those of the process, as hashing gigabytes twice is worse: a file's digest is nobody's own."""
