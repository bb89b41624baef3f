"""Texts: length, parts, choice of lines, and files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

from nodegraph import Context, Finding, HookInputs, InvalidValue, Multiline, node
from nodegraph.core.suggest import did_you_mean

from ._facts import error_to_finding
from ._image_file_facts import check_picture_name
from ._result_files import save_text


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


@node(category="text", tags=("count", "characters", "words", "len", "StringLength", "string"))
def TextLength(
    text: Annotated[str, Multiline()] = "", unit: Literal["letters", "words", "lines"] = "letters"
) -> int:
    """Return the length of a text.

    Args:
        text: The text.
        unit: What to count: characters including spaces, words, or lines.
    """
    if unit == "words":
        return len(text.split())
    return len(text.splitlines()) if unit == "lines" else len(text)


@node(category="text", tags=("substring", "slice", "crop", "shorten", "StringSubstring", "string"))
def CutText(text: Annotated[str, Multiline()] = "", start: int = 0, end: int | None = None) -> str:
    """Return part of a text by character positions.

    Args:
        text: The text.
        start: Index of the first character, starting at 0. Negative values count from the end: -1
            is the last.
        end: Index after the last character, counted the same way. If left out, the text is kept to
            its end.
    """
    return text[start:end]


class ChosenLine(NamedTuple):
    text: str
    number: int


@node(
    category="text",
    validate=check_choice,
    tags=("combo", "dropdown", "options", "switch", "CustomCombo", "select", "menu"),
)
def ChooseLine(lines: Annotated[str, Multiline()], choice: str = "") -> ChosenLine:
    """Choose one line of a text, and return it with its index, starting at 0.

    Args:
        lines: The choices, one per line. Spaces around a line and empty lines are ignored.
        choice: The line. Empty for the first one.
    """
    return ChosenLine(*choose_line(lines, choice))


@node(
    category="text",
    lane="io",
    output="files",
    validate=check_picture_name,
    tags=("write", "file", "txt", "csv", "markdown", "export", "caption"),
)
def SaveText(
    ctx: Context,
    text: Annotated[str, Multiline()],
    name: str = "text",
    format: Literal["txt", "md", "csv", "json"] = "txt",
) -> None:
    """Save a text to the output folder.

    Files are numbered: text_00001.txt. A file with the same content is not written again.

    Args:
        text: The text. It is saved unchanged in UTF-8, for every format.
        name: Prefix of the file names. notes/fox makes a sub-folder. %date% and %time% are replaced
            by date and time, %sample.seed% by an input of a node.
        format: File name extension.
    """
    save_text(ctx, name, f".{format}", text)
