"""Entries: the store's records of calls and outputs, and their packed form.

Small values are stored in the column itself, and SQLite has no checksums. So the column begins with
one, which detects data that a disk or memory fault has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zlib import crc32

import msgpack

from nodegraph.core.digests import Digest
from nodegraph.store.packing import unpack

_CHECK = 4
"""Bytes of the checksum."""


Files = Mapping[Digest, tuple[Digest, str]]
"""Digest and suffix of values' files, by the values' digests."""


class CallResult(NamedTuple):
    """What a column holds."""

    outputs: tuple[StoredOutput, ...]
    warnings: tuple[CallWarning, ...] = ()


def pack_outputs(
    outputs: Sequence[StoredOutput],
    files: Files | None = None,
    warnings: Sequence[CallWarning] = (),
) -> bytes:
    """Some outputs as bytes.

    Args:
        files: What is noted as the outputs' `file`: what they have noted says nothing of a row
            that goes into another store.
        warnings: What their node said of them.
    """
    forms: Any = [_packed(output, files or {}) for output in outputs]
    if warnings:
        # Rows without any, nearly all, stay in the form that older versions wrote.
        forms = {"outputs": forms, "warnings": pack_warnings(warnings)}
    packed: bytes = msgpack.packb(forms)
    return crc32(packed).to_bytes(_CHECK, "big") + packed


def repack_outputs(data: bytes, files: Files | None = None) -> bytes:
    """The same, as it goes into another store; see `pack_outputs`.

    Raises:
        ValueError: See `unpack_outputs`.
    """
    call_result = unpack_result(data)
    return pack_outputs(call_result.outputs, files, call_result.warnings)


def pack_warnings(warnings: Sequence[CallWarning]) -> list[list[str]]:
    """Warnings as plain values."""
    return [list(each) for each in warnings]


def unpack_warnings(forms: Any) -> tuple[CallWarning, ...]:
    """The warnings again.

    Raises:
        ValueError: They are none.
    """
    try:
        warnings = tuple([CallWarning(*form) for form in forms])
    except TypeError as error:
        raise ValueError(f"not warnings: {error}") from error
    if not all(isinstance(text, str) for warning in warnings for text in warning):
        raise ValueError("not warnings: not text")
    return warnings


def _packed(output: StoredOutput, files: Files) -> list[Any]:
    form: list[Any] = [bytes.fromhex(output.digest), output.size]
    if output.items is not None:
        form += (output.inline, [_packed(item, files) for item in output.items])
    elif output.inline is not None:
        form.append(output.inline)
    elif output.digest in files:
        file, suffix = files[output.digest]
        form += (None, None, bytes.fromhex(file), suffix)
    return form


def unpack_outputs(data: bytes) -> tuple[StoredOutput, ...]:
    """The outputs again.

    Raises:
        ValueError: The bytes are no such list, or aren't what was packed.
    """
    return unpack_result(data).outputs


def unpack_result(data: bytes) -> CallResult:
    """The outputs again, and what their node said of them.

    Raises:
        ValueError: See `unpack_outputs`.
    """
    packed = data[_CHECK:]
    if crc32(packed).to_bytes(_CHECK, "big") != data[:_CHECK]:
        raise ValueError("an entry of the store's index is damaged")
    forms: Any = msgpack.unpackb(packed)
    if not isinstance(forms, dict):
        return CallResult(tuple([_unpacked(*form) for form in forms]))
    outputs = tuple([_unpacked(*form) for form in forms.get("outputs", ())])
    return CallResult(outputs, unpack_warnings(forms.get("warnings", ())))


def _unpacked(
    digest: bytes,
    size: int,
    inline: bytes | None = None,
    items: list[Any] | None = None,
    file: bytes | None = None,
    suffix: str = "",
) -> StoredOutput:
    if file is not None:
        return StoredOutput(digest.hex(), size, file=(file.hex(), suffix))
    if items is None:
        return StoredOutput(digest.hex(), size, inline)
    return StoredOutput(digest.hex(), size, inline, tuple([_unpacked(*item) for item in items]))


class OutputGone(Exception):
    """An output's bytes aren't there any more, never were, or turned out damaged."""


class _Unloaded:
    """Stands for a value that isn't in memory."""

    def __repr__(self) -> str:
        return "UNLOADED"


