"""Type stubs of node types, as methods of a graph and as functions.

The method stub is that of `nodegraph.python.builder.builtin`, whose class `Graph` inherits from.
There, an input accepts its literals, outputs of its type and live values, and each node type has a
class whose properties are its outputs.
"""

from __future__ import annotations

import keyword
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nodegraph.core.files import make_folder, write_file
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.types import ANY, JSON_TYPES, TypeExpr, TypeTable

HEAD = '''# Made by `nodegraph stubs` of what the node types declare: don't edit.
"""Node types as methods, for editors and type checkers."""

from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import Any, Literal, TypeAlias, TypeVar

from nodegraph.core import plots as _plots
from nodegraph.core import spatial_values as _spatial_values
from nodegraph.core import training_values as _training_values
from nodegraph.core import values as _values
from nodegraph.media.images.pillow_conversion import Picture as _Picture
from nodegraph.python.builder.scope import PackNodes
from nodegraph.python.builder.outputs import BuiltNode, OneOutput, Out
from nodegraph.python.builder.graph import BuiltSubgraph

_T = TypeVar("_T")
Link: TypeAlias = Out[_T] | Out[Sequence[_T]]
"""An output that fits an input: one of a list has the node run for each item."""
'''
LITERALS = {
    "bool": "bool",
    "dict": "dict[str, Any]",
    "float": "float",
    "int": "int",
    "str": "str",
}
"""Port types that are Python's own."""
_VALUES = ("Audio", "Conditioning", "ControlNet", "DiffusionModel", "ImageEncoder", "Latent")
LIVE: Mapping[str, str] = {
    **dict.fromkeys(("Image", "Mask"), "_Picture"),
    **{name: f"_values.{name}" for name in (*_VALUES, "TextEncoder", "Vae", "Video")},
    **{name: f"_spatial_values.{name}" for name in ("Mesh", "Molecule", "PointCloud", "Voxels")},
    "Dataset": "_training_values.Dataset",
    "Plot": "_plots.Plot",
    "TrainedWeights": "_training_values.TrainedWeights",
}
"""What a script may hold in memory for port types, besides outputs."""
_LONGEST = 60
"""Letters of choices that are written where they are used, and of defaults."""
_PACKAGE = Path(__file__).parents[2]
_ABOVE = (Path(), Path("python"), Path("python/builder"))
"""Packages that the stub is in. Type checkers look for a module below a package that they found, so
these come along as they are; all other modules are found where they are installed."""


