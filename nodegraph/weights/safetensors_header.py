"""What a safetensors file holds, read from its header without torch.

Format: 8 bytes little-endian length of the header, the header as JSON, then the tensors' bytes
one after the other without gaps. Source: https://github.com/huggingface/safetensors#format

Scaled weights: ``X.weight`` must be multiplied by ``X.scale_weight`` (ComfyUI's older files, marked
by a tensor ``scaled_fp8``) or ``X.weight_scale`` (newer ones, and language models' compressors).
Newer files give the format of each layer in a tensor ``X.comfy_quant`` or in the metadata; unknown
formats are refused. Checked against https://github.com/comfyanonymous/ComfyUI (``comfy/ops.py``,
``comfy/quant_ops.py``, ``QUANTIZATION.md``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from time import time_ns
from typing import Any, BinaryIO

from nodegraph.core.text_format import pluralize
from nodegraph.errors import InvalidFile
from nodegraph.weights.attached_models import whole_size

_SCALES = ("scale_weight", "weight_scale")
_BESIDES = ("scale_input", "input_scale", "comfy_quant")
"""What is said of a layer that computes in 8 bits, too, or how it is stored."""
_MARK = "scaled_fp8"
_NARROW = frozenset({"F8_E4M3", "F8_E5M2", "I8"})
_WHOLE_NUMBERS = frozenset({"I8", "U8"})
_BESIDE_WEIGHTS = frozenset({"weight", "bias"})
_FOREIGN = frozenset(
    {
        *("weight_scale_2", "weight_scale_inv", "pre_quant_scale"),  # nvfp4, DeepSeek, AWQ
        *("absmax", "quant_map"),  # bitsandbytes
        *("qweight", "qzeros", "g_idx", "wscales"),  # GPTQ, AWQ, SVDQuant
        *("weight_packed", "weight_global_scale", "weight_zero_point"),  # compressed-tensors
        *("_data", "_scale"),  # quanto
    }
)
"""What files in yet other forms have."""
_SETTINGS = "comfy_quant"
_ALL_SETTINGS = "_quantization_metadata"
_FORMATS = {"float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "int8_tensorwise": "I8"}
"""ComfyUI's names of what is read here, and what its weights are stored in."""
_OF_COMPUTING = frozenset({"format", "full_precision_matrix_mult", "per_row"})
"""Settings of a layer that change nothing about what its weights are."""
UNDERSTOOD = (
    "plain weights; 8 bits (F8_E4M3, F8_E5M2 or I8) with one factor for each layer or row, "
    "or without any (F8_E4M3, F8_E5M2); GGUF"
)
"""What is read, for messages."""


@dataclass(frozen=True, slots=True)
class Scales:
    """The tensors of a file that say how others are to be read.

    Attributes:
        factors: By weight: the tensor that it is multiplied by.
        unused: Those that say what isn't needed to read any.
    """

    factors: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return frozenset([*self.factors.values(), *self.unused])

    def describe(self) -> list[str]:
        """What is to be told of them, in words."""
        lines = []
        if self.factors:
            kinds = sorted({name.rpartition(".")[2] for name in self.factors.values()})
            lines.append(
                f"{len(self.factors)} weights of 8 bits are multiplied by their "
                + " or ".join(kinds)
            )
        if self.unused:
            kinds = sorted({name.rpartition(".")[2] for name in self.unused})
            lines.append(
                (
                    f"{len(self.unused)} tensors are only for computing in 8 bits, which is not "
                    "supported: "
                )
                + ", ".join(kinds)
            )
        return lines


def find_scales(dtypes: Mapping[str, str]) -> Scales:
    """The tensors of a file that say how others are to be read; of most files none.

    Args:
        dtypes: Of all tensors in the file, as the safetensors format writes them.
    """
    factors, besides = {}, []
    for name in dtypes:
        stem, _, last = name.rpartition(".")
        weight = f"{stem}.weight"
        if last == _MARK:
            besides.append(name)
        elif dtypes.get(weight) in _NARROW and last in _SCALES:
            factors[weight] = name
        elif dtypes.get(weight) in _NARROW and last in _BESIDES:
            besides.append(name)
    return Scales(factors, tuple(besides))


