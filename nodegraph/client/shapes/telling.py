"""Making a shape of what the server has: most of what one tells has the same name there."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any, TypeVar

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
