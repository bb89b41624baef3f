"""Regular expressions with a time limit."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from nodegraph.errors import InvalidValue

_SECONDS = 5.0
"""A pattern that takes longer never ends."""
_LONGEST = 100_000
"""Letters of a pattern with its counted repetitions written out, as the package regex does it."""
_PIECE = re.compile(
    r"""
    \\. | \[\^?\]?(?:\\.|[^\]\\])*\]      # one letter: an escape, or one of several
    | \{(?P<low>\d+)(?:,(?P<high>\d*))?\}     # so often
    | .
    """,
    re.VERBOSE | re.DOTALL,
)

MatchT = TypeVar("MatchT")


def compile_pattern(pattern: str, *, port: str, ignore_case: bool = False) -> Any:
    """A pattern of the package regex, which can be stopped; ``^`` and ``$`` are lines' ends.

    Raises:
        InvalidValue: It is none, or one that takes all memory there is.
    """
    import regex

    length = _written_out(pattern)
    if length > _LONGEST:
        raise InvalidValue(
            "is a pattern that is too long, because each repetition is expanded",
            port=port,
            given=pattern[:60],
            expected=f"{_LONGEST:,} letters at most",
            hint="Nested counts, such as (a{1000}){1000}, are multiplied.",
        )
    try:
        flags = regex.MULTILINE | (regex.IGNORECASE if ignore_case else 0)
        return regex.compile(pattern, flags)
    except (regex.error, RecursionError, OverflowError) as error:
        message = f"is not a valid pattern: {error}"
        raise InvalidValue(message, port=port, given=pattern[:60]) from None


def _written_out(pattern: str) -> int:
    """About how many letters a pattern has where ``a{3}`` is ``aaa``.

    Only exact counts are: of ``a{2,5}`` and the like, a pattern keeps but the bounds.
    """
    lengths, last = [0], 0  # of what is open, and of what a count would repeat
    for piece in _PIECE.finditer(pattern):
        sign, low, high = piece[0], piece["low"], piece["high"]
        if low is not None:
            is_exact = high is None or high == low
            lengths[-1] += last * (min(int(low[:9]), _LONGEST + 1) - 1 if is_exact else 0)
            last *= min(int(low[:9]), _LONGEST + 1) if is_exact else 1
        elif sign == "(":
            lengths.append(0)
        elif sign == ")" and len(lengths) > 1:
            last = lengths.pop()
            lengths[-1] += last
        else:
            lengths[-1] += 1
            last = 1
        if lengths[-1] > _LONGEST:
            break
    return max(lengths)


def search_with_timeout(search: Callable[[float], MatchT], port: str) -> MatchT:
    """What a search gives that is told how many seconds it may take.

    Raises:
        InvalidValue: It took longer, or more memory than there is.
    """
    try:
        return search(_SECONDS)
    except MemoryError:
        raise InvalidValue(
            "the pattern needs more memory than there is",
            port=port,
            hint="A pattern that contains itself, such as (?R), needs another way to end.",
        ) from None
    except TimeoutError:
        raise InvalidValue(
            f"matching the pattern takes more than {_SECONDS:g} seconds",
            port=port,
            hint="Nested repetitions, such as (a+)+, take too long.",
        ) from None
