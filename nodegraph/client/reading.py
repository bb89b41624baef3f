"""What the server sends, checked and as dataclasses; fields that aren't known are passed over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from nodegraph.client.problems import unexpected_answer
from nodegraph.client.requests import Reply

T = TypeVar("T")
_PICTURE = "image/webp"


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        next: Cursor of the next one; None if this is the last.
    """

    items: tuple[T, ...]
    next: str | None = None


@lru_cache(maxsize=64)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def convert(kind: Any, found: Any) -> Any:
    """Plain values as an instance of a dataclass.

    Raises:
        ValueError: They don't say what it needs.
    """
    return _adapter(kind).validate_python(found)


def _document(answer: Reply) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise unexpected_answer(answer) from error


def parse_answer(kind: type[T], answer: Reply) -> T:
    """The one thing that an answer tells.

    Raises:
        UnexpectedAnswer: It doesn't; so with all functions below.
    """
    try:
        value: T = convert(kind, _document(answer))
        return value
    except ValidationError as error:
        raise unexpected_answer(answer) from error


def page(kind: type[T], answer: Reply) -> Page[T]:
    """The part of a list that an answer tells."""
    return parse_answer(Page[kind], answer)  # type: ignore[valid-type]  # known only here


def mapping(answer: Reply) -> Mapping[str, Any]:
    """The JSON object in an answer."""
    document = _document(answer)
    if not isinstance(document, dict):
        raise unexpected_answer(answer)
    return document


def count(name: str, answer: Reply) -> int:
    """How many there are, as an answer tells under a name."""
    number = mapping(answer).get(name)
    if not isinstance(number, int):
        raise unexpected_answer(answer)
    return number


def picture(answer: Reply) -> bytes:
    """The small picture in an answer."""
    if answer.headers.get("content-type") != _PICTURE:
        raise unexpected_answer(answer)
    return answer.body
