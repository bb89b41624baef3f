"""What editors and type checkers are told of `nodegraph.nodes`: node types as functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.types import ANY, TypeExpr
from nodegraph.python.builder.stubs import LITERALS, Stub, class_name, is_name

FUNCTIONS_HEAD = '''# Made by `nodegraph stubs` of what the node types declare: don't edit.
"""Node types as functions, for editors and type checkers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from torch import Tensor

from nodegraph.core.dataset_values import Dataset
from nodegraph.core.plots import Plot
from nodegraph.core.preprocessor import Preprocessor
from nodegraph.core.spatial_values import Mesh, Molecule, PointCloud
from nodegraph.core.trained_values import TrainedWeights
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
from nodegraph.media.images.returned import Picture
'''
_VALUE_CLASSES: Mapping[str, str] = {
    **{name: name for name in ("Audio", "Conditioning", "ControlNet", "Dataset", "DiffusionModel")},
    **{name: name for name in ("ImageEncoder", "Latent", "Mesh", "Molecule", "Plot", "PointCloud")},
    **{name: name for name in ("Preprocessor", "TextEncoder", "TrainedWeights", "Vae", "Video")},
    **LITERALS,
    "Image": "Tensor",
    "Mask": "Tensor",
    "Path": "Path",
    "bytes": "bytes",
}
"""Classes of values by port type; others are known to their packs alone."""


class FunctionStub(Stub):
    """The text of a stub: node types as functions that give values. See `Stub`."""

    head = FUNCTIONS_HEAD
    whole = "BuiltinFunctions"
    untyped_pack = ANY
    first: tuple[str, ...] = ("        self,",)

    def _port_types(self) -> Iterable[str]:
        return ()

    def _node(self, spec: NodeSpec) -> str:
        """The tuple that a node type with several outputs gives."""
        if len(spec.outputs) < 2:
            return ""
        lines = [f"class {class_name(spec)}(NamedTuple):"]
        for at, port in enumerate(spec.outputs):
            name = port.name if is_name(port.name) else f"_{at}"
            lines.append(f"    {name}: {self._type(port.expr)}")
        return "\n".join(lines) + "\n"

    def _return_type(self, spec: NodeSpec) -> str:
        if not spec.outputs:
            return "list[Path]"
        is_single = len(spec.outputs) == 1
        return self._type(spec.outputs[0].expr) if is_single else class_name(spec)

    def _input_type(self, port: InputSpec) -> str:
        annotation = super()._input_type(port)
        return ANY if ANY in annotation.split(" | ") or port.type == "Subgraph" else annotation

    def _linked_types(self, members: Sequence[TypeExpr]) -> Iterable[str]:
        for member in members:
            if member.is_list:
                yield f"Sequence[{self._value_type(member.item)}]"
            elif member.name not in LITERALS:
                yield self._value_type(member)

    def _value_type(self, expr: TypeExpr) -> str:
        """A type as a value of it is given, which may be a picture of another library."""
        return "Picture" if expr.name in ("Image", "Mask") else self._type(expr)

    def _type(self, expr: TypeExpr) -> str:
        if expr.kind == "list":
            return f"list[{self._type(expr.item)}]"
        if expr.kind == "union":
            members = dict.fromkeys(self._type(member) for member in expr.members)
            return ANY if ANY in members else " | ".join(members)
        return _VALUE_CLASSES.get(expr.name, ANY)
