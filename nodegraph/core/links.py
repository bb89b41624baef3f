"""How a workflow file writes one input: a literal, or a link to another node's output.

``{"from": "node.port"}`` is a link, anything else a literal. A literal that is itself an object
with the key ``from`` is written ``{"value": {...}}``; any literal may be. In memory an input may
hold a `Value`, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

from nodegraph.core.live_values import is_live, live

_OWN = (bool, int, float, str, dict, type(None))


@dataclass(frozen=True, slots=True)
class Link:
    """An output of a node, as links name it.

    Attributes:
        node: Name of the node.
        port: Name of the output; empty for the node's only one.
    """

    node: str
    port: str = ""

    def __str__(self) -> str:
        return f"{self.node}.{self.port}" if self.port else self.node


class Handle:
    """What stands in Python for a node of a workflow, or for one of its outputs.

    Its text is the name: ``node.port`` or ``node``.
    """

    __slots__ = ()


def parse_link(text: str) -> Link:
    """Read ``node.port`` or ``node``.

    Raises:
        ValueError: It is neither.
    """
    node, dot, port = text.partition(".")
    if not node or "." in port or (dot and not port):
        raise ValueError(f"{text!r} is not of the form `node.port`")
    return Link(node, port)


def parse_target(text: str) -> tuple[str, str]:
    """Read ``node.input``, which names one input of one node.

    Raises:
        ValueError: It isn't of that form.
    """
    link = parse_link(text)
    if not link.port:
        raise ValueError(f"{text!r} is not of the form `node.input`")
    return link.node, link.port


def is_link(written: Any) -> bool:
    """Whether an input of a workflow file is meant as a link."""
    return isinstance(written, dict) and "from" in written


def read_link(written: Mapping[str, Any]) -> Link:
    """The link that an input of a workflow file is.

    Raises:
        ValueError: What follows ``from`` is not ``node.port``.
    """
    text = written["from"]
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is not of the form `node.port`")
    return parse_link(text)


def read_literal(written: Any) -> Any:
    """The literal that an input of a workflow file is."""
    if isinstance(written, dict) and len(written) == 1 and "value" in written:
        return written["value"]
    return written


def write_input(value: Any) -> Any:
    """A Python value, a `Link`, or what a workflow file writes for a link, as a file writes it.

    ``{"from": "node.port"}`` is a link here as there, and ``{"value": {"from": …}}`` a literal.
    """
    if isinstance(value, Link):
        return {"from": str(value)}
    return value if _is_as_written(value) else write_literal(value)


def write_literal(value: Any) -> Any:
    """A Python value that is no link, whatever it looks like, as a workflow file writes it.

    What no file can hold is a `Value` with a copy of it.
    """
    if is_live(value):
        return live(value)
    plain = plain_value(value)
    if isinstance(plain, dict) and ("from" in plain or set(plain) == {"value"}):
        return {"value": plain}
    return plain


def _is_as_written(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) != 1:
        return False
    if "value" in value:
        return is_link(value["value"])
    try:
        return is_link(value) and bool(read_link(value))
    except ValueError:
        return False


def plain_value(value: Any) -> Any:
    """A value with numbers, texts and lists in place of what stands for such."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    return value.tolist() if is_array(value) else plain_number(value)


def is_array(value: Any) -> bool:
    """Whether it is an array of numpy's; known without importing it."""
    of = type(value)
    return (of.__module__, of.__name__) == ("numpy", "ndarray")


def plain_number(value: Any) -> Any:
    """A number of numpy's, or of another library, as Python's own; what is none as it is."""
    if type(value) in _OWN:
        return value
    if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
        return value.item()
    if isinstance(value, (bool, Enum)):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else value
