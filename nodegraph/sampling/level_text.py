"""Noise levels as text. Imports no torch."""

from __future__ import annotations

import re

from nodegraph.errors import InvalidValue


def parse_numbers(text: str) -> list[float]:
    """The numbers of a text, with commas, semicolons or space between them, in brackets or not.

    Raises:
        InvalidValue: One isn't a number; on port ``sigmas``.
    """
    bare = text.strip().removeprefix("[").removesuffix("]").strip(" \t\r\n,;")
    numbers = []
    for word in re.split(r"[\s,;]+", bare) if bare else ():
        try:
            numbers.append(float(word))
        except ValueError:
            raise InvalidValue(
                "the list holds something that is no number", port="sigmas", given=word[:40]
            ) from None
    return numbers
