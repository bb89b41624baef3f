"""The form of a store's archive, and reading one that anybody may have made.

The file is a zip archive without compression: what there is to know as JSON, the entries' and
artifacts' rows as msgpack, and the artifacts' files.
"""

from __future__ import annotations

import json
import math
import re
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from nodegraph.core.digests import Digest
from nodegraph.errors import InvalidFile
from nodegraph.store.entries import Stored
from nodegraph.store.packing import unpack
from nodegraph.store.rows import pack_outputs, unpack_outputs

FORMAT = "nodegraph store"
VERSION = 1
"""Of the archive's layout."""

ABOUT = "about.json"
ENTRIES = "entries.msgpack"
ARTIFACTS = "artifacts.msgpack"
_FILE = re.compile(r"artifacts/([0-9a-f]{64})\.(safetensors|msgpack)")
STEP = 8 << 20
"""Bytes that are copied at a time."""
_LONGEST_ABOUT = 64 << 10
_LONGEST_ROW = 64 << 20
_LONGEST_TEXT = 4096
_LONGEST_PARTS = 4 << 20
_LONGEST_CALL = 1e8
"""Seconds; an archive can't claim more for a result, which would then never be evicted."""
_DIGEST_BYTES = 32
_NONE = type(None)
_ENTRY = (bytes, (bytes, _NONE), (str, _NONE), str, float, float, str, (bytes, _NONE))
_ARTIFACT = (bytes, bytes, str, int, float)
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
"""What `zipfile` and msgpack raise about a file that is damaged, or made to do harm."""


@dataclass(frozen=True, slots=True)
class ArchivedArtifact:
    """A row of an archive's list of artifacts.

    Attributes:
        digest: Of the value.
        file: Of the file's bytes.
        seconds: To compute it again.
    """

    digest: Digest
    file: Digest
    suffix: str
    bytes: int
    seconds: float

    @property
    def member(self) -> str:
        """The file's name in the archive."""
        return f"artifacts/{self.file}.{self.suffix}"


