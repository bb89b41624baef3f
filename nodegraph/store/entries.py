"""What the store keeps of a call: plain records, without a value in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nodegraph.core.digests import Digest
from nodegraph.store.packing import unpack


class OutputGone(Exception):
    """An output's bytes aren't there any more, never were, or turned out damaged."""


class _Unloaded:
    """Stands for a value that isn't in memory."""

    def __repr__(self) -> str:
        return "UNLOADED"


UNLOADED = _Unloaded()
"""As an `UnsavedOutput.value`: it was loaded from a store and let go, so only its digest is noted."""


class CallWarning(NamedTuple):
    """What a node said of its result, to be said again wherever the result is used.

    Attributes:
        level: ``warning`` or ``error``.
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
        inline: The encoded value, as in `StoredOutput`, where it came from a row of the index: then the
            value may be `UNLOADED`.
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
