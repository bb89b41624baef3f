"""What the tensors of an adapter file are: which layer each is of, and which part of its change.

Every tool that trains adapters names the parts of a layer's change in its own way; here they get
one name each. Imports no torch: names and shapes from a header are enough.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]

_NAME = r"(?:\.[^.]+)?"
"""peft writes the adapter's own name, such as ``default``, between a part and its ``weight``."""
_SUFFIXES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern + "$"), part)
    for pattern, part in (
        (rf"\.lora_A{_NAME}\.weight", "down"),
        (rf"\.lora_B{_NAME}\.weight", "up"),
        (rf"\.lora_B{_NAME}\.bias", "up_bias"),
        (r"\.lora_down\.weight", "down"),
        (r"\.lora_up\.weight", "up"),
        (r"\.lora_mid\.weight", "mid"),
        (rf"\.lora_magnitude_vector{_NAME}(?:\.weight)?", "magnitude"),
        (r"\.dora_scale", "dora_scale"),
        (r"\.alpha", "alpha"),
        (r"\.hada_w1_a", "w1_a"),
        (r"\.hada_w1_b", "w1_b"),
        (r"\.hada_w2_a", "w2_a"),
        (r"\.hada_w2_b", "w2_b"),
        (r"\.hada_t1", "t1"),
        (r"\.hada_t2", "t2"),
        (r"\.lokr_w1", "left"),
        (r"\.lokr_w1_a", "left_a"),
        (r"\.lokr_w1_b", "left_b"),
        (r"\.lokr_w2", "right"),
        (r"\.lokr_w2_a", "right_a"),
        (r"\.lokr_w2_b", "right_b"),
        (r"\.lokr_t2", "right_core"),
        (r"\.(?:diff|w_norm)", "weight"),
        (r"\.(?:diff_b|b_norm)", "bias"),
        # diffusers before it took to peft, and the XLabs trainer. The layer keeps what is before.
        (r"\.down\.weight", "down"),
        (r"\.up\.weight", "up"),
        # The control LoRAs of Flux.1 bring norms that are to stand in for the model's.
        (r"(?<=\.query_norm)\.scale|(?<=\.key_norm)\.scale", "whole"),
        (r"(?<=\.norm_[qk])\.weight|(?<=\.norm_added_[qk])\.weight", "whole"),
    )
)


@dataclass(frozen=True, slots=True)
class LayerParts:
    """The change of one layer as a file holds it.

    Attributes:
        tensors: Name of the tensor in the file, by the part that it is.
        shapes: By the same parts.
    """

    tensors: Mapping[str, str]
    shapes: Mapping[str, Shape]

    @property
    def kind(self) -> str | None:
        """``lora``, ``loha``, ``lokr``, ``weight``, ``bias`` or ``whole``, a weight that stands in
        for the layer's; None if something is missing."""
        there = self.tensors.keys()
        for kind, needed in _NEEDED:
            if needed <= there:
                return kind
        if _is_kronecker(there):
            return "lokr"
        return next((kind for kind in ("weight", "bias", "whole") if kind in there), None)

    @property
    def is_plain_lora(self) -> bool:
        """Whether it is a LoRA that isn't one of DoRA."""
        return self.kind == "lora" and not self.tensors.keys() & {"magnitude", "dora_scale"}

    @property
    def size(self) -> tuple[int, int] | None:
        """Rows and columns of the change as a matrix: outputs, and inputs times the kernel.

        Returns:
            Columns are 0 where only the bias changes; None if something is missing, or doesn't go
            together.
        """
        kind = self.kind
        try:
            if kind is None or not _fits(self.shapes):
                return None
            return _SIZES[kind](self.shapes)
        except IndexError:
            return None


_NEEDED: tuple[tuple[str, frozenset[str]], ...] = (
    ("lora", frozenset({"down", "up"})),
    ("loha", frozenset({"w1_a", "w1_b", "w2_a", "w2_b"})),
)


