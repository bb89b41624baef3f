"""Reading JSON strictly, and writing it so that people can read and merge it."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from nodegraph.core.garbage_collection import PausedGC
from nodegraph.errors import InvalidFile, InvalidValue

WIDTH = 100
_DEEPEST = 12
_INDENT = "  "
_compact = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_SURROGATE = re.compile("[\ud800-\udfff]")


class _NotStrict(NamedTuple):
    """Stands where Python reads JSON that doesn't mean one thing everywhere.

    Attributes:
        message: What is wrong.
        is_number: It is one that isn't finite.
    """

    message: str
    is_number: bool = True


def read_json(text: str, *, name: str = "") -> Any:
    """The value of a JSON text.

    Args:
        name: Where it comes from, for messages.
    Raises:
        InvalidFile: It is no JSON, names a key of an object twice, or holds a number that is not
            finite; says where, by node and input in a workflow.
    """
    where = f"{name}, " if name else ""
    faults: list[_NotStrict] = []
    try:
        with PausedGC():
            value = json.loads(
                text,
                object_pairs_hook=partial(_object, faults),
                parse_float=partial(_finite, faults),
                parse_constant=partial(_constant, faults),
            )
        if faults:
            raise _refusal(where, *next(_faults(value, ()), ((), faults[0])))
    except json.JSONDecodeError as error:
        raise InvalidFile(
            f"{where}line {error.lineno}, column {error.colno}: this is not valid JSON: "
            f"{error.msg}",
            hint=_json_hint(text, error),
        ) from error
    except ValueError as error:
        # Python refuses to read whole numbers of thousands of digits.
        raise InvalidFile(f"{where}a number is too long to be read") from error
    except RecursionError as error:
        raise InvalidFile(f"{where}the JSON is nested too deeply") from error
    return value


def _object(faults: list[_NotStrict], pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        double, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        # The last one would win silently, and a node or an input be lost.
        faults.append(_NotStrict(f"the key `{double}` occurs twice in one object", is_number=False))
        mapping[double] = faults[-1]
    return mapping


def _finite(faults: list[_NotStrict], text: str) -> Any:
    value = float(text)
    if math.isfinite(value):
        return value
    faults.append(_NotStrict(f"the number {text} is too large"))
    return faults[-1]


def _constant(faults: list[_NotStrict], text: str) -> Any:
    faults.append(_NotStrict(f"{text} is not a JSON number"))
    return faults[-1]


def _faults(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], _NotStrict]]:
    """What isn't strict in a value, with the keys that lead there."""
    if isinstance(value, _NotStrict):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _faults(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _faults(item, (*path, str(index)))


def _refusal(where: str, path: tuple[str, ...], fault: _NotStrict) -> InvalidFile:
    if not fault.is_number:
        return InvalidFile(f"{where}{fault.message}")
    node, port, inside = _node_and_input(path)
    message = f"{where}{inside}{fault.message}"
    return InvalidFile(message, node=node, port=port, hint="Write a finite number.")


def _node_and_input(path: tuple[str, ...]) -> tuple[str | None, str | None, str]:
    """Node and input that keys of a workflow lead to, if they do; else the keys as text."""
    for at, key in enumerate(path[:-3]):
        if key == "nodes" and path[at + 2] == "inputs":
            return path[at + 1], path[at + 3], ""
    return None, None, f"`{'.'.join(path)}`: " if path else ""


def _json_hint(text: str, error: json.JSONDecodeError) -> str | None:
    if not text.strip():
        return "The file is empty."
    before = text[: error.pos].rstrip()
    if before.endswith(",") and text[error.pos : error.pos + 1] in "]}":
        return "Remove the comma before it."
    if text[error.pos : error.pos + 1] == "'":
        return "Put text in double quotes in JSON."
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
        node, port, inside = _node_and_input(next(_unwritable(value, ()), ()))
        message = f"{inside}the workflow cannot be written as JSON: {error}"
        raise InvalidValue(message, node=node, port=port) from error
    # Half a surrogate pair is no character and has no UTF-8; escaped, it survives.
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _unwritable(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The keys that lead to what JSON can't hold."""
    if isinstance(value, dict) and len(path) < _DEEPEST:
        for key, item in value.items():
            yield from _unwritable(item, (*path, str(key)))
    else:
        try:
            _compact(value)
        except (TypeError, ValueError, RecursionError):
            yield path


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
