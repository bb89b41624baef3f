"""Encode values as files: safetensors where there are tensors, else msgpack.

No pickle, and no code that a file names: only values of the engine's types, of types with a
serializer from a pack, and of classes in modules that are already loaded can be read.

A file is: the length of the header, the header (JSON), the tensors' bytes one after the other.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from nodegraph.core.digests import (
    Digest,
    array_bytes,
    dtype_from_plain,
    dtype_to_plain,
    tensor_kind,
)
from nodegraph.core.ports import Serializer
from nodegraph.store.msgpack_codec import (
    Relocated,
    Serializers,
    Undecodable,
    Unstorable,
    pack,
    unpack,
)

if TYPE_CHECKING:
    from torch import Tensor

_METADATA = "__metadata__"
_SKELETON = "skeleton"
_LONGEST_SKELETON = 64 << 10
"""Bytes of a skeleton that go into the header; a longer one becomes a tensor of bytes."""
_LONGEST_HEADER = 100_000_000
"""As the format has it."""
ALIGNMENT = 64
"""Bytes at whose multiples torch's own tensors begin in memory."""

_DTYPES: Mapping[str, str] = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "uint32": "U32",
    "int32": "I32",
    "uint64": "U64",
    "int64": "I64",
    "float16": "F16",
    "bfloat16": "BF16",
    "float32": "F32",
    "float64": "F64",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
}
"""Names of torch's dtypes in the format. Others are written as bytes."""


class _Part(NamedTuple):
    """A tensor or an array in a file.

    Attributes:
        source: It itself, which lives as long as its id stands for it.
        dtype: In the format's words; empty if it has none, and it is written as bytes.
        width: Bytes of an item, if it is to begin at a multiple of them.
        data: Its bytes; a view of its own memory, if they lie in rows.
    """

    source: Any
    dtype: str
    shape: list[int]
    size: int
    width: int
    data: Callable[[], memoryview]


class TensorWriter:
    """Gathers a value's tensors and arrays, and lays out their file."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._numbers: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, tensor: Any) -> list[Any]:
        """Take a tensor; what it gives finds it again.

        Raises:
            Unstorable: A kind of tensor that isn't plain numbers in memory.
        """
        kind = tensor_kind(tensor)
        if kind is None:
            raise Unstorable(f"a {type(tensor).__name__} that holds more than plain numbers")
        width = tensor.element_size()
        number = self._number(
            _Part(
                tensor,
                _DTYPES.get(_name(tensor), ""),
                list(tensor.shape),
                tensor.numel() * width,
                width,
                partial(tensor_bytes, tensor),
            )
        )
        return [number, _name(tensor), list(tensor.shape), str(tensor.device), kind]

    def add_array(self, array: Any) -> list[Any]:
        """Take an array of numpy that is plain; what it gives finds it again."""
        dtype = _DTYPES.get(array.dtype.name, "") if array.dtype.isnative else ""
        shape = list(array.shape)
        data = partial(array_bytes, array)
        part = _Part(array, dtype, shape, array.nbytes, array.dtype.alignment, data)
        number = self._number(part)
        return [number, dtype_to_plain(array.dtype), shape]

    def _number(self, part: _Part) -> int:
        number = self._numbers.get(id(part.source))
        if number is None:
            number = self._numbers[id(part.source)] = len(self._parts)
            self._parts.append(part)
        return number

    def layout(self, skeleton: bytes) -> tuple[int, Callable[[], Iterator[bytes | memoryview]]]:
        """The file's size, and what makes its bytes."""
        # Wide ones first: each begins at a multiple of its width.
        order = sorted(range(len(self._parts)), key=lambda number: -self._parts[number].width)
        entries: dict[str, Any] = {}
        at = 0
        for number in order:
            part = self._parts[number]
            entries[str(number)] = {
                "dtype": part.dtype or "U8",
                "shape": part.shape if part.dtype else [part.size],
                "data_offsets": [at, at + part.size],
            }
            at += part.size
        metadata = {"format": "pt", "writer": "nodegraph"}
        tail = b""
        if len(skeleton) <= _LONGEST_SKELETON:
            metadata[_SKELETON] = base64.b64encode(skeleton).decode()
        else:
            tail = skeleton
            span = [at, at + len(tail)]
            entries[_SKELETON] = {"dtype": "U8", "shape": [len(tail)], "data_offsets": span}
        header = _header({_METADATA: metadata, **entries})
        parts = [self._parts[number] for number in order]
        return len(header) + at + len(tail), lambda: _chunks(header, parts, tail)


