"""Tensors out of weight files, in memory of their own.

Nothing is mapped: what is in use stays as it was read, whatever is written to the file later, and
a file that is cut short while it is read is an error instead of the end of the process.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from nodegraph.diffusion.pickle_files import pickle_tensors
from nodegraph.diffusion.safetensors_header import Header, damaged, read_open_header
from nodegraph.diffusion.tensor_bytes import TensorBytes, side_by_side
from nodegraph.errors import InvalidFile

PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
"""Of recipes."""

_STORED = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""As the safetensors format names them."""


Precision = Callable[[str], torch.dtype]
"""What a tensor of some name is held in."""


def read_tensors(
    files: Iterable[Path], dtype: str, *, prefix: str = "", wide: Collection[str] = ()
) -> dict[str, Tensor]:
    """The tensors of some files whose names start with `prefix`, on the CPU.

    A file without the suffix .safetensors is unpickled: whether it may be is for the caller to say.

    Args:
        dtype: One of `PRECISIONS`, for floating point tensors; others stay as they are.
        wide: Layers whose tensors are float32 all the same: parts of names between dots; or whole
            names of tensors.
    Raises:
        InvalidFile: A file can't be read, is damaged or cut short.
    """

    def precision(name: str) -> torch.dtype:
        is_wide = name in kept or not kept.isdisjoint(name.split("."))
        return torch.float32 if is_wide else PRECISIONS[dtype]

    kept = frozenset(wide)
    found: dict[str, Tensor] = {}
    for path in files:
        read = _safetensors if path.suffix == ".safetensors" else _pickled
        found |= read(path, precision, prefix)
    return found


def _safetensors(path: Path, precision: Precision, prefix: str) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:
            header = read_open_header(file, os.fstat(file.fileno()).st_size, path)
            return _Reader(file, path, header, precision).read(prefix)
    except OSError as error:
        raise InvalidFile(f"can't read {path}: {error.strerror or error}") from error


class _Reader:
    """Reads tensors of a safetensors file whose header was just read."""

    def __init__(self, file: BinaryIO, path: Path, header: Header, precision: Precision) -> None:
        self._path, self._header, self._precision = path, header, precision
        self._begin = file.tell()
        self._bytes = TensorBytes(file)

    def read(self, prefix: str) -> dict[str, Tensor]:
        names = (name for name in self._header.shapes if name.startswith(prefix))
        return side_by_side(self._tensor, names)

    def _tensor(self, name: str) -> Tensor:
        stored, shape = self._stored_type(name), self._header.shapes[name]
        dtype = self._precision(name)
        start, end = self._header.offsets[name]
        size = math.prod(shape) * stored.itemsize
        if end - start != size:
            raise damaged(self._path, f"{name} has {end - start} bytes instead of {size}")
        try:
            if stored == dtype or not stored.is_floating_point:
                return self._bytes.stored(self._begin + start, shape, stored)
            return self._bytes.converted(self._begin + start, shape, stored, dtype)
        except EOFError as error:
            raise damaged(self._path, f"it is cut short within {name}") from error

    def _stored_type(self, name: str) -> torch.dtype:
        found = self._header.dtypes[name]
        if found not in _STORED:
            raise InvalidFile(
                f"{self._path} holds {name} in {found}, which can't be read here.",
                expected=", ".join(_STORED),
            )
        return _STORED[found]


def _pickled(path: Path, precision: Precision, prefix: str) -> dict[str, Tensor]:
    unpickled = pickle_tensors(path, prefix)
    # Copies, as several may share one memory; one by one, so that they are never all there twice.
    return {name: _copied(unpickled.pop(name), precision(name)) for name in list(unpickled)}


def _copied(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype if tensor.is_floating_point() else tensor.dtype, copy=True)