class Stub:
    """The text of a stub: node types as methods that add nodes to a graph.

    Args:
        types: Port types.
        specs: Node types of the built-in pack.
        packs: Those of others, by the pack's name.
        untyped: Names of packs of which nothing is said but that they may be there.
    """

    head = HEAD
    whole = "BuiltinNodes"
    """The class that has the node types, and packs."""
    untyped_pack = "PackNodes"
    first: tuple[str, ...] = ("        self,", "        _name: str | None = None,", "        /,")
    """Of what a method takes."""

    def __init__(
        self,
        types: TypeTable,
        specs: Sequence[NodeSpec],
        packs: Mapping[str, Sequence[NodeSpec]] | None = None,
        untyped: Sequence[str] = (),
    ) -> None:
        self._types = types
        self._specs = specs
        self._packs = {
            name: pack_specs for name, pack_specs in (packs or {}).items() if is_name(name)
        }
        self._untyped = untyped
        self._taken = {spec.type for spec in specs}
        self._choices: dict[str, str] = {}

    def text(self) -> str:
        """All of it."""
        nodes = [self._node(spec) for spec in self._specs]
        classes = [self._nodes(self.whole, self._specs, "    Node types as methods.")]
        for pack, specs in self._packs.items():
            nodes += [self._node(spec) for spec in specs]
            classes.insert(0, self._nodes(f"_Pack_{pack}", specs, f"    Node types of `{pack}`."))
        for pack in self._packs:
            classes.append(f"    @property\n    def {pack}(self) -> _Pack_{pack}: ...\n")
        for pack in self._untyped:
            classes.append(f"    @property\n    def {pack}(self) -> {self.untyped_pack}: ...\n")
        choices = [f"{name}: TypeAlias = {text}\n" for text, name in self._choices.items()]
        parts = [self.head, *self._port_types(), *choices, *nodes, *classes]
        return "\n".join(part for part in parts if part)

    def _port_types(self) -> Iterable[str]:
        """Classes that stand for port types, each below those whose inputs take it, too."""
        for name in self._sorted_types():
            info = self._types.info(name)
            above = [*info.parents, *(["Image"] if name == "Mask" else ())]
            bases = ", ".join(parent for parent in above if parent in self._types)
            about = info.description.replace("\\", "\\\\").replace('"""', "'''")
            doc = f'"""{about}"""' if about else "..."
            yield f"class {name}({bases}):\n    {doc}\n".replace("()", "")
            if name in self._taken:
                yield f"_{name} = {name}\n"

    def _sorted_types(self) -> list[str]:
        plain = {*LITERALS, ANY, "bytes", "Subgraph"}
        names = [name for name in self._types.names() if is_name(name) and name not in plain]
        above = {name: self._types.info(name).parents for name in names}
        above = {**above, "Mask": ("Image",)}
        done: dict[str, None] = {}
        waiting = list(names)
        while waiting:
            ready = [name for name in waiting if not {*above[name]} & {*waiting} - {name}]
            done.update(dict.fromkeys(ready or waiting))  # of a circle, as they come
            waiting = [name for name in waiting if name not in done]
        return list(done)

    def _node(self, spec: NodeSpec) -> str:
        """The class of a node type's nodes."""
        name = class_name(spec)
        ports = [port for port in spec.outputs if is_name(port.name)]
        base = "BuiltNode"
        if len(spec.outputs) == 1:
            base = f"OneOutput[{self._type(spec.outputs[0].expr)}]"
        lines = [f"class {name}({base}):"]
        for port in ports:
            lines.append("    @property")
            lines.append(f"    def {port.name}(self) -> Out[{self._type(port.expr)}]: ...")
        return "\n".join(lines if ports else [lines[0] + " ..."]) + "\n"

    def _nodes(self, name: str, specs: Sequence[NodeSpec], about: str) -> str:
        methods = [self._method(spec) for spec in specs]
        return f'class {name}:\n    """{about.strip()}"""\n\n' + "\n".join(methods)

    def _method(self, spec: NodeSpec) -> str:
        ports = [port for port in spec.inputs if is_name(port.name)]
        lines = [f"    def {spec.type.rpartition(':')[2]}("]
        lines += self.first
        if ports:
            lines.append("        *,")
        lines += [f"        {self._input(port)}," for port in ports]
        if spec.body is not None and spec.body.body is not None and spec.body.body.passes_on:
            lines.append("        **inputs: Any,")
        lines.append(f"    ) -> {self._return_type(spec)}:")
        return "\n".join([*lines, *_doc(spec)]) + "\n"

    def _return_type(self, spec: NodeSpec) -> str:
        """What a method gives."""
        return class_name(spec)

    def _input(self, port: InputSpec) -> str:
        text = f"{port.name}: {self._input_type(port)}"
        return text if port.required else f"{text} = {_default(port.default)}"

    def _input_type(self, port: InputSpec) -> str:
        """What an input takes: literals, links, and None if it may be null."""
        if "Any" in port.expr.type_names() and not port.expr.is_list:
            return "Any"
        if port.expr.kind == "name" and port.type == "Subgraph":
            return "str | BuiltSubgraph"
        members = port.expr.members if port.expr.kind == "union" else (port.expr,)
        alternatives = [*self._literals(port, members), *self._linked_types(members)]
        if port.nullable:
            alternatives.append("None")
        return " | ".join(dict.fromkeys(alternatives))

    def _linked_types(self, members: Sequence[TypeExpr]) -> Iterable[str]:
        """What an input of these types takes that is no literal."""
        for member in members:
            item = member.item if member.is_list else member
            live = LIVE.get(item.name, "")
            yield f"Link[{self._type(item)}]"
            if live and not member.is_list:
                yield live
                yield f"Sequence[{live}]"
            if member.is_list:
                yield f"Sequence[{_joined(_literal(item), f'Out[{self._type(item)}]', live)}]"
            if item.name == "Path":
                yield "Link[str]"

    def _literals(self, port: InputSpec, members: Sequence[TypeExpr]) -> list[str]:
        schema = port.json_schema
        if schema is None:
            return []
        if "enum" in schema and not port.widget.startswith("file:"):
            return [self._choice(port.name, schema["enum"])]
        return [text for member in members if (text := _literal(member))]

    def _choice(self, port: str, choices: Sequence[Any]) -> str:
        text = f"Literal[{', '.join(map(repr, choices))}]"
        if not choices or any(isinstance(choice, float) for choice in choices):
            return "Any"  # Python's `Literal` knows no fractions
        if len(text) <= _LONGEST:
            return text
        if text not in self._choices:
            taken = [each for each in self._choices.values() if each.rstrip("_") == f"_{port}"]
            self._choices[text] = f"_{port}" + "_" * len(taken)
        return self._choices[text]

    def _type(self, expr: TypeExpr) -> str:
        """A port type as a link carries it."""
        if expr.kind == "list":
            return f"list[{self._type(expr.item)}]"
        if expr.kind == "union":
            return " | ".join(self._type(member) for member in expr.members)
        if expr.name in LITERALS or expr.name in (ANY, "bytes"):
            return LITERALS.get(expr.name, expr.name)
        if not is_name(expr.name) or expr.name not in self._types:
            return ANY
        return f"_{expr.name}" if expr.name in self._taken else expr.name


