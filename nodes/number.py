"""Numbers: what a loop or a switch decides by."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Literal

from nodegraph import InvalidValue, node

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
_CALCULATE: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "min": min,
    "max": max,
}


@node(category="number", tags=("if", "condition", "equal", "less", "greater"))
def Compare(
    a: float, comparison: Literal["<", "<=", "==", "!=", ">=", ">"] = "<", b: float = 0.0
) -> bool:
    """Whether one number is less than, equal to or greater than another.

    Args:
        a: What stands left of the sign.
        comparison: The sign.
        b: What stands right of it.
    """
    return _COMPARE[comparison](a, b)


@node(category="number", tags=("math", "add", "subtract", "multiply", "divide"))
def Calculate(
    a: float, operation: Literal["+", "-", "*", "/", "%", "min", "max"] = "+", b: float = 0.0
) -> float:
    """A sum, a product and so on of two numbers.

    Args:
        a: What stands left of the sign.
        operation: The sign; % is the remainder, min and max the smaller and the greater.
        b: What stands right of it.
    """
    try:
        return float(_CALCULATE[operation](a, b))
    except ZeroDivisionError:
        raise InvalidValue("can't divide by zero", port="b", given=f"{b:g}") from None


@node(category="number", tags=("integer", "whole"))
def Round(number: float) -> int:
    """The whole number nearest to a number; of two as near, the even one.

    Args:
        number: What to round.
    """
    try:
        return round(number)
    except (OverflowError, ValueError):
        raise InvalidValue(
            "has no nearest whole number", port="number", given=str(number)
        ) from None
