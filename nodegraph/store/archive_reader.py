"""The form of a store's archive, and reading one that anybody may have made.

The file is a zip archive without compression: what there is to know as JSON, the entries' and
artifacts' rows as msgpack, and the artifacts' files.
"""

from __future__ import annotations

import json
import math
import re
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from nodegraph.core.digests import Digest
from nodegraph.errors import InvalidFile
from nodegraph.store.entries import CallWarning, StoredOutput
from nodegraph.store.packing import unpack
from nodegraph.store.rows import pack_outputs, unpack_result
from nodegraph.store.taking_in import ValueFile
from nodegraph.store.zip_reader import STORED, ZipReader

FORMAT = "nodegraph store"
FIRST_VERSION, VERSION = 1, 2
"""Of the archive's layout; the second has what nodes warned of."""

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
_MOST_WARNINGS = 1000
_NONE = type(None)
_ENTRY = (bytes, (bytes, _NONE), (str, _NONE), str, float, float, str, (bytes, _NONE))
_ARTIFACT = (bytes, bytes, str, int, float)


@dataclass(frozen=True, slots=True)
class ArchivedArtifact(ValueFile):
    """A row of an archive's list of artifacts."""

    @property
    def member(self) -> str:
        """The file's name in the archive."""
        return f"artifacts/{self.file}.{self.suffix}"


class ArchiveReader:
    """An archive that anybody may have made: nothing in it is believed.

    Args:
        path: Only to speak of it.
    Attributes:
        artifacts: Those that it lists.
    Raises:
        InvalidFile: It isn't what `export` writes.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._zip = ZipReader(path, archive, "the archive", kinds=(STORED,))
        self._refused = self._zip.refused
        self._check_members()
        with self._zip.reading():
            self._about = self._checked_about()
            self.artifacts = self._checked_artifacts()
        self._files = {each.digest: (each.file, each.suffix) for each in self.artifacts}

    def _check_members(self) -> None:
        for name in self._zip.sizes:
            if name not in (ABOUT, ENTRIES, ARTIFACTS) and not _FILE.fullmatch(name):
                raise self._refused("it holds a file that doesn't belong there", name)
        for name in (ABOUT, ENTRIES, ARTIFACTS):
            if name not in self._zip.sizes:
                raise self._refused(f"it has no {name}, so it isn't an archive of a store")

    def _checked_about(self) -> Mapping[str, Any]:
        about = json.loads(self._zip.read(ABOUT, _LONGEST_ABOUT))
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise self._refused("it isn't an archive of a store")
        version = about.get("version")
        if version not in (FIRST_VERSION, VERSION):
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
            if self._zip.sizes.get(each.member) != each.bytes or not each.bytes:
                raise self._refused("its list of artifacts isn't that of its files", each.file)
            artifacts.append(each)
        return artifacts

    def _rows(self, member: str, count: Any) -> Iterator[Any]:
        row_count = 0
        with self._zip.open(member) as file:
            rows = msgpack.Unpacker(
                file,
                max_buffer_size=_LONGEST_ROW,
                max_array_len=16,
                max_map_len=0,
                max_ext_len=0,
            )
            for row in rows:
                row_count += 1
                yield row
        if row_count != count:
            raise self._refused(f"its {member} isn't whole", f"{row_count} rows")

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
        with self._zip.reading():
            for row in self._rows(ENTRIES, self._about.get("entries")):
                yield self._entry(self._columns(row, _ENTRY))

    def _entry(self, row: list[Any]) -> tuple[Any, ...]:
        key, outputs, requested, node_type, seconds, created, run, parts = row
        self._hex(key)
        if (outputs is None) == (requested is None):
            raise self._refused("it has an entry without a result", key.hex())
        if outputs is not None:
            outputs = self._checked_outputs(outputs)
        if parts is not None and not _are_parts(parts):
            parts = None
        now = time.time()
        created = created if 0 <= created <= now else now
        return (key, outputs, requested, node_type, _seconds(seconds), created, run, parts)

    def _checked_outputs(self, packed: bytes) -> bytes:
        try:
            call_result = unpack_result(packed)
            makes_sense = all(map(_is_output, call_result.outputs)) and _are_short(
                call_result.warnings
            )
        except (ValueError, TypeError, AttributeError, RecursionError):
            makes_sense = False
        if not makes_sense:
            raise self._refused("it has an entry whose outputs make no sense")
        # Packed anew, so that nothing else is in it.
        return pack_outputs(call_result.outputs, self._files, call_result.warnings)

    def chunks(self, artifact: ArchivedArtifact) -> Iterator[bytes]:
        """The bytes of a file, no more than were told.

        Raises:
            InvalidFile: It is damaged.
        """
        return self._zip.chunks(artifact.member, STEP)


def _are_parts(packed: bytes) -> bool:
    try:
        return len(packed) <= _LONGEST_PARTS and isinstance(unpack(packed), dict)
    except (ValueError, RecursionError):
        return False


def _is_output(output: StoredOutput) -> bool:
    digest_is_one = isinstance(output.digest, str) and len(output.digest) == 2 * _DIGEST_BYTES
    size_is_one = type(output.size) is int and 0 <= output.size < 1 << 62
    inline_is_one = output.inline is None or isinstance(output.inline, bytes)
    return (
        digest_is_one
        and size_is_one
        and inline_is_one
        and all(_is_output(item) for item in output.items or ())
    )


def _are_short(warnings: Sequence[CallWarning]) -> bool:
    texts = [text for warning in warnings for text in warning]
    return len(warnings) <= _MOST_WARNINGS and all(len(text) <= _LONGEST_TEXT for text in texts)


def _seconds(value: float) -> float:
    return min(max(value, 0.0), _LONGEST_CALL) if math.isfinite(value) else 0.0
