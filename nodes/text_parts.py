"""Texts: how long they are, parts of them, choices between their lines, and files of them."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from nodegraph import Context, Multiline, node

from ._image_file_facts import check_picture_name
from ._result_files import save_text
from ._text_parts import check_choice, choose_line


@node(category="text", tags=("count", "characters", "words", "len", "StringLength", "string"))
def TextLength(
    text: Annotated[str, Multiline()] = "", unit: Literal["letters", "words", "lines"] = "letters"
) -> int:
    """How long a text is.

    Args:
        text: The text.
        unit: What is counted: letters with all space between them, words, or lines.
    """
    if unit == "words":
        return len(text.split())
    return len(text.splitlines()) if unit == "lines" else len(text)


@node(category="text", tags=("substring", "slice", "crop", "shorten", "StringSubstring", "string"))
def CutText(text: Annotated[str, Multiline()] = "", start: int = 0, end: int | None = None) -> str:
    """A part of a text, by the places of its letters.

    Args:
        text: The text.
        start: Its first letter, counted from 0; below 0 from the end, -1 being the last.
        end: The letter after its last, counted likewise; left out, all up to the end.
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
    """One of the lines of a text, and its number counted from 0.

    Args:
        lines: What there is to choose from, one a line; space around it and empty lines don't
            count.
        choice: The line; empty for the first.
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
    """Write a text to the output folder.

    Files are numbered: text_00001.txt. One with the same content is not written again.

    Args:
        text: It is written as it is, in UTF-8, whatever the format.
        name: What the file names begin with; notes/fox makes a sub-folder. %date%, %time% say
            what they name, %sample.seed% an input of a node.
        format: What the file names end with.
    """
    save_text(ctx, name, f".{format}", text)
