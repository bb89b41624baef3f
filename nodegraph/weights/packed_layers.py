"""Layers that a safetensors file holds in packed form, and the settings that say how.

ComfyUI's files describe each quantized layer ``X`` in JSON: in the bytes of a tensor
``X.comfy_quant``, or for all layers in the metadata entry ``_quantization_metadata``. The other
tensors of the layer begin with ``X.weight``. Numbers lie along the rows of ``X.weight``:

- ``nvfp4``: E2M1, two in a byte, the first in the upper half; 16 share an E4M3 factor in
  ``weight_scale``, and all share ``weight_scale_2``. In files of AWQ, ``X.pre_quant_scale`` has a
  factor for each input of the layer, that is for each column of its weight.
- ``mxfp8``: E4M3; 32 share a power of two (E8M0) in ``weight_scale``.
- ``int8_tensorwise`` with ``convrot``: whole numbers of 8 bits, a factor for each row in
  ``weight_scale``; `rotation` numbers are multiplied by a regular Hadamard matrix.
- ``convrot_w4a4``: the same in 4 bits, two in a byte, the first in the lower half.
- ``asym_w4a8_int8``: 4 bits that index ``weight_codebook`` (without one: whole numbers from -8), or
  6 bits (whole numbers from -32, their upper 2 bits behind all lower 4); `group` numbers share a
  factor in ``weight_s_rel``; the rounded products are rotated and share one in ``weight_s_channel``
  for each row.

Factors of nvfp4 and mxfp8 are stored in cuBLAS's tiles of 128 x 4, see `FACTOR_TILE`.

Checked against comfy-kitchen 0.2.40 (its layouts and its reference backend) and
https://github.com/Comfy-Org/ComfyUI (``comfy/ops.py``, ``QUANTIZATION.md``). The matrix: section
3 of https://arxiv.org/abs/2512.03673.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SETTINGS = "comfy_quant"
ALL_SETTINGS = "_quantization_metadata"
LONGEST_SETTINGS = 1 << 16
"""Bytes of what a file says of one layer."""

FACTOR_TILE = (128, 4)
"""Factors of blocks are padded to a multiple of it.
Source: https://docs.nvidia.com/cuda/cublas/index.html#d-block-scaling-factors-layout"""

NVFP4, MXFP8, ROTATED = "nvfp4", "mxfp8", "int8_tensorwise"
W4A4, W4A8 = "convrot_w4a4", "asym_w4a8_int8"
"""ComfyUI's names of the forms."""

PACKED_KINDS = {"NVFP4": 4.5, "MXFP8": 8.25, "W4A4": 4.0, "W4A8": 4.5, "W6A8": 6.5}
"""Bits of a number by what stands for the type of such a weight; of ``I8`` as everywhere."""

_PLAIN = {"float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", ROTATED: "I8"}
"""Forms whose weights are only multiplied by a factor, and what they are stored in."""
_STORED = {NVFP4: ("U8",), MXFP8: ("F8_E4M3",), W4A4: ("I8",), W4A8: ("I8", "U8")}
_FIXED_GROUPS = {NVFP4: 16, MXFP8: 32}
_OF_COMPUTING = frozenset({"format", "full_precision_matrix_mult", "per_row", "params"})
"""Settings of a layer that change nothing about what its weights are."""
_WIDE = ("F32", "F16", "BF16")
_E4M3 = ("F8_E4M3", "U8")
_SMOOTHING = "pre_quant_scale"


class UnreadLayer(ValueError):
    """A layer is stored in a way that isn't known; the text is what tells it."""


@dataclass(frozen=True, slots=True)
class PackedLayer:
    """How the weight of a layer lies in a file.

    Attributes:
        form: ComfyUI's name of it.
        kind: What stands for the type of its numbers: one of `PACKED_KINDS`, or ``I8``.
        stored: Shape of the tensor in the file.
        shape: Of the numbers: rows, and numbers in each.
        parts: By what they are for: the tensors of the file. ``stored`` is its weight.
        rotation: Numbers that are rotated together; 0 for none.
        group: Numbers that share a factor within a row; 0 for none.
    """

    form: str
    kind: str
    stored: tuple[int, int]
    shape: tuple[int, int]
    parts: Mapping[str, str]
    rotation: int = 0
    group: int = 0


