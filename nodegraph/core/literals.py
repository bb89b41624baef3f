"""Check, convert, parse and format literals of a workflow by their input's type.

An input's `json_schema` uses a small part of JSON Schema: ``type``, ``enum``, ``minimum``,
``maximum``, ``multipleOf``, ``items`` and ``anyOf``, and of its own ``synonyms`` of choices; other
keywords are for editors.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any, NamedTuple

from nodegraph.core.hooks import Finding
from nodegraph.core.links import MOST_LEVELS, MOST_PARTS, Value, exceeded_limit, is_too_large
from nodegraph.core.spec import InputSpec
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.types import JSON_TYPES, TypeExpr
from nodegraph.errors import InvalidValue

Schema = Mapping[str, Any]
_PLAIN = (str, int, float, bytes, PurePath, type(None))
_MOST_BITS = 14_000
"""Of a whole number; Python writes none of more than 4,300 digits."""


class _Fault(NamedTuple):
    code: str
    message: str
    given: str
    expected: str
    hint: str = ""


def check_literal(value: Any, port: InputSpec) -> list[Finding]:
    """What is wrong with a literal given to an input; empty if nothing is."""
    if value is None and port.nullable:
        return []
    if port.json_schema is None:
        return [
            Finding(
                port.name,
                f"does not take a literal, only a link that carries {port.type}",
                given=format_value(value),
                code="link-needed",
            )
        ]
    if value is None and not _takes_null(port.json_schema):
        return [
            Finding(
                port.name,
                "cannot be null",
                "null",
                describe(port.json_schema),
                "Omit it to use the default." if not port.required else None,
                "null-not-allowed",
            )
        ]
    return [_finding(fault, port) for fault in _faults(value, port.json_schema)]


def check_linked(value: Any, port: InputSpec) -> None:
    """Refuse a value that comes by a link and is beyond its input's range, or none of its choices.

    Its type was checked with the link, and sizes that are no multiples are left to the node, which
    may round them. Infinity is a number here, such as how alike equal images are; NaN is in no
    range.

    Raises:
        InvalidValue: It is.
    """
    for fault in _bound_faults(value, port.json_schema or {}):
        raise _refusal(_finding(fault, port))


def _finding(fault: _Fault, port: InputSpec) -> Finding:
    return Finding(
        port.name, fault.message, fault.given, fault.expected, fault.hint or None, fault.code
    )


def _refusal(finding: Finding) -> InvalidValue:
    return InvalidValue(
        finding.message,
        port=finding.port,
        given=finding.given,
        expected=finding.expected,
        hint=finding.hint,
    )


def convert_literal(value: Any, port: InputSpec) -> Any:
    """A checked literal as the node takes it: a whole number for a float input is a float."""
    if value is None or port.json_schema is None:
        return value
    return _convert(value, port.json_schema)


def parse_literal(text: str, port: InputSpec) -> Any:
    """A literal typed on a command line.

    It is a number, list and so on where the input takes one; where it takes text, it stands for
    itself, so a prompt needs no quotes, and quotes in a prompt stay. A list or mapping that no
    workflow can hold is no text where the input takes such.

    Raises:
        InvalidValue: The input doesn't take it.
    """
    readings = _alternative_values(text)
    candidates = [
        *(value for value in readings if not isinstance(value, str)),
        text,
        *(value for value in readings if isinstance(value, str)),
    ]
    for value in candidates:
        if not check_literal(value, port):
            return convert_literal(value, port)
        if isinstance(value, (list, dict)) and not check_literal(type(value)(), port):
            for fault in _part_faults(value):
                raise _refusal(_finding(fault, port))
    # The first reading says most: "200 is too large" rather than "'200' is no number".
    raise _refusal(check_literal(candidates[0], port)[0])


def literal_schema(expr: TypeExpr) -> dict[str, Any] | None:
    """The JSON Schema of a type's literals; None for types that can only be linked."""
    if expr.kind == "list":
        item = literal_schema(expr.item)
        return None if item is None else {"type": "array", "items": item}
    if expr.kind == "union":
        members = [schema for member in expr.members if (schema := literal_schema(member))]
        return {"anyOf": members} if members else None
    if expr.name == "Any":
        return {}
    kind = JSON_TYPES.get(expr.name)
    return {"type": kind} if kind else None


