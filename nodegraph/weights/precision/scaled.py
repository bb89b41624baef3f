"""Files of weights in 8 bits with a factor for each layer: which of their tensors say what.

Imports no torch. ``X.weight`` is to be multiplied by ``X.scale_weight`` (ComfyUI's older files,
marked by a tensor ``scaled_fp8``) or ``X.weight_scale`` (its newer ones, and those of compressors
for language models). The newer ones say of each layer in which form it is, by a tensor
``X.comfy_quant`` or in the metadata; what isn't understood of that is refused. Checked against
https://github.com/comfyanonymous/ComfyUI (``comfy/ops.py``, ``comfy/quant_ops.py``,
``QUANTIZATION.md``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

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
    "weights as such; 8 bits (F8_E4M3, F8_E5M2 or I8) with one factor for each layer or row, or "
    "without any (F8_E4M3, F8_E5M2); GGUF"
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
                f"{len(self.unused)} tensors are about computing in 8 bits, which isn't done: "
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
        return f"{_SETTINGS}: no JSON"


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
        return "the file's metadata", f"{_ALL_SETTINGS}: no settings by layers"
    return None
