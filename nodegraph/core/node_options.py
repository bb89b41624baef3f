"""What `@node` and hints are given, read into the fields of specs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any, get_args

from nodegraph.core.digests import LEAVES
from nodegraph.core.parts import in_words
from nodegraph.core.spec import LaneName
from nodegraph.errors import PackError


def as_json(owner: str, what: str, value: Any) -> Any:
    """A default, or a schema, as JSON has it.

    Args:
        owner, what: Whose it is, for the message.
    Raises:
        PackError: JSON has nothing for it.
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, PurePath):
        return str(value)
    if _is_plain(value):
        return value
    # Seldom: dates, sets, what is in data classes or whatever a pack declares for an input that
    # takes anything.
    from pydantic_core import to_jsonable_python

    try:
        return to_jsonable_python(value)
    except ValueError:
        raise PackError(
            f"{owner}: {what} is nothing that a workflow can write",
            given=f"of type {type(value).__name__}",
            hint="Change the default or the annotation.",
        ) from None


def check_fields(owner: str, kind: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a spec, which a pack gives: what is wrong would else show far from there.

    Args:
        kind: The class of the spec.
    Raises:
        PackError: A field is of another type.
    """
    checked_fields = {}
    for name, value in options.items():
        says, read = _FIELDS.get(kind.__dataclass_fields__[name].type, ("", lambda value: value))
        try:
            checked_fields[name] = read(value)
        except (TypeError, ValueError):
            raise PackError(f"{owner}: `{name}` must be {says}", given=in_words(value)) from None
    return checked_fields


def _one_of(*kinds: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise TypeError
        return value

    return read


def _truth(value: Any) -> bool:
    return (False, True)[(False, True).index(value)]


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        raise TypeError
    return tuple(map(_one_of(str), value))


def _lane(value: Any) -> Any:
    return _LANES[_LANES.index(value)]


_LANES = get_args(LaneName)
_FIELDS: Mapping[Any, tuple[str, Callable[[Any], Any]]] = {
    "str": ("text", _one_of(str)),
    "int": ("a whole number", _one_of(int)),
    "bool": ("True or False", _truth),
    "float | None": ("a number", _one_of(int, float, type(None))),
    "tuple[str, ...]": ("a tuple of texts", _texts),
    "LaneName": (" or ".join(_LANES), _lane),
}
"""How fields of a type are read, and what is told where they can't be."""


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(type(name) is str and _is_plain(item) for name, item in value.items())
    return type(value) in LEAVES - {bytes}
