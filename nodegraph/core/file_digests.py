"""Digests of large files, computed once while the file stays the same."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from blake3 import blake3

from nodegraph.core.digests import Digest
from nodegraph.errors import InvalidFile

_Stamp = tuple[str, int, int, int]


class FileDigests:
    """Remembers the digest of each file by path, size, time of change and inode."""

    def __init__(self) -> None:
        self._known: dict[_Stamp, Digest] = {}
        self._lock = Lock()

    def digest(self, path: Path) -> Digest:
        """blake3 of the file's bytes.

        Raises:
            InvalidFile: It can't be read.
        """
        try:
            stamp = _stamp(path)
            with self._lock:
                known = self._known.get(stamp)
            if known is None:
                hasher = blake3(max_threads=blake3.AUTO)
                known = hasher.update_mmap(path).hexdigest()
                with self._lock:
                    self._known[stamp] = known
            return known
        except OSError as error:
            raise InvalidFile(f"can't read {path}: {error.strerror or error}") from error


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return (str(path.resolve()), status.st_size, status.st_mtime_ns, status.st_ino)
