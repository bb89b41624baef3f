"""Values in a few words, for errors, logs and listings; and their size in memory."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from itertools import islice
from typing import Any

from nodegraph.core.digests import LEAVES, is_tensor
from nodegraph.core.ports import Blocked, Subgraph

_LONGEST = 60
_SMALL = 64


def summarize(value: Any) -> str:
    """A value in a few words: ``float32 [1, 64, 64, 3]``, ``"a red apple"``, ``list of 4``."""
    try:
        return _shortened(_summary(value), 3 * _LONGEST)
    except Exception:  # noqa: BLE001 - a pack's own __repr__ may raise anything
        return f"<{type(value).__name__}>"


def summarize_list(count: int, first: str, kind: str = "list") -> str:
    """A list in a few words.

    Args:
        count: How many items it has.
        first: The first of them in a few words.
    """
    return _shortened(f"{kind} of {count} ({first}, …)", 3 * _LONGEST)


def _summary(value: Any) -> str:
    if type(value) is Blocked:
        return f"blocked: {value.message}" if value.message else "blocked"
    if isinstance(value, Subgraph):
        return f"subgraph {value.name!r}"
    if is_tensor(value):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if isinstance(value, Fraction):
        return str(value)
    of = type(value)
    if (of.__module__, of.__name__) == ("numpy", "ndarray"):
        return f"{value.dtype} array {list(value.shape)}"
    if of.__module__.startswith("PIL.") and hasattr(value, "mode"):
        return f"PIL image {value.mode} {value.width} x {value.height}"
    if isinstance(value, (list, tuple)):
        kind = type(value).__name__
        return summarize_list(len(value), summarize(value[0]), kind) if value else f"{kind} of 0"
    if is_dataclass(value) and not isinstance(value, type):
        parts = [
            f"{item.name}={summarize(getattr(value, item.name))}"
            for item in fields(value)
            # What is no content may say where files lie on this machine.
            if item.metadata.get("content", True) and not _is_empty(getattr(value, item.name))
        ]
        return f"{type(value).__name__}({', '.join(parts)})"
    return _shortened(repr(_beginning(value)), _LONGEST)


def _beginning(value: Any) -> Any:
    """As much of a value as is shown: one may hold millions of others."""
    if type(value) in (str, bytes):
        return value[:_LONGEST]
    if type(value) in (dict, set, frozenset) and len(value) > _LONGEST:
        first = islice(value.items() if type(value) is dict else value, _LONGEST)
        return type(value)(first)
    return value


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def size_in_bytes(value: Any) -> int:
    """About how much memory a value takes; tensors and arrays exactly."""
    total, visited, left = 0, set[int](), [value]
    while left:  # one may hold others a thousand deep, such as a chain
        total += _own_size(left.pop(), visited, left)
    return total


def _own_size(value: Any, visited: set[int], left: list[Any]) -> int:
    """Of a value without those that it holds, which are added to `left`."""
    if type(value) in LEAVES:
        return _SMALL + (len(value) if isinstance(value, (str, bytes)) else sys.getsizeof(value))
    if id(value) in visited:
        return 0
    if is_tensor(value):
        return int(value.numel() * value.element_size())
    if isinstance(value, (str, bytes)):
        return _SMALL + len(value)
    if isinstance(value, Mapping):
        left.extend(value.values())
    elif isinstance(value, (list, tuple, set, frozenset)):
        left.extend(value)
    elif is_dataclass(value) and not isinstance(value, type):
        left.extend(getattr(value, item.name) for item in fields(value))
    else:
        return _plain_size(value)
    visited.add(id(value))
    return _SMALL


def _plain_size(value: Any) -> int:
    size = getattr(value, "nbytes", None)  # of arrays
    return _SMALL + (size if isinstance(size, int) else sys.getsizeof(value, _SMALL))


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, tuple) and not value)
