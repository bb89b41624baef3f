"""Defaults out of syntax trees, as plain values."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from nodegraph.interop.pipelines.reading.modules import SourceModule, SourcePackage

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