def _header(content: Mapping[str, Any]) -> bytes:
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % ALIGNMENT)
    if len(text) > _LONGEST_HEADER:
        raise Unstorable("too many tensors for one file")
    return len(text).to_bytes(8, "little") + text


def _chunks(header: bytes, parts: Sequence[_Part], tail: bytes) -> Iterator[bytes | memoryview]:
    yield header
    for part in parts:
        if part.size:
            yield part.data()
    if tail:
        yield tail


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a tensor, in rows; a view of its own memory where it lies so."""
    import torch

    flat = tensor.detach().to("cpu").resolve_conj().resolve_neg().contiguous()
    # A dimension of one item may have any stride, which a view as bytes would mind.
    line = flat.as_strided((flat.numel(),), (1,))
    data: Any = line.view(torch.uint8).numpy()
    return memoryview(data)


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


class TensorReader:
    """Finds tensors in a file's bytes. Most share its memory, so nobody else may write there."""

    def __init__(self, data: bytearray | memoryview) -> None:
        self._data = data
        length = int.from_bytes(data[:8], "little")
        self._start = 8 + length
        self._header: dict[str, Any] = json.loads(bytes(data[8 : self._start]))

    def skeleton(self) -> bytes | memoryview:
        """What was given to `TensorWriter.layout`."""
        if _SKELETON in self._header:
            start, end = self._header[_SKELETON]["data_offsets"]
            return memoryview(self._data)[self._start + start : self._start + end]
        return base64.b64decode(self._header[_METADATA][_SKELETON])

    def tensor(self, reference: list[Any]) -> Tensor:
        """The tensor of which `TensorWriter.add` gave this."""
        import torch

        number, name, shape, device, *kind = reference
        dtype = getattr(torch, name, None)
        if not isinstance(dtype, torch.dtype):
            raise Undecodable(f"this torch has no {name}")
        start, end = self._header[str(number)]["data_offsets"]
        if start == end:
            tensor = torch.empty(shape, dtype=dtype)
        else:
            flat = torch.frombuffer(
                self._data,
                dtype=dtype,
                count=(end - start) // dtype.itemsize,
                offset=self._start + start,
            )
            tensor = aligned_tensor(flat).reshape(shape)
        if device != "cpu":
            tensor = _moved(tensor, device)
        return tensor_of_kind(tensor, kind[0]) if kind else tensor

    def array(self, reference: list[Any]) -> Any:
        """The array of which `TensorWriter.add_array` gave this."""
        import numpy as np

        number, form, shape = reference
        dtype = dtype_from_plain(form)
        start, end = self._header[str(number)]["data_offsets"]
        if start == end:
            return np.empty(shape, dtype=dtype)
        count = (end - start) // dtype.itemsize
        line = np.frombuffer(self._data, dtype=dtype, count=count, offset=self._start + start)
        array: Any = line.reshape(shape)
        return array if array.flags.aligned else array.copy()


def aligned_tensor(tensor: Tensor) -> Tensor:
    """A tensor of the same numbers that begins in memory where torch's own ones may begin.

    Torch computes with other kernels elsewhere: a product of a matrix and a vector has other last
    bits. So a result that was read would lead to another one than the result that was computed.
    """
    return tensor if tensor.data_ptr() % ALIGNMENT == 0 else tensor.clone()


def tensor_of_kind(tensor: Tensor, kind: str) -> Tensor:
    """A tensor as a parameter, or one that asks for gradients; see `tensor_kind`."""
    import torch

    name, _, grad = kind.partition("+")
    if name == "parameter":
        return torch.nn.Parameter(tensor, requires_grad=bool(grad))
    return tensor.requires_grad_() if grad else tensor


def _moved(tensor: Tensor, device: str) -> Tensor:
    try:
        return tensor.to(device)
    except (RuntimeError, AssertionError):
        # Another machine, or one device less than when it was written.
        return tensor


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
    """The value of a file's bytes. Its tensors share them if they are writable and aligned.

    Args:
        relocated: Finds files that it names and that aren't there any more.
    Raises:
        Undecodable: It was written by another version, or of a class that isn't known here.
    """
    if suffix == MSGPACK:
        return unpack(data, serializers, None, relocated)
    if suffix != SAFETENSORS:
        raise Undecodable(f"there is no format {suffix}")
    # Tensors may be written to, which must not reach bytes that are shared or can't change.
    own = bytearray(data) if memoryview(data).readonly else data
    try:
        tensors = TensorReader(own)  # type: ignore[arg-type]
        skeleton = tensors.skeleton()
    except (ValueError, KeyError, TypeError) as error:
        raise Undecodable(f"not a safetensors file of this engine: {error!r}") from error
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
