"""Parse type annotations and default values of parameters."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nodegraph.interop.pipelines.reading.source_modules import (
    ClassSource,
    SourceModule,
    SourcePackage,
)

_OPERATIONS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}

_LARGEST = 10_000
"""Of what lists are repeated by and numbers raised to, so that no default fills the memory."""


class NoLiteral(Exception):
    """A default that only running the module would tell."""


def literal(package: SourcePackage, module: SourceModule, node: ast.expr, depth: int = 8) -> Any:
    """The value of a default: constants, names of constants, members of enums, plain arithmetic.

    Tuples become lists, as a workflow has no other.

    Raises:
        NoLiteral: It is none of these, or nothing that JSON can hold.
    """
    if depth <= 0:
        raise NoLiteral
    match node:
        case ast.Constant(value=value):
            return _held(value)
        case ast.List() | ast.Tuple():
            return [literal(package, module, item, depth - 1) for item in node.elts]
        case ast.Dict():
            return _dictionary(package, module, node, depth)
        case ast.UnaryOp(op=ast.USub()):
            return _held(_number(literal(package, module, node.operand, depth - 1)) * -1)
        case ast.BinOp():
            left = literal(package, module, node.left, depth - 1)
            return _joined(node.op, left, literal(package, module, node.right, depth - 1))
        case ast.Subscript(slice=ast.Slice() as part):
            whole = literal(package, module, node.value, depth - 1)
            return _cut(whole, [part.lower, part.upper, part.step])
        case ast.Name(id=name):
            definition = package.find(module, name)
            if definition is not None and isinstance(definition[1], ast.expr):
                return literal(package, definition[0], definition[1], depth - 1)
        case ast.Attribute(value=ast.Name(id=owner), attr=member):
            source = package.find_class(module, owner)
            member_value = source.attribute(member) if source else None
            if source and member_value is not None:
                return literal(package, source.module, member_value, depth - 1)
    raise NoLiteral


def _dictionary(
    package: SourcePackage, module: SourceModule, node: ast.Dict, depth: int
) -> dict[str, Any]:
    dictionary: dict[str, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
            raise NoLiteral
        dictionary[key.value] = literal(package, module, value, depth - 1)
    return dictionary


def _joined(how: ast.operator, left: Any, right: Any) -> Any:
    """Arithmetic of numbers; lists joined or repeated."""
    operation = _OPERATIONS.get(type(how))
    if isinstance(left, list):
        joins = isinstance(how, ast.Add) and isinstance(right, list)
        repeats = isinstance(how, ast.Mult) and isinstance(right, int) and right <= _LARGEST
        if operation and (joins or repeats):
            return operation(left, right)
        raise NoLiteral
    if operation is None or (isinstance(how, ast.Pow) and abs(_number(right)) > 64):
        raise NoLiteral
    try:
        return _held(operation(_number(left), _number(right)))
    except ArithmeticError as error:
        raise NoLiteral from error


def _cut(whole: Any, ends: list[ast.expr | None]) -> Any:
    """A part of a list between constant places."""
    places: list[int | None] = []
    for end in ends:
        try:
            places.append(None if end is None else ast.literal_eval(end))
        except ValueError as error:
            raise NoLiteral from error
    if not isinstance(whole, list) or not all(isinstance(p, int | None) for p in places):
        raise NoLiteral
    return whole[slice(*places)]


def _held(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise NoLiteral


def _number(value: Any) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise NoLiteral


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