def format_value(value: Any) -> str:
    """A value for a message: as JSON, cut short."""
    if isinstance(value, Value):
        return value.text
    text = format_repr(value) if is_too_large(value) else _written(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _written(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return format_repr(value)


def format_repr(value: Any) -> str:
    """A value for a message as `repr` shows it; cut short where it is too deep or too large."""
    if is_too_large(value):
        return reprlib.repr(value)
    try:
        return repr(value)
    except RecursionError:  # of what is nested thousands of levels deep
        return reprlib.repr(value)


_ENDLESS: list[Any] = []
"""Stands for a list of more levels than Python reads."""
_ENDLESS.append(_ENDLESS)


def _alternative_values(text: str) -> list[Any]:
    """What else a text may mean than itself, at most one value."""
    try:
        return [json.loads(text)]
    except RecursionError:
        return [_ENDLESS]
    except ValueError:
        plain = text.strip().casefold()
        if plain in ("true", "false"):
            return [plain == "true"]
        try:
            return [float(text)]  # ".5", which JSON doesn't know
        except ValueError:
            return []


def _faults(value: Any, schema: Schema) -> list[_Fault]:
    if "enum" in schema:
        return _choice_faults(value, schema)
    if "anyOf" in schema:
        faults = _union_faults(value, schema["anyOf"])
        return faults or _number_faults(value, schema)
    kind = schema.get("type")
    if kind is not None and not _IS[kind](value):
        return [_wrong_type(value, schema)]
    if kind == "array" and "items" in schema:
        # Before its items, which lie a level deeper: else their faults, not its depth, are shown.
        return _size_faults(value) or [
            _Fault(
                fault.code,
                f"item {index}: {fault.message}",
                fault.given,
                fault.expected,
                fault.hint,
            )
            for index, item in enumerate(value)
            for fault in _faults(item, schema["items"])
        ]
    if kind in (None, "array", "object"):
        return _part_faults(value) or _number_faults(value, schema)
    return _text_faults(value) or _number_faults(value, schema)


def _bound_faults(value: Any, schema: Schema) -> list[_Fault]:
    """Faults of a value whose type is right, at most one."""
    if isinstance(value, (list, tuple)):
        items = schema.get("items", {})
        for index, item in enumerate(value if _is_bound(items) else ()):
            if faults := _bound_faults(item, items):
                return [faults[0]._replace(message=f"item {index}: {faults[0].message}")]
        return []
    if not isinstance(value, (str, int, float)) or isinstance(value, Enum):
        return []
    if "enum" in schema:
        return _choice_faults(value, schema)
    faults = _union_faults(value, schema["anyOf"]) if "anyOf" in schema else []
    beyond = [fault for fault in faults if fault.code in ("out-of-range", "not-a-choice")]
    if beyond or isinstance(value, str):
        return beyond
    return _range_faults(value, schema) if _is_number(value) else []


def _is_bound(schema: Schema) -> bool:
    """Whether it takes not all values of its type."""
    is_union = any(map(_is_bound, schema.get("anyOf", ())))
    return is_union or not schema.keys().isdisjoint(("enum", "minimum", "maximum"))


def _takes_null(schema: Schema) -> bool:
    return not _faults(None, schema)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_float(value: Any) -> bool:
    if not _is_number(value):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the range of floats
        return False


def _is_whole(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


_IS: Mapping[str, Callable[[Any], bool]] = {
    "integer": _is_whole,
    "number": _is_float,
    "boolean": lambda value: isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, (list, tuple)),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def _wrong_type(value: Any, schema: Schema) -> _Fault:
    hint = ""
    if isinstance(value, str) and schema["type"] in ("integer", "number", "boolean"):
        hint = next(
            (
                f"Write {format_value(read)} without quotes."
                for read in _alternative_values(value)
                if _IS[schema["type"]](read)
            ),
            "",
        )
    return _Fault(
        "wrong-literal",
        "has a value of the wrong type",
        format_value(value),
        describe(schema),
        hint,
    )


def _choice_faults(value: Any, schema: Schema) -> list[_Fault]:
    choices: list[Any] = schema["enum"]
    if any(_same(value, choice) for choice in choices):
        return []
    shown = [choice if isinstance(choice, str) else format_value(choice) for choice in choices]
    hint = ""
    if isinstance(value, str):
        hint = _synonym_hint(value, schema.get("synonyms", {}))
        near = "" if hint else did_you_mean(value, shown)
        hint = hint or (near if near.startswith("Did") else "")
        if not hint and "entryPoints" in schema:
            hint = "If a package or node pack brings it, install that."
    listed = ", ".join(shown[:12]) + (f" and {len(shown) - 12} more" if len(shown) > 12 else "")
    return [
        _Fault(
            "not-a-choice",
            "is not one of its choices",
            format_value(value),
            listed,
            hint,
        )
    ]


def _synonym_hint(value: str, synonyms: Mapping[str, str]) -> str:
    """What to write for another name, or for the other name that the value begins with."""
    folded = _folded(value)
    for name in sorted(synonyms, key=len, reverse=True):
        if folded == _folded(name):
            return f"It is called `{synonyms[name]}` here."
        if folded.startswith(f"{_folded(name)}_"):
            return f"`{name}` is called `{synonyms[name]}` here."
    return ""


def _folded(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def _same(value: Any, choice: Any) -> bool:
    # True == 1 in Python, but not in JSON.
    return bool(value == choice) and isinstance(value, bool) == isinstance(choice, bool)


def _union_faults(value: Any, options: list[Schema]) -> list[_Fault]:
    faults_by_option = [_faults(value, option) for option in options]
    if any(not faults for faults in faults_by_option):
        return []
    # The option of the value's own type says what is wrong; else all options are listed.
    for faults in faults_by_option:
        if all(fault.code != "wrong-literal" for fault in faults):
            return faults
    expected = " or ".join(describe(option) for option in options)
    return [_Fault("wrong-literal", "has a value of the wrong type", format_value(value), expected)]


def _part_faults(value: Any) -> list[_Fault]:
    """Of a value that may be any: what no workflow can hold, however deep it lies."""
    if faults := _size_faults(value):
        return faults
    left, visited = [value], set[int]()
    while left:
        part = left.pop()
        if isinstance(part, (dict, list, tuple)):
            if id(part) in visited:
                continue
            visited.add(id(part))
            if isinstance(part, dict) and (inner_faults := _key_faults(part)):
                return inner_faults
            left.extend(part.values() if isinstance(part, dict) else part)
        elif not isinstance(part, _PLAIN):
            return [
                _Fault(
                    "wrong-literal",
                    "is not a plain value"
                    if part is value
                    else "holds something that is not a plain value",
                    format_value(part),
                    "texts, numbers, true, false, null, and lists and mappings of them",
                    "Let a node output it, and link that output.",
                )
            ]
        elif inner_faults := _text_faults(part) or _length_faults(part) or _finite_faults(part):
            return inner_faults
    return []


def _size_faults(value: Any) -> list[_Fault]:
    """Of lists and mappings: more than a workflow can hold."""
    too_many = exceeded_limit(value)
    if too_many == "levels":
        return [
            _Fault(
                "wrong-literal",
                "contains itself, or is nested too deeply",
                format_value(value),
                f"at most {MOST_LEVELS} levels of lists and mappings",
            )
        ]
    if too_many == "parts":
        return [
            _Fault(
                "wrong-literal",
                "has too many parts",
                format_value(value),
                f"at most {MOST_PARTS:,}, where a part that occurs twice counts twice",
            )
        ]
    return []


def _key_faults(mapping: Mapping[Any, Any]) -> list[_Fault]:
    for name in mapping:
        if not isinstance(name, str):
            # A file would have it as text, and what a file repeats would differ.
            hint = f"Write {json.dumps(str(name))}." if isinstance(name, (int, float)) else ""
            return [_Fault("wrong-literal", "has a key that is not text", repr(name), "text", hint)]
        if faults := _text_faults(name):
            return faults
    return []


def _length_faults(value: Any) -> list[_Fault]:
    if not isinstance(value, int) or value.bit_length() <= _MOST_BITS:
        return []
    length = f"a number of {value.bit_length():,} bits"
    return [_Fault("out-of-range", "is too long", length, "at most 4,200 digits")]


def _finite_faults(value: Any) -> list[_Fault]:
    if not isinstance(value, float) or math.isfinite(value):
        return []
    return [
        _Fault("wrong-literal", "is not a number that JSON allows", repr(value), "a finite number")
    ]


def _text_faults(value: Any) -> list[_Fault]:
    if not isinstance(value, str) or value.isascii():
        return []
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return [
            _Fault(
                "wrong-literal",
                f"holds half of a surrogate pair at position {error.start}",
                ascii(value[error.start]),
                "Unicode text",
            )
        ]
    return []


def _range_faults(value: float, schema: Schema) -> list[_Fault]:
    low, high = schema.get("minimum"), schema.get("maximum")
    message = ""
    if isinstance(value, float) and math.isnan(value) and (low, high) != (None, None):
        message = "is not a number"
    elif low is not None and value < low:
        message = "is too small"
    elif high is not None and value > high:
        message = "is too large"
    return (
        [_Fault("out-of-range", message, format_value(value), describe(schema))] if message else []
    )


def _number_faults(value: Any, schema: Schema) -> list[_Fault]:
    if not _is_number(value):
        return []
    if beyond := _length_faults(value) or _range_faults(value, schema):
        return beyond
    step = schema.get("multipleOf")
    if step and value % step:
        low, high = schema.get("minimum"), schema.get("maximum")
        below = int(value // step) * step
        near = [
            item
            for item in (below, below + step)
            if (low is None or item >= low) and (high is None or item <= high)
        ]
        hint = "Nearest allowed values: " + " and ".join(map(str, near)) + "." if near else ""
        return [
            _Fault(
                "not-a-multiple",
                f"is not a multiple of {step}",
                format_value(value),
                describe(schema),
                hint,
            )
        ]
    return []


_WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "text",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def describe(schema: Schema) -> str:
    """What a schema allows, in words."""
    if "enum" in schema:
        return "one of " + ", ".join(map(format_value, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(describe(option) for option in schema["anyOf"])
    if "type" not in schema:
        return "anything"
    step = schema.get("multipleOf")
    words = f"a multiple of {step}" if step else _WORDS[schema["type"]]
    if schema.get("items"):
        words += f", each {describe(schema['items'])}"
    return words + _bounds(schema.get("minimum"), schema.get("maximum"))


def _bounds(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f", at least {low}"
    return f", at most {high}" if high is not None else ""


def _convert(value: Any, schema: Schema) -> Any:
    if "enum" in schema:
        return next((choice for choice in schema["enum"] if _same(value, choice)), value)
    if "anyOf" in schema:
        fitting = [option for option in schema["anyOf"] if not _faults(value, option)]
        return _convert(value, fitting[0]) if fitting else value
    kind = schema.get("type")
    if kind == "number" and isinstance(value, int):
        return float(value)
    if kind == "integer" and isinstance(value, float):
        return int(value)
    if kind == "array" and isinstance(value, (list, tuple)):
        return [_convert(item, schema.get("items", {})) for item in value]
    return str(value) if isinstance(value, PurePath) else value


def members(enum: type[Enum], value: Any) -> Any:
    """A choice as the Enum's member; each item of a list."""
    if isinstance(value, (list, tuple)):
        return [members(enum, item) for item in value]
    return value if value is None or isinstance(value, Enum) else enum(value)
