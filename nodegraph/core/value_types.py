"""Whether a value is what a port's type says, told without importing torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nodegraph.core.dataset_values import Dataset, Example
from nodegraph.core.digests import is_tensor
from nodegraph.core.plots import Plot
from nodegraph.core.ports import BLOCKED, PORT_ATTRIBUTE, Subgraph
from nodegraph.core.spatial_values import Mesh, Molecule, PointCloud
from nodegraph.core.trained_values import TrainedWeights
from nodegraph.core.types import TypeExpr
from nodegraph.core.values import (
    Audio,
    Conditioning,
    ControlNet,
    DiffusionModel,
    ImageEncoder,
    Latent,
    TextEncoder,
    Vae,
    Video,
)


def _tensor_of(dimensions: int) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return is_tensor(value) and value.ndim == dimensions and value.is_floating_point()

    return check


def _is_image(value: Any) -> bool:
    if not (is_tensor(value) and value.ndim == 4 and value.is_floating_point()):
        return False
    _, rows, _, channels = value.shape
    # Else channels come first, as in other libraries: no picture of so few rows has more of them.
    return bool(channels <= 4 or rows > 4)


def _instance_of(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


def _tensors_of(kind: type, **parts: tuple[int, bool]) -> Callable[[Any], bool]:
    """A check of a class, and of its tensors: how many dimensions, and whether of fractions."""

    def fits(part: Any, dimensions: int, is_fraction: bool) -> bool:
        return (
            is_tensor(part) and part.ndim == dimensions and part.is_floating_point() == is_fraction
        )

    def check(value: Any) -> bool:
        return isinstance(value, kind) and all(
            fits(getattr(value, name), *form) for name, form in parts.items()
        )

    return check


def _is_dataset(value: Any) -> bool:
    return isinstance(value, Dataset) and all(isinstance(each, Example) for each in value.examples)


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "int": _instance_of(int),
    "float": _instance_of(int, float),
    "bool": _instance_of(bool),
    "str": _instance_of(str),
    "bytes": _instance_of(bytes),
    "dict": _instance_of(Mapping),
    "Path": _instance_of(Path),
    "Image": _is_image,
    "Mask": _tensor_of(3),
    "Latent": _instance_of(Latent),
    "Video": _instance_of(Video),
    "Audio": _tensors_of(Audio, waveform=(2, True)),
    "Mesh": _tensors_of(Mesh, vertices=(2, True), faces=(2, False)),
    "PointCloud": _tensors_of(PointCloud, points=(2, True)),
    "Molecule": _tensors_of(
        Molecule, elements=(1, False), bonds=(2, False), orders=(1, False), coordinates=(3, True)
    ),
    "Plot": _instance_of(Plot),
    "TrainedWeights": _instance_of(TrainedWeights),
    "Dataset": _is_dataset,
    "Conditioning": _instance_of(Conditioning),
    "DiffusionModel": _instance_of(DiffusionModel),
    "TextEncoder": _instance_of(TextEncoder),
    "Vae": _instance_of(Vae),
    "ImageEncoder": _instance_of(ImageEncoder),
    "ControlNet": _instance_of(ControlNet),
    "Subgraph": _instance_of(Subgraph),
}
_CLASSES = tuple(
    name
    for name in _CHECKS
    if name not in ("int", "float", "bool", "str", "bytes", "dict", "Path", "Image", "Mask")
)
"""Port types whose values are of a class that no other has."""
_SHAPES = {
    "Image": "Image (float tensor [batch, height, width, channels])",
    "Mask": "Mask (float tensor [batch, height, width])",
    "Audio": "Audio (waveform: float tensor [channels, samples])",
    "Mesh": "Mesh (vertices: float tensor [vertices, 3], faces: integers [faces, 3])",
    "PointCloud": "PointCloud (points: float tensor [points, 3])",
}


def is_of_type(value: Any, expr: TypeExpr) -> bool:
    """Whether a value may stand at a port of a type; types of packs are taken at their word.

    A blocked output may be of any.
    """
    if value is BLOCKED:
        return True
    if expr.kind == "union":
        return any(is_of_type(value, member) for member in expr.members)
    if expr.kind == "list":
        return isinstance(value, (list, tuple))
    check = _CHECKS.get(expr.name)
    return check is None or check(value)


def type_of_value(value: Any) -> str:
    """The port type of a value, as far as its class tells; empty if it doesn't."""
    port = getattr(type(value), PORT_ATTRIBUTE, None)
    if port is not None:
        return str(port.info.name)
    return next((name for name in _CLASSES if _CHECKS[name](value)), "")


def is_builtin_type(name: str) -> bool:
    """Whether values of a port type are known by `is_of_type`."""
    return name in _CHECKS


def describe_type(expr: TypeExpr) -> str:
    """A type for an error message."""
    return _SHAPES.get(str(expr), str(expr))
