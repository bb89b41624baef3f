"""Numbers: constants, arithmetic, formulas, seeds, and conditions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Annotated, Any, Literal, NamedTuple

from nodegraph import Advanced, InvalidValue, Multiline, Seed, node

from ._formula import check_formula, evaluate_formula

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


@node(category="number", tags=("if", "condition", "equal", "less", "greater", "compare numbers"))
def Compare(
    a: float, comparison: Literal["<", "<=", "==", "!=", ">=", ">"] = "<", b: float = 0.0
) -> bool:
    """Compare two numbers: less than, equal to, greater than.

    Args:
        a: Left operand.
        comparison: The comparison.
        b: Right operand.
    """
    return _COMPARE[comparison](a, b)


@node(category="number", tags=("math", "add", "subtract", "multiply", "divide"))
def Calculate(
    a: float, operation: Literal["+", "-", "*", "/", "%", "min", "max"] = "+", b: float = 0.0
) -> float:
    """Calculate with two numbers: add, subtract, multiply and so on.

    Args:
        a: Left operand.
        operation: The operation. % is the remainder, min and max return the smaller and the larger
            number.
        b: Right operand.
    """
    try:
        value = float(_CALCULATE[operation](a, b))
    except ZeroDivisionError:
        raise InvalidValue("the divisor is 0", port="b", given=f"{b:g}") from None
    if isfinite(a) and isfinite(b) and not isfinite(value):
        expression = f"{a:g} {operation} {b:g}"
        raise InvalidValue("the result is too large", port="operation", given=expression)
    return value


@node(category="number", tags=("integer", "whole"))
def Round(number: float) -> int:
    """Round a number to the nearest whole number. Halves round to the even number.

    Args:
        number: The number to round.
    """
    return _rounded(number, "number")


def _rounded(number: float, port: str) -> int:
    try:
        return round(number)
    except (OverflowError, ValueError):
        raise InvalidValue(
            "the number has no nearest whole number", port=port, given=str(number)
        ) from None


_LOGIC: Mapping[str, Callable[[bool, bool], bool]] = {
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "xor": operator.ne,
    "not": lambda a, _b: not a,
}
_SEEDS = 2**64


@node(
    id="Integer",
    category="number",
    tags=("constant", "int", "primitive", "value", "PrimitiveNode", "INT constant"),
)
def WholeNumber(value: int = 0) -> int:
    """A whole number that can be linked to several inputs.

    Args:
        value: The number.
    """
    return value


@node(
    id="Number",
    category="number",
    tags=("constant", "float", "primitive", "value", "PrimitiveNode", "FLOAT constant"),
)
def DecimalNumber(value: float = 0.0) -> float:
    """A number that can be linked to several inputs.

    Args:
        value: The number.
    """
    return value


@node(id="Boolean", category="number", tags=("constant", "bool", "toggle", "yes", "no"))
def TruthValue(value: bool = True) -> bool:
    """True or false, for links to several inputs.

    Args:
        value: True or false.
    """
    return value


Whole = Literal["nearest", "cut off"]
"""How a decimal number becomes a whole number."""


def _whole(number: float, which: Whole, port: str) -> int:
    is_cut = which == "cut off" and isfinite(number)
    return int(number) if is_cut else _rounded(number, port)


class FormulaResult(NamedTuple):
    number: float
    integer: int
    truth: bool


@node(
    category="number",
    validate=check_formula,
    tags=(
        "math",
        "expression",
        "calculator",
        "evaluate",
        "simple math",
        "clamp",
        "minimum",
        "maximum",
        "SimpleMath",
    ),
)
def Formula(
    expression: Annotated[str, Multiline()] = "a + b",
    # Whole numbers stay whole: a float cannot represent all seeds.
    a: float | int = 0.0,
    b: float | int = 0.0,
    c: float | int = 0.0,
    d: float | int = 0.0,
    whole: Annotated[Whole, Advanced()] = "nearest",
) -> FormulaResult:
    """Evaluate a formula, for example (a + b) / 2 or min(a, 4) if b > 1 else c.

    + - * / // (whole) % (remainder) ** (power); < <= == != >= > and or not; x if test else y; abs
    min max clamp round floor ceil int float sqrt pow exp log log2 log10 sin cos tan; pi tau e true
    false; & | ~ of the bits of whole numbers.

    It returns the number, the number as a whole number, and whether it is not 0.

    Args:
        expression: The formula.
        a, b, c, d: Values of the variables.
        whole: How to make the whole number: round to the nearest one, or cut off the decimals.
    """
    value = evaluate_formula(expression, {"a": a, "b": b, "c": c, "d": d})
    return FormulaResult(float(value), _whole(value, whole, "expression"), bool(value))


@node(category="number", tags=("boolean", "condition", "both", "either", "invert"))
def Logic(a: bool, operation: Literal["and", "or", "xor", "not"] = "and", b: bool = False) -> bool:
    """Combine two truth values: and, or, exclusive or (xor), or negate the first (not).

    Args:
        a: First value.
        operation: The operation. not uses only the first value.
        b: Second value.
    """
    return _LOGIC[operation](a, b)


@node(
    id="Seed",
    category="number",
    tags=(
        "random",
        "constant",
        "noise",
        "increment",
        "offset",
        "seed everywhere",
        "global seed",
        "rgthree",
    ),
)
def SharedSeed(seed: Annotated[int, Seed()] = 0, offset: int = 0) -> int:
    """A seed for several nodes.

    Args:
        seed: The seed.
        offset: Number that is added to the seed, to get different seeds.
    """
    return (seed + offset) % _SEEDS


@node(category="number", tags=("hash", "random", "noise", "name"))
def SeedFromText(text: str, number: int = 0) -> int:
    """Make a seed from text. The same text always gives the same seed.

    Args:
        text: Any text, for example a name.
        number: Each number gives a different seed.
    """
    from hashlib import blake2b

    data = f"{number} {text}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "big")


class DrawnNumber(NamedTuple):
    number: float
    integer: int


@node(category="number", tags=("random", "dice", "chance", "range"))
def RandomNumber(
    seed: Annotated[int, Seed()] = 0, low: float = 0.0, high: float = 1.0
) -> DrawnNumber:
    """Draw a random number between two limits. The same seed gives the same number.

    Args:
        seed: Seed of the draw.
        low, high: Limits. The whole number is between low and high, both included, with equal
            probability.
    """
    from math import ceil, floor
    from random import Random

    if low > high:
        raise InvalidValue(
            "low is above high", port="low", given=f"{low:g}", expected=f"<= {high:g}"
        )
    if isfinite(low) and isfinite(high) and not isfinite(high - low):
        raise InvalidValue(
            "low and high are too far apart", port="high", given=f"{low:g} to {high:g}"
        )
    chance = Random(seed)  # noqa: S311 - must be reproducible, not secret
    number = chance.uniform(low, high)
    first, last = ceil(low), floor(high)
    return DrawnNumber(number, chance.randint(first, last) if first <= last else round(number))


@node(category="number", tags=("convert", "cast", "parse", "int", "string"))
def ToInteger(
    value: str | int | float | bool, whole: Annotated[Whole, Advanced()] = "nearest"
) -> int:
    """Convert a value to a whole number. Text is parsed, true becomes 1, decimals are rounded.

    Args:
        value: A number, a text that is a number, or true or false.
        whole: Round to the nearest whole number, or cut off the decimals.
    """
    number = _number(value)
    return number if isinstance(number, int) else _whole(number, whole, "value")


@node(category="number", tags=("convert", "cast", "parse", "float", "string"))
def ToNumber(value: str | int | float | bool) -> float:
    """Convert a value to a number. Text is parsed, true becomes 1.

    Args:
        value: A number, a text that is a number, or true or false.
    """
    number = _number(value)
    try:
        return float(number)
    except OverflowError:
        raise InvalidValue(
            "the value is too large for a decimal number",
            port="value",
            given=f"{str(value)[:20]}…",
            expected="less than 1.8e308",
            hint="Use ToInteger for whole numbers of any size.",
        ) from None


def _number(value: Any) -> int | float:
    try:
        if isinstance(value, str):
            text = value.strip().replace("_", "x")  # Python reads 1_000 as a number
            number = int(text) if text.lstrip("+-").isdecimal() else float(text)
            if number == number:  # NaN is not equal to itself
                return number
        if isinstance(value, (bool, int, float)):
            return value if isinstance(value, float) else int(value)
    except ValueError:
        pass
    raise InvalidValue(
        "the value is not a number",
        port="value",
        given=repr(value)[:60],
        expected="a number, for example 3, 0.5 or -1e-3",
    )
