"""Shared objects: names, packed form, and verification of all that is stored."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgpack
from blake3 import blake3

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.errors import InvalidFile
from nodegraph.store.artifacts import ValueFile
from nodegraph.store.entries import unpack_outputs
from nodegraph.store.remote.object_storage import ObjectStorage, Unreachable

Progress = Callable[[int, int], None]
"""Is told how many bytes of how many were checked."""


@dataclass(slots=True)
class RemoteReport:
    """What was found.

    Attributes:
        entries, files: That were read.
        bytes: Of them all.
        damaged: Names of objects that don't hold what they should.
        missing: Files that entries tell of and that aren't there: these are computed again.
        repaired: Whether what is damaged was removed.
    """

    url: str
    entries: int = 0
    files: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    missing: int = 0
    repaired: bool = False

    @property
    def is_sound(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged


def verify_storage(
    storage: ObjectStorage, *, repair: bool = False, progress: Progress | None = None
) -> RemoteReport:
    """Read everything that lies at a place. Others may go on with it meanwhile.

    Args:
        repair: Remove what is damaged: it will be computed again.
        progress: Called after each object.
    Raises:
        InvalidFile: The place can't be asked.
    """
    try:
        return _Checking(storage, progress or _no_progress, repair=repair).report()
    except Unreachable as error:
        raise InvalidFile(f"the remote store {storage.url} cannot be reached: {error}") from error


def _no_progress(done: int, total: int) -> None:
    pass


class _Checking:
    """One check of a place."""

    def __init__(self, storage: ObjectStorage, progress: Progress, *, repair: bool) -> None:
        self._storage = storage
        self._progress = progress
        self._repair = repair
        self._report = RemoteReport(storage.url, repaired=repair)
        self._referenced: set[str] = set()

    def report(self) -> RemoteReport:
        entries, files = dict(self._storage.list(ENTRIES)), dict(self._storage.list(ARTIFACTS))
        total = sum(entries.values()) + sum(files.values())
        for name, size in entries.items():
            self._report.entries += 1
            self._check(name, size, self._is_whole_entry)
            self._progress(self._report.bytes, total)
        for name, size in files.items():
            self._report.files += 1
            self._check(name, size, self._is_whole_file)
            self._progress(self._report.bytes, total)
        self._report.missing = len(self._referenced - files.keys())
        return self._report

    def _check(self, name: str, size: int, is_whole: Callable[[str, int], bool]) -> None:
        try:
            is_intact = is_whole(name, size)
        except FileNotFoundError:
            return  # somebody removed it meanwhile
        self._report.bytes += size
        if not is_intact:
            self._report.damaged.append(name)
            if self._repair:
                self._storage.remove(name)

    def _is_whole_entry(self, name: str, size: int) -> bool:
        key = key_of_entry(name)
        if key is None:
            return False
        try:
            entry = unpack_entry(self._storage.read(name), key)
        except ValueError:
            return False
        self._referenced.update(each.name for each in entry.files)
        return True

    def _is_whole_file(self, name: str, size: int) -> bool:
        hasher = blake3()
        for chunk in self._storage.chunks(name, size):
            hasher.update(chunk)
        return hasher.hexdigest() == digest_of_artifact(name)


ENTRIES, ARTIFACTS, LEASES = "entries", "artifacts", "leases"

_MARK = b"NGE1"
"""Of the form; a later one has another."""
_CHECK = 32
_DIGEST = 32
_SUFFIXES = ("safetensors", "msgpack")
_LONGEST_PARTS = 64 << 10
_LONGEST_CALL = 1e8
_HEX = re.compile(r"[0-9a-f]{64}")


def entry_name(key: Key) -> str:
    """Where the entry of a key lies."""
    return f"{ENTRIES}/{key[:2]}/{key[2:]}"


def artifact_name(file: Digest, suffix: str) -> str:
    """Where a file of values lies, named as in a store."""
    return f"{ARTIFACTS}/{file[:2]}/{file[2:]}.{suffix}"


def digest_of_artifact(name: str) -> Digest | None:
    """The digest that an artifact's name promises; None if it is no such name."""
    return _digest_in(name.partition(".")[0])


