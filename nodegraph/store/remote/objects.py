"""The names of shared objects, and an entry as one: checked by a digest, and in its form."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import msgpack
from blake3 import blake3

from nodegraph.core.digests import Digest
from nodegraph.core.keys import Key
from nodegraph.store.rows import unpack_outputs
from nodegraph.store.taking_in import ValueFile

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
        raise ValueError("it is no entry of this version")
    if blake3(body).digest() != check:
        raise ValueError("it is damaged or cut off")
    try:
        own, outputs, requested, node_type, seconds, created, run, parts, files = msgpack.unpackb(
            body
        )
        if own != bytes.fromhex(key):
            raise ValueError("it is of another key")
        if (outputs is None) == (requested is None):
            raise ValueError("it has no result")
        for output in () if outputs is None else unpack_outputs(outputs):
            _hex(bytes.fromhex(output.digest))
        remote_files = tuple(_file(*each) for each in files)
        texts = (node_type, run, "" if requested is None else requested)
    except (msgpack.UnpackException, TypeError, AttributeError) as error:
        raise ValueError(f"it has another form: {error}") from error
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("it has another form")
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
        raise ValueError("it names what is no file of values")
    return RemoteFile(_hex(digest), _hex(file), suffix, size, _seconds(seconds))


def _hex(digest: bytes) -> Digest:
    if not isinstance(digest, bytes) or len(digest) != _DIGEST:
        raise ValueError("it has a digest of another length")
    return digest.hex()


def _seconds(value: Any) -> float:
    seconds = float(value)
    return min(max(seconds, 0.0), _LONGEST_CALL) if math.isfinite(seconds) else 0.0
