"""What is wrong with a JavaScript file, as far as its tokens tell.

Strings, templates, comments and regular expressions have to end, and brackets to match: that finds
files that were cut off or edited by halves. The browser that runs one finds the rest.
"""

from __future__ import annotations

import re

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
            return f"what begins with `{bracket}` doesn't end"
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
            return "a comment doesn't end" if text == "/*" else "a text doesn't end on its line"
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
            return f"`{bracket}` ends nothing"
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
            return "a template doesn't end"
        self.at, self._after_value = self.at + 1, True
        return None
