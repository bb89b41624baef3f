"""Dates as texts. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from nodegraph import Finding, HookInputs, InvalidValue

from ._facts import error_to_finding

_LONGEST = 200


def date_now(form: str) -> str:
    """The time where this runs, written in a format of strftime.

    Raises:
        InvalidValue: The format is none.
    """
    try:
        if len(form) > _LONGEST:
            raise ValueError(f"longer than {_LONGEST} letters")
        # Local, as whoever reads a file name looks at a clock on the wall.
        return datetime.now().astimezone().strftime(form)
    except (ValueError, UnicodeError) as error:
        raise InvalidValue(
            f"is no format of dates: {error}", port="format", given=form[:60], expected="%Y-%m-%d"
        ) from None


def check_date(inputs: HookInputs) -> Iterator[Finding]:
    """Find formats that are none."""
    try:
        today_text(inputs)
    except InvalidValue as error:
        yield error_to_finding("format", error)


def today_text(inputs: HookInputs) -> str:
    """Changes when what the node gives does; of a format that isn't known yet, always."""
    form = inputs.literals.get("format")
    return date_now(form if isinstance(form, str) else "%Y-%m-%d %H:%M:%S.%f")
