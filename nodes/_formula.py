"""Arithmetic expressions, evaluated without running any Python. Imports no torch.

An expression is parsed by Python's own grammar into a syntax tree. Every node type that is not
listed here is refused, so that an untrusted workflow can only compute numbers.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nodegraph import Finding, HookInputs, InvalidValue

from ._facts import error_to_finding

LETTERS = ("a", "b", "c", "d")
_LONGEST = 1000
"""Maximum number of characters in an expression."""
_BITS = 1024
"""Bits of the largest intermediate integer: the range of a float."""
_CONSTANTS = {"pi": math.pi, "tau": math.tau, "e": math.e, "true": True, "false": False}


def _bitwise(function: Callable[[int, int], int]) -> Callable[[float, float], int]:
    """A bitwise function for numbers. Decimal places are cut off."""
    return lambda left, right: function(int(left), int(right))


_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.BitAnd: _bitwise(operator.and_),
    ast.BitOr: _bitwise(operator.or_),
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Invert: lambda number: ~int(number),
}
_COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.GtE: operator.ge,
    ast.Gt: operator.gt,
}


def _rounded(value: float, digits: float = 0) -> float:
    return round(value, int(digits)) if digits else round(value)


def _clamp(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


_FUNCTIONS: Mapping[str, tuple[Callable[..., Any], int, int]] = {
    "abs": (abs, 1, 1),
    "min": (min, 2, 8),
    "max": (max, 2, 8),
    "clamp": (_clamp, 3, 3),
    "round": (_rounded, 1, 2),
    "int": (int, 1, 1),
    "float": (float, 1, 1),
    "pow": (math.pow, 2, 2),
    "floor": (math.floor, 1, 1),
    "ceil": (math.ceil, 1, 1),
    "sqrt": (math.sqrt, 1, 1),
    "exp": (math.exp, 1, 1),
    "log": (math.log, 1, 1),
    "log2": (math.log2, 1, 1),
    "log10": (math.log10, 1, 1),
    "sin": (math.sin, 1, 1),
    "cos": (math.cos, 1, 1),
    "tan": (math.tan, 1, 1),
}
"""By name, with the minimum and maximum number of arguments."""
_KNOWN = ", ".join([*LETTERS, *_CONSTANTS, *(f"{name}()" for name in _FUNCTIONS)])


def check_formula(inputs: HookInputs) -> Iterator[Finding]:
    """Find expressions that cannot be evaluated for any numbers."""
    expression = inputs.literals.get("expression")
    if isinstance(expression, str):
        try:
            for part in ast.walk(_parse(expression)):
                _check(part)
        except InvalidValue as error:
            yield error_to_finding("expression", error)


def evaluate_formula(expression: str, numbers: Mapping[str, float]) -> float:
    """The value of an expression.

    Args:
        numbers: Values of its letters.
    Raises:
        InvalidValue: The expression is not valid, or has no finite value.
    """
    tree = _parse(expression)
    for part in ast.walk(tree):
        _check(part)
    try:
        value: float = _evaluate(tree.body, numbers)
        if not math.isfinite(value):
            raise OverflowError("the result is too large")
    except ZeroDivisionError:
        raise _fault("the expression divides by zero", expression) from None
    except (ValueError, OverflowError) as error:
        raise _fault(
            f"the expression has no value for these numbers: {error}", expression
        ) from None
    except RecursionError:
        raise _fault("the expression is nested too deeply", expression) from None
    return value


def _fault(message: str, source: str) -> InvalidValue:
    return InvalidValue(message, port="expression", given=source[:80])


def _parse(expression: str) -> ast.Expression:
    if len(expression) > _LONGEST:
        raise _fault(f"the expression is longer than {_LONGEST} characters", expression)
    try:
        # A line break does not end an expression, as it does not on paper.
        return ast.parse(" ".join(expression.split()).replace("^", "**"), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InvalidValue(
            "the expression is not valid",
            port="expression",
            given=expression[:80],
            expected="for example (a + b) / 2",
        ) from None


_ALWAYS: tuple[type[ast.AST], ...] = (
    *(ast.Expression, ast.Load, ast.BinOp, ast.UnaryOp, ast.Compare),
    *(ast.BoolOp, ast.And, ast.Or, ast.IfExp, ast.Pow),
)


def _check(part: ast.AST) -> None:
    """Raise an error if a part of an expression is not supported."""
    is_known = isinstance(part, (*_ALWAYS, *_BINARY, *_UNARY, *_COMPARED))
    if isinstance(part, ast.Constant):
        is_known = isinstance(part.value, (int, float))
    elif isinstance(part, ast.Name):
        is_known = part.id in (*LETTERS, *_CONSTANTS, *_FUNCTIONS)
    elif isinstance(part, ast.Call):
        is_known = isinstance(part.func, ast.Name) and part.func.id in _FUNCTIONS
        is_known = is_known and not part.keywords
    if not is_known:
        source = _part_name(part)
        raise InvalidValue(
            f"the expression uses `{source}`, which is not supported",
            port="expression",
            expected=_KNOWN,
        )


def _part_name(part: ast.AST) -> str:
    """The name of a part as written in the expression, if it has one."""
    named = part.func if isinstance(part, ast.Call) else part
    if isinstance(named, ast.Name):
        return f"{named.id[:40]}()" if named is not part else named.id[:40]
    return type(part).__name__.lower()


def _evaluate(part: ast.expr, numbers: Mapping[str, float]) -> Any:
    """The value of a part that was checked."""
    if isinstance(part, ast.Constant):
        return part.value
    if isinstance(part, ast.Name):
        if part.id in _FUNCTIONS:
            raise _fault("the function has no arguments in parentheses", part.id)
        return numbers[part.id] if part.id in LETTERS else _CONSTANTS[part.id]
    if isinstance(part, ast.UnaryOp):
        return _UNARY[type(part.op)](_evaluate(part.operand, numbers))
    if isinstance(part, ast.BinOp):
        left, right = _evaluate(part.left, numbers), _evaluate(part.right, numbers)
        if isinstance(part.op, ast.Pow):
            return _check_bounds(math.pow(left, right))
        return _check_bounds(_BINARY[type(part.op)](left, right))
    if isinstance(part, ast.IfExp):
        return _evaluate(part.body if _evaluate(part.test, numbers) else part.orelse, numbers)
    if isinstance(part, ast.BoolOp):
        values = (bool(_evaluate(value, numbers)) for value in part.values)
        return all(values) if isinstance(part.op, ast.And) else any(values)
    if isinstance(part, ast.Compare):
        return _evaluate_comparison(part, numbers)
    assert isinstance(part, ast.Call)
    assert isinstance(part.func, ast.Name)
    return _call_function(part.func.id, [_evaluate(each, numbers) for each in part.args])


def _evaluate_comparison(part: ast.Compare, numbers: Mapping[str, float]) -> bool:
    left = _evaluate(part.left, numbers)
    for sign, other in zip(part.ops, part.comparators, strict=True):
        right = _evaluate(other, numbers)
        if not _COMPARED[type(sign)](left, right):
            return False
        left = right
    return True


def _call_function(name: str, arguments: list[Any]) -> Any:
    function, least, most = _FUNCTIONS[name]
    if not least <= len(arguments) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise InvalidValue(
            f"`{name}` takes {wanted} numbers", port="expression", given=str(len(arguments))
        )
    return function(*arguments)


def _check_bounds(value: Any) -> Any:
    """Check that a value is small enough for further steps."""
    if isinstance(value, int) and value.bit_length() > _BITS:
        raise OverflowError("the numbers are too large")
    return value
