"""Files of weights in 8 bits with a factor for each layer: which of their tensors say what.

Imports no torch. ``X.weight`` is to be multiplied by ``X.scale_weight`` (ComfyUI's older files,
marked by a tensor ``scaled_fp8``) or ``X.weight_scale`` (its newer ones, and those of compressors
for language models). Checked against https://github.com/comfyanonymous/ComfyUI (``comfy/ops.py``,
``comfy/quant_ops.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_SCALES = ("scale_weight", "weight_scale")
_BESIDES = ("scale_input", "input_scale", "comfy_quant")
"""What is said of a layer that computes in 8 bits, too, or how it is stored."""
_MARK = "scaled_fp8"
_NARROW = frozenset({"F8_E4M3", "F8_E5M2", "I8"})
_FOREIGN = ("weight_scale_2", "weight_scale_inv", "weight.absmax", "weight.quant_map")
"""What files in yet other forms have."""


@dataclass(frozen=True, slots=True)
class Scales:
    """The tensors of a file that say how others are to be read.

    Attributes:
        factors: By weight: the tensor that it is multiplied by.
        besides: Those that say what isn't needed to read any.
    """

    factors: Mapping[str, str] = field(default_factory=dict)
    besides: tuple[str, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """All of them."""
        return frozenset([*self.factors.values(), *self.besides])

    def told(self) -> list[str]:
        """What is to be told of them, in words."""
        lines = []
        if self.factors:
            kinds = sorted({name.rpartition(".")[2] for name in self.factors.values()})
            lines.append(
                f"{len(self.factors)} weights of 8 bits are multiplied by their "
                + " or ".join(kinds)
            )
        if self.besides:
            kinds = sorted({name.rpartition(".")[2] for name in self.besides})
            lines.append(
                f"{len(self.besides)} tensors are about computing in 8 bits, which isn't done: "
                + ", ".join(kinds)
            )
        return lines


def scales_among(dtypes: Mapping[str, str]) -> Scales:
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
        besides += item.besides
    return Scales(factors, tuple(besides))


def foreign_form(names: Mapping[str, object]) -> str | None:
    """A tensor that tells a form of storage that isn't known here; None where there is none."""
    return next((name for name in names if name.endswith(_FOREIGN)), None)
