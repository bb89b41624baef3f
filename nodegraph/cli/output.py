"""Command output: styled text, tables, JSON, problems, dates, and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from time import time
from typing import Any, TextIO

from nodegraph.core.text_format import display_width as display_width
from nodegraph.core.text_format import format_path as format_path
from nodegraph.core.text_format import format_seconds as format_seconds
from nodegraph.core.text_format import format_size as format_size
from nodegraph.core.text_format import pluralize as pluralize
from nodegraph.core.text_format import strip_control_characters as strip_control_characters
from nodegraph.errors import Problem


def format_time(moment: float) -> str:
    """A Unix time, where the reader is."""
    return datetime.fromtimestamp(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def format_age(moment: float) -> str:
    """How long ago a Unix time was, in one unit."""
    seconds = max(time() - moment, 0.0)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"


FINE, FAILED, BAD_INPUT, CANCELLED = 0, 1, 2, 130
"""Exit codes."""


class BrokenStdout(Exception):
    """Nobody reads stdout any more. Typer would take the OSError itself for a failure."""


StyledText = str | tuple[str, str]
"""Text, or text with a style: ``bold``, ``dim``, ``red``, ``green``, ``yellow``, ``cyan``."""

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def prepare_streams() -> None:
    """Let characters that the terminal doesn't have be printed as escapes instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:  # a test's stream may be of another kind
            reconfigure(errors="backslashreplace")


def echo(*parts: StyledText) -> None:
    """Print a line of results."""
    print(_styled(parts, sys.stdout))


def echo_stderr(*parts: StyledText) -> None:
    """Print a line that is no result: a warning, an error."""
    print(_styled(parts, sys.stderr), file=sys.stderr)


def warn(text: str) -> None:
    """Print a warning."""
    echo_stderr(("warning:", "yellow"), f" {text}")


def print_json(document: Any) -> None:
    """Print a JSON document."""
    print(to_json(document, indent=2))


def to_json(document: Any, *, indent: int | None = None) -> str:
    """A JSON text that stdout can take."""
    import json

    # An escape of the terminal's kind would not be JSON, so everything is escaped beforehand.
    plain = not can_show("\u00e9\u6f22", sys.stdout)
    return json.dumps(document, indent=indent, ensure_ascii=plain, default=str)


def can_show(text: str, stream: TextIO) -> bool:
    """Whether a stream's encoding has the characters."""
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def has_color(stream: TextIO) -> bool:
    """Whether a stream shows colors and its reader wants them."""
    if os.environ.get("NO_COLOR"):
        return False
    return stream.isatty() and os.environ.get("TERM") != "dumb" and sys.platform != "win32"


def _styled(parts: Iterable[StyledText], stream: TextIO) -> str:
    color = has_color(stream)
    shown = []
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        text = strip_control_characters(text)
        shown.append(f"\x1b[{_CODES[style]}m{text}\x1b[0m" if color and style else text)
    return "".join(shown)


def print_table(rows: Sequence[Sequence[StyledText]], *, indent: int = 0) -> None:
    """Print rows in aligned columns; on a terminal the last one is wrapped."""
    if not rows:
        return
    columns = len(rows[0])
    widths = [max(display_width(_text(row[at])) for row in rows) for at in range(columns - 1)]
    start = indent + sum(widths) + 2 * (columns - 1)
    for row in rows:
        parts: list[StyledText] = [" " * indent]
        for cell, width in zip(row, widths, strict=False):
            parts += [cell, " " * (width - display_width(_text(cell)) + 2)]
        first, *continuation = _wrapped(_text(row[-1]), start)
        style = row[-1][1] if isinstance(row[-1], tuple) else ""
        echo(*(_without_padding(parts) if not first else parts), (first, style))
        for line in continuation:
            echo(" " * start, (line, style))


def _without_padding(parts: list[StyledText]) -> list[StyledText]:
    while parts and not _text(parts[-1]).strip():
        parts = parts[:-1]
    return parts


def _text(part: StyledText) -> str:
    return strip_control_characters(part if isinstance(part, str) else part[0])


def _wrapped(text: str, start: int) -> list[str]:
    if not sys.stdout.isatty():
        return text.splitlines() or [""]
    from shutil import get_terminal_size
    from textwrap import wrap

    room = max(get_terminal_size().columns - start, 24)
    return [line for part in text.splitlines() for line in wrap(part, room)] or [""]


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
    for text in texts:
        warn(text)


__all__ = ["echo", "print_problems", "print_warnings", "problems_document"]