def joined_scales(items: Iterable[Scales]) -> Scales:
    """Those of several files as if they were of one."""
    factors: dict[str, str] = {}
    besides: list[str] = []
    for at, item in enumerate(items):
        factors |= {f"{at}.{weight}": name for weight, name in item.factors.items()}
        besides += item.unused
    return Scales(factors, tuple(besides))


def settings_tensors(names: Iterable[str]) -> list[str]:
    """The tensors with ComfyUI's settings of a layer: JSON, see `find_unsupported_setting`."""
    return [name for name in names if name.rpartition(".")[2] == _SETTINGS]


def weight_of(settings: str) -> str:
    """The weight that such a tensor is about."""
    return f"{settings.removesuffix(_SETTINGS)}weight"


def find_unsupported_setting(text: bytes | str, dtype: str | None) -> str | None:
    """What of a layer's settings isn't understood, so that its weights would be misread.

    Rotated weights (``"convrot": true``, Hadamard blocks), for one, look like any others.

    Args:
        text: JSON.
        dtype: That its weight is stored in; None where that isn't known.
    """
    try:
        return _unread(json.loads(text), dtype)
    except (ValueError, RecursionError):
        return f"{_SETTINGS}: not JSON"


def _unread(settings: Any, dtype: str | None) -> str | None:
    if not isinstance(settings, dict):
        return f"{_SETTINGS}: {json.dumps(settings)[:80]}"
    form = settings.get("format")
    if not isinstance(form, str) or form not in _FORMATS:
        return f'"format": {json.dumps(form)[:80]}'
    if dtype not in (None, _FORMATS[form]):
        return f'"format": {json.dumps(form)}, but stored in {dtype}'
    for name, value in settings.items():
        is_of_rotation = name == "convrot_groupsize" and not settings.get("convrot")
        if name not in _OF_COMPUTING and value not in (False, None) and not is_of_rotation:
            return f"{json.dumps(name)[:80]}: {json.dumps(value)[:80]}"
    return None


def find_unsupported_format(
    shapes: Mapping[str, tuple[int, ...]],
    dtypes: Mapping[str, str],
    scales: Scales,
    metadata: Mapping[str, str],
    prefix: str = "",
) -> tuple[str, str] | None:
    """A tensor in a form of storage that isn't known, and what tells it; None if all are known.

    Args:
        shapes, dtypes: Of the file's tensors but those of `scales`.
        metadata: Of the file.
        prefix: Only of tensors whose names begin so.
    """
    own = [name for name in shapes if name.startswith(prefix)]
    lone = next((name for name in own if name.rpartition(".")[2] in _SCALES), None)
    if lone is not None:
        return lone, lone.rpartition(".")[2]
    packed = {
        name
        for name in own
        if name.endswith(".weight") and dtypes[name] in _WHOLE_NUMBERS and len(shapes[name]) > 1
    }
    for name in own:
        stem, _, last = name.rpartition(".")
        if last in _FOREIGN:
            return name, last
        weight = f"{stem.removesuffix('.weight')}.weight"
        if weight in packed and last not in _BESIDE_WEIGHTS:
            return name, last
    bare = next((name for name in own if name in packed and name not in scales.factors), None)
    if bare is not None:
        return bare, f"{dtypes[bare]} without a factor"
    if any(dtypes[name] in _NARROW | _WHOLE_NUMBERS for name in own):
        return _unread_in(metadata.get(_ALL_SETTINGS), dtypes, prefix)
    return None


