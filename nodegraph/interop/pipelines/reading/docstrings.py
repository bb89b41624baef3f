"""Help out of docstrings: what is said of a class, and of each parameter of its call."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from inspect import cleandoc

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Params|Attributes|Returns?|Examples?|Yields?|Raises|Notes?)"
    r"\s*:?\s*$"
)
_LISTED = frozenset({"args", "arguments", "parameters", "params", "attributes"})
_HEAD = re.compile(
    r"^(?P<names>\*{0,2}`?\w+`?(?:\s*[,/]\s*`?\w+`?)*)\s*(?:\((?P<type>.*?)\))?\s*:\s*(?P<rest>.*)$"
)
_TYPE_ON_MORE_LINES = re.compile(r"^(?P<name>`?\w+`?)\s*\((?P<type>[^)]*)$")
_TYPE_AFTER_COLON = re.compile(r"^\((?P<type>`.*?)\)\s*:\s*(?P<rest>.*)$")
_RULE = re.compile(r"^\s*<?[-=~]{3,}>?\s*$")
_LONGEST = 320


@dataclass(slots=True)
class ParsedDocstring:
    """What a docstring says.

    Attributes:
        summary: Its first sentence.
        text: What comes before its sections, as plain text.
        types: What it says of the type of a parameter, by its name.
        helps: What it says of a parameter, by its name, in one line.
        returns: What it says of the result.
    """

    summary: str = ""
    text: str = ""
    types: dict[str, str] = field(default_factory=dict)
    helps: dict[str, str] = field(default_factory=dict)
    returns: str = ""


def read_docstring(doc: str | None) -> ParsedDocstring:
    """A docstring taken apart: its first text, its parameters, its result.

    In many of diffusers an example of another indentation is pasted in, and with it the common
    margin is lost; so a section may begin at any depth, and ends where one begins that stands no
    deeper.
    """
    documented = ParsedDocstring()
    section, margin, indent = "", 0, -1
    current: list[str] = []
    opening: list[str] = []
    returns: list[str] = []
    for line in cleandoc(doc or "").splitlines():
        text = line.strip()
        at = len(line) - len(line.lstrip())
        start = _SECTION.match(text)
        if start and (not section or at <= margin):
            section, margin, indent, current = start[1].lower(), at, -1, []
        elif not section:
            opening.append(line)
        elif not text or _RULE.match(text):
            continue
        elif section.startswith("return"):
            returns.append(text)
        elif section in _LISTED:
            indent = at if indent < 0 else indent
            current = _parameter_line(documented, text, at <= indent, current)
    for name, text in documented.helps.items():
        late = _TYPE_AFTER_COLON.match(text)
        if late:
            documented.types[name] = documented.types[name] or late["type"]
        documented.helps[name] = plain(late["rest"] if late else text)
    documented.text = "\n\n".join(filter(None, map(plain, "\n".join(opening).split("\n\n"))))
    documented.summary = first_sentences(documented.text.split("\n\n")[0], 1)
    documented.returns = " ".join(returns)
    return documented


def plain(text: str) -> str:
    """Without the marks of Markdown and cross-references, in one line."""
    text = re.sub(r"<!--.*?-->|</?(?:Tip|br)[^>]*>", " ", text, flags=re.DOTALL)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", " ", text)
    text = re.sub(
        r"\[`~?\.?([\w.]+)(?:\(\))?`\](?:\([^)]*\))?", lambda m: m[1].split(".")[-1], text
    )
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r":\w+:`~?([^`]*)`", r"\1", text)
    return " ".join(text.replace("``", "`").split())


def first_sentences(text: str, count: int, longest: int = _LONGEST) -> str:
    """The first sentences of a text, cut at a word if they are long."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z`\"'(0-9])", text)
    kept = " ".join(sentences[:count])
    if len(kept) <= longest:
        return kept
    return kept[:longest].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def _parameter_line(
    documented: ParsedDocstring, text: str, at_margin: bool, current: list[str]
) -> list[str]:
    """One line of a list of parameters; gives the names that the next line goes on about."""
    head = _HEAD.match(text) if at_margin else None
    if head:
        names = [name.strip("`* ") for name in re.split(r"[,/]", head["names"])]
        for name in names:
            documented.types[name] = head["type"] or ""
            documented.helps[name] = head["rest"]
        return names
    if at_margin and (head := _TYPE_ON_MORE_LINES.match(text)):
        name = head["name"].strip("`")
        documented.types[name], documented.helps[name] = head["type"], ""
        return [name]
    for name in current:
        documented.helps[name] = f"{documented.helps[name]} {text}".strip()
    return current
