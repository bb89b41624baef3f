"""Prompts as ComfyUI's page reads them before it sends them: comments, and choices to draw from.

``// to the end of the line`` and ``/* … */`` are left out, and of ``{red|green}`` one is drawn at
each run. The server takes texts as they are: in what it was sent both are done already.
"""

from __future__ import annotations

import re

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n\r]*", re.DOTALL)
_ESCAPED = re.compile(r"\\([{}|])")
_CHOICE = re.compile(r"\\.|\{", re.DOTALL)


def without_comments(text: str) -> str:
    """A prompt without its comments."""
    return _COMMENT.sub("", text)


def has_choices(text: str) -> bool:
    """Whether one of several texts is drawn of a prompt, which is without comments."""
    return any(found[0] == "{" for found in _CHOICE.finditer(text))


def plain_prompt(text: str) -> str:
    """What a prompt without choices says: of escaped braces and bars the characters."""
    return _ESCAPED.sub(r"\1", text)


def random_prompt(text: str) -> str:
    """A prompt with choices for the native RandomPrompt, to which ``__name__`` is markup."""
    return text.replace("__", r"\_\_")
