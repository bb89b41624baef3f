"""Reading zip archives that anybody may have made: nothing in one is believed.

All archives that are taken in are read here: a store's results and backups.
"""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nodegraph.errors import InvalidFile

STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
UNREADABLE = (
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
"""What `zipfile`, and whoever makes sense of the bytes, raise about a file that is damaged, or made
to do harm."""
_MOST_PACKED = 1032
"""Times that deflate makes bytes fewer at the most, by its form."""
_STEP = 4 << 20
"""Bytes that are read at a time."""


class ZipReader:
    """The files of an archive: plain ones, each once, under names that lead nowhere else.

    Args:
        path: Only to speak of it.
        what: What it should be, as in "the backup".
        kinds: How files may be packed; `STORED` ones can't be larger than the archive.
    Attributes:
        sizes: Bytes of the files, as the archive tells them, by name.
    Raises:
        InvalidFile: It holds something else, or what would be larger than it can be.
    """

    def __init__(
        self,
        path: Path,
        archive: zipfile.ZipFile,
        what: str,
        *,
        kinds: Collection[int] = (STORED, DEFLATED),
    ) -> None:
        self._path = path
        self._archive = archive
        self._what = what
        with self.reading():
            self.sizes = self._checked(kinds)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """What is raised in the `with` about bytes that make no sense becomes `InvalidFile`."""
        try:
            yield
        except UNREADABLE as error:
            raise InvalidFile(f"{self._what} {self._path} is damaged: {error}") from error

    def refused(self, reason: str, detail: str | None = None) -> InvalidFile:
        """What to raise about an archive that isn't damaged, but not as it should be."""
        shown = None if detail is None else ascii(detail[:200])
        return InvalidFile(f"{self._what} {self._path} is refused: {reason}", given=shown)

    def _checked(self, kinds: Collection[int]) -> Mapping[str, int]:
        sizes: dict[str, int] = {}
        packed = 0
        # `zipfile` reads on from wherever the list says, and that may be nowhere.
        length = os.fstat(self._archive.fp.fileno()).st_size  # type: ignore[union-attr]  # open
        for member in self._archive.infolist():
            name = member.filename
            if not 0 <= member.header_offset < length:
                raise zipfile.BadZipFile(f"{ascii(name)[:200]} lies outside the archive")
            if name in sizes:
                raise self.refused("it contains a file twice", name)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG) or member.is_dir():
                raise self.refused("it contains something that is not a plain file", name)
            if not is_safe(name):
                raise self.refused("it contains a file that does not belong there", name)
            if member.flag_bits & 1 or member.compress_type not in kinds:
                raise self.refused(
                    "it contains a file that is encrypted or has another compression", name
                )
            most = 1 if member.compress_type == STORED else _MOST_PACKED
            if member.file_size > most * member.compress_size:
                raise self.refused("a file claims to be larger than it can be", name)
            packed += member.compress_size
            sizes[name] = member.file_size
        if packed > length:
            raise self.refused("its files are larger than the archive")
        return sizes

    def read(self, name: str, most: int) -> bytes:
        """The bytes of a file that there is.

        Args:
            most: How many there may be.
        Raises:
            InvalidFile: It holds more, or is damaged.
        """
        if self.sizes[name] > most:
            raise self.refused(f"its {name} is too long")
        return b"".join(self.chunks(name))

    def open(self, name: str) -> IO[bytes]:
        """A file that there is, to read from within `reading`; it ends where the archive told."""
        return self._archive.open(name)

    def chunks(self, name: str, step: int = _STEP) -> Iterator[bytes]:
        """The bytes of a file that there is, no more than the archive told.

        Raises:
            InvalidFile: It is damaged, or holds more.
        """
        left = self.sizes[name]
        with self.reading(), self._archive.open(name) as file:
            while chunk := file.read(min(step, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise self.refused("a file is larger than listed", name)
                yield chunk
        if left:
            raise self.refused("a file is smaller than listed", name)


@contextmanager
def opened_zip(path: Path, refusal: str, expected: str) -> Iterator[zipfile.ZipFile]:
    """A zip archive, until the end of the `with`.

    Args:
        refusal, expected: What to say if it is none.
    Raises:
        InvalidFile: It isn't there, can't be read, or is none.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error
    with file:
        try:
            archive = zipfile.ZipFile(file)
        except UNREADABLE as error:
            raise InvalidFile(f"{refusal}: {error}", expected=expected) from error
        with archive:
            yield archive


def is_safe(path: str) -> bool:
    """Whether a path, parted by slashes, stays below the folder that it is put into."""
    parts = path.split("/")
    is_bad = any(part in ("", ".", "..") or "\0" in part for part in parts)
    if os.name == "nt":
        is_bad = is_bad or any(mark in path for mark in '\\:*?"<>|')
    return not is_bad
