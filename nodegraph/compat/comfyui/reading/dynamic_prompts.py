"""Prompts as ComfyUI's page reads them before it sends them: comments, and choices to draw from.

``// to the end of the line`` and ``/* … */`` are left out, and of ``{red|green}`` one is drawn at
each run. The server takes texts as they are: in what it was sent both are done already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n\r]*", re.DOTALL)
_ESCAPED = re.compile(r"\\([{}|])")
_SIGN = re.compile(r"\\.|.", re.DOTALL)
_BRACES = ("{", "}")


def without_comments(text: str) -> str:
    """A prompt without its comments."""
    return _COMMENT.sub("", text)


def has_choices(text: str) -> bool:
    """Whether one of several texts is drawn of a prompt, which is without comments."""
    return any(sign == "|" and depth > 0 for sign, depth in _signs(text))


def plain_prompt(text: str) -> str:
    """What a prompt without choices says: braces around one text are left out, and of escaped
    braces and bars the characters are meant."""
    found = (sign for sign, depth in _signs(text) if sign not in _BRACES or depth < 0)
    return _ESCAPED.sub(r"\1", "".join(found))


def _signs(text: str) -> Iterator[tuple[str, int]]:
    """The characters of a text, escaped ones together, each with how many braces stand around it;
    -1 of a closing one that none was opened for."""
    depth = 0
    for sign in _SIGN.findall(text):
        if sign == "}" and depth == 0:
            yield sign, -1
            continue
        depth += {"{": 1, "}": -1}.get(sign, 0)
        yield sign, depth


def random_prompt(text: str) -> str:
    """A prompt with choices for the native RandomPrompt, to which ``__name__`` is markup."""
    return text.replace("__", r"\_\_")
