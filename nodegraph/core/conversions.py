"""The safe conversions that links make, by the names that `core.types` gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def _mask_to_image(mask: Any) -> Any:
    # A view: (batch, height, width) -> (batch, height, width, 3).
    return mask.unsqueeze(-1).expand(-1, -1, -1, 3)


CONVERT: Mapping[str, Callable[[Any], Any]] = {
    "int_to_float": float,
    "mask_to_image": _mask_to_image,
    "str_to_path": Path,
    "one_to_list": lambda value: [value],
}


def convert(value: Any, conversions: tuple[str, ...]) -> Any:
    """The value after each conversion in turn."""
    for name in conversions:
        value = _convert_one(value, name)
    return value


def _convert_one(value: Any, name: str) -> Any:
    if name.startswith("each:"):
        return [_convert_one(item, name.removeprefix("each:")) for item in value]
    return CONVERT[name](value)
