"""The token that lets a client in. It never shows in texts of any kind."""

from __future__ import annotations

import os
import re

from nodegraph.errors import InvalidValue

TOKEN_VARIABLE = "NODEGRAPH_TOKEN"
_STARS = "***"
_WRITABLE = re.compile(r"[\x21-\x7e]+")


class Token:
    """A token.

    Args:
        text: As `nodegraph token add` prints it.
    Raises:
        InvalidValue: It can't be sent; the message doesn't repeat it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not _WRITABLE.fullmatch(text):
            # Sent all the same, it could bring headers of its own.
            raise InvalidValue(
                "the token has characters that no token has",
                expected="the text that `nodegraph token add` prints, without spaces around it",
            )
        self._text = text

    @property
    def header(self) -> str:
        """Value of the ``Authorization`` header."""
        return f"Bearer {self._text}"

    def redact(self, text: str) -> str:
        """The text with stars in place of the token."""
        return text.replace(self._text, _STARS)

    def __repr__(self) -> str:
        return f"Token({_STARS})"


def find_token(given: str | None) -> Token | None:
    """The token that is given, else that of the environment; None for no token.

    Args:
        given: Empty for no token in any case.
    Raises:
        InvalidValue: It is no token.
    """
    text = os.environ.get(TOKEN_VARIABLE, "").strip() if given is None else given
    return Token(text) if text else None
