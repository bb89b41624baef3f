"""Editor scripts of packs (widgets, panels), and a check of their JavaScript.

A pack keeps them in its folders ``widgets`` and ``panels``, one file each. Only scripts that an
input or a panel of the pack names are used.

The check tests that strings, templates, comments and regular expressions end, and that brackets
match. This finds truncated and half-edited files; the browser finds other errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nodegraph.core.hints import Panel
from nodegraph.core.spec import OF_PACK, InputSpec
from nodegraph.core.text_format import format_excess
from nodegraph.errors import InvalidFile
from nodegraph.packs.pack import OWN_DISTRIBUTION, Pack
from nodegraph.packs.snapshot import LARGEST

_OPEN = {"(": ")", "[": "]", "{": "}"}
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<word>[\w$\u0080-\uffff]+)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<template>`)
    |(?P<unended>["']|/\*)
    |(?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/(?![*/])(?:[^/\\\[\n]|\\[^\n]|\[(?:[^\]\\\n]|\\[^\n])*\])+/\w*")
_TEXT = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*", re.DOTALL)
_BEFORE_REGEX = frozenset(
    {
        *("return", "typeof", "case", "in", "of", "do", "else", "delete", "void", "throw", "new"),
        *("instanceof", "yield", "await", "default"),
    }
)
"""Words after which a slash begins a regular expression, as no value stands before it."""


def token_fault(text: str) -> str | None:
    """Where a file can't be right, and why: ``line 3: …``; None if nothing tells."""
    scan = _Scan(text)
    fault = scan.run()
    return None if fault is None else f"line {text.count(chr(10), 0, scan.at) + 1}: {fault}"


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        # Brackets that are open, with their places; "`" for a template whose inner code is read.
        self._open: list[tuple[str, int]] = []
        self._after_value = False

    def run(self) -> str | None:
        while self.at < len(self.text):
            fault = self._step()
            if fault is not None:
                return fault
        if self._open:
            bracket, self.at = self._open[-1]
            return f"`{bracket}` is not closed"
        return None

    def _step(self) -> str | None:
        if self.text[self.at] == "/" and not self._after_value:
            regex = _REGEX.match(self.text, self.at)
            if regex is not None:
                self.at, self._after_value = regex.end(), True
                return None
        token = _TOKEN.match(self.text, self.at)
        assert token is not None
        kind, text = token.lastgroup, token.group()
        if kind == "unended":
            return (
                "a comment is not closed" if text == "/*" else "a string is not closed on its line"
            )
        if kind == "template":
            return self._template(self.at)
        if kind == "mark" and text in "()[]{}":
            return self._bracket(text)
        self.at = token.end()
        if kind != "space":
            self._after_value = kind == "string" or (kind == "word" and text not in _BEFORE_REGEX)
        return None

    def _bracket(self, bracket: str) -> str | None:
        if bracket in _OPEN:
            self._open.append((bracket, self.at))
            self.at, self._after_value = self.at + 1, False
            return None
        if not self._open:
            return f"`{bracket}` closes nothing"
        last, begin = self._open.pop()
        if last == "`" and bracket == "}":
            return self._template(begin)
        if _OPEN.get(last) != bracket:
            line = self.text.count("\n", 0, begin) + 1
            return f"`{bracket}` where `{last}` of line {line} is still open"
        # After a block a slash would begin an expression, but after a call it divides.
        self.at, self._after_value = self.at + 1, bracket != "}"
        return None

    def _template(self, begin: int) -> str | None:
        """Go on within a template, from its beginning or after code in it."""
        text = _TEXT.match(self.text, self.at + 1)
        assert text is not None
        self.at = text.end()
        if self.text.startswith("${", self.at):
            self._open.append(("`", begin))
            self.at, self._after_value = self.at + 2, False
            return None
        if self.at >= len(self.text):
            self.at = begin
            return "a template string is not closed"
        self.at, self._after_value = self.at + 1, True
        return None


ScriptKind = Literal["widgets", "panels"]
_DEFAULT = re.compile(r"(?m)^[ \t]*export\s+(?:default\b|\{[^}]*\bdefault\b)")
_IMPORT = re.compile(r"(?m)^[ \t]*(?:import\b(?!\s*[.(])|export\b[^;\n]*\bfrom\s*[\"'])")


@dataclass(frozen=True, slots=True)
class PackScript:
    """A script that a pack declares; its file may lack.

    Attributes:
        pack: The pack's name.
        kind: Folder that it lies in.
        name: Of its file, without the ending.
        file: None for a pack that is a single file, and has no folders.
        label, help: Of a panel.
    """

    pack: str
    kind: ScriptKind
    name: str
    file: Path | None
    label: str = ""
    help: str = ""

    def text(self) -> str:
        """What the file says.

        Raises:
            InvalidFile: It can't be used.
        """
        what = f"pack `{self.pack}`: the {self.kind[:-1]} `{self.name}`"
        if self.file is None:
            hint = f"Make the pack a folder, with {self.kind}/{self.name}.js in it."
            raise InvalidFile(f"{what} needs a folder, but the pack is a single file", hint=hint)
        path = f"{self.kind}/{self.file.name}"
        try:
            data = self.file.read_bytes()
        except FileNotFoundError:
            hint = f"Write {path} in the pack's folder."
            raise InvalidFile(f"{what} has no file {path}", hint=hint) from None
        except OSError as error:
            raise InvalidFile(f"{what}: {path} cannot be read: {error.strerror}") from error
        if len(data) > LARGEST:
            size, most = format_excess(len(data), LARGEST)
            raise InvalidFile(
                f"{what}: {path} is too large", given=size, expected=f"at most {most}"
            )
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InvalidFile(f"{what}: {path} is not UTF-8") from None
        if not _DEFAULT.search(text):
            hint = "The function receives the widget and adds its elements to `widget.root`."
            wanted = "`export default function (widget) { … }`"
            raise InvalidFile(f"{what}: {path} has no default export", expected=wanted, hint=hint)
        return text

    def check(self) -> None:
        """See that the file can be used, and reads like a module.

        Raises:
            InvalidFile: It can't, or doesn't.
        """
        text = self.text()
        location = f"pack `{self.pack}`: {self.kind}/{self.name}.js"
        fault = token_fault(text)
        if fault is not None:
            raise InvalidFile(f"{location}, {fault}")
        match = _IMPORT.search(text)
        if match is not None:
            line = text.count("\n", 0, match.end()) + 1
            hint = "A script runs alone in its frame: put all its code into one file."
            raise InvalidFile(f"{location}, line {line}: it imports another module", hint=hint)


def scripts_of(
    pack: Pack, inputs: Iterable[InputSpec], panels: Sequence[Panel]
) -> Iterator[PackScript]:
    """The scripts that a pack declares, each once."""
    folder = pack.root if pack.root.is_dir() else None
    name = pack.name or OWN_DISTRIBUTION

    def file(kind: ScriptKind, name: str) -> Path | None:
        return None if folder is None else folder / kind / f"{name}.js"

    named = (port.widget for port in inputs if port.widget.startswith(OF_PACK))
    for widget in dict.fromkeys(each.removeprefix(OF_PACK) for each in named):
        yield PackScript(name, "widgets", widget, file("widgets", widget))
    for panel in panels:
        path = file("panels", panel.name)
        yield PackScript(name, "panels", panel.name, path, panel.label, panel.help)