def group_tensors(shapes: Mapping[str, Shape]) -> tuple[dict[str, LayerParts], list[str]]:
    """The changes in a file, by the layers' names as the file writes them.

    Args:
        shapes: Of the file's tensors.
    Returns:
        The changes, and the names of tensors that are no part of one.
    """
    parts_by_stem: dict[str, dict[str, str]] = {}
    others = []
    for name in shapes:
        stem, part = _split(name)
        if part is None:
            others.append(name)
        else:
            parts_by_stem.setdefault(stem, {})[part] = name
    changes = {
        stem: LayerParts(parts, {part: shapes[name] for part, name in parts.items()})
        for stem, parts in parts_by_stem.items()
    }
    for stem in [stem for stem, change in changes.items() if change.kind is None]:
        others += changes.pop(stem).tensors.values()
    if all(change.kind == "whole" for change in changes.values()):
        # Whole models have such, too.
        others += [name for change in changes.values() for name in change.tensors.values()]
        changes = {}
    return changes, others


def is_adapter(names: Iterable[str]) -> bool:
    """Whether the names of a file's tensors are those of an adapter."""
    return bool(group_tensors(dict.fromkeys(names, ()))[0])


def _split(name: str) -> tuple[str, str | None]:
    for suffix, part in _SUFFIXES:
        match = suffix.search(name)
        if match is not None:
            return name[: match.start()], part
    return name, None


def _fits(shapes: Mapping[str, Shape]) -> bool:
    """Whether what is multiplied has the ranks for it, and alpha is one number."""
    joints = [
        (shapes[left][left_side], shapes[right][right_side])
        for left, left_side, right, right_side in _JOINTS
        if left in shapes and right in shapes
    ]
    if "mid" not in shapes and {"down", "up"} <= shapes.keys():
        joints.append((shapes["up"][1], shapes["down"][0]))
    for first, core, second in (("w1_a", "t1", "w1_b"), ("w2_a", "t2", "w2_b")):
        if first in shapes and core not in shapes:
            joints.append((shapes[first][1], shapes[second][0]))
    if "right_a" in shapes and "right_core" not in shapes:
        joints.append((shapes["right_a"][1], shapes["right_b"][0]))
    return all(left == right for left, right in joints) and prod(shapes.get("alpha", ())) == 1


_JOINTS = (
    ("up", 1, "mid", 0),
    ("mid", 1, "down", 0),
    ("w1_a", 0, "t1", 0),
    ("t1", 1, "w1_b", 0),
    ("w2_a", 0, "t2", 0),
    ("t2", 1, "w2_b", 0),
    ("left_a", 1, "left_b", 0),
    ("right_a", 0, "right_core", 0),
    ("right_core", 1, "right_b", 0),
)
"""Dimensions that are multiplied with each other, where both are there."""


def _is_kronecker(parts: Iterable[str]) -> bool:
    there = set(parts)
    return all(side in there or {f"{side}_a", f"{side}_b"} <= there for side in ("left", "right"))


def _flat(shape: Shape) -> tuple[int, int]:
    return shape[0], prod(shape[1:])


def _low_rank_size(shapes: Mapping[str, Shape]) -> tuple[int, int]:
    # With a core between them, of a convolution, the kernel is the core's.
    kernel = prod(shapes["mid"][2:]) if "mid" in shapes else 1
    return shapes["up"][0], prod(shapes["down"][1:]) * kernel


def _hadamard_size(shapes: Mapping[str, Shape]) -> tuple[int, int]:
    if "t1" in shapes:
        # Here the first factor's columns are the layer's rows: see `changes.Hadamard`.
        return shapes["w1_a"][1], shapes["w1_b"][1] * prod(shapes["t1"][2:])
    return shapes["w1_a"][0], prod(shapes["w1_b"][1:])


def _kronecker_size(shapes: Mapping[str, Shape]) -> tuple[int, int]:
    left = shapes.get("left") or (shapes["left_a"][0], shapes["left_b"][1])
    if "right" in shapes:
        right = _flat(shapes["right"])
    elif "right_core" in shapes:
        kernel = prod(shapes["right_core"][2:])
        right = shapes["right_a"][1], shapes["right_b"][1] * kernel
    else:
        right = shapes["right_a"][0], prod(shapes["right_b"][1:])
    return left[0] * right[0], left[1] * right[1]


_SIZES: Mapping[str, Callable[[Mapping[str, Shape]], tuple[int, int]]] = {
    "lora": _low_rank_size,
    "loha": _hadamard_size,
    "lokr": _kronecker_size,
    "weight": lambda shapes: _flat(shapes["weight"]),
    "bias": lambda shapes: (shapes["bias"][0], 0),
    "whole": lambda shapes: _flat(shapes["whole"]),
}
