"""Sizes, ages and lists as people write them: ``2GB``, ``30d``, ``a,b``."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from nodegraph.errors import InvalidValue

_WRITTEN = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([a-z]*)", re.IGNORECASE)
_BYTES = {
    "": 1,
    "b": 1,
    **{unit: 1000**power for power, unit in enumerate(("kb", "mb", "gb", "tb"), 1)},
    **{unit: 1000**power for power, unit in enumerate("kmgt", 1)},
    **{unit: 1024**power for power, unit in enumerate(("kib", "mib", "gib", "tib"), 1)},
}
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_size(text: str, option: str) -> int:
    """Bytes of a size such as ``500MB``, ``1.5 GiB`` or ``0``.

    Args:
        option: Named in the error.
    Raises:
        InvalidValue: It is none.
    """
    size = _parsed(text, _BYTES)
    if size is None:
        raise InvalidValue(
            f"{option} is no size", given=text, expected="a size such as 500MB, 2GB or 1.5GiB"
        )
    return int(size)


def parse_age(text: str, option: str) -> float:
    """Seconds of an age such as ``30d``, ``12h`` or ``2w``; its unit can't be left out.

    Args:
        option: Named in the error.
    Raises:
        InvalidValue: It is none.
    """
    seconds = _parsed(text, _SECONDS)
    if seconds is None:
        raise InvalidValue(
            f"{option} is no age", given=text, expected="an age such as 90m, 12h, 30d or 2w"
        )
    return seconds


def split_names(value: Any) -> Any:
    """Names of a text parted by commas, or of a JSON list; what is no text stays as it is."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def _parsed(text: str, units: dict[str, int]) -> float | None:
    written = _WRITTEN.fullmatch(text.strip())
    if written is None:
        return None
    unit = units.get(written[2].casefold())
    amount = math.inf if unit is None else float(written[1]) * unit
    return amount if math.isfinite(amount) else None
