"""Reading JSON strictly, and writing it so that people can read and merge it."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from nodegraph.errors import InvalidFile, InvalidValue

WIDTH = 100
_DEEPEST = 12
_INDENT = "  "
_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_SURROGATE = re.compile("[\ud800-\udfff]")


class _NotStrict(ValueError):
    """JSON that Python reads, but that doesn't mean one thing everywhere."""


def read_json(text: str, *, name: str = "") -> Any:
    """The value of a JSON text.

    Args:
        name: Where it comes from, for messages.
    Raises:
        InvalidFile: It is no JSON, names a key of an object twice, or holds a number that is not
            finite.
    """
    where = f"{name}, " if name else ""
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        raise InvalidFile(
            f"{where}line {error.lineno}, column {error.colno}: this is no JSON: {error.msg}",
            hint=_json_hint(text, error),
        ) from error
    except _NotStrict as error:
        raise InvalidFile(f"{where}{error}") from error
    except ValueError as error:
        # Python refuses to read whole numbers of thousands of digits.
        raise InvalidFile(f"{where}a number is too long to be read") from error
    except RecursionError as error:
        raise InvalidFile(f"{where}the JSON is nested too deeply") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        double, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        # The last one would win silently, and a node or an input be lost.
        raise _NotStrict(f"the key `{double}` occurs twice in one object")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _NotStrict(f"the number {text} is too large")
    return value


def _refuse_constant(text: str) -> Any:
    raise _NotStrict(f"{text} is no JSON number")


def _json_hint(text: str, error: json.JSONDecodeError) -> str | None:
    if not text.strip():
        return "The file is empty."
    before = text[: error.pos].rstrip()
    if before.endswith(",") and text[error.pos : error.pos + 1] in "]}":
        return "Take away the comma before it."
    if text[error.pos : error.pos + 1] == "'":
        return "JSON text stands in double quotes."
    return None


def write_json(value: Any, *, expanded: Iterable[tuple[str, ...]] = ()) -> str:
    """JSON with short objects and lists on one line, long ones indented.

    Args:
        expanded: Paths of keys whose objects take a line for each member even if short.
    Raises:
        InvalidValue: A value that JSON can't hold.
    """
    try:
        text = _layout(value, (), frozenset(expanded), 0) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(f"the workflow can't be written as JSON: {error}") from error
    # Half a surrogate pair is no character and has no UTF-8; escaped, it survives.
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _layout(
    value: Any, path: tuple[str, ...], expanded: frozenset[tuple[str, ...]], used: int
) -> str:
    """The value's text; `used` is what already stands on its first line."""
    if path not in expanded:
        text = _compact(value)
        room = WIDTH - used - 1
        if len(text) <= room or len(path) > _DEEPEST or not isinstance(value, (dict, list)):
            return text
    if not value:
        return _compact(value)
    outer, inner = _INDENT * len(path), _INDENT * (len(path) + 1)
    if isinstance(value, dict):
        heads = {key: f"{inner}{_compact(key)}: " for key in value}
        lines = [
            heads[key] + _layout(item, (*path, key), expanded, len(heads[key]))
            for key, item in value.items()
        ]
        return "{\n" + ",\n".join(lines) + f"\n{outer}}}"
    lines = [inner + _layout(item, (*path, "[]"), expanded, len(inner)) for item in value]
    return "[\n" + ",\n".join(lines) + f"\n{outer}]"