class ArchiveReader:
    """An archive that anybody may have made: nothing in it is believed.

    Args:
        path: Only to speak of it.
        size: Bytes of the whole file.
    Attributes:
        artifacts: Those that it lists.
    Raises:
        InvalidFile: It isn't what `export` writes.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, size: int) -> None:
        self._path = path
        self._archive = archive
        with self._reading():
            self._members = self._checked_members(size)
            self._about = self._checked_about()
            self.artifacts = self._checked_artifacts()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except UNREADABLE as error:
            raise InvalidFile(f"the archive {self._path} is damaged: {error}") from error

    def _refused(self, reason: str, given: str | None = None) -> InvalidFile:
        return InvalidFile(f"the archive {self._path} is refused: {reason}", given=given)

    def _checked_members(self, size: int) -> Mapping[str, zipfile.ZipInfo]:
        members: dict[str, zipfile.ZipInfo] = {}
        for member in self._archive.infolist():
            name = member.filename
            if name not in (ABOUT, ENTRIES, ARTIFACTS) and not _FILE.fullmatch(name):
                raise self._refused("it holds a file that doesn't belong there", name[:200])
            if name in members:
                raise self._refused("it holds a file twice", name)
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise self._refused("it holds something that is no plain file", name)
            is_plain = member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1
            if not is_plain or member.file_size != member.compress_size:
                raise self._refused("it holds a compressed or encrypted file", name)
            members[name] = member
        if sum(member.file_size for member in members.values()) > size:
            raise self._refused("its files would be larger than the archive")
        for name in (ABOUT, ENTRIES, ARTIFACTS):
            if name not in members:
                raise self._refused(f"it has no {name}, so it isn't an archive of a store")
        return members

    def _checked_about(self) -> Mapping[str, Any]:
        if self._members[ABOUT].file_size > _LONGEST_ABOUT:
            raise self._refused(f"its {ABOUT} is too long")
        about = json.loads(self._archive.read(ABOUT))
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise self._refused("it isn't an archive of a store")
        version = about.get("version")
        if version != VERSION:
            raise InvalidFile(
                f"the archive {self._path} is of another version",
                given=str(version)[:20],
                expected=str(VERSION),
                hint="Use the version of nodegraph that wrote it, or a newer one.",
            )
        return about

    def _checked_artifacts(self) -> list[ArchivedArtifact]:
        artifacts = []
        for row in self._rows(ARTIFACTS, self._about.get("artifacts")):
            digest, file, suffix, size, seconds = self._columns(row, _ARTIFACT)
            each = ArchivedArtifact(
                self._hex(digest), self._hex(file), suffix, size, _seconds(seconds)
            )
            member = self._members.get(each.member)
            if member is None or member.file_size != each.bytes or not each.bytes:
                raise self._refused("its list of artifacts isn't that of its files", each.file)
            artifacts.append(each)
        return artifacts

    def _rows(self, member: str, count: Any) -> Iterator[Any]:
        found = 0
        with self._archive.open(member) as file:
            rows = msgpack.Unpacker(
                file,
                max_buffer_size=_LONGEST_ROW,
                max_array_len=16,
                max_map_len=0,
                max_ext_len=0,
            )
            for row in rows:
                found += 1
                yield row
        if found != count:
            raise self._refused(f"its {member} isn't whole", f"{found} rows")

    def _columns(self, row: Any, kinds: Sequence[type | tuple[type, ...]]) -> list[Any]:
        if not isinstance(row, list) or len(row) != len(kinds):
            raise self._refused("it has rows of another form")
        for value, kind in zip(row, kinds, strict=True):
            if not isinstance(value, kind) or isinstance(value, bool):
                raise self._refused("it has rows of another form", repr(value)[:100])
            if isinstance(value, str) and len(value) > _LONGEST_TEXT:
                raise self._refused("it has a text that is too long", f"{value[:100]}…")
        return row

    def _hex(self, digest: bytes) -> Digest:
        if len(digest) != _DIGEST_BYTES:
            raise self._refused("it has a digest of another length", repr(digest)[:100])
        return digest.hex()

    def entries(self) -> Iterator[tuple[Any, ...]]:
        """Rows of entries: key, outputs, asked, node type, seconds, created, run, parts.

        Raises:
            InvalidFile: One can't be one.
        """
        with self._reading():
            for row in self._rows(ENTRIES, self._about.get("entries")):
                yield self._entry(self._columns(row, _ENTRY))

    def _entry(self, row: list[Any]) -> tuple[Any, ...]:
        key, outputs, asked, node_type, seconds, created, run, parts = row
        self._hex(key)
        if (outputs is None) == (asked is None):
            raise self._refused("it has an entry without a result", key.hex())
        if outputs is not None:
            outputs = self._checked_outputs(outputs)
        if parts is not None and not _are_parts(parts):
            parts = None
        now = time.time()
        created = created if 0 <= created <= now else now
        return (key, outputs, asked, node_type, _seconds(seconds), created, run, parts)

    def _checked_outputs(self, packed: bytes) -> bytes:
        try:
            outputs = unpack_outputs(packed)
            makes_sense = all(_is_output(output) for output in outputs)
        except (ValueError, TypeError, AttributeError, RecursionError):
            makes_sense = False
        if not makes_sense:
            raise self._refused("it has an entry whose outputs make no sense")
        # Packed anew, so that nothing else is in it.
        return pack_outputs(outputs)

    def chunks(self, artifact: ArchivedArtifact) -> Iterator[bytes]:
        """The bytes of a file, no more than were told."""
        with self._archive.open(artifact.member) as file:
            while chunk := file.read(STEP):
                yield chunk


def _are_parts(packed: bytes) -> bool:
    try:
        return len(packed) <= _LONGEST_PARTS and isinstance(unpack(packed), dict)
    except (ValueError, RecursionError):
        return False


def _is_output(output: Stored) -> bool:
    digest_is_one = isinstance(output.digest, str) and len(output.digest) == 2 * _DIGEST_BYTES
    size_is_one = type(output.size) is int and 0 <= output.size < 1 << 62
    inline_is_one = output.inline is None or isinstance(output.inline, bytes)
    return (
        digest_is_one
        and size_is_one
        and inline_is_one
        and all(_is_output(item) for item in output.items or ())
    )


def _seconds(value: float) -> float:
    return min(max(value, 0.0), _LONGEST_CALL) if math.isfinite(value) else 0.0
