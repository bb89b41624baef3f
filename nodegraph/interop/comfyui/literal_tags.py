"""Literals tagged with their origin, and references to inputs in file names.

Entries of the table pass values on unchanged or compute new ones. The tag of an unchanged value
names the ComfyUI input that it comes from, so that a block's input stays one, and a seed that
changes after each run continues to change.

A reference in a ComfyUI file name names a node by its type or title, while nodes here have names.
Tags find the input, also where the node became several nodes or the input has another name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nodegraph.interop.comfyui.foreign_workflow import ForeignNode

_WORD = re.compile(r"%([^%./\\]+)\.([^%./\\]+)%")


def iter_references(inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Node and input of each such word of a node's texts."""
    for value in inputs.values():
        if isinstance(value, str):
            yield from _WORD.findall(value)


def find_referenced_node(word: str, nodes: Mapping[str, ForeignNode]) -> str:
    """Id of the node that ComfyUI takes a word for; empty if it finds none."""
    for is_meant in (lambda node: _type_said(node) == word, lambda node: node.title == word):
        node_id = next((name for name, node in nodes.items() if is_meant(node)), "")
        if node_id:
            return node_id
    return ""


def reference_name(name: str, nodes: Mapping[str, ForeignNode]) -> str:
    """How ComfyUI is told of a node; empty if it would take each word for another one."""
    words = (nodes[name].title, _type_said(nodes[name]))
    return next((word for word in words if word and find_referenced_node(word, nodes) == name), "")


def replace_references(name: str, put: Callable[[str, str], str]) -> str:
    """A name of files with other words.

    Args:
        put: Gives the word for a node and an input; empty for one that stays.
    """

    def other(match: re.Match[str]) -> str:
        word = put(match[1], match[2])
        return f"%{word}%" if word else match[0]

    return _WORD.sub(other, name)


def _type_said(node: ForeignNode) -> str:
    properties = node.raw.get("properties")
    node_type = properties.get("Node name for S&R") if isinstance(properties, dict) else None
    return node_type if isinstance(node_type, str) else node.type


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
