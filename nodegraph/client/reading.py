"""What the server sends, checked and as dataclasses; fields that aren't known are passed over."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from nodegraph.client.problems import not_ours
from nodegraph.client.requests import Answer

T = TypeVar("T")
Read = Callable[[Answer], T]
_PICTURE = "image/webp"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        next: Cursor of the next one; None if this is the last.
    """

    items: tuple[T, ...]
    next: str | None


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def converted(kind: Any, found: Any) -> Any:
    """Plain values as an instance of a dataclass.

    Raises:
        ValueError: They don't say what it needs.
    """
    return _adapter(kind).validate_python(found)


def read_document(answer: Answer) -> Any:
    """The JSON in an answer.

    Raises:
        UnexpectedAnswer: There is none.
    """
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise not_ours(answer) from error


def as_one(kind: type[T]) -> Read[T]:
    """Reads an answer that is one thing."""

    def read(answer: Answer) -> T:
        found = read_document(answer)
        try:
            value: T = converted(kind, found)
            return value
        except ValidationError as error:
            raise not_ours(answer) from error

    return read


def as_page(kind: type[T]) -> Read[Page[T]]:
    """Reads an answer that is a part of a list."""
    return as_one(Page[kind])  # type: ignore[valid-type]  # known only here


def as_mapping(answer: Answer) -> Mapping[str, Any]:
    """Reads an answer that is any JSON object."""
    found = read_document(answer)
    if not isinstance(found, dict):
        raise not_ours(answer)
    return found


def as_count(name: str) -> Read[int]:
    """Reads an answer that says how many, under a name."""

    def read(answer: Answer) -> int:
        found = as_mapping(answer).get(name)
        if not isinstance(found, int):
            raise not_ours(answer)
        return found

    return read


def as_bytes(answer: Answer) -> bytes:
    """Reads an answer that is a file."""
    return answer.body


def as_picture(answer: Answer) -> bytes:
    """Reads an answer that is a small picture."""
    if answer.headers.get("content-type") != _PICTURE:
        raise not_ours(answer)
    return answer.body


def as_nothing(answer: Answer) -> None:
    """Reads an answer that has no content."""
