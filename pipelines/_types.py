"""Inputs and outputs of pipelines as annotations for `@node`. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Optional

from nodegraph import (
    Advanced,
    Audio,
    Choices,
    Image,
    Mask,
    Mesh,
    Molecule,
    PointCloud,
    PromptText,
    Range,
    Seed,
    Video,
)
from nodegraph.core.hints import Hint
from nodegraph.interop.pipelines.classes import Kind, PipelineInput, PipelineOutput, Tensor

_CLASSES: Mapping[Kind, Any] = {
    "text": str,
    "integer": int,
    "number": float,
    "flag": bool,
    "choice": str,
    "seed": int,
    "image": Image,
    "mask": Mask,
    "video": Video,
    "audio": Audio,
    "mesh": Mesh,
    "points": PointCloud,
    "molecule": Molecule,
    "tensor": Tensor,
}
"""Any other type accepts anything. A dataclass needs its own class."""

_TURNED: Mapping[Kind, Callable[[Any], Any]] = {"number": float, "integer": int, "seed": int}
"""Converters of defaults: diffusers writes ``0`` for a float, and ``1.0`` for a whole number."""

MAIN = frozenset({"image", "video", "audio", "mesh", "points", "molecule", "text"})
"""Kinds of the main output of a pipeline."""

ANNOTATED_LIST = re.compile(r"^\s*(typing\.)?(list|tuple|sequence)\b", re.IGNORECASE)
ANNOTATED_DICT = re.compile(r"^\s*(typing\.)?(dict|mapping)\b", re.IGNORECASE)


def input_annotation(port: PipelineInput, dataclasses: Callable[[str], type]) -> Any:
    """The annotation of an input.

    Args:
        dataclasses: The port types for dataclasses of diffusers.
    """
    annotation = dataclasses(port.dataclass) if port.kind == "dataclass" else _class(port)
    hints = _hints(port)
    if hints:
        annotation = Annotated[(annotation, *hints)]
    if is_many(port):
        annotation = list[annotation]  # type: ignore[valid-type]
    if port.advanced:
        annotation = Annotated[annotation, Advanced()]
    return annotation if port.required or default_of(port) is not None else Optional[annotation]  # noqa: UP045


def default_of(port: PipelineInput) -> Any:
    """Default of an input. None if the pipeline decides."""
    if port.kind == "seed" and port.default is None:
        return 0
    if port.default is None:
        return None
    if isinstance(port.default, (list, tuple)):
        return list(port.default)
    return _TURNED[port.kind](port.default) if port.kind in _TURNED else port.default


def is_many(port: PipelineInput) -> bool:
    """Whether an input takes a list."""
    return port.many or (isinstance(port.default, (list, tuple)) and port.kind != "json")


def _class(port: PipelineInput) -> Any:
    if port.kind != "json":
        return _CLASSES.get(port.kind, Any)
    if ANNOTATED_DICT.match(port.annotation):
        return dict
    return list if ANNOTATED_LIST.match(port.annotation) else Any


def _hints(port: PipelineInput) -> list[Hint]:
    """Hints on the values of an input. A default of diffusers is always allowed."""
    default = default_of(port)
    if port.kind == "seed":
        return [Seed()]
    if port.kind == "text":
        return [PromptText()] if "prompt" in port.name else []
    if port.kind == "choice":
        known = [*port.choices, *([default] if isinstance(default, str) else [])]
        return [Choices(list(dict.fromkeys(known)))]
    if port.kind in ("integer", "number"):
        low, high = port.minimum, port.maximum
        if isinstance(default, (int, float)):
            low = None if low is None else min(low, default)
            high = None if high is None else max(high, default)
        if (low, high, port.step) != (None, None, None):
            return [Range(low, high, step=port.step)]
    return []


def output_annotation(port: PipelineOutput) -> Any:
    """The annotation of an output."""
    annotation = _CLASSES.get(port.kind, Any)
    if port.many and port.kind != "image":
        annotation = list[annotation]  # type: ignore[valid-type]
    return annotation


def output_names(ports: tuple[PipelineOutput, ...]) -> list[str]:
    """Names of outputs. An only output that users look at or hear is named for its kind.

    So an image is the output `image`, for every class.
    """
    kinds = [port.kind for port in ports]
    names = [
        port.kind if port.kind in MAIN and kinds.count(port.kind) == 1 else port.name
        for port in ports
    ]
    filled = [name or "result" for name in names]
    return [
        name if filled.count(name) == 1 else f"{name}_{at + 1}" for at, name in enumerate(filled)
    ]
