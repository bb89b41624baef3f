"""Dates as text. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from nodegraph import Finding, HookInputs, InvalidValue

from ._facts import error_to_finding

_LONGEST = 200


def date_now(form: str) -> str:
    """The current local time, in a strftime format.

    Raises:
        InvalidValue: The format is not valid.
    """
    try:
        if len(form) > _LONGEST:
            raise ValueError(f"longer than {_LONGEST} characters")
        # Local time: it is for people who read file names.
        return datetime.now().astimezone().strftime(form)
    except (ValueError, UnicodeError) as error:
        raise InvalidValue(
            f"the date format is not valid: {error}",
            port="format",
            given=form[:60],
            expected="%Y-%m-%d",
        ) from None


def check_date(inputs: HookInputs) -> Iterator[Finding]:
    """Find date formats that are not valid."""
    try:
        today_text(inputs)
    except InvalidValue as error:
        yield error_to_finding("format", error)


def today_text(inputs: HookInputs) -> str:
    """The node's output, so that the cache key changes with it.

    A format that is not known yet gives a new text each time.
    """
    form = inputs.literals.get("format")
    return date_now(form if isinstance(form, str) else "%Y-%m-%d %H:%M:%S.%f")
