"""Files named by the digest of their bytes: written whole or not at all, checked when read."""

from __future__ import annotations

import ctypes
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from blake3 import blake3

from nodegraph.core.digests import Digest
from nodegraph.store.codec import ALIGNMENT

Chunk = bytes | bytearray | memoryview

_STEP = 8 << 20
"""Bytes that are written, or read, and hashed at a time: enough for blake3 to use all cores."""
_QUARANTINED = 64
"""Damaged files that are kept for a look at what happened; older ones go."""


class DamagedBlob(Exception):
    """A file's bytes aren't those that its name promises.

    Attributes:
        stamp: Inode, size and time of change of the file that was read.
    """

    def __init__(self, path: Path, stamp: tuple[int, int, int]) -> None:
        super().__init__(f"the content of {path} does not match its name")
        self.stamp = stamp


@dataclass(frozen=True, slots=True)
class Blob:
    """A file under its content's name."""

    digest: Digest
    suffix: str
    bytes: int


@dataclass(frozen=True, slots=True)
class StagedBlob:
    """A file that is written and synced, still under a temporary name."""

    blob: Blob
    temporary: Path


class Blobs:
    """A folder of files ``ab/cdef….suffix``, each named by the blake3 digest of its bytes.

    Safe to use from several threads, and by several processes at once. Deciding what may go is
    the caller's: hold the index's write lock from `place` (or `remove`) to the commit of the row
    that tells of it, or another process may do the opposite in between.

    Args:
        folder: The store's folder.
        name: Of the folder in it.
        owner: Names this process's temporary files; a claim of that name must be held as long as
            the process writes.
    """

    def __init__(self, folder: Path, *, name: str = "artifacts", owner: str = "") -> None:
        self.folder = folder / name
        self._temporary = folder / "temporary"
        self._quarantine = folder / "quarantine"
        self._owner = owner
        self._root = f"{self.folder}{os.sep}"

    def prepare(self) -> None:
        """Make the folders, and see whether files can be written at all.

        Raises:
            OSError: They can't.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._temporary.mkdir(parents=True, exist_ok=True)
        trial = self._temporary / f"{self._owner}-{os.urandom(8).hex()}"
        trial.touch(exist_ok=False)
        # Whoever sweeps may have been quicker, as the owner's name isn't claimed yet.
        trial.unlink(missing_ok=True)

    def path(self, digest: Digest, suffix: str) -> Path:
        """Where a file lies, or would lie."""
        return Path(self._path_text(digest, suffix))

    def _path_text(self, digest: Digest, suffix: str) -> str:
        return f"{self._root}{digest[:2]}{os.sep}{digest[2:]}.{suffix}"

    def exists(self, digest: Digest, suffix: str) -> bool:
        """Whether there is a file of that name; its bytes aren't looked at."""
        return os.path.exists(self._path_text(digest, suffix))  # noqa: PTH110 - quicker than a Path

    def write(self, chunks: Iterable[Chunk], suffix: str) -> Blob:
        """Write a file under its content's name.

        Raises:
            OSError: No space, no permission.
        """
        staged = self.stage(chunks, suffix)
        self.commit(staged)
        return staged.blob

    def stage(self, chunks: Iterable[Chunk], suffix: str, *, sync: bool = True) -> StagedBlob:
        """Write and sync a file under a temporary name; `place` or `discard` it.

        Args:
            sync: False if the caller will `sync` it before it gets its name.
        Raises:
            OSError: No space, no permission.
        """
        self._temporary.mkdir(parents=True, exist_ok=True)
        temporary = self._temporary / f"{self._owner}-{os.urandom(8).hex()}"
        hasher = blake3(max_threads=blake3.AUTO)
        size = 0
        try:
            with temporary.open("xb", buffering=0) as file:
                for chunk in chunks:
                    size += _write(file.fileno(), chunk, hasher)
                if sync:
                    # The name must never be there before the bytes are, even after a power cut.
                    os.fsync(file.fileno())
        except BaseException:
            _unlink(temporary)
            raise
        return StagedBlob(Blob(hasher.hexdigest(), suffix, size), temporary)

    def sync(self, staged: StagedBlob) -> None:
        """Bring a staged file's bytes onto the disk.

        Raises:
            OSError: No space, a fault of the disk.
        """
        with staged.temporary.open("rb+", buffering=0) as file:
            os.fsync(file.fileno())

    def commit(self, staged: StagedBlob) -> None:
        """Give a staged file its final name; one that is there already is replaced.

        Raises:
            OSError: The temporary file is gone, no permission.
        """
        target = self._path_text(staged.blob.digest, staged.blob.suffix)
        try:
            staged.temporary.replace(target)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
            staged.temporary.replace(target)
        except PermissionError:
            # Some systems don't replace a file that somebody reads. The bytes are the same.
            if not os.path.exists(target):  # noqa: PTH110
                raise
            self.discard(staged)

    def discard(self, staged: StagedBlob) -> None:
        """Let go of a staged file."""
        _unlink(staged.temporary)

    def read(self, digest: Digest, suffix: str) -> memoryview:
        """The file's bytes, checked, in memory of their own that may be written to.

        Raises:
            FileNotFoundError: There is no such file.
            DamagedBlob: It holds something else than its name says.
            OSError: It can't be read.
        """
        path = self._path_text(digest, suffix)
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - quicker than a Path
            status = os.fstat(file.fileno())
            data = _aligned_memory(status.st_size)
            hasher = blake3(max_threads=blake3.AUTO)
            filled = 0
            while filled < len(data):
                count = file.readinto(data[filled : filled + _STEP])
                if not count:
                    break
                hasher.update(data[filled : filled + count])
                filled += count
            if hasher.hexdigest() != digest:
                raise DamagedBlob(Path(path), _stamp(status))
        return data

    def check(self, digest: Digest, suffix: str) -> bool:
        """Whether the file is there and holds what its name says.

        Raises:
            OSError: It is there, but can't be read.
        """
        try:
            with self.path(digest, suffix).open("rb", buffering=0) as file:
                hasher = blake3(max_threads=blake3.AUTO)
                view = memoryview(bytearray(_STEP))
                while count := file.readinto(view):
                    hasher.update(view[:count])
        except FileNotFoundError:
            return False
        return hasher.hexdigest() == digest

    def remove(self, digest: Digest, suffix: str) -> None:
        """Delete a file; one that isn't there, or is held by a reader, is passed over."""
        _unlink(self.path(digest, suffix))

    def quarantine(
        self, digest: Digest, suffix: str, stamp: tuple[int, int, int] | None = None
    ) -> bool:
        """Set a damaged file aside.

        Args:
            stamp: Of the file that was read; one that has taken its place since is left alone.
        Returns:
            Whether there is no such file any more.
        """
        path = self.path(digest, suffix)
        try:
            if stamp is not None and _stamp(path.stat()) != stamp:
                return False
            self._quarantine.mkdir(parents=True, exist_ok=True)
            path.replace(self._quarantine / f"{digest}.{suffix}")
        except FileNotFoundError:
            return True
        except OSError:
            _unlink(path)
            return not path.exists()
        self._thin_quarantine()
        return True

    def _thin_quarantine(self) -> None:
        ages = []
        for path in self._quarantine.iterdir():
            with suppress(FileNotFoundError):
                ages.append((path.stat().st_ctime_ns, path))
        for _, path in sorted(ages)[:-_QUARANTINED]:
            _unlink(path)

    def __iter__(self) -> Iterator[Blob]:
        """Every file under a final name, in no order; some may be gone by the time they come."""
        for folder in _listed(self.folder):
            for file in _listed(Path(folder.path)) if folder.is_dir() else ():
                stem, _, suffix = file.name.partition(".")
                with suppress(FileNotFoundError):
                    yield Blob(folder.name + stem, suffix, file.stat().st_size)

    def sweep(self, alive: Callable[[str], bool]) -> int:
        """Delete temporary files that dead processes left behind.

        Args:
            alive: Whether the owner of that name still works.
        Returns:
            How many were deleted.
        """
        count = 0
        known = {self._owner: True}
        for file in _listed(self._temporary):
            owner = file.name.partition("-")[0]
            if owner not in known:
                known[owner] = alive(owner)
            if not known[owner]:
                count += _unlink(Path(file.path))
        return count


