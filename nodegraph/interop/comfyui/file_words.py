"""Words in names of files that say what an input of another node is given: ``%KSampler.seed%``.

ComfyUI calls a node there by its type, or else by its title; here nodes go by their names. Which
input is meant is known by tags, as its value may stand elsewhere, by another name, once its node
has become others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nodegraph.interop.comfyui.foreign import ForeignNode

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
