"""What an annotation allows, read from its text: ``list[PIL.Image.Image] | None`` and aliases."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from nodegraph.interop.pipelines.reading.modules import ClassSource, SourceModule, SourcePackage

_SAME: dict[str, str] = {
    # One name for what is the same to whoever gives a value: tensors differ by dtype only.
    **dict.fromkeys(
        ("FloatTensor", "LongTensor", "BoolTensor", "IntTensor", "HalfTensor", "DoubleTensor"),
        "Tensor",
    ),
    "NDArray": "ndarray",
    "Text": "str",
    "Mapping": "dict",
    "MutableMapping": "dict",
    "Dict": "dict",
    "OrderedDict": "dict",
    "NoneType": "None",
    "object": "Any",
}
_LISTS = frozenset(
    {"list", "List", "tuple", "Tuple", "set", "Set",
     "Sequence", "Iterable", "Collection", "MutableSequence"}
)  # fmt: skip
_UNIONS = frozenset({"Union", "Optional"})
_DEEPEST = 24


@dataclass(slots=True)
class SourceAnnotation:
    """An annotation, taken apart.

    Attributes:
        text: As it stands in the source.
        members: What it allows, each with the number of lists around it: ``list[X] | None`` is
            {("X", 1), ("None", 0)}.
        choices: Values of its ``Literal``, or of the members of an ``Enum``.
        classes: Classes of the package among its members, by their name.
        outer: Which kinds of list stand outermost: ``list``, ``tuple``.
    """

    text: str = ""
    members: set[tuple[str, int]] = field(default_factory=set)
    choices: tuple[str, ...] = ()
    classes: dict[str, ClassSource] = field(default_factory=dict)
    outer: set[str] = field(default_factory=set)

    @property
    def kinds(self) -> set[str]:
        """What it allows, lists or not; without None."""
        return {name for name, _ in self.members if name != "None"}

    @property
    def single(self) -> set[str]:
        """What it allows by itself, not in a list."""
        return {name for name, depth in self.members if not depth and name != "None"}

    @property
    def deepest(self) -> int:
        return max((depth for name, depth in self.members if name != "None"), default=0)

    @property
    def forms(self) -> tuple[str, ...]:
        """Its members as text, sorted: ``PIL``, ``list[PIL]``, ``Tensor``."""
        return tuple(
            sorted(
                "list[" * depth + name + "]" * depth
                for name, depth in self.members
                if name != "None"
            )
        )


def read_annotation(
    package: SourcePackage, module: SourceModule, node: ast.expr | None, follow: bool = True
) -> SourceAnnotation:
    """An annotation in the names of the module that it stands in; empty where there is none.

    Args:
        follow: Look up names that are imported; else they stay as they are, and no other module
            need be read.
    """
    annotation = SourceAnnotation(text="" if node is None else ast.unparse(node))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        annotation.text = node.value
    if node is not None:
        reader = _Reader(package, annotation, follow)
        reader.read(node, module, 0, _DEEPEST)
    return annotation


class _Reader:
    def __init__(self, package: SourcePackage, annotation: SourceAnnotation, follow: bool) -> None:
        self.package = package
        self.found = annotation
        self.follow = follow

    def read(self, node: ast.expr, module: SourceModule, depth: int, left: int) -> None:
        if left <= 0:
            return
        match node:
            case ast.Constant(value=str(text)):
                self._quoted(text, module, depth, left)
            case ast.Constant(value=None):
                self.found.members.add(("None", 0))
            case ast.Constant():
                pass  # the ... of tuple[int, ...]
            case ast.BinOp(op=ast.BitOr()):
                self.read(node.left, module, depth, left - 1)
                self.read(node.right, module, depth, left - 1)
            case ast.Subscript():
                self._subscript(node, module, depth, left)
            case ast.Tuple():
                for item in node.elts:
                    self.read(item, module, depth, left - 1)
            case ast.Name():
                self._name(node.id, module, depth, left)
            case ast.Attribute():
                self._add(_dotted(ast.unparse(node)), depth)
            case _:
                self._add("Any", depth)

    def _quoted(self, text: str, module: SourceModule, depth: int, left: int) -> None:
        try:
            node = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            self._add("Any", depth)
            return
        self.read(node, module, depth, left - 1)

    def _subscript(self, node: ast.Subscript, module: SourceModule, depth: int, left: int) -> None:
        head = ast.unparse(node.value).rpartition(".")[2]
        if head in _UNIONS:
            if head == "Optional":
                self.found.members.add(("None", 0))
            self.read(node.slice, module, depth, left - 1)
        elif head in _LISTS:
            if not depth:
                self.found.outer.add(head.lower())
            self.read(node.slice, module, depth + 1, left - 1)
        elif head == "Literal":
            values = [str(value) for value in _constants(node.slice) if value is not None]
            self.found.choices = (*self.found.choices, *values)
            self._add("Literal", depth)
        elif head in ("Annotated", "Required", "NotRequired", "Final", "ClassVar"):
            first = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
            self.read(first, module, depth, left - 1)
        else:
            self._name(head, module, depth, left)

    def _name(self, name: str, module: SourceModule, depth: int, left: int) -> None:
        if name in _LISTS:
            if not depth:
                self.found.outer.add(name.lower())
            self._add("Any", depth + 1)
            return
        if name == "Image" and module.imports.get(name, ("",))[0].startswith("PIL"):
            self._add("PIL", depth)
            return
        if name in _SAME or module.imports.get(name, ("", ""))[0] == "typing":
            self._add(_SAME.get(name, name), depth)
            return
        known = self.follow or name in module.definitions
        definition = self.package.find(module, name) if known else None
        if definition is None or isinstance(definition[1], ast.FunctionDef | ast.AsyncFunctionDef):
            self._add(_SAME.get(name, name), depth)
        elif isinstance(definition[1], ast.ClassDef):
            self._class(ClassSource(definition[0], definition[1]), depth)
        elif isinstance(definition[1], ast.expr):
            self.read(definition[1], definition[0], depth, left - 1)  # an alias

    def _class(self, source: ClassSource, depth: int) -> None:
        self._add(source.name, depth)
        self.found.classes[source.name] = source
        bases = {ast.unparse(base).rpartition(".")[2] for base in source.node.bases}
        if bases & {"Enum", "StrEnum", "IntEnum"}:
            values = [
                str(item.value.value)
                for item in source.node.body
                if isinstance(item, ast.Assign) and isinstance(item.value, ast.Constant)
            ]
            self.found.choices = (*self.found.choices, *values)

    def _add(self, name: str, depth: int) -> None:
        self.found.members.add((_SAME.get(name, name), depth))


def _dotted(text: str) -> str:
    """The name of a member that is written with its module."""
    if text in ("PIL.Image.Image", "PIL.Image", "Image.Image", "PIL.ImageFile.ImageFile"):
        return "PIL"
    return text.rpartition(".")[2]


def _constants(node: ast.expr) -> Iterator[object]:
    for item in node.elts if isinstance(node, ast.Tuple) else [node]:
        if isinstance(item, ast.Constant):
            yield item.value
