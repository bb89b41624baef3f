"""Archives: export a store's results to one file, and import a file that is not trusted.

An import must trust that a key leads to its value, since only computing it can check that.
Nothing else is trusted: whatever the file holds, only rows and files of a store can result.

The file is a zip archive without compression: a description as JSON, the rows of entries and
artifacts as msgpack, and the artifacts' files.
"""

from __future__ import annotations

import json
import math
import os
import re
import sqlite3
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgpack
from blake3 import blake3

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.errors import InvalidFile, OutputError
from nodegraph.store.artifacts import (
    ValueFile,
    find_value_file,
    has_value_file,
    insert_entries,
    insert_value_file,
)
from nodegraph.store.blobs import StagedBlob
from nodegraph.store.entries import (
    CallResult,
    CallWarning,
    StoredOutput,
    leaves,
    pack_outputs,
    unpack_result,
)
from nodegraph.store.packing import unpack
from nodegraph.store.store import Store
from nodegraph.store.zip_reader import STORED, ZipReader, opened_zip

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
                raise self._refused("it contains a file that does not belong there", name)
        for name in (ABOUT, ENTRIES, ARTIFACTS):
            if name not in self._zip.sizes:
                raise self._refused(f"it has no {name}, so it is not an archive of a store")

    def _checked_about(self) -> Mapping[str, Any]:
        about = json.loads(self._zip.read(ABOUT, _LONGEST_ABOUT))
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise self._refused("it is not an archive of a store")
        version = about.get("version")
        if version not in (FIRST_VERSION, VERSION):
            raise InvalidFile(
                f"the archive {self._path} has an unsupported version",
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
                raise self._refused("its list of artifacts does not match its files", each.file)
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
            raise self._refused(f"its {member} is incomplete", f"{row_count} rows")

    def _columns(self, row: Any, kinds: Sequence[type | tuple[type, ...]]) -> list[Any]:
        if not isinstance(row, list) or len(row) != len(kinds):
            raise self._refused("it has rows of an unknown form")
        for value, kind in zip(row, kinds, strict=True):
            if not isinstance(value, kind) or isinstance(value, bool):
                raise self._refused("it has rows of an unknown form", repr(value)[:100])
            if isinstance(value, str) and len(value) > _LONGEST_TEXT:
                raise self._refused("it has a text that is too long", f"{value[:100]}…")
        return row

    def _hex(self, digest: bytes) -> Digest:
        if len(digest) != _DIGEST_BYTES:
            raise self._refused("it has a digest of the wrong length", repr(digest)[:100])
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
            raise self._refused("it has an entry whose outputs are not valid")
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


Progress = Callable[[int, int], None]
"""Is told how many bytes of files of how many are done."""

_AT_ONCE = 500
_SELECT = """
SELECT key, outputs, asked, node_type, seconds, created, run, parts FROM entries WHERE key = ?
"""
_SELECT_MANY = """
SELECT rowid, key, outputs, asked, node_type, seconds, created, run, parts FROM entries
WHERE rowid > ? ORDER BY rowid LIMIT ?
"""


@dataclass(slots=True)
class ExportReport:
    """What went into an archive.

    Attributes:
        bytes: Of the artifacts' files.
        left_out: Artifacts that are damaged or gone; their entries are in without them. And
            entries that are damaged.
        unknown: Keys that were asked for and aren't in the store.
    """

    entries: int = 0
    artifacts: int = 0
    bytes: int = 0
    left_out: int = 0
    unknown: int = 0


@dataclass(slots=True)
class ArchiveImport:
    """What came of an archive.

    Attributes:
        entries, artifacts: Taken.
        bytes: Of the artifacts taken.
        known_entries, known_artifacts: That were in the store already, and stay as they are.
        damaged: Artifacts whose files don't hold what their names say; they were left out.
        evicted: Artifacts that had to go from the store, as there was too little room.
    """

    entries: int = 0
    artifacts: int = 0
    bytes: int = 0
    known_entries: int = 0
    known_artifacts: int = 0
    damaged: int = 0
    evicted: int = 0


def export_archive(
    store: Store,
    path: Path,
    *,
    keys: Iterable[Key] | None = None,
    progress: Progress | None = None,
) -> ExportReport:
    """Write results into one file; it is there whole, or as it was before.

    Args:
        keys: Only those of these calls; all if not given.
        progress: Called as files are copied.
    Raises:
        OutputError: It can't be written.
        InvalidFile: The store can't be read.
    """
    if path.is_dir():
        raise OutputError(f"cannot write {path}: Is a directory")
    store.flush()
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        try:
            with temporary.open("xb") as file:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                    exported = _Export(store, archive, progress or _no_progress).run(keys)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        hint = None if path.parent.is_dir() else f"Make the folder {path.parent} first."
        raise OutputError(f"cannot write {path}: {error.strerror or error}", hint=hint) from error
    except sqlite3.Error as error:
        raise InvalidFile(f"cannot read the store {store.folder}: {error}") from error
    return exported


class _Export:
    """One archive being written."""

    def __init__(self, store: Store, archive: zipfile.ZipFile, progress: Progress) -> None:
        self._store = store
        self._archive = archive
        self._progress = progress
        self._done = ExportReport()
        # Without warnings it is what older versions read, too.
        self._version = FIRST_VERSION

    def run(self, keys: Iterable[Key] | None) -> ExportReport:
        wanted: dict[Digest, None] = {}
        with self._member(ENTRIES) as file:
            for row in self._rows(keys):
                try:
                    call_result = CallResult(()) if row[1] is None else unpack_result(row[1])
                except ValueError:
                    self._done.left_out += 1
                    continue
                if call_result.warnings:
                    self._version = VERSION
                packed = None
                if row[1] is not None:
                    packed = pack_outputs(call_result.outputs, None, call_result.warnings)
                file.write(msgpack.packb((row[0], packed, *row[2:])))
                self._done.entries += 1
                wanted.update((leaf.digest, None) for leaf in leaves(call_result.outputs))
        artifacts = self._copied([*self._artifacts(wanted)])
        with self._member(ARTIFACTS) as file:
            for each in artifacts:
                names = (bytes.fromhex(each.digest), bytes.fromhex(each.file))
                file.write(msgpack.packb([*names, each.suffix, each.bytes, each.seconds]))
        self._done.artifacts = len(artifacts)
        about = {
            "format": FORMAT,
            "version": self._version,
            "entries": self._done.entries,
            "artifacts": self._done.artifacts,
        }
        with self._member(ABOUT) as file:
            file.write(json.dumps(about).encode())
        return self._done

    @contextmanager
    def _member(self, name: str) -> Iterator[IO[bytes]]:
        about = zipfile.ZipInfo(name)  # with a date that says nothing, so that equal is equal
        about.external_attr = 0o600 << 16
        with self._archive.open(about, "w", force_zip64=True) as file:
            yield file

    def _rows(self, keys: Iterable[Key] | None) -> Iterator[tuple[Any, ...]]:
        if keys is None:
            yield from self._all_rows()
            return
        for key in dict.fromkeys(keys):
            row = self._store.index.fetch_one(_SELECT, (bytes.fromhex(key),))
            if row is None:
                self._done.unknown += 1
            else:
                yield row

    def _all_rows(self) -> Iterator[tuple[Any, ...]]:
        number = -1
        while True:
            with self._store.index.reading() as connection:
                rows = connection.execute(_SELECT_MANY, (number, _AT_ONCE)).fetchall()
            for number, *row in rows:  # noqa: B007 - the last one is where the next query begins
                yield tuple(row)
            if len(rows) < _AT_ONCE:
                return

    def _artifacts(self, digests: Iterable[Digest]) -> Iterator[ArchivedArtifact]:
        for digest in digests:
            row = find_value_file(self._store.index, digest)
            if row is not None:
                yield ArchivedArtifact(*row)

    def _copied(self, artifacts: list[ArchivedArtifact]) -> list[ArchivedArtifact]:
        """Those whose files are whole; several may share one."""
        total = sum({each.file: each.bytes for each in artifacts}.values())
        whole: dict[Digest, bool] = {}
        for each in artifacts:
            if each.file not in whole:
                whole[each.file] = self._copy(each)
                self._progress(self._done.bytes, total)
        copied = [each for each in artifacts if whole[each.file]]
        self._done.left_out = len(artifacts) - len(copied)
        return copied

    def _copy(self, artifact: ArchivedArtifact) -> bool:
        hasher = blake3(max_threads=blake3.AUTO)
        try:
            file = self._store.blobs.path(artifact.file, artifact.suffix).open("rb", buffering=0)
        except OSError:
            return False
        with file, self._member(artifact.member) as member:
            while chunk := file.read(STEP):
                hasher.update(chunk)
                member.write(chunk)
        # One that is damaged is in the archive now, but its list doesn't tell of it.
        if hasher.hexdigest() != artifact.file:
            return False
        self._done.bytes += artifact.bytes
        return True


def import_archive(store: Store, path: Path, *, progress: Progress | None = None) -> ArchiveImport:
    """Take in what `export` wrote; what the store has already stays as it is.

    Args:
        progress: Called as files are copied.
    Raises:
        InvalidFile: It is no such archive, is damaged, or holds what no archive may hold.
        OutputError: The store can't be written.
    """
    if store.read_only:
        raise store.read_only_error()
    store.flush()
    try:
        refusal, expected = f"{path} is not an archive of a store", "a file that was exported"
        with opened_zip(path, refusal, expected) as archive:
            return _Import(store, ArchiveReader(path, archive), progress or _no_progress).run()
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error


class _Import:
    """One archive being taken in."""

    def __init__(self, store: Store, archive: ArchiveReader, progress: Progress) -> None:
        self._store = store
        self._archive = archive
        self._progress = progress
        self._files: dict[Digest, StagedBlob | None] = {}
        self._done = ArchiveImport()

    def run(self) -> ArchiveImport:
        try:
            self._take_all()
        except (sqlite3.Error, OSError) as error:
            raise OutputError(f"cannot write to the store {self._store.folder}: {error}") from error
        finally:
            for staged in filter(None, self._files.values()):
                self._store.blobs.discard(staged)
        self._done.evicted = self._store.trim().artifacts
        return self._done

    def _take_all(self) -> None:
        total = sum(each.bytes for each in self._archive.artifacts)
        passed = 0
        for each in self._archive.artifacts:
            self._take(each)
            passed += each.bytes
            self._progress(passed, total)
        self._take_entries()

    def _take(self, artifact: ArchivedArtifact) -> None:
        if has_value_file(self._store.index, self._store.blobs, artifact.digest):
            self._done.known_artifacts += 1
            return
        if artifact.file not in self._files:
            self._files[artifact.file] = self._stage(artifact)
        staged = self._files[artifact.file]
        if staged is None:
            self._done.damaged += 1
        elif self._commit_file(artifact, staged):
            self._done.artifacts += 1
        else:
            self._done.known_artifacts += 1

    def _stage(self, artifact: ArchivedArtifact) -> StagedBlob | None:
        """The file beside the store's own; None if it is damaged."""
        blobs = self._store.blobs
        try:
            staged = blobs.stage(self._archive.chunks(artifact), artifact.suffix)
        except InvalidFile:
            return None
        if staged.blob.digest != artifact.file:
            blobs.discard(staged)
            return None
        self._done.bytes += artifact.bytes
        return staged

    def _commit_file(self, artifact: ArchivedArtifact, staged: StagedBlob) -> bool:
        """Take a file in, unless another process was quicker."""
        with self._store.index.writing() as connection:
            return insert_value_file(connection, self._store.blobs, artifact, staged)

    def _take_entries(self) -> None:
        batch: list[tuple[Any, ...]] = []
        for row in self._archive.entries():
            batch.append(row)
            if len(batch) == _AT_ONCE:
                self._write(batch)
                batch.clear()
        self._write(batch)

    def _write(self, rows: list[tuple[Any, ...]]) -> None:
        with self._store.index.writing() as connection:
            taken = insert_entries(connection, rows) if rows else 0
        self._done.entries += taken
        self._done.known_entries += len(rows) - taken


def _no_progress(done: int, total: int) -> None:
    pass
