"""What a safetensors file holds, read from its header without torch.

Format: 8 bytes little-endian length of the header, the header as JSON, then the tensors' bytes
one after the other without gaps. Source: https://github.com/huggingface/safetensors#format

Scaled weights: ``X.weight`` must be multiplied by ``X.scale_weight`` (ComfyUI's older files, marked
by a tensor ``scaled_fp8``) or ``X.weight_scale`` (newer ones, and language models' compressors).
Newer files give the format of each layer, see `packed_layers`; unknown formats are refused. Checked
against https://github.com/comfyanonymous/ComfyUI (``comfy/ops.py``, ``comfy/quant_ops.py``,
``QUANTIZATION.md``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from time import time_ns
from typing import Any, BinaryIO

from nodegraph.core.text_format import pluralize
from nodegraph.errors import InvalidFile
from nodegraph.weights.attached_models import whole_size
from nodegraph.weights.packed_layers import (
    ALL_SETTINGS,
    LONGEST_SETTINGS,
    PACKED_KINDS,
    SETTINGS,
    LayerSettings,
    PackedLayer,
    UnreadLayer,
    all_settings,
    count_kinds,
    describe_layer,
    guess_settings,
    layer_of,
    match_layers,
    parse_settings,
)

_SCALES = ("scale_weight", "weight_scale")
_BESIDES = ("scale_input", "input_scale", "comfy_quant")
"""What is said of a layer that computes in 8 bits, too, or how it is stored."""
_MARK = "scaled_fp8"
_NARROW = frozenset({"F8_E4M3", "F8_E5M2", "I8"})
_WHOLE_NUMBERS = frozenset({"I8", "U8"})
_BESIDE_WEIGHTS = frozenset({"weight", "bias"})
_SVDQUANT = "SVDQuant (Nunchaku)"
_FOREIGN: Mapping[str, str] = {
    "wscales": _SVDQUANT,
    "qzeros": "GPTQ or AWQ",
    "g_idx": "GPTQ",
    "qweight": "GPTQ, AWQ or SVDQuant",
    "weight_scale_2": "ModelOpt",
    "weight_scale_inv": "DeepSeek",
    "pre_quant_scale": "AWQ",
    **dict.fromkeys(("absmax", "quant_map"), "bitsandbytes"),
    **dict.fromkeys(
        ("weight_packed", "weight_global_scale", "weight_zero_point"), "compressed-tensors"
    ),
    **dict.fromkeys(("_data", "_scale"), "quanto"),
}
"""What files in yet other forms have, with the name of the form."""
READABLE_HINT = (
    "Use the same model in one of these forms, for example its file in bf16, in fp8_scaled or as "
    "GGUF."
)
UNDERSTOOD = (
    "plain weights; F8_E4M3, F8_E5M2 and I8 with one factor for each layer or row; F8_E4M3 and "
    "F8_E5M2 without any; ComfyUI's nvfp4, mxfp8, int8_tensorwise with or without convrot, "
    "convrot_w4a4 and asym_w4a8_int8; GGUF"
)
"""What is read, for messages."""


@dataclass(frozen=True, slots=True)
class Scales:
    """The tensors of a file that say how others are to be read.

    Attributes:
        factors: By weight: the tensor that it is multiplied by.
        unused: Those that say what isn't needed to read any.
        packed: By weight: how it lies in the file, where that is more than a factor.
        unread: By weight: what of its settings isn't understood.
    """

    factors: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    packed: Mapping[str, PackedLayer] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        parts = (
            name
            for weight, layer in self.packed.items()
            for name in layer.parts.values()
            if name != weight
        )
        return frozenset([*self.factors.values(), *self.unused, *parts])

    def describe(self) -> list[str]:
        """What is to be told of them, in words."""
        lines = []
        for form, count in sorted(count_kinds(self.packed.values()).items()):
            lines.append(f"{pluralize(count, 'weight')} in ComfyUI's {form}: unpacked when used")
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


_Settings = Mapping[str, LayerSettings | UnreadLayer]
_THE_METADATA = "the file's metadata"


def find_scales(shapes: Shapes, dtypes: Mapping[str, str], settings: _Settings) -> Scales:
    """The tensors of a file that say how others are to be read; of most files none.

    Args:
        shapes, dtypes: Of all tensors in the file, as the safetensors format writes them.
        settings: Of layers, by their names.
    """
    packed: dict[str, PackedLayer] = {}
    unread: dict[str, str] = {}
    for layer, own in settings.items():
        try:
            described = _describe(layer, own, shapes, dtypes)
        except UnreadLayer as refusal:
            unread[layer if layer == _THE_METADATA else f"{layer}.weight"] = str(refusal)
        else:
            if described is not None:
                packed[f"{layer}.weight"] = described
    factors, unused = {}, []
    for name in dtypes:
        stem, _, last = name.rpartition(".")
        weight = f"{stem}.weight"
        if last == _MARK:
            unused.append(name)
        elif weight in packed or dtypes.get(weight) in _NARROW:
            if last in _BESIDES:
                unused.append(name)
            elif last in _SCALES and weight not in packed:
                factors[weight] = name
    return Scales(factors, tuple(unused), packed, unread)


def _describe(
    layer: str,
    settings: LayerSettings | UnreadLayer,
    shapes: Shapes,
    dtypes: Mapping[str, str],
) -> PackedLayer | None:
    if isinstance(settings, UnreadLayer):
        raise settings
    return describe_layer(layer, settings, shapes, dtypes)


def joined_scales(items: Iterable[Scales]) -> Scales:
    """Those of several files as if they were of one."""
    factors: dict[str, str] = {}
    packed: dict[str, PackedLayer] = {}
    unused: list[str] = []
    for at, item in enumerate(items):
        factors |= {f"{at}.{weight}": name for weight, name in item.factors.items()}
        packed |= {f"{at}.{weight}": layer for weight, layer in item.packed.items()}
        unused += item.unused
    return Scales(factors, tuple(unused), packed)


def find_unsupported_format(
    header: Header, prefix: str | tuple[str, ...] = ""
) -> tuple[str, str] | None:
    """A tensor in a form of storage that isn't known, and what tells it; None if all are known.

    Args:
        prefix: Only of tensors whose names begin so.
    """
    shapes, dtypes, scales = header.shapes, header.dtypes, header.scales
    own = [name for name in shapes if name.startswith(prefix)]
    is_narrow = any(dtypes[name] in _NARROW | _WHOLE_NUMBERS | PACKED_KINDS.keys() for name in own)
    for weight, mark in scales.unread.items():
        # Settings of no tensor may be about any.
        if weight.startswith(prefix) if weight in dtypes else is_narrow:
            return weight, mark
    lone = next((name for name in own if name.rpartition(".")[2] in _SCALES), None)
    if lone is not None:
        return lone, lone.rpartition(".")[2]
    packed = {
        name
        for name in own
        if name.endswith(".weight")
        and len(shapes[name]) > 1
        and (dtypes[name] in _WHOLE_NUMBERS or name in scales.packed)
    }
    for name in own:
        stem, _, last = name.rpartition(".")
        if last in _FOREIGN:
            return name, last
        weight = f"{stem.removesuffix('.weight')}.weight"
        if weight in packed and last not in _BESIDE_WEIGHTS:
            return name, last
    known = scales.factors.keys() | scales.packed.keys()
    bare = next((name for name in own if name in packed and name not in known), None)
    return None if bare is None else (bare, f"{dtypes[bare]} without a factor")


Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each tensor by name."""

