"""Problems as people and programs read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nodegraph.cli.output import StyledText, echo, echo_stderr, pluralize
from nodegraph.errors import Problem

Print = Callable[..., None]


def print_problems(
    problems: Sequence[Problem], *, line: Print = echo_stderr, count: bool = True
) -> None:
    """Print problems, those of a node together, and how many there are.

    Args:
        line: Prints one line.
        count: Say how many there are, if more than one.
    """
    for (node, node_type), members in _by_node(problems).items():
        if node is None:
            for problem in members:
                _print(problem, "error: ", "", line)
        else:
            kind = f" ({node_type})" if node_type else ""
            line("node ", (f"`{node}`", "bold"), kind)
            for problem in members:
                _print(problem, "", "  ", line)
    if count and len(problems) > 1:
        line(f"{pluralize(len(problems), 'problem')}.")


def _by_node(
    problems: Iterable[Problem],
) -> dict[tuple[str | None, str | None], list[Problem]]:
    groups: dict[tuple[str | None, str | None], list[Problem]] = {}
    for problem in problems:
        groups.setdefault((problem.node, problem.node_type), []).append(problem)
    return groups


def _print(problem: Problem, start: str, indent: str, line: Print) -> None:
    port = f"input `{problem.port}`: " if problem.port else ""
    first, *more = f"{port}{problem.message}".splitlines() or [""]
    line(indent, (start, "red"), first)
    for text in more:
        line(indent, "  ", text)
    for label, value in (("given", problem.given), ("expected", problem.expected)):
        if value:
            line(indent, f"  {label}: {value}")
    if problem.hint:
        line(indent, "  ", _hint(problem.hint))


def _hint(text: str) -> StyledText:
    return (text, "cyan")


def problems_document(problems: Iterable[Problem]) -> dict[str, Any]:
    """The JSON document of a command that was given something it can't use."""
    return {"status": "invalid", "problems": [problem.as_dict() for problem in problems]}


def print_warnings(texts: Iterable[str]) -> None:
    """Tell what is wrong with packs; it keeps nothing else from working."""
    from nodegraph.cli.output import warn

    for text in texts:
        warn(text)


__all__ = ["echo", "print_problems", "print_warnings", "problems_document"]
