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


def build_shape(shape: type[T], source: Any, **more: Any) -> T:
    """What a shape tells of an object.

    Args:
        more: Fields that the object hasn't, or says otherwise. Whatever else it lacks has to have a
            default.
    """
    return shape(**shape_fields(shape, source, **more))


def shape_fields(shape: Any, source: Any, **more: Any) -> dict[str, Any]:
    """The same by name, for answers that are written without checking them once more."""
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
    """How a shape is described, as `__pydantic_config__` of its dataclass.

    It says nothing of reading: a client passes over what a later server tells, and takes defaults
    for what an earlier one doesn't.

    Args:
        name: What the API calls it.
        is_open: Whether answers may have more fields; None to say nothing of it.
        is_whole: Whether they have all fields, also those with a default.
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
    """Has problems be described, which are dataclasses of their own."""

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
"""One thing that is wrong, as answers tell it."""


def _parted(shape: type[Any]) -> tuple[str, str]:
    """What a docstring says, and what it says of the attributes."""
    text, _, attributes = inspect.cleandoc(shape.__doc__ or "").partition("\n\nAttributes:\n")
    return text, attributes


def _attributes(shape: type[Any]) -> dict[str, str]:
    """What the docstrings of a shape, and of those that it extends, say of its fields."""
    descriptions: dict[str, str] = {}
    for each in reversed(shape.__mro__):
        for names, text in _ENTRY.findall(_parted(each)[1]):
            plain = " ".join(text.replace("``", "`").split())
            descriptions |= dict.fromkeys(names.split(", "), plain)
    return descriptions


def example(*values: Any) -> Any:
    """What a field may hold, for the description."""
    return Field(examples=list(values))


def one_of(*values: str) -> Any:
    """What this version tells; what a later one may tell is read all the same."""
    return WithJsonSchema({"type": "string", "enum": list(values)})


Pixels = Annotated[int | None, example(640)]
