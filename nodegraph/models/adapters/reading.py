"""Reading the changes out of an adapter file, for the layers that they are for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from nodegraph.errors import InvalidFile
from nodegraph.models.adapters.changes import (
    FullChange,
    Hadamard,
    Kronecker,
    LayerChange,
    LowRank,
    ReplacedWeight,
)
from nodegraph.models.adapters.originals import Spans
from nodegraph.models.adapters.parts import LayerParts
from nodegraph.weights.attached_models import whole_size
from nodegraph.weights.weight_files import read_tensors

_METADATA = "lora_adapter_metadata"
"""Where diffusers writes peft's settings into a file."""


class AdapterTensors:
    """The tensors of an adapter file in memory.

    Args:
        dtype: Precision to have them in, see `weight_files.PRECISIONS`.
        metadata: Of the file.
    Raises:
        InvalidFile: It can't be read, is damaged or cut short.
    """

    def __init__(self, path: Path, dtype: str, metadata: Mapping[str, str]) -> None:
        self._tensors = read_tensors([path], dtype)
        self._settings = _peft_settings(metadata)

    def change(self, stem: str, parts: LayerParts, spans: Spans | None) -> LayerChange:
        """The change of one layer; in DoRA without its lengths.

        Args:
            stem: What the file calls the layer.
            parts: Complete, see `LayerParts.kind`.
            spans: The rows that are wanted; None for all.
        """
        there = {part: self._tensors[name] for part, name in parts.tensors.items()}
        kind = parts.kind
        if kind == "whole":
            return ReplacedWeight(_rows_of(there["whole"], spans))
        options: dict[str, Any] = {
            "spans": spans,
            "bias": _rows_of(there["bias"], spans) if "bias" in there else None,
            "scale": self._scale(stem, there, str(kind)),
        }
        if kind == "lora":
            return LowRank(
                there["down"], there["up"], there.get("mid"), there.get("up_bias"), **options
            )
        if kind == "loha":
            cores = (there["t1"], there["t2"]) if "t1" in there else None
            first, second = (there["w1_a"], there["w1_b"]), (there["w2_a"], there["w2_b"])
            return Hadamard(first, second, cores, **options)
        if kind == "lokr":
            sides = (_side(there, "left"), _side(there, "right"))
            return Kronecker(*sides, there.get("right_core"), **options)
        return FullChange(there.get("weight"), **options)

    def magnitudes(self, parts: LayerParts, spans: Spans | None) -> tuple[Tensor, bool] | None:
        """DoRA's lengths, and whether they are of rows rather than of input channels.

        Returns:
            None where there are none.
        """
        if "magnitude" in parts.tensors:
            magnitudes = self._tensors[parts.tensors["magnitude"]].flatten()
            return _rows_of(magnitudes, spans), True
        if "dora_scale" not in parts.tensors:
            return None
        magnitudes = self._tensors[parts.tensors["dora_scale"]]
        of_rows = parts.size is not None and magnitudes.shape[0] == parts.size[0]
        return (_rows_of(magnitudes.flatten(), spans) if of_rows else magnitudes.flatten()), of_rows

    def _scale(self, stem: str, there: Mapping[str, Tensor], kind: str) -> float:
        rank = _rank(there, kind)
        if rank is None:
            return 1.0
        if "alpha" in there:
            return float(there["alpha"]) / rank
        return self._settings_scale(stem, rank)

    def _settings_scale(self, stem: str, rank: int) -> float:
        module, _, path = stem.partition(".")
        settings = self._settings.get(module, {})
        alpha = settings.get("lora_alpha")
        for pattern, value in (settings.get("alpha_pattern") or {}).items():
            if re.fullmatch(rf"(.*\.)?({pattern})", path):
                alpha = value
                break
        if alpha is None:
            return 1.0
        return float(alpha) / (math.sqrt(rank) if settings.get("use_rslora") else rank)


def check_finite(path: Path) -> None:
    """Refuse an adapter file with NaN or infinity in it, which would show in a sampling alone.

    Of a remote file of which only the header is here, nothing is read.

    Raises:
        InvalidFile: It has such numbers.
    """
    size = path.stat().st_size
    if whole_size(path, size) != size:
        return
    with safe_open(path, "pt") as file:
        for name in file.keys():  # noqa: SIM118 - it can't be iterated over
            tensor = file.get_tensor(name)
            if tensor.is_floating_point() and not tensor.float().isfinite().all():
                raise InvalidFile(
                    f"{path} holds NaN or infinity, in {name}.",
                    expected="numbers",
                    hint="Its training went astray: take one that was saved earlier.",
                )


def _peft_settings(metadata: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What peft was told to make the adapter by, by module; nothing where it isn't said well."""
    try:
        flat = json.loads(metadata.get(_METADATA, "{}"))
        settings_by_module: dict[str, dict[str, Any]] = {}
        for name, value in flat.items():
            module, _, setting = name.partition(".")
            settings_by_module.setdefault(module, {})[setting] = value
    except (ValueError, AttributeError):
        return {}
    return settings_by_module


def _rank(there: Mapping[str, Tensor], kind: str) -> int | None:
    """What alpha is divided by; None where a change has no rank, and alpha doesn't count."""
    if kind == "lora":
        return len(there["down"])
    if kind == "loha":
        return len(there["w1_b"])
    narrow = there.get("left_b", there.get("right_b"))
    return None if kind != "lokr" or narrow is None else len(narrow)


def _side(there: Mapping[str, Tensor], side: str) -> tuple[Tensor, ...]:
    if side in there:
        return (there[side],)
    return there[f"{side}_a"], there[f"{side}_b"]


def _rows_of(tensor: Tensor, spans: Spans | None) -> Tensor:
    if spans is None:
        return tensor
    return torch.cat([tensor[begin:end] for begin, end in spans])
