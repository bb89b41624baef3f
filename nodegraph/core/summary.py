"""Values in a few words, for errors, logs and listings; and their size in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from nodegraph.core.digests import is_tensor

_LONGEST = 60
_SMALL = 64


def summarize(value: Any) -> str:
    """A value in a few words: ``float32 [1, 64, 64, 3]``, ``"a red apple"``, ``list of 4``."""
    if is_tensor(value):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    if isinstance(value, (list, tuple)):
        inner = f" ({summarize(value[0])}, …)" if value else ""
        return f"{type(value).__name__} of {len(value)}{inner}"
    if is_dataclass(value) and not isinstance(value, type):
        parts = [
            f"{item.name}={summarize(getattr(value, item.name))}"
            for item in fields(value)
            if getattr(value, item.name) is not None
        ]
        return _shortened(f"{type(value).__name__}({', '.join(parts)})", 3 * _LONGEST)
    return _shortened(repr(value), _LONGEST)


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def size_in_bytes(value: Any) -> int:
    """About how much memory a value takes; tensors exactly."""
    if is_tensor(value):
        return int(value.numel() * value.element_size())
    if isinstance(value, (str, bytes)):
        return _SMALL + len(value)
    if isinstance(value, Mapping):
        return _SMALL + sum(size_in_bytes(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return _SMALL + sum(size_in_bytes(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return _SMALL + sum(size_in_bytes(getattr(value, item.name)) for item in fields(value))
    return _SMALL