def _unread_in(text: str | None, dtypes: Mapping[str, str], prefix: str) -> tuple[str, str] | None:
    """The same of the settings of all layers in a file's metadata."""
    if text is None:
        return None
    try:
        layers = json.loads(text)["layers"]
        for layer, settings in layers.items():
            weight = f"{layer}.weight"
            if weight in dtypes and not weight.startswith(prefix):
                continue
            problem = _unread(settings, dtypes.get(weight))
            if problem is not None:
                return weight, problem
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "the file's metadata", f"{_ALL_SETTINGS}: no settings per layer"
    return None


Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each tensor by name."""

MAX_HEADER_BYTES = 100_000_000
"""As in the reference implementation: a header is never larger."""
_LONGEST_SETTINGS = 1 << 16
"""Bytes of what a file says of one layer."""
_SETTLED = 2 * 10**9
"""Nanoseconds after which a file's times tell of any later change, on every file system."""
_MOST_REMEMBERED = 16
"""Headers: a large model's parts, of some megabytes each."""


@dataclass(frozen=True, slots=True)
class Header:
    """Names, shapes and types of the tensors in a file.

    Attributes:
        dtypes: As the format writes them, such as ``F16``.
        metadata: The free text entries of the file.
        offsets: Where each tensor's bytes begin and end, counted from the end of the header.
        scales: Tensors that say how others are to be read: they are none of a model's, and not
            among `shapes` and `dtypes`.
        scale_tensors: Their shapes and types.
    """

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    metadata: dict[str, str]
    offsets: dict[str, tuple[int, int]] = field(default_factory=dict)
    scales: Scales = field(default_factory=Scales)
    scale_tensors: dict[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)


def read_header(path: Path) -> Header:
    """Read a file's header and check that all of its tensors are there.

    What it gives is others' too, and read-only.

    Raises:
        InvalidFile: It can't be read, is no safetensors file, is damaged or cut short.
    """
    try:
        status = path.stat()
        stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        is_settled = max(status.st_mtime_ns, status.st_ctime_ns) < time_ns() - _SETTLED
        return _cached_header(path, stamp) if is_settled else _read(path)
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error


@lru_cache(maxsize=_MOST_REMEMBERED)
def _cached_header(path: Path, stamp: tuple[int, ...]) -> Header:
    """The header of a file that any later change would give another stamp.

    A model's are asked for by each check that is made before it runs.
    """
    return _read(path)


def _read(path: Path) -> Header:
    with path.open("rb") as file:
        return read_open_header(file, whole_size(path, os.fstat(file.fileno()).st_size), path)


def read_open_header(
    file: BinaryIO, size: int, name: Path | str, *, most: int = MAX_HEADER_BYTES
) -> Header:
    """As `read_header`, of an open file.

    Args:
        size: Bytes of the file.
        name: For messages.
        most: Bytes that the header may have.
    """
    if not size:
        raise damaged_file_error(name, "it is empty")
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if size < 8 or not 2 <= length <= min(size - 8, most):
        check_not_text(name, start, "safetensors")
        raise damaged_file_error(name, f"it has {size} bytes and states a header of {length}")
    header, end = _parse(name, file.read(length))
    _check_size(name, 8 + length + end, size)
    return header


def check_not_text(name: Path | str, start: bytes, form: str) -> None:
    """Tell what downloads leave that didn't work.

    Args:
        start: The first eight bytes of the file.
        form: What it is called as, such as ``safetensors``.
    Raises:
        InvalidFile: It is such.
    """
    if start == b"version ":
        raise InvalidFile(
            f"{name} is not a {form} file, but a Git LFS pointer to a large file",
            hint="Fetch the file itself with `git lfs pull`, or download it again.",
        )
    if start.lstrip()[:1] == b"<":
        raise InvalidFile(
            f"{name} is not a {form} file, but a web page",
            hint="Download it again, from a direct link to the file; some sites require a login.",
        )


