"""Build API data shapes from server objects, and describe them as JSON schema."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from functools import lru_cache, partial
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema

from nodegraph.errors import Problem

T = TypeVar("T")


def build_shape(shape: type[T], source: Any, /, **more: Any) -> T:
    """Build a shape from the fields of an object.

    Args:
        more: Fields that the object lacks, or that replace its own. All other missing fields must
            have a default.
    """
    return shape(**shape_fields(shape, source, **more))


def shape_fields(shape: Any, source: Any, /, **more: Any) -> dict[str, Any]:
    """Return the fields of a shape by name, for answers that need no further validation."""
    has: Any = type(source)
    for name in _names(shape, has):
        if name not in more:
            more[name] = getattr(source, name)
    return more


@lru_cache(maxsize=64)
def _names(shape: Any, source: Any) -> tuple[str, ...]:
    has = {field.name for field in fields(source)} | set(dir(source))  # properties, too
    return tuple(field.name for field in fields(shape) if field.name in has)


_ENTRY = re.compile(r"^    (\w+(?:, \w+)*): (.+(?:\n        .+)*)", re.MULTILINE)


def described(name: str, *, is_open: bool | None = None, is_whole: bool = True) -> ConfigDict:
    """Return the `__pydantic_config__` of a shape's dataclass, for its JSON schema.

    It does not affect reading: a client ignores fields of a later server, and uses defaults for
    fields that an earlier one lacks.

    Args:
        name: Name in the API.
        is_open: Whether answers may have more fields; None to leave it out of the schema.
        is_whole: Whether answers have all fields, also those with a default.
    """
    return ConfigDict(
        title=name, json_schema_extra=partial(_describe, is_open=is_open, is_whole=is_whole)
    )


def _describe(
    schema: dict[str, Any], shape: type[Any], *, is_open: bool | None, is_whole: bool
) -> None:
    schema["description"] = _parted(shape)[0]
    if is_open is not None:
        schema["additionalProperties"] = is_open
    descriptions = _attributes(shape)
    for name, field in schema["properties"].items():
        if name in descriptions:
            field["description"] = descriptions[name]
        if is_whole:
            field.pop("default", None)
    if is_whole:
        schema["required"] = list(schema["properties"])


class _Problem:
    """Adds the JSON schema of problems, which are dataclasses outside the shapes."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        reference = handler(core)
        schema = handler.resolve_ref_schema(reference)
        schema["title"] = "Finding"
        _describe(schema, Problem, is_open=None, is_whole=False)
        for name, example in _EXAMPLES.items():
            schema["properties"][name]["examples"] = [example]
        return reference


_EXAMPLES = {
    "code": "unknown-node-type",
    "message": "there is no such node type",
    "node": "sample",
    "node_type": "KSampler",
    "hint": "Did you mean `KSampler`?",
}
Finding = Annotated[Problem, _Problem()]
"""A problem in an answer."""


def _parted(shape: type[Any]) -> tuple[str, str]:
    """Return the text of a docstring, and its section on attributes."""
    text, _, attributes = inspect.cleandoc(shape.__doc__ or "").partition("\n\nAttributes:\n")
    return text, attributes


def _attributes(shape: type[Any]) -> dict[str, str]:
    """Return the descriptions of a shape's fields, with those of its base classes."""
    descriptions: dict[str, str] = {}
    for each in reversed(shape.__mro__):
        for names, text in _ENTRY.findall(_parted(each)[1]):
            plain = " ".join(text.replace("``", "`").split())
            descriptions |= dict.fromkeys(names.split(", "), plain)
    return descriptions


def example(*values: Any) -> Any:
    """Return example values of a field, for its JSON schema."""
    return Field(examples=list(values))


def one_of(*values: str) -> Any:
    """Return the values of this version, for the JSON schema; later values can be read, too."""
    return WithJsonSchema({"type": "string", "enum": list(values)})


Pixels = Annotated[int | None, example(640)]
