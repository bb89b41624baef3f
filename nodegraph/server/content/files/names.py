"""Names that clients give, as names of files that are safe on every platform.

What looks like a separator, a dot or nothing at all is no part of a name, however it is spelt: a
name may be brought into another Unicode form by a file system, a terminal or an archive.
"""

from __future__ import annotations

import re
import unicodedata

from nodegraph.errors import InvalidValue

LONGEST = 200
"""Bytes in UTF-8; most file systems take 255, a suffix and what marks a temporary file included."""

_MARKS = frozenset(" -_.()+,=@'!&")
"""All that may stand in a name besides letters, the marks on them, and digits. No ``~``: it stands
in the short names of Windows; nor ``$``, ``%``, ``:``, ``;`` and quotes, which somebody expands."""
_CATEGORIES = ("L", "M", "Nd")
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0]")
"""Letters and marks that show nothing; those beyond the basic plane are refused by number."""
_INVISIBLE_PLANE = 0xE0000
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"}
    | {f"{port}{number}" for port in ("COM", "LPT") for number in range(10)}
)
"""Windows opens a device instead of a file of that name, whatever its suffix."""


def check_name(name: str) -> None:
    """Refuse a text that isn't safe as the name of a file, on any platform.

    Raises:
        InvalidValue: It says why, and which name would do.
    """
    fault = _fault(name)
    if fault:
        nearest = safe_name(name)
        raise InvalidValue(
            f"this can't be a name: {fault}",
            given=ascii(name[:80]),
            expected=f"letters, digits, spaces and {' '.join(sorted(_MARKS - {' '}))}",
            hint=f"Call it `{nearest}`." if nearest != "unnamed" else None,
        )


def is_name(name: str) -> bool:
    """Whether a text is safe as the name of a file."""
    return not _fault(name)


def name_key(name: str) -> str:
    """The same for names that some file system, or some reader, takes for one another."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def safe_name(name: str, *, longest: int = LONGEST) -> str:
    """A safe name that is like another one, which may be anything: a path, a page's address.

    Args:
        longest: Bytes in UTF-8.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFKC", _whole(name)))[-1]
    text = unicodedata.normalize("NFC", "".join(map(_or_underscore, last)))
    text = _without_ends(_cut(text, longest))
    if _is_device(text):
        text = f"_{_cut(text, longest - 1)}"
    return text if text and not _fault(text) else "unnamed"


def _fault(name: str) -> str:
    """What is wrong with a name; empty if nothing is."""
    if not name:
        return "it is empty"
    if name != unicodedata.normalize("NFC", _whole(name)):
        return "it isn't in Unicode's composed form (NFC)"
    for text in dict.fromkeys((name, unicodedata.normalize("NFKC", name))):
        wrong = next((letter for letter in text if not _is_allowed(letter)), None)
        if wrong is not None:
            return f"{wrong!a} may not be part of it"
        if text != _without_ends(text):
            return "it begins with a dot, dash, space or mark, or ends with a dot or space"
        if _is_device(text):
            return "it is the name of a device on Windows"
    if len(name.encode()) > LONGEST:
        return f"it is longer than {LONGEST} bytes"
    return ""


def _whole(name: str) -> str:
    """The text without halves of characters, which nothing can write."""
    return re.sub("[\ud800-\udfff]", "\ufffd", name)


def _is_allowed(letter: str) -> bool:
    if letter in _MARKS:
        return True
    if ord(letter) >= _INVISIBLE_PLANE or _INVISIBLE.match(letter):
        return False
    return unicodedata.category(letter).startswith(_CATEGORIES)


def _or_underscore(letter: str) -> str:
    return letter if _is_allowed(letter) else "_"


def _without_ends(text: str) -> str:
    """The text without what may not stand at its beginning or end."""
    text = text.rstrip(" .")
    at = 0
    while at < len(text) and (text[at] in " .-" or unicodedata.category(text[at])[0] == "M"):
        at += 1
    return text[at:]


def _is_device(text: str) -> bool:
    return text.split(".")[0].rstrip(" ").upper() in _DEVICES


def _cut(text: str, longest: int) -> str:
    """The beginning of a text, of whole characters."""
    return text.encode()[:longest].decode(errors="ignore")
