"""Numbers: constants, sums and expressions, seeds, and what a loop or a switch decides by."""

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
        value = float(_CALCULATE[operation](a, b))
    except ZeroDivisionError:
        raise InvalidValue("can't divide by zero", port="b", given=f"{b:g}") from None
    if isfinite(a) and isfinite(b) and not isfinite(value):
        expression = f"{a:g} {operation} {b:g}"
        raise InvalidValue("the result gets too large", port="operation", given=expression)
    return value


@node(category="number", tags=("integer", "whole"))
def Round(number: float) -> int:
    """The whole number nearest to a number; of two as near, the even one.

    Args:
        number: What to round.
    """
    return _rounded(number, "number")


def _rounded(number: float, port: str) -> int:
    try:
        return round(number)
    except (OverflowError, ValueError):
        raise InvalidValue("has no nearest whole number", port=port, given=str(number)) from None


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
    """A whole number, for several inputs at once.

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
    """A number, for several inputs at once.

    Args:
        value: The number.
    """
    return value


@node(id="Boolean", category="number", tags=("constant", "bool", "toggle", "yes", "no"))
def TruthValue(value: bool = True) -> bool:
    """True or false, for several inputs at once.

    Args:
        value: Which of them.
    """
    return value


Whole = Literal["nearest", "cut off"]
"""Which whole number stands for one with parts after the point."""


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
    # Whole numbers stay whole: seeds are larger than those that a float tells apart.
    a: float | int = 0.0,
    b: float | int = 0.0,
    c: float | int = 0.0,
    d: float | int = 0.0,
    whole: Annotated[Whole, Advanced()] = "nearest",
) -> FormulaResult:
    """Work out an expression of numbers, such as (a + b) / 2 or min(a, 4) if b > 1 else c.

    + - * / // (whole) % (remainder) ** (power); < <= == != >= > and or not; x if test else y;
    abs min max clamp round floor ceil int float sqrt pow exp log log2 log10 sin cos tan; pi tau e
    true false; & | ~ of the bits of whole numbers.
    Gives the number, the whole number nearest to it, and whether it is other than 0.

    Args:
        expression: What to work out.
        a, b, c, d: What the letters stand for.
        whole: Which whole number is given: the nearest one, or what stands before the point.
    """
    value = evaluate_formula(expression, {"a": a, "b": b, "c": c, "d": d})
    return FormulaResult(float(value), _whole(value, whole, "expression"), bool(value))


@node(category="number", tags=("boolean", "condition", "both", "either", "invert"))
def Logic(a: bool, operation: Literal["and", "or", "xor", "not"] = "and", b: bool = False) -> bool:
    """Put two truths together: and, or, either (xor); or turn the first round (not).

    Args:
        a: The first.
        operation: How they are put together; not looks at the first alone.
        b: The second.
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
    """A seed for several nodes at once.

    Args:
        seed: The seed.
        offset: Added to it, so that several follow each other.
    """
    return (seed + offset) % _SEEDS


@node(category="number", tags=("hash", "random", "noise", "name"))
def SeedFromText(text: str, number: int = 0) -> int:
    """A seed made of a text: it looks random, and is the same for the same text.

    Args:
        text: Such as a name.
        number: Another seed for each number.
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
    """A number between two others that looks random, and is the same for the same seed.

    Args:
        seed: Another number for each.
        low, high: The bounds. The whole number is one of those from low to high, both of them
            included, each as likely.
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
    chance = Random(seed)  # noqa: S311 - to be drawn again, not to be guessed by nobody
    number = chance.uniform(low, high)
    first, last = ceil(low), floor(high)
    return DrawnNumber(number, chance.randint(first, last) if first <= last else round(number))


@node(category="number", tags=("convert", "cast", "parse", "int", "string"))
def ToInteger(
    value: str | int | float | bool, whole: Annotated[Whole, Advanced()] = "nearest"
) -> int:
    """Any value as a whole number: of a text the number in it, of true 1, rounded.

    Args:
        value: A number, a text that is one, or true or false.
        whole: The nearest whole number, or what stands before the point.
    """
    number = _number(value)
    return number if isinstance(number, int) else _whole(number, whole, "value")


@node(category="number", tags=("convert", "cast", "parse", "float", "string"))
def ToNumber(value: str | int | float | bool) -> float:
    """Any value as a number: of a text the number in it, of true 1.

    Args:
        value: A number, a text that is one, or true or false.
    """
    number = _number(value)
    try:
        return float(number)
    except OverflowError:
        raise InvalidValue(
            "is too large for a number with a point",
            port="value",
            given=f"{str(value)[:20]}…",
            expected="less than 1.8e308",
            hint="ToInteger takes whole numbers of any size.",
        ) from None


def _number(value: Any) -> int | float:
    try:
        if isinstance(value, str):
            text = value.strip().replace("_", "x")  # Python reads 1_000 as a number
            number = int(text) if text.lstrip("+-").isdecimal() else float(text)
            if number == number:  # NaN isn't itself
                return number
        if isinstance(value, (bool, int, float)):
            return value if isinstance(value, float) else int(value)
    except ValueError:
        pass
    raise InvalidValue(
        "is no number", port="value", given=repr(value)[:60], expected="such as 3, 0.5 or -1e-3"
    )