UNLOADED = _Unloaded()
"""As an `UnsavedOutput.value`: it was loaded from a store and let go, so only its digest is
noted."""


UI = "ui"
"""Level of what a node shows beside its outputs; its message is a JSON object."""


class CallWarning(NamedTuple):
    """What a node said of its result, to be said again wherever the result is used.

    Attributes:
        level: ``warning`` or ``error``; `UI` for what clients show for the node.
        inner: What follows the call's name in that of the node which said it: ``/load`` of a node
            that the call expanded into.
    """

    message: str
    level: str = "warning"
    inner: str = ""


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """An output, as the index knows it.

    Attributes:
        digest: Names the value, on links and in keys.
        size: Bytes that the value takes in memory, about.
        inline: The encoded value, where it is so small that the index holds it.
        items: The items' outputs, if its port's type is a list; then the rest is about the list
            as a whole and its value is made of theirs.
        file: Digest and suffix of the file that the value was written to, which may be gone since.
    """

    digest: Digest
    size: int
    inline: bytes | None = None
    items: tuple[StoredOutput, ...] | None = None
    file: tuple[Digest, str] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a key led to.

    Attributes:
        outputs: One for each output port; None where the node asked for a lazy input.
        requested_input: The lazy input that the node asked for next.
        seconds: That computing it took.
        created: Unix time at which it was computed.
        run: Id of the run that computed it.
        packed_parts: See `parts`.
        warnings: What the node said of it.
    """

    outputs: tuple[StoredOutput, ...] | None
    requested_input: str | None
    node_type: str
    seconds: float
    created: float
    run: str
    packed_parts: bytes | None = None
    warnings: tuple[CallWarning, ...] = ()

    @property
    def parts(self) -> Mapping[str, Any] | None:
        """What the key was made of; None where it isn't known, or not committed yet."""
        return None if self.packed_parts is None else unpack(self.packed_parts)


@dataclass(frozen=True, slots=True)
class UnsavedOutput:
    """An output to be stored.

    Attributes:
        value: Read in the writer's thread, so it must not change; that of a list isn't looked at.
        inline: The encoded value, as in `StoredOutput`, where it came from a row of the index: then
            the value may be `UNLOADED`.
        is_intact: Tells whether the value is still the one that the digest names; asked once its
            bytes are read. One that a node has changed meanwhile isn't stored.
    """

    digest: Digest
    size: int
    value: Any
    items: tuple[UnsavedOutput, ...] | None = None
    inline: bytes | None = None
    is_intact: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SharedValue:
    """A value that a call was handed and that others share.

    Attributes:
        is_intact: Tells whether the value is still the one that its digest names.
        on_changed: To be called if it isn't.
    """

    value: Any
    is_intact: Callable[[], bool]
    on_changed: Callable[[], None]


@dataclass(frozen=True, slots=True)
class NewEntry:
    """What a call gave, to be stored.

    Attributes:
        sources: What it was computed from. If one isn't intact once the entry is about to be
            written, what the call gave may be wrong, and the entry is not written.
        outputs, requested_input: As in `Entry`.
        parts: Called in the writer's thread; what it returns is plain values.
        worth: Seconds that other machines save by it; None where it is of no use to them.
        warnings: What the node said of it.
    """

    outputs: tuple[UnsavedOutput, ...] | None
    requested_input: str | None
    node_type: str
    seconds: float
    run: str
    parts: Callable[[], Mapping[str, Any]] | None = None
    sources: tuple[SharedValue, ...] = ()
    worth: float | None = None
    warnings: tuple[CallWarning, ...] = ()


def leaves(outputs: Sequence[StoredOutput]) -> Iterator[StoredOutput]:
    """The outputs that are no lists, those in lists included."""
    for output in outputs:
        if output.items is None:
            yield output
        else:
            yield from leaves(output.items)
