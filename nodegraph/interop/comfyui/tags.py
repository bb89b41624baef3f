"""Literals that remember where they were written, for as long as nobody changes them.

A table's entry hands values on or works out others of them. Of those that arrive as they were, it
is known which input of ComfyUI's they are: such an input of a block stays one, and a seed that is
drawn after each run goes on to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tag:
    """Where a literal comes from.

    Attributes:
        block_input: The block's own input that gives it; empty outside of blocks.
        control: What happens to it after a run; empty if nothing does.
        referenced_at: Node and input that it was written at, where names of files say its value.
        unread: ComfyUI's input that it is the default of, as the file's value couldn't be read;
            empty of all others.
    """

    block_input: str = ""
    control: str = ""
    referenced_at: tuple[str, str] = ("", "")
    unread: str = ""


class _Text(str):
    tag: Tag


class _Whole(int):
    tag: Tag


class _Fraction(float):
    tag: Tag


_KINDS: dict[type, Any] = {str: _Text, int: _Whole, float: _Fraction}


def can_be_tagged(value: Any) -> bool:
    """Whether a literal can have a tag: true, false and null are the same everywhere."""
    return type(value) in _KINDS


def with_tag(value: Any, tag: Tag) -> Any:
    """An equal value that has a tag, of those that can have one."""
    if not can_be_tagged(value):
        return value
    tagged_value = _KINDS[type(value)](value)
    tagged_value.tag = tag
    return tagged_value


def tag_of(value: Any) -> Tag:
    """A value's tag; an empty one if it has none."""
    value_tag = (
        getattr(value, "tag", None) if isinstance(value, (_Text, _Whole, _Fraction)) else None
    )
    return value_tag if isinstance(value_tag, Tag) else Tag()


def strip_tags(value: Any) -> Any:
    """A value, and what it holds, without tags."""
    if isinstance(value, dict):
        return {strip_tags(key): strip_tags(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strip_tags(item) for item in value]
    for kind, of_kind in _KINDS.items():
        if isinstance(value, of_kind):
            # `str.__str__` of a subclass gives that object's text as a plain one.
            return kind(value)
    return value