def _parse(path: Path | str, text: bytes) -> tuple[Header, int]:
    """The header, and where the last tensor ends, counted from the end of the header."""
    try:
        content = json.loads(text)
        metadata = content.pop("__metadata__", {})
        shapes = {name: _shape(entry) for name, entry in content.items()}
        dtypes = {name: str(entry["dtype"]) for name, entry in content.items()}
        offsets = {name: _offsets(entry) for name, entry in content.items()}
        end = max((end for _, end in offsets.values()), default=0)
        described = {str(key): str(metadata[key]) for key in metadata}
        return _apart(Header(shapes, dtypes, described, offsets, find_scales(dtypes))), end
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise damaged_file_error(path, "its header does not follow the format") from error


def _apart(header: Header) -> Header:
    """The same with the tensors of its scales apart from the others."""
    for name in header.scales.names:
        header.scale_tensors[name] = (header.shapes.pop(name), header.dtypes.pop(name))
    return header


def check_file_formats(path: Path) -> None:
    """Refuse a file with weights in a form that can't be read here.

    Of a remote file of which only the header is here, what that tells.

    Raises:
        InvalidFile: As `read_header`, or it has such weights.
    """
    header = read_header(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            begin = 8 + int.from_bytes(file.read(8), "little")
            is_whole = whole_size(path, size) == size
            check_formats(file if is_whole else None, begin, header, path)
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error


def check_formats(
    file: BinaryIO | None, begin: int, header: Header, path: Path, prefix: str = ""
) -> None:
    """Refuse weights in a form that can't be read here: they would be read as noise.

    Args:
        file: It, open; None where only its header is here.
        begin: Where the bytes of its tensors do.
        prefix: Only of tensors whose names begin so.
    Raises:
        InvalidFile: It has such weights.
    """
    problem = None if file is None else _unread_settings(file, begin, header, prefix)
    if problem is None:
        problem = find_unsupported_format(
            header.shapes, header.dtypes, header.scales, header.metadata, prefix
        )
    if problem is not None:
        tensor, mark = problem
        raise InvalidFile(
            f"{path} holds weights in an unsupported form ({mark}), for example {tensor}",
            given=mark,
            expected=UNDERSTOOD,
            hint="Use the same model in one of these forms, for example its file in bf16, in "
            "fp8_scaled or as GGUF.",
        )


def _unread_settings(
    file: BinaryIO, begin: int, header: Header, prefix: str
) -> tuple[str, str] | None:
    """A layer whose own settings aren't understood, and what of them."""
    for name in sorted(settings_tensors((*header.scale_tensors, *header.shapes))):
        if name.startswith(prefix):
            start, end = header.offsets[name]
            file.seek(begin + start)
            text = file.read(min(end - start, _LONGEST_SETTINGS))
            weight = weight_of(name)
            mark = find_unsupported_setting(text, header.dtypes.get(weight))
            if mark is not None:
                return weight, mark
    return None


def _shape(entry: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(map(int, entry["shape"]))


def _offsets(entry: Mapping[str, Any]) -> tuple[int, int]:
    start, end = map(int, entry["data_offsets"])
    if not 0 <= start <= end:
        raise ValueError("a tensor ends before it begins")
    return start, end


def _check_size(path: Path | str, expected: int, size: int) -> None:
    if size < expected:
        raise damaged_file_error(path, f"it is truncated after {size} of {expected} bytes")
    if size > expected:
        # The reference implementation refuses these, too: what they are nobody can tell.
        how = f"it has {pluralize(size - expected, 'byte')} more than the {expected} of its header"
        raise damaged_file_error(
            path,
            f"{how}, as if a download was resumed incorrectly or joined with something else",
            "Download it again in one piece; if it came in parts, join them in their order.",
        )


def damaged_file_error(
    path: Path | str, how: str, hint: str = "Download or copy it again."
) -> InvalidFile:
    """The refusal of a safetensors file that isn't what it should be."""
    return InvalidFile(f"{path} is not an intact safetensors file: {how}", hint=hint)
