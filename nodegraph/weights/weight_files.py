"""Read tensors from weight files into own memory, and check that they fit a module.

Nothing is memory-mapped: loaded weights stay the same when the file is changed later, and a file
that is truncated during reading is an error, not a crash of the process.

torch splits a conversion among its own threads, which wait actively: beside other work on the same
cores they take several times as long. The threads here don't wait for each other.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock, local
from typing import BinaryIO, NamedTuple

import torch
from torch import Tensor, nn

from nodegraph.core.weight_files import GGUF, HEADED, file_suffix
from nodegraph.errors import InvalidFile
from nodegraph.weights.attached_models import full_file
from nodegraph.weights.gguf_files import BLOCKS, check_gguf_installed, read_gguf_header
from nodegraph.weights.packed_layers import PackedLayer
from nodegraph.weights.precision.packed_formats import pack_layer
from nodegraph.weights.precision.quantized_weights import (
    FLOAT8,
    SMOOTHING,
    GgufBlocks,
    QuantizedTensor,
    QuantizedWeight,
    ScaledNarrow,
)
from nodegraph.weights.safetensors_header import (
    Header,
    check_formats,
    damaged_file_error,
    read_open_header,
)

_MOST_NAMED = 3
"""Tensors that a message names of those that it is about."""


def check_weights_fit(
    path: Path, module: nn.Module, tensors: Mapping[str, Tensor], *, strict: bool = False
) -> None:
    """Refuse weights of which some would be made up, or some weren't for this module.

    Args:
        path: Where they were read.
        module: Its weights' shapes count, wherever they are.
        strict: Whether to refuse those that it has no use for; many folders hold such.
    Raises:
        InvalidFile: Names what doesn't fit.
    """
    wanted = {name: tuple(item.shape) for name, item in module.state_dict().items()}
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    refuse_misfits(
        path,
        missing=[name for name in wanted if name not in shapes],
        wrong={
            name: (shapes[name], shape)
            for name, shape in wanted.items()
            if shapes.get(name, shape) != shape
        },
        unexpected=[name for name in shapes if name not in wanted] if strict else [],
    )


def refuse_misfits(
    path: Path,
    *,
    missing: Collection[str],
    wrong: Mapping[str, tuple[Sequence[int], Sequence[int]]],
    unexpected: Collection[str],
) -> None:
    """Refuse weights that don't fit, if any don't.

    Args:
        path: Where they were read.
        wrong: By name: the shape that they have, and the one that is wanted.
    Raises:
        InvalidFile: Names them.
    """
    shapes = [
        f"{name}, which has shape {list(actual)} instead of {list(wanted)}"
        for name, (actual, wanted) in wrong.items()
    ]
    faults = [
        *_listed_names("lack {}, for example {}", missing),
        *_listed_names("hold {} with another shape: {}", shapes),
        *_listed_names("hold {} that do not belong there: {}", unexpected),
    ]
    if faults:
        raise InvalidFile(
            f"the weights in {path} {'; they '.join(faults)}",
            hint="The files are damaged or do not belong together: copy the model again.",
        )


def _listed_names(text: str, names: Collection[str]) -> list[str]:
    if not names:
        return []
    more = ["…"] if len(names) > _MOST_NAMED else []
    count = f"{len(names)} tensor{'s' if len(names) > 1 else ''}"
    return [text.format(count, ", ".join([*sorted(names)[:_MOST_NAMED], *more]))]


_MOST_THREADS = 4
"""As one reads and converts 1 to 2 GB a second, more would wait for memory, or for the disk."""

_ALONE = 2**15 - 64
"""Numbers that torch converts without threads of its own: fewer than its grain size, 2**15."""

_PORTION = 8 * _ALONE
"""Numbers that are read and then converted: few enough to stay near the processor in between."""

_BY_FLOAT32 = {(torch.float16, torch.bfloat16)}
"""Conversions that torch makes number by number (1.4 ns each), unlike both to and from float32
(0.55 ns together). No number needs more than float32, so the bits are the same."""


class RawTensorReader:
    """Reads tensors from places of a file. Threads may share it.

    Args:
        file: Open for reading; where it stands, changes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._own, self._lock = file, local(), Lock()

    def read(self, start: int, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """A tensor as it is in the file, in memory of its own.

        Raises:
            EOFError: The file ends within it.
        """
        tensor = torch.empty(shape, dtype=dtype)
        self._fill(tensor.reshape(-1).view(torch.uint8), start)
        return tensor

    def read_as(
        self, start: int, shape: tuple[int, ...], stored: torch.dtype, dtype: torch.dtype
    ) -> Tensor:
        """A tensor of another type than in the file.

        Raises:
            EOFError: The file ends within it.
        """
        tensor, between = torch.empty(shape, dtype=dtype), self._between
        wide = between.wide if (stored, dtype) in _BY_FLOAT32 else None
        for portion in _pieces(tensor.view(-1), _PORTION):
            content = between.read[: len(portion) * stored.itemsize]
            self._fill(content, start)
            start += len(content)
            numbers = _pieces(content.view(stored), _ALONE)
            for into, out in zip(_pieces(portion, _ALONE), numbers, strict=True):
                into.copy_(out if wide is None else wide[: len(out)].copy_(out))
        return tensor

    @property
    def _between(self) -> _Buffers:
        """What this thread converts goes through one place: many would leave holes in memory."""
        if not hasattr(self._own, "between"):
            self._own.between = _Buffers(
                torch.empty(_PORTION * 8, dtype=torch.uint8), torch.empty(_ALONE)
            )
        buffer: _Buffers = self._own.between
        return buffer

    def _fill(self, content: Tensor, start: int) -> None:
        unfilled = memoryview(content.numpy())  # type: ignore[arg-type]
        while len(unfilled):
            count = self._read_at(unfilled, start)
            if not count:
                raise EOFError
            unfilled, start = unfilled[count:], start + count

    def _read_at(self, content: memoryview, start: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [content], start)
        with self._lock:
            self._file.seek(start)
            count: int = self._file.readinto(content)  # type: ignore[attr-defined]
            return count


class _Buffers(NamedTuple):
    """Where what is converted lies meanwhile: bytes as read, and a piece of them in float32."""

    read: Tensor
    wide: Tensor


def _pieces(numbers: Tensor, length: int) -> Iterator[Tensor]:
    return (numbers[at : at + length] for at in range(0, len(numbers), length))


def read_in_threads(read: Callable[[str], Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """What a function gives for each name, called by several threads.

    Raises:
        Exception: What it raised for the first name for which it did.
    """
    names = list(names)
    with ThreadPoolExecutor(min(_MOST_THREADS, torch.get_num_threads())) as threads:
        return dict(zip(names, threads.map(read, names), strict=True))


_INNER = ("state_dict", "params_ema", "params-ema", "params")
"""Under which checkpoints, and upscale models as BasicSR saves them, keep their tensors."""


def pickle_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a pickle checkpoint, without reading their bytes."""
    return {name: tuple(tensor.shape) for name, tensor in _unpickle(path, "meta").items()}


def pickle_tensors(path: Path, prefix: str | tuple[str, ...]) -> dict[str, Tensor]:
    """The tensors of a pickle checkpoint whose names start with `prefix`."""
    tensors = _unpickle(path, "cpu")
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _unpickle(path: Path, device: str) -> dict[str, Tensor]:
    """Open a pickle checkpoint that the user allows, without running code in it.

    Raises:
        InvalidFile: It is damaged or holds more than tensors.
    """
    import pickle

    import torch

    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise InvalidFile(
            f"{path} cannot be opened: it is damaged or holds objects other than tensors",
            hint="Convert it to safetensors.",
        ) from error
    content = content if isinstance(content, dict) else {}
    content = next((content[key] for key in _INNER if isinstance(content.get(key), dict)), content)
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


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
_NAMED = {dtype: name for name, dtype in _STORED.items()}


Precision = Callable[[str], torch.dtype]
"""What a tensor of some name is held in."""


def read_tensors(
    files: Iterable[Path],
    dtype: str,
    *,
    prefix: str | tuple[str, ...] = "",
    wide: Collection[str] = (),
    as_stored: bool = False,
) -> dict[str, Tensor]:
    """The tensors of some files whose names start with `prefix`, or one of several, on the CPU.

    A file without the suffix .safetensors is unpickled: whether it may be is for the caller to say.
    Weights of 8 bits that have a factor in the file are multiplied by it; the tensors that say how
    others are to be read aren't among those returned.

    Args:
        dtype: One of `PRECISIONS`, for floating point tensors; others stay as they are.
        wide: Layers whose tensors are float32 all the same: parts of names between dots; or whole
            names of tensors.
        as_stored: Whether to carry matrices that files hold in another type as they are; what is
            computed with them is the same. See `precision.carried`.
    Raises:
        InvalidFile: A file can't be read, is damaged, cut short or in a form that isn't known.
        NodegraphError: A remote one can't be had; see `full_file`.
    """

    def precision(name: str) -> torch.dtype:
        is_wide = name in kept or not kept.isdisjoint(name.split("."))
        return torch.float32 if is_wide else PRECISIONS[dtype]

    kept = frozenset(wide)
    tensors: dict[str, Tensor] = {}
    for path in files:
        if file_suffix(path) in HEADED:
            with full_file(path) as whole:
                tensors |= _safetensors(whole, precision, prefix, as_stored=as_stored)
        else:
            tensors |= _pickled(path, precision, prefix)
    return tensors


def _safetensors(
    path: Path, precision: Precision, prefix: str | tuple[str, ...], *, as_stored: bool
) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:
            if file_suffix(path) == GGUF:
                header, begin = read_gguf_header(path), 0
            else:
                header = read_open_header(file, os.fstat(file.fileno()).st_size, path)
                begin = file.tell()
                check_formats(header, path, prefix)
            data = RawTensorReader(file)
            return _Reader(data, begin, path, header, precision, as_stored=as_stored).read(prefix)
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error


class _Reader:
    """Reads tensors of a file whose header was just read."""

    def __init__(
        self,
        data: RawTensorReader,
        begin: int,
        path: Path,
        header: Header,
        precision: Precision,
        *,
        as_stored: bool,
    ) -> None:
        self._bytes, self._begin = data, begin
        self._path, self._header = path, header
        self._precision, self._as_stored = precision, as_stored

    def read(self, prefix: str | tuple[str, ...]) -> dict[str, Tensor]:
        check_gguf_installed(self._header.dtypes.values())
        names = (name for name in self._header.shapes if name.startswith(prefix))
        return read_in_threads(self._tensor, names)

    def _tensor(self, name: str) -> Tensor:
        shape, kind = self._header.shapes[name], self._header.dtypes[name]
        if kind in BLOCKS:
            return self._blocks(name, kind, shape)
        if name in self._header.scales.packed:
            return self._packed(name)
        stored, dtype = self._stored_type(name, kind), self._precision(name)
        factor = self._header.scales.factors.get(name)
        if factor is None and (stored == dtype or not stored.is_floating_point):
            return self._read(name, stored, shape)
        is_carried = self._as_stored and len(shape) > 1
        if factor is None and not is_carried and stored not in FLOAT8:
            return self._read(name, stored, shape, dtype)
        parts = {"stored": self._read(name, stored, shape)}
        if factor is not None:
            parts["scale"] = self._factor(factor, name, shape)
        packed = QuantizedWeight(ScaledNarrow(), parts, shape)
        return QuantizedTensor(packed, dtype) if is_carried else packed.dequantize(dtype)

    def _blocks(self, name: str, kind: str, shape: tuple[int, ...]) -> Tensor:
        """A tensor of a GGUF file whose numbers lie in blocks."""
        block, size = BLOCKS[kind]
        dtype, rows = self._precision(name), shape[0]
        length = math.prod(shape) // block * size
        is_by_row = length % rows == 0 and math.prod(shape[1:]) % block == 0
        layout = (rows, length // rows) if is_by_row else (length,)
        start, _ = self._header.offsets[name]
        stored = self._bytes.read(self._begin + start, layout, torch.uint8)
        packed = QuantizedWeight(GgufBlocks(kind), {"stored": stored}, shape)
        # What has blocks across rows can't be taken apart by them.
        is_carried = self._as_stored and is_by_row and len(shape) > 1
        return QuantizedTensor(packed, dtype) if is_carried else packed.dequantize(dtype)

    def _packed(self, name: str) -> Tensor:
        """A weight in one of ComfyUI's packed forms."""
        layer, dtype = self._header.scales.packed[name], self._precision(name)
        parts = {use: self._part(use, part, name, layer) for use, part in layer.parts.items()}
        packed = pack_layer(layer, parts)
        return QuantizedTensor(packed, dtype) if self._as_stored else packed.dequantize(dtype)

    def _part(self, use: str, part: str, weight: str, layer: PackedLayer) -> Tensor:
        """A tensor of a packed layer, by what it is for."""
        if use == "scale":
            return self._factor(part, weight, layer.shape)
        if use == SMOOTHING:
            shape, kind = self._header.scale_tensors[part]
            return self._read(part, self._stored_type(part, kind), shape, torch.float32)
        return self._read(part, *self._part_layout(part, layer))

    def _part_layout(self, part: str, layer: PackedLayer) -> tuple[torch.dtype, tuple[int, ...]]:
        """The type and shape of a tensor of a packed layer."""
        if part == layer.parts["stored"]:
            is_whole_byte = layer.kind in ("I8", "MXFP8")
            stored = torch.int8 if layer.kind == "I8" else torch.float8_e4m3fn
            return stored if is_whole_byte else torch.uint8, layer.stored
        shape, kind = self._header.scale_tensors[part]
        # Factors of 8 bits are E4M3, or exponents.
        narrow = torch.uint8 if layer.kind == "MXFP8" else torch.float8_e4m3fn
        return torch.float32 if kind == "F32" else narrow, shape

    def _factor(self, name: str, weight: str, shape: tuple[int, ...]) -> Tensor:
        """What a weight is multiplied by, so that it can be: float32, one or for each row."""
        own, kind = self._header.scale_tensors[name]
        count = math.prod(own)
        if count != 1 and (own[0] != shape[0] or count != shape[0]):
            raise InvalidFile(
                f"{self._path} has {' x '.join(map(str, own))} factors for {weight}, which has "
                f"{shape[0]} rows",
                expected="one factor, or one for each row",
            )
        factor = self._read(name, self._stored_type(name, kind), own).float()
        return factor.reshape(()) if count == 1 else factor.reshape(-1, *[1] * (len(shape) - 1))

    def _read(
        self,
        name: str,
        stored: torch.dtype,
        shape: tuple[int, ...],
        dtype: torch.dtype | None = None,
    ) -> Tensor:
        """A tensor as it is in the file, or in another type."""
        start, end = self._header.offsets[name]
        size = math.prod(shape) * stored.itemsize
        if end - start != size:
            raise damaged_file_error(
                self._path, f"{name} has {end - start} bytes instead of {size}"
            )
        try:
            if dtype is None:
                return self._bytes.read(self._begin + start, shape, stored)
            return self._bytes.read_as(self._begin + start, shape, stored, dtype)
        except EOFError as error:
            raise damaged_file_error(self._path, f"it is truncated inside {name}") from error

    def _stored_type(self, name: str, kind: str) -> torch.dtype:
        if kind not in _STORED:
            raise InvalidFile(
                f"{self._path} holds {name} in {kind}, which is not supported",
                expected=", ".join(_STORED),
            )
        return _STORED[kind]


def _pickled(path: Path, precision: Precision, prefix: str | tuple[str, ...]) -> dict[str, Tensor]:
    unpickled = pickle_tensors(path, prefix)
    shapes = {name: tuple(tensor.shape) for name, tensor in unpickled.items()}
    dtypes = {name: _NAMED.get(tensor.dtype, "") for name, tensor in unpickled.items()}
    # Factors aren't looked for there: what needs one is refused.
    check_formats(Header(shapes, dtypes, {}), path)
    # Copies, as several may share one memory; one by one, so that they are never all there twice.
    return {name: _copied(unpickled.pop(name), precision(name)) for name in list(unpickled)}


def _copied(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    return tensor.to(dtype if tensor.is_floating_point() else tensor.dtype, copy=True)
