"""Values as files and back: tensors and arrays as safetensors, everything else as msgpack.

No pickle, and no code that a file names: what can be read is what the engine knows, what packs
bring a serializer for, and classes of modules that are loaded anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.core.ports import Serializer
from nodegraph.store.plain import Relocated, Serializers, Undecodable, Unstorable, pack, unpack
from nodegraph.store.tensors import TensorReader, TensorWriter

__all__ = [
    "Digest",
    "Encoded",
    "Serializer",
    "Serializers",
    "Undecodable",
    "Unstorable",
    "decode",
    "decode_inline",
    "encode",
]

MSGPACK = "msgpack"
SAFETENSORS = "safetensors"
_TAGS = {MSGPACK: b"m", SAFETENSORS: b"s"}


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value as a file's bytes.

    Attributes:
        suffix: ``safetensors`` or ``msgpack``.
        size: Bytes of all chunks.
        chunks: Makes the bytes, piece by piece; large ones are views of the value's own memory.
    """

    suffix: str
    size: int
    chunks: Callable[[], Iterator[bytes | memoryview]]

    def inline(self) -> bytes:
        """All in one, with a first byte that says which format it is."""
        return b"".join((_TAGS[self.suffix], *self.chunks()))


def encode(value: Any, serializers: Serializers) -> Encoded:
    """A value as a file's bytes.

    Raises:
        Unstorable: It holds something that no serializer is known for.
    """
    tensors = TensorWriter()
    packed = pack(value, serializers, tensors)
    if not tensors:
        return Encoded(MSGPACK, len(packed), lambda: iter((packed,)))
    size, chunks = tensors.layout(packed)
    return Encoded(SAFETENSORS, size, chunks)


def decode(
    data: bytes | bytearray | memoryview,
    suffix: str,
    serializers: Serializers,
    relocated: Relocated = lambda path: None,
) -> Any:
    """The value of a file's bytes. Its tensors share them if they are writable.

    Args:
        relocated: Finds files that it names and that aren't there any more.
    Raises:
        Undecodable: It was written by another version, or of a class that isn't known here.
    """
    if suffix == MSGPACK:
        return unpack(data, serializers, None, relocated)
    if suffix != SAFETENSORS:
        raise Undecodable(f"no format is called {suffix}")
    # Tensors may be written to, which must not reach bytes that are shared or can't change.
    own = bytearray(data) if memoryview(data).readonly else data
    try:
        tensors = TensorReader(own)  # type: ignore[arg-type]
        skeleton = tensors.skeleton()
    except (ValueError, KeyError, TypeError) as error:
        raise Undecodable(f"no safetensors file of this engine: {error!r}") from error
    return unpack(skeleton, serializers, tensors, relocated)


def decode_inline(
    data: bytes, serializers: Serializers, relocated: Relocated = lambda path: None
) -> Any:
    """The value of `Encoded.inline`.

    Raises:
        Undecodable: As `decode`.
    """
    suffix = SAFETENSORS if data[:1] == _TAGS[SAFETENSORS] else MSGPACK
    return decode(memoryview(data)[1:], suffix, serializers, relocated)
