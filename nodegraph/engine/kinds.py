"""Whether a value's class is still the one that its name stands for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from nodegraph.engine.memory_cache import CallOutputs, Entry
from nodegraph.engine.product import leaves

_MOST = 1000
"""Parts of a value that are looked at; what has more is taken to hold a stranger."""


def holds_strangers(entry: Entry) -> bool:
    """Whether a result holds anything of a class whose module was imported anew, or is gone."""
    if not isinstance(entry, CallOutputs):
        return False
    return any(
        product.is_loaded and _holds_strangers(product.value) for product in leaves(entry.products)
    )


def _holds_strangers(value: Any) -> bool:
    waiting, seen = [value], 0
    while waiting:
        part = waiting.pop()
        seen += 1
        if seen > _MOST or _is_stranger(type(part)):
            return True
        waiting.extend(_parts(part))
    return False


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple, set, frozenset)):
        yield from value
    elif isinstance(value, Mapping):
        yield from value.keys()
        yield from value.values()
    elif is_dataclass(value) and not isinstance(value, type):
        yield from (getattr(value, item.name, None) for item in fields(value))


def _is_stranger(kind: type) -> bool:
    if "<locals>" in kind.__qualname__:
        return False
    found: Any = sys.modules.get(kind.__module__)
    if found is None:
        return True
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    # Some classes tell of another place than their own: those were never imported anew.
    return isinstance(found, type) and found is not kind