@dataclass(frozen=True, slots=True)
class LayerSettings:
    """What a file's settings say of a layer.

    Attributes:
        form: ComfyUI's name of it.
        rotation, group: As of `PackedLayer`.
    """

    form: str
    rotation: int = 0
    group: int = 0


def layer_of(name: str) -> str | None:
    """The layer that a tensor has the settings of; None of any other tensor."""
    stem, _, last = name.rpartition(".")
    return stem if last == SETTINGS else None


def parse_settings(text: bytes | str) -> LayerSettings | UnreadLayer:
    """Parse the settings of a layer, which are JSON.

    Returns:
        The refusal if they hold what isn't understood, so that the weights would be misread. The
        reader of a file raises it where the layer is used.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return UnreadLayer(f"{SETTINGS}: not JSON")
    return _read_or_refusal(content)


def all_settings(text: str) -> dict[str, LayerSettings | UnreadLayer]:
    """The settings of all layers in a file's metadata, by layer.

    Raises:
        UnreadLayer: They aren't in the form that is known.
    """
    try:
        layers = dict(json.loads(text)["layers"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UnreadLayer(f"{ALL_SETTINGS}: no settings per layer") from None
    return {layer: _read_or_refusal(content) for layer, content in layers.items()}


def match_layers(
    settings: dict[str, LayerSettings | UnreadLayer], names: Collection[str]
) -> dict[str, LayerSettings | UnreadLayer]:
    """Settings by the names that layers have in their file.

    ComfyUI looks for a diffusion model's layers after it removed the prefix of all their names.

    Args:
        names: Of all tensors in the file.
    """
    if not settings or any(f"{layer}.weight" in names for layer in settings):
        return settings
    first = f"{next(iter(settings))}.weight"
    prefixes = [name.removesuffix(first) for name in names if name.endswith(f".{first}")]
    if not prefixes:
        return settings
    prefix = max(
        prefixes, key=lambda prefix: sum(f"{prefix}{layer}.weight" in names for layer in settings)
    )
    return {f"{prefix}{layer}": own for layer, own in settings.items()}


def _read_or_refusal(content: Any) -> LayerSettings | UnreadLayer:
    try:
        return _settings(content)
    except UnreadLayer as refusal:
        return refusal


def _settings(content: Any) -> LayerSettings:
    if not isinstance(content, dict):
        raise UnreadLayer(f"{SETTINGS}: {_short(content)}")
    form = content.get("format")
    if not isinstance(form, str) or form not in {*_PLAIN, *_STORED}:
        raise UnreadLayer(f'"format": {_short(form)}')
    nested = content.get("params")
    if nested is not None and not isinstance(nested, dict):
        raise UnreadLayer(f'"params": {_short(nested)}')
    # ComfyUI reads the outer ones first.
    values = {**(nested or {}), **content}
    used = _used_settings(form, values)
    for name, value in values.items():
        if name not in {*_OF_COMPUTING, *used} and value not in (False, None):
            raise UnreadLayer(f"{_short(name)}: {_short(value)}")
    return LayerSettings(form, used.get("convrot_groupsize", 0), used.get("group_size", 0))


def _used_settings(form: str, values: Mapping[str, Any]) -> dict[str, int]:
    """The settings of a form that are understood, by name: numbers that belong together."""
    used = {}
    is_rotated = form in (W4A4, W4A8) or (form == ROTATED and values.get("convrot") is True)
    if is_rotated:
        used["convrot_groupsize"] = _number(values, "convrot_groupsize", 256, _is_power_of_four)
        used["convrot"] = _number(values, "convrot", True, lambda value: value is True)
    elif form == ROTATED and not values.get("convrot"):
        # The number says nothing where nothing is rotated.
        used["convrot_groupsize"] = 0
    if form in _FIXED_GROUPS:
        fixed = _FIXED_GROUPS[form]
        used["group_size"] = _number(values, "group_size", fixed, lambda value: value == fixed)
    if form == W4A8:
        used["group_size"] = _number(values, "group_size", 16, _is_group)
    if form == W4A4:
        _number(values, "quant_group_size", 64, lambda value: value == 64)
        used |= {"quant_group_size": 64, "linear_dtype": 0}
    return used


def _number(values: Mapping[str, Any], name: str, default: int, is_known: Any) -> int:
    value = values.get(name, default)
    if not isinstance(value, int) or not is_known(value):
        raise UnreadLayer(f'"{name}": {_short(value)}')
    return int(value)


def _is_power_of_four(value: int) -> bool:
    return value in {4**power for power in range(1, 7)}


def _is_group(value: int) -> bool:
    return value >= 4 and (16 % value == 0 or value % 16 == 0)


def _short(value: Any) -> str:
    return json.dumps(value)[:80]


Shapes = Mapping[str, Sequence[int]]
Types = Mapping[str, str]


def guess_settings(layer: str, shapes: Shapes, dtypes: Types) -> LayerSettings | None:
    """What a layer's tensors tell of it; for a file of which only the header is here.

    Its numbers are only counted then: whoever reads them has the whole file.
    """
    kind, scale = dtypes.get(f"{layer}.weight"), f"{layer}.weight_scale"
    if kind == "U8" and f"{layer}.weight_scale_2" in dtypes:
        return LayerSettings(NVFP4, group=16)
    if kind == "F8_E4M3" and dtypes.get(scale) in ("U8", "F8_E8M0"):
        return LayerSettings(MXFP8, group=32)
    relative = shapes.get(f"{layer}.weight_s_rel", ())
    if len(relative) == 2 and relative[1] and kind in _STORED[W4A8]:
        size = shapes[f"{layer}.weight"][-1] // relative[1]
        # Bytes of a group: of 6 bits a multiple of 3.
        return LayerSettings(W4A8, 4, size * 4 // 3 if size % 3 == 0 else size * 2)
    if kind == "I8" and len(shapes.get(scale, ())) == 1 and shapes[scale][0] != 1:
        return LayerSettings(W4A4, 4)
    return None


def describe_layer(
    layer: str, settings: LayerSettings, shapes: Shapes, dtypes: Types
) -> PackedLayer | None:
    """How a layer's weight is packed; None where it is only multiplied by a factor.

    Args:
        shapes, dtypes: Of all tensors in the file.
    Raises:
        UnreadLayer: Its tensors aren't those of the form that it names.
    """
    weight, form = f"{layer}.weight", settings.form
    if weight not in dtypes:
        return None
    is_plain = form in _PLAIN and not settings.rotation
    kinds = (_PLAIN[form],) if form in _PLAIN else _STORED[form]
    if dtypes[weight] not in kinds:
        raise UnreadLayer(f'"format": {_short(form)}, but stored in {dtypes[weight]}')
    if is_plain:
        return None
    stored = tuple(shapes[weight])
    if len(stored) != 2 or not all(stored):
        raise UnreadLayer(f"{form} of shape {list(stored)} instead of a matrix")
    return _FORMS[form](_Tensors(layer, form, shapes, dtypes), settings, (stored[0], stored[1]))


@dataclass(frozen=True, slots=True)
class _Tensors:
    """The tensors of a layer."""

    layer: str
    form: str
    shapes: Shapes
    dtypes: Types

    def has(self, last: str) -> bool:
        return f"{self.layer}.{last}" in self.dtypes

    def shape(self, last: str) -> tuple[int, ...]:
        if not self.has(last):
            raise UnreadLayer(f"{self.form} without {last}")
        return tuple(self.shapes[f"{self.layer}.{last}"])

    def part(self, last: str, kinds: Sequence[str], *shapes: Sequence[int]) -> str:
        """The name of one that has one of these types and shapes."""
        name, shape = f"{self.layer}.{last}", self.shape(last)
        if self.dtypes[name] not in kinds:
            raise UnreadLayer(f"{self.form} with {last} in {self.dtypes[name]}")
        if shape not in {tuple(each) for each in shapes}:
            raise UnreadLayer(
                f"{self.form} with {last} of shape {list(shape)} instead of {list(shapes[0])}"
            )
        return name

    def factors(self, last: str, rows: int) -> str:
        """The name of one that has a number for each row, or one for all."""
        return self.part(last, _WIDE, (rows, 1), (rows,), (), (1,), (1, 1))

    def multiple(self, columns: int, of: int) -> None:
        if not of or columns % of:
            raise UnreadLayer(f"{self.form} with rows of {columns} numbers, not a multiple of {of}")


def _blocks(
    tensors: _Tensors, settings: LayerSettings, stored: tuple[int, int], kind: str
) -> PackedLayer:
    is_paired = settings.form == NVFP4
    rows, columns = stored[0], stored[1] * (2 if is_paired else 1)
    tensors.multiple(columns, settings.group)
    tile_rows, tile_columns = FACTOR_TILE
    tiled = (
        -(-rows // tile_rows) * tile_rows,
        -(-(columns // settings.group) // tile_columns) * tile_columns,
    )
    kinds = _E4M3 if is_paired else ("F8_E8M0", "U8")
    parts = {
        "stored": f"{tensors.layer}.weight",
        "factors": tensors.part("weight_scale", kinds, tiled),
    }
    if is_paired:
        parts["scale"] = tensors.part("weight_scale_2", ("F32",), (), (1,))
        if tensors.has(_SMOOTHING):
            parts["smoothing"] = tensors.part(_SMOOTHING, _WIDE, (columns,))
    return PackedLayer(settings.form, kind, stored, (rows, columns), parts, group=settings.group)


def _nvfp4(tensors: _Tensors, settings: LayerSettings, stored: tuple[int, int]) -> PackedLayer:
    return _blocks(tensors, settings, stored, "NVFP4")


def _mxfp8(tensors: _Tensors, settings: LayerSettings, stored: tuple[int, int]) -> PackedLayer:
    return _blocks(tensors, settings, stored, "MXFP8")


def _rotated(tensors: _Tensors, settings: LayerSettings, stored: tuple[int, int]) -> PackedLayer:
    is_paired = settings.form == W4A4
    shape = (stored[0], stored[1] * (2 if is_paired else 1))
    tensors.multiple(shape[1], settings.rotation)
    parts = {
        "stored": f"{tensors.layer}.weight",
        "scale": tensors.factors("weight_scale", shape[0]),
    }
    kind = "W4A4" if is_paired else "I8"
    return PackedLayer(settings.form, kind, stored, shape, parts, settings.rotation)


def _w4a8(tensors: _Tensors, settings: LayerSettings, stored: tuple[int, int]) -> PackedLayer:
    rows = stored[0]
    relative = tensors.shape("weight_s_rel")
    columns = relative[1] * settings.group if len(relative) == 2 else 0
    bits = next((bits for bits in (4, 6) if columns * bits == stored[1] * 8), None)
    if bits is None:
        raise UnreadLayer(
            f"{settings.form} with rows of {stored[1]} bytes for {columns} numbers of 4 or 6 bits"
        )
    tensors.multiple(columns, settings.rotation)
    parts = {
        "stored": f"{tensors.layer}.weight",
        "factors": tensors.part("weight_s_rel", (*_E4M3, "F32"), (rows, columns // settings.group)),
        "scale": tensors.part("weight_s_channel", ("F32",), (rows,), (rows, 1)),
    }
    if tensors.has("weight_codebook"):
        if bits != 4:
            raise UnreadLayer(f"{settings.form} of {bits} bits with weight_codebook")
        parts["levels"] = tensors.part("weight_codebook", ("F32",), (16,))
    kind, shape = f"W{bits}A8", (rows, columns)
    return PackedLayer(settings.form, kind, stored, shape, parts, settings.rotation, settings.group)


_FORMS = {NVFP4: _nvfp4, MXFP8: _mxfp8, ROTATED: _rotated, W4A4: _rotated, W4A8: _w4a8}


def count_kinds(layers: Iterable[PackedLayer]) -> dict[str, int]:
    """How many of some layers are in each of ComfyUI's forms, by its name."""
    counts: dict[str, int] = {}
    for layer in layers:
        name = f"{layer.form} with convrot" if layer.form == ROTATED else layer.form
        counts[name] = counts.get(name, 0) + 1
    return counts