MAX_HEADER_BYTES = 100_000_000
"""As in the reference implementation: a header is never larger."""
_SETTLED = 2 * 10**9
"""Nanoseconds after which a file's times tell of any later change, on every file system."""
_MOST_REMEMBERED = 16
"""Headers: a large model's parts, of some megabytes each."""


@dataclass(frozen=True, slots=True)
class Header:
    """Names, shapes and types of the tensors in a file.

    Attributes:
        shapes: Of packed weights, that of their numbers.
        dtypes: As the format writes them, such as ``F16``; of packed weights as `PACKED_KINDS`.
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
    settings = _read_settings(file, 8 + length, header)
    return _apart(replace(header, scales=find_scales(header.shapes, header.dtypes, settings)))


def _read_settings(file: BinaryIO, begin: int, header: Header) -> _Settings:
    """What a file says of its layers; its reading goes on at `begin`."""
    text = header.metadata.get(ALL_SETTINGS)
    settings: dict[str, LayerSettings | UnreadLayer] = {}
    absent: list[str] = []
    if text is not None:
        try:
            settings = match_layers(all_settings(text), header.dtypes)
            absent = [layer for layer in settings if f"{layer}.weight" not in header.dtypes]
        except UnreadLayer as refusal:
            settings[_THE_METADATA] = refusal
    for name in sorted(header.shapes):
        layer = layer_of(name)
        if layer is None:
            continue
        start, end = header.offsets[name]
        file.seek(begin + start)
        size = min(end - start, LONGEST_SETTINGS)
        content = file.read(size)
        if len(content) == size:
            own = parse_settings(content)
            if settings.setdefault(layer, own) != own:
                other = f"other settings in {SETTINGS} than in {ALL_SETTINGS}"
                settings[layer] = UnreadLayer(other)
        elif layer not in settings:
            # Only the header of a remote file is here.
            guess = guess_settings(layer, header.shapes, header.dtypes)
            settings |= {} if guess is None else {layer: guess}
    file.seek(begin)
    if absent and _has_bare_integers(header, settings):
        # The settings may be about them by another name, and say that they are rotated.
        settings[_THE_METADATA] = UnreadLayer(f"{ALL_SETTINGS}: the file lacks {absent[0]}.weight")
    return settings


def _has_bare_integers(header: Header, settings: _Settings) -> bool:
    """Whether a layer is stored in whole numbers and has no settings."""
    return any(
        kind in _WHOLE_NUMBERS
        and len(header.shapes[name]) > 1
        and name.endswith(".weight")
        and name.removesuffix(".weight") not in settings
        for name, kind in header.dtypes.items()
    )


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
        return Header(shapes, dtypes, described, offsets), end
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise damaged_file_error(path, "its header does not follow the format") from error


def _apart(header: Header) -> Header:
    """The same with the tensors of its scales apart from the others, and packed weights counted
    by their numbers."""
    for name in header.scales.names:
        header.scale_tensors[name] = (header.shapes.pop(name), header.dtypes.pop(name))
    for weight, layer in header.scales.packed.items():
        header.shapes[weight], header.dtypes[weight] = layer.shape, layer.kind
    return header


def check_file_formats(path: Path) -> None:
    """Refuse a file with weights in a form that can't be read here.

    Of a remote file of which only the header is here, what that tells.

    Raises:
        InvalidFile: As `read_header`, or it has such weights.
    """
    check_formats(read_header(path), path)


def check_formats(header: Header, path: Path, prefix: str | tuple[str, ...] = "") -> None:
    """Refuse weights in a form that can't be read here: they would be read as noise.

    Args:
        prefix: Only of tensors whose names begin so.
    Raises:
        InvalidFile: It has such weights.
    """
    problem = find_unsupported_format(header, prefix)
    if problem is not None:
        tensor, mark = problem
        form = f"{_FOREIGN[mark]}: {mark}" if mark in _FOREIGN else mark
        raise InvalidFile(
            f"{path} holds weights in an unsupported form ({form}), for example {tensor}",
            given=mark,
            expected=UNDERSTOOD,
            hint=READABLE_HINT,
        )


def find_packed_form(names: Iterable[str]) -> str | None:
    """The form of a file whose packed weights take the place of the model's own tensors.

    Source: Nunchaku's ``nunchaku/models/linear.py`` for SVDQuant; files of AutoGPTQ and AutoAWQ.

    Returns:
        The name of the form; None for other files, whose tensors have the names of their model.
    """
    marks = {name.rpartition(".")[2] for name in names}
    if "qweight" not in marks:
        return None
    telling = [mark for mark in ("wscales", "qzeros", "g_idx") if mark in marks]
    return _FOREIGN[telling[0]] if telling else None


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
