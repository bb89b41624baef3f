"""Regular expressions that can be stopped: one may look for longer than anybody waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nodegraph.errors import InvalidValue

_SECONDS = 5.0
"""A pattern that takes longer never ends."""

Found = TypeVar("Found")


def compiled(pattern: str, *, port: str, ignore_case: bool = False) -> Any:
    """A pattern of the package regex, which can be stopped; ``^`` and ``$`` are lines' ends.

    Raises:
        InvalidValue: It is none.
    """
    import regex

    try:
        flags = regex.MULTILINE | (regex.IGNORECASE if ignore_case else 0)
        return regex.compile(pattern, flags)
    except (regex.error, RecursionError, OverflowError) as error:
        message = f"is no pattern: {error}"
        raise InvalidValue(message, port=port, given=pattern[:60]) from None


def in_time(search: Callable[[float], Found], port: str) -> Found:
    """What a search gives that is told how many seconds it may take.

    Raises:
        InvalidValue: It took longer.
    """
    try:
        return search(_SECONDS)
    except TimeoutError:
        raise InvalidValue(
            f"the pattern isn't found out in {_SECONDS:g} seconds",
            port=port,
            hint="Repetitions within repetitions, such as (a+)+, take for ever.",
        ) from None
