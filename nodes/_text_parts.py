"""Choices between lines. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Finding, HookInputs, InvalidValue
from nodegraph.core.suggest import did_you_mean

from ._facts import error_to_finding


def choose_line(lines: str, choice: str) -> tuple[str, int]:
    """A line and its index, starting at 0, without empty lines.

    Args:
        choice: The line without spaces around it. Empty for the first.

    Raises:
        InvalidValue: No line has this text.
    """
    known = [line.strip() for line in lines.splitlines() if line.strip()]
    if not known:
        raise InvalidValue("there is no line to choose from", port="lines", expected="one or more")
    wanted = choice.strip() or known[0]
    if wanted not in known:
        raise InvalidValue(
            "no line has this text",
            port="choice",
            given=choice[:60],
            expected=", ".join(known[:20]),
            hint=did_you_mean(wanted, known),
        )
    return wanted, known.index(wanted)


def check_choice(inputs: HookInputs) -> Iterator[Finding]:
    """Find choices that are not among the lines."""
    lines, choice = inputs.literals.get("lines"), inputs.literals.get("choice")
    if lines is not None and choice is not None:
        try:
            choose_line(lines, choice)
        except InvalidValue as error:
            yield error_to_finding(error.problem.port or "choice", error)