def class_name(spec: NodeSpec) -> str:
    """Of a node type's nodes."""
    return "_" + spec.type.replace(":", "_")


def is_name(text: str) -> bool:
    """Whether Python takes it as an attribute, and a handle as an output's name."""
    return text.isidentifier() and not keyword.iskeyword(text) and not text.startswith("_")


def write_stubs(folder: Path, texts: Mapping[str, str]) -> Path:
    """Write stubs so that tools which look into a folder find them; gives back their folder.

    Args:
        texts: By the name of a module of `nodegraph.python.builder`.
    """
    root = folder / _PACKAGE.name
    for package in _ABOVE:
        make_folder(root / package)
        source = (_PACKAGE / package / "__init__.py").read_bytes()
        write_file(root / package / "__init__.pyi", source)
    for module, text in texts.items():
        write_file(root / _ABOVE[-1] / f"{module}.pyi", text.encode())
    return root / _ABOVE[-1]


def _literal(expr: TypeExpr) -> str:
    if expr.is_list:
        item = _literal(expr.item)
        return f"list[{item}]" if item else ""
    if expr.name == "Path":
        return "str | FilePath"
    if expr.name == ANY:
        return ANY
    return LITERALS.get(expr.name, "") if expr.name in JSON_TYPES else ""


def _joined(*parts: str) -> str:
    return " | ".join(part for part in parts if part)


def _default(value: Any) -> str:
    is_plain = value is None or isinstance(value, (bool, int, float, str))
    text = repr(value)
    return text if is_plain and len(text) <= _LONGEST else "..."


def _doc(spec: NodeSpec) -> list[str]:
    lines = [(spec.help or spec.summary or spec.type), ""]
    lines += [f"{port.name}: {port.help}" for port in spec.inputs if port.help]
    text = "\n".join(lines).strip().replace("\\", "\\\\").replace('"""', "'''")
    shown = [f"        {line}".rstrip() for line in text.splitlines()]
    return ['        """' + shown[0].strip(), *shown[1:], '        """']


FUNCTIONS_HEAD = '''# Made by `nodegraph stubs` of what the node types declare: don't edit.
"""Node types as functions, for editors and type checkers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from torch import Tensor

from nodegraph.core.plots import Plot
from nodegraph.core.spatial_values import Mesh, Molecule, PointCloud, Voxels
from nodegraph.core.training_values import Dataset, Preprocessor, TrainedWeights
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
from nodegraph.media.images.pillow_conversion import Picture
'''
_VALUE_CLASSES: Mapping[str, str] = {
    **{name: name for name in ("Audio", "Conditioning", "ControlNet", "Dataset", "DiffusionModel")},
    **{name: name for name in ("ImageEncoder", "Latent", "Mesh", "Molecule", "Plot", "PointCloud")},
    **{name: name for name in ("Preprocessor", "TextEncoder", "TrainedWeights", "Vae", "Video")},
    "Voxels": "Voxels",
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
        """A type as a value of it is given, which may be an image of another library."""
        return "Picture" if expr.name in ("Image", "Mask") else self._type(expr)

    def _type(self, expr: TypeExpr) -> str:
        if expr.kind == "list":
            return f"list[{self._type(expr.item)}]"
        if expr.kind == "union":
            members = dict.fromkeys(self._type(member) for member in expr.members)
            return ANY if ANY in members else " | ".join(members)
        return _VALUE_CLASSES.get(expr.name, ANY)
