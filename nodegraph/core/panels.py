"""Panels that packs bring into the editor, and the names of the scripts that make them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nodegraph.core.parts import in_words
from nodegraph.errors import PackError

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel of the editor, as a variable of a pack's module.

    Attributes:
        name: Of its script: ``tones`` is ``panels/tones.js`` in the pack's folder.
        label: Its title.
        help: One sentence.
    """

    name: str
    label: str
    help: str = ""

    def __post_init__(self) -> None:
        script_name(self.name)
        for what, text in (("label", self.label), ("help", self.help)):
            if not isinstance(text, str):
                raise PackError(f"panel `{self.name}`: `{what}` must be text", given=in_words(text))


def script_name(name: object) -> str:
    """A script's name, which becomes a file's name and part of an address.

    Raises:
        PackError: It can't be one.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PackError(
            "a widget or panel can't be called so",
            given=in_words(name) if not isinstance(name, str) else ascii(name[:80]),
            expected="small letters, digits, - and _, beginning with a letter",
            hint="Give the script's name without folder and ending: `curve` for widgets/curve.js.",
        )
    return name
