"""HTML made of parts. Every text in it is escaped: nothing that somebody wrote becomes markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})
Value: TypeAlias = "str | int | float | bool | None"
Child: TypeAlias = "Markup | str"


class Markup(str):
    """HTML that is safe as it is."""

    __slots__ = ()


def element(tag: str, /, *children: Child, **attributes: Value) -> Markup:
    """An element.

    Args:
        children: Texts are escaped.
        attributes: One that is None or False is left out, one that is True has no value. A
            trailing underscore is no part of a name; others are dashes.
    """
    opening = tag + "".join(map(_attribute, attributes.items()))
    if tag in _VOID:
        return Markup(f"<{opening}>")
    return Markup(f"<{opening}>{joined(children)}</{tag}>")


def joined(children: Iterable[Child]) -> Markup:
    """Parts one after the other."""
    return Markup("".join(map(_safe, children)))


def _safe(child: Child) -> str:
    return child if isinstance(child, Markup) else escape(_visible(child))


def _attribute(item: tuple[str, Value]) -> str:
    name, value = item
    if value is None or value is False:
        return ""
    written = name.rstrip("_").replace("_", "-")
    return f" {written}" if value is True else f' {written}="{escape(_visible(str(value)))}"'


def _visible(text: str) -> str:
    """The text without what no page may hold: half characters and zero bytes."""
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")
