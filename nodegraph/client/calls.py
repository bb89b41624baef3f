"""A request with how its answer is read; the same for both kinds of clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from nodegraph.client.reading import Read
from nodegraph.client.requests import Request

T = TypeVar("T")

Paged = Callable[[str | None], T]
"""Makes the call for the part of a list that a cursor stands for; None for the first."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """Something to ask the server.

    Attributes:
        read: What an answer of success says.
        is_repeatable: Whether it may be sent once more when it isn't known what became of it.
        done_before: Status that says, to a repeated one, that it had been done the first time.
    """

    request: Request
    read: Read[T]
    is_repeatable: bool = True
    done_before: int | None = None
