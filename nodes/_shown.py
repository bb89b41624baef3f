"""Values formatted as text for users. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from math import isfinite
from struct import pack, unpack
from typing import Any

from nodegraph import Dataset, InvalidValue
from nodegraph.media.datasets.summary import describe_dataset

_LARGEST = 1e30
"""Well within float32."""
_MOST_LINES = 1000
_LONGEST = 100_000
"""Characters of a text."""
_DEEPEST = 50
"""Levels of nesting: users do not read more, and Python stops at a thousand."""


def format_value(value: Any) -> str:
    """Format a value in one or more lines for users.

    Texts and numbers are shown as they are, tensors as statistics. Long values are cut with an
    ellipsis.
    """
    lines: list[str] = []
    for line in _lines(value):
        if len(lines) == _MOST_LINES:
            lines.append("…")
            break
        lines.append(line)
    text = "\n".join(lines)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def format_whole_value(value: Any) -> str:
    """As `format_value` for use by other nodes: never cut.

    Raises:
        InvalidValue: The value is nested too deeply.
    """
    return "\n".join(_lines(value, is_whole=True))


def _lines(value: Any, depth: int = 0, *, is_whole: bool = False) -> Iterator[str]:
    if isinstance(value, Dataset):
        yield from describe_dataset(value)
    elif depth == _DEEPEST and (isinstance(value, (list, tuple, Mapping)) or is_dataclass(value)):
        if is_whole:
            raise InvalidValue("the value is nested too deeply", expected=f"{_DEEPEST} levels")
        yield "…"
    elif isinstance(value, (list, tuple)):
        if not value:
            yield "empty list"
        for at, item in enumerate(value):
            for inner, line in enumerate(_lines(item, depth + 1, is_whole=is_whole)):
                yield f"{f'{at}:' if inner == 0 else '  '} {line}"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield f"{key}: {' '.join(_lines(item, depth + 1, is_whole=is_whole))}"
    elif is_dataclass(value) and not isinstance(value, type):
        yield type(value).__name__
        for part in fields(value):
            member = getattr(value, part.name)
            if member is not None and part.repr:
                yield f"  {part.name}: {'; '.join(_lines(member, depth + 1, is_whole=is_whole))}"
    else:
        yield _single(value)


def _single(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, (str, int, Fraction)) or value is None:
        return str(value)
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return _tensor(value)
    return repr(value)[:1000]


def _decimal(value: float) -> str:
    """Format a number with the digits of float32, because most numbers come from such tensors."""
    if not isfinite(value) or abs(value) > _LARGEST:
        return repr(value)
    digits = 7 if unpack("f", pack("f", value))[0] == value else 12
    text = f"{value:.{digits}g}"
    return text if set(text) & set(".e") else f"{text}.0"


def _tensor(value: Any) -> str:
    """Shape, dtype and statistics of a tensor or an array."""
    size = " x ".join(map(str, value.shape)) or "one number"
    kind = str(value.dtype).removeprefix("torch.")
    numbers = value.reshape(-1)
    if not len(numbers):
        return f"{size} {kind}"
    if hasattr(value, "is_floating_point") and value.is_floating_point():
        numbers = numbers.float()
        low, high, mean = (float(of()) for of in (numbers.min, numbers.max, numbers.mean))
        spread = float(numbers.std(correction=0))
        return f"{size} {kind}, {low:.4g} to {high:.4g}, mean {mean:.4g}, deviation {spread:.4g}"
    return f"{size} {kind}, {numbers.min().item()} to {numbers.max().item()}"