def _write(descriptor: int, chunk: Chunk, hasher: blake3) -> int:
    view = memoryview(chunk).cast("B")
    at = 0
    while at < len(view):
        piece = view[at : at + _STEP]
        hasher.update(piece)
        at += len(piece)
        while piece:
            piece = piece[os.write(descriptor, piece) :]
    return at


def _aligned_memory(size: int) -> memoryview:
    """Memory in which a file's first tensor is aligned, so that a large one needs no copy."""
    whole = bytearray(size + ALIGNMENT)
    first = -ctypes.addressof(ctypes.c_char.from_buffer(whole)) % ALIGNMENT
    return memoryview(whole)[first : first + size]


def _stamp(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        # Gone already, or held open by a reader on a system that minds; a later sweep takes it.
        return False
    return True


_SMALL = 256 << 10
_LARGE = 4 << 20
_WEIGHT = 0.2
"""Of a new measurement against what was known."""
_FILE_BOUNDS = (2e-5, 0.5)
_BYTE_BOUNDS = (2e-11, 2e-7)  # 50 GB/s to 5 MB/s


@dataclass(slots=True)
class TransferSpeeds:
    """Seconds that files take: so many each, and so many a byte. Begins with those of an SSD.

    Small files tell of the first, large ones of the second; one slow moment counts little.
    """

    write_file: float = 3e-3
    write_byte: float = 1.5e-9
    read_file: float = 1e-4
    read_byte: float = 7e-10

    def record_write(self, size: int, seconds: float) -> None:
        """Note what writing a file took."""
        if size <= _SMALL:
            self.write_file = _moved(self.write_file, seconds, _FILE_BOUNDS)
        elif size >= _LARGE:
            self.write_byte = _moved(self.write_byte, seconds / size, _BYTE_BOUNDS)

    def record_read(self, size: int, seconds: float) -> None:
        """Note what reading and checking a file took."""
        if size <= _SMALL:
            self.read_file = _moved(self.read_file, seconds, _FILE_BOUNDS)
        elif size >= _LARGE:
            self.read_byte = _moved(self.read_byte, seconds / size, _BYTE_BOUNDS)

    def round_trip_seconds(self, files: int, size: int) -> float:
        """Seconds to write so much and read it once."""
        each = self.write_file + self.read_file
        return files * each + size * (self.write_byte + self.read_byte)

    def restore(self, connection: sqlite3.Connection) -> None:
        """Take what the index remembers."""
        known = dict(connection.execute("SELECT name, value FROM meta WHERE name LIKE 'speed.%'"))
        for item in fields(self):
            value = known.get(f"speed.{item.name}")
            if isinstance(value, float):
                low, high = _BYTE_BOUNDS if item.name.endswith("byte") else _FILE_BOUNDS
                setattr(self, item.name, min(max(value, low), high))

    def save(self, connection: sqlite3.Connection) -> None:
        """Let the index remember it."""
        connection.executemany(
            "INSERT INTO meta VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [(f"speed.{item.name}", getattr(self, item.name)) for item in fields(self)],
        )


def _moved(known: float, measured: float, bounds: tuple[float, float]) -> float:
    # No further than fourfold at once: the system may have been busy with something else.
    measured = min(max(measured, known / 4), known * 4)
    low, high = bounds
    return min(max(known + _WEIGHT * (measured - known), low), high)