def key_of_entry(name: str) -> Key | None:
    """The key whose entry has a name; None if it is no such name."""
    return _digest_in(name)


def _digest_in(name: str) -> Digest | None:
    digest = name.partition("/")[2].replace("/", "")
    return digest if _HEX.fullmatch(digest) else None


@dataclass(frozen=True, slots=True)
class RemoteFile(ValueFile):
    """A value's file as an object."""

    @property
    def name(self) -> str:
        """Of the object."""
        return artifact_name(self.file, self.suffix)


@dataclass(frozen=True, slots=True)
class RemoteEntry:
    """What a key led to, as machines tell each other.

    Attributes:
        outputs: As `pack_outputs` makes it; None where `asked` says what comes next.
        parts: What the key was made of, packed; None where that is long.
    """

    key: Key
    outputs: bytes | None
    requested_input: str | None
    node_type: str
    seconds: float
    created: float
    run: str
    parts: bytes | None
    files: tuple[RemoteFile, ...]


def pack_entry(entry: RemoteEntry) -> bytes:
    """An entry as an object's bytes."""
    parts = entry.parts if entry.parts is None or len(entry.parts) <= _LONGEST_PARTS else None
    files = [
        [
            bytes.fromhex(each.digest),
            bytes.fromhex(each.file),
            each.suffix,
            each.bytes,
            each.seconds,
        ]
        for each in entry.files
    ]
    about = (entry.requested_input, entry.node_type, entry.seconds, entry.created, entry.run)
    body: bytes = msgpack.packb([bytes.fromhex(entry.key), entry.outputs, *about, parts, files])
    return _MARK + blake3(body).digest() + body


def unpack_entry(data: bytes, key: Key) -> RemoteEntry:
    """The entry of a key again.

    Raises:
        ValueError: The bytes are cut off, damaged, of another key or of another version.
    """
    check, body = data[len(_MARK) : len(_MARK) + _CHECK], data[len(_MARK) + _CHECK :]
    if data[: len(_MARK)] != _MARK:
        raise ValueError("it is not an entry of this version")
    if blake3(body).digest() != check:
        raise ValueError("it is damaged or truncated")
    try:
        own, outputs, requested, node_type, seconds, created, run, parts, files = msgpack.unpackb(
            body
        )
        if own != bytes.fromhex(key):
            raise ValueError("it belongs to another key")
        if (outputs is None) == (requested is None):
            raise ValueError("it has no result")
        for output in () if outputs is None else unpack_outputs(outputs):
            _hex(bytes.fromhex(output.digest))
        remote_files = tuple(_file(*each) for each in files)
        texts = (node_type, run, "" if requested is None else requested)
    except (msgpack.UnpackException, TypeError, AttributeError) as error:
        raise ValueError(f"it has an unknown form: {error}") from error
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("it has an unknown form")
    return RemoteEntry(
        key,
        outputs,
        requested,
        node_type,
        _seconds(seconds),
        float(created),
        run,
        parts,
        remote_files,
    )


def _file(digest: bytes, file: bytes, suffix: str, size: Any, seconds: Any) -> RemoteFile:
    if suffix not in _SUFFIXES or type(size) is not int or size <= 0:
        raise ValueError("it names a file that does not hold values")
    return RemoteFile(_hex(digest), _hex(file), suffix, size, _seconds(seconds))


def _hex(digest: bytes) -> Digest:
    if not isinstance(digest, bytes) or len(digest) != _DIGEST:
        raise ValueError("it has a digest of the wrong length")
    return digest.hex()


def _seconds(value: Any) -> float:
    seconds = float(value)
    return min(max(seconds, 0.0), _LONGEST_CALL) if math.isfinite(seconds) else 0.0
