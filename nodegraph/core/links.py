"""How a workflow file writes one input: a literal, or a link to another node's output.

``{"from": "node.port"}`` is a link, anything else a literal. A literal that is itself an object
with the key ``from`` is written ``{"value": {...}}``; any literal may be.

In memory an input may hold a `Value`, too: what a script has and no file can hold, such as an
image. It holds a copy, so whoever gave it may change theirs afterwards; objects of classes that
no port type declares are held themselves. In a file it is left out, and named by a parameter
(`Workflow.without_values`).
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from numbers import Integral, Real
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from nodegraph.core.digests import Digest, Undigestable, digest_value, is_tensor

if TYPE_CHECKING:
    from nodegraph.core.types import TypeExpr

    _AnyOutputs: TypeAlias = Any
else:
    _AnyOutputs = object

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
        # Cut short: it may be a list of any depth.
        raise ValueError(f"{reprlib.repr(text)} is not of the form `node.port`")
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
    try:
        if is_live(value):
            # What is too large is told where it is checked.
            return value if is_too_large(value) else to_live(value)
        plain = plain_value(value)
    except RecursionError:  # of what holds itself, which is told where it is checked
        return value
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
    """A value with numbers, texts, lists and dictionaries in place of what stands for such.

    What stands in it twice does so in what is returned.
    """
    return _plain(value, {})


def _plain(value: Any, known: dict[int, Any]) -> Any:
    if isinstance(value, (list, tuple, dict)):
        if id(value) not in known:
            known[id(value)] = (
                {plain_leaf(name): _plain(item, known) for name, item in value.items()}
                if isinstance(value, dict)
                else [_plain(item, known) for item in value]
            )
        return known[id(value)]
    if is_array(value):
        items = value.tolist()
        return plain_value(items) if value.dtype.kind == "O" else items
    return plain_leaf(value)


def plain_leaf(value: Any) -> Any:
    """A number of numpy's, a path or a member of an enum as what it stands for."""
    if isinstance(value, PurePath):
        return str(value)
    return value.value if isinstance(value, Enum) else plain_number(value)


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


# Values in memory

_PLAIN = frozenset({str, int, float, bool, type(None)})
_FORMS = (PurePath, Enum, Real, str)
"""What is written as something plain."""
_COUNTED = "biuf"
"""Kinds of numpy's types whose arrays may be images."""
_SHOWN = 8
"""Characters of a digest."""
MOST_LEVELS = 200
"""Of lists and mappings in a value: of many more Python makes no key, no copy and no JSON."""
MOST_PARTS = 10_000_000
"""Of a value, as JSON has them: a list in which another stands twice has that one's parts twice."""


class Value:
    """A live value given to an input of a node: of a graph, or of an `Expand` fragment.

    Attributes:
        port_type: What it was taken as; None where that isn't known yet.
        digest: Of its content, as the engine knows it; empty where it hasn't been made.
        is_own: Nobody else holds what it holds.
    """

    __slots__ = ("_value", "digest", "is_own", "port_type")

    def __init__(self, value: Any) -> None:
        self._value = value
        self.port_type: TypeExpr | None = None
        self.digest: Digest = ""
        self.is_own = False

    @classmethod
    def own(cls, value: Any, port_type: TypeExpr | None = None) -> Value:
        """One of a value that nobody else holds."""
        owned = cls(value)
        owned.port_type, owned.is_own = port_type, True
        return owned

    @property
    def value(self) -> Any:
        """The value itself; one that a fragment gave may have to be read from disk first."""
        return self._value

    @property
    def is_blocked(self) -> bool:
        """Whether it stands for an output that was blocked; needs no reading."""
        from nodegraph.core.ports import BLOCKED  # which knows this class

        return self._value is BLOCKED

    @property
    def text(self) -> str:
        """It in a few words: type, size and digest, as in ``Image 512×512 #4f3a9c21``."""
        words = _describe(self._value, "" if self.port_type is None else str(self.port_type))
        try:
            digest = self.digest or _digest(self._value, self.port_type)
        except (Undigestable, RecursionError):
            return words
        return f"{words} #{digest[:_SHOWN]}"

    def __repr__(self) -> str:
        return f"<value {self.text}>"

    def __eq__(self, other: object) -> bool:
        """Whether it has the same content."""
        if self is other:
            return True
        if not type(self) is Value is type(other):
            return False
        if self._value is other._value:
            return True
        try:
            return digest_value(self._value) == digest_value(other._value)
        except (Undigestable, RecursionError):
            return False

    def __hash__(self) -> int:
        return hash((Value, type(self._value)))


def is_live(value: Any) -> bool:
    """Whether a value is, or holds, what no file can.

    An array of numpy's with several dimensions is: it may be an image, or a list of lists.
    """
    left, visited = [value], set[int]()
    while left:
        part = left.pop()
        if not isinstance(part, (list, tuple, dict)):
            if _is_live_leaf(part):
                return True
        elif id(part) not in visited:  # What holds itself is looked at once.
            visited.add(id(part))
            inner = part.values() if isinstance(part, dict) else part
            if not _PLAIN.issuperset(map(type, inner)):
                left.extend(inner)
    return False


def _is_live_leaf(value: Any) -> bool:
    kind = type(value)
    if kind in _PLAIN or isinstance(value, _FORMS):
        return False
    dimensions = getattr(value, "ndim", None)
    if kind.__module__ == "numpy" and isinstance(dimensions, int):
        return dimensions > 1 and value.dtype.kind in _COUNTED
    return not isinstance(value, Handle)  # told where it is checked


def is_too_large(value: Any) -> bool:
    """Whether a value has too many levels or parts for a workflow, or holds itself."""
    return exceeded_limit(value) is not None


def exceeded_limit(value: Any) -> Literal["levels", "parts"] | None:
    """What a value has too many of: levels (so has one that holds itself) or parts."""
    if isinstance(value, (list, tuple)) and _PLAIN.issuperset(map(type, value)):
        return "parts" if len(value) > MOST_PARTS else None
    parts, level = 1, {id(value): (value, 1)}
    for _ in range(MOST_LEVELS + 1):
        # Each of a level once, with the number of its places, which doubles from level to level
        # where a list holds another twice.
        inner: dict[int, tuple[Any, int]] = {}
        is_last = True
        for part, places in level.values():
            if not isinstance(part, (list, tuple, dict)):
                continue
            is_last = False
            parts += places * len(part)
            for item in part.values() if isinstance(part, dict) else part:
                if type(item) not in _PLAIN:
                    _, known = inner.get(id(item), (item, 0))
                    inner[id(item)] = item, known + places
        if is_last:
            return "parts" if parts > MOST_PARTS else None
        level = inner
    return "levels"


def to_live(value: Any) -> Value:
    """A `Value` with a copy of a value."""
    from nodegraph.core.copies import snapshot

    if type(value) is Value and value.is_own:
        return value
    return Value.own(snapshot(unwrap_live(value)))


def live_inputs(inputs: Mapping[str, Any]) -> list[tuple[str, Value]]:
    """The inputs of a node that are given live values."""
    candidates = ((port, _live_in(written)) for port, written in _special(inputs))
    return [(port, value) for port, value in candidates if value is not None]


def too_large_inputs(inputs: Mapping[str, Any]) -> list[str]:
    """The inputs of a node that are given more parts than a file can hold."""
    # Whatever is plain or a link is passed over quickly: see `_special`.
    return [
        port
        for port, written in inputs.items()
        if (kind := type(written)) not in _PLAIN
        and not (kind is dict and len(written) == 1 and type(written.get("from")) is str)
        and exceeded_limit(written) == "parts"
    ]


def to_written(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a node that a script gave otherwise than a file would, as `write_literal`."""
    written: dict[str, Any] = {}
    for port, raw in _special(inputs):
        value = _live_in(raw)
        if value is not None:
            written[port] = value
        else:
            # Of what holds itself, which is told where it is checked.
            with suppress(RecursionError):
                written[port] = plain_value(raw)
    return written


def _special(inputs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Inputs without those that are plain or links: large workflows have a hundred thousand."""
    return [
        (port, written)
        for port, written in inputs.items()
        if (kind := type(written)) not in _PLAIN
        and not (kind is dict and len(written) == 1 and "from" in written)
        and not (kind is list and _PLAIN.issuperset(map(type, written)))
    ]


def _live_in(written: Any) -> Value | None:
    """The live value that an input is given; None if it is given none."""
    # What is too large is told where it is checked.
    if not is_live(written) or is_too_large(written):
        return None
    is_wrapped = type(written) is dict and written.keys() == {"value"}
    return to_live(written["value"] if is_wrapped else written)


def _digest(value: Any, port_type: TypeExpr | None) -> Digest:
    """As the engine names it: a list by the digests of its items."""
    if port_type is None or not port_type.is_list:
        return digest_value(value)
    from nodegraph.core.keys import list_digest

    return list_digest([_digest(item, port_type.item) for item in value])


def unwrap_live(value: Any) -> Any:
    """A value in which those that a `Value` holds stand themselves."""
    return _unwrap_live(value, {})


def _unwrap_live(value: Any, known: dict[int, Any]) -> Any:
    if isinstance(value, Value):
        return _unwrap_live(value.value, known)
    if type(value) not in (list, tuple, dict):
        return value
    if id(value) not in known:
        # The value is kept beside what is made of it, so that no other has its id meanwhile.
        known[id(value)] = (
            value,
            (
                {name: _unwrap_live(item, known) for name, item in value.items()}
                if type(value) is dict
                else type(value)(_unwrap_live(item, known) for item in value)
            ),
        )
    return known[id(value)][1]


def _describe(value: Any, kind: str) -> str:
    """A value's type and size."""
    from nodegraph.core.summary import summarize

    if isinstance(value, (list, tuple)) and value:
        inner = kind.removeprefix("list[").removesuffix("]") if kind.startswith("list[") else ""
        return f"list of {len(value)} ({_describe(value[0], inner)}, …)"
    kind = "" if kind == "Any" else kind
    if is_tensor(value):
        return _tensor_words(value, kind or _PICTURES.get(value.ndim, ""))
    of = type(value).__name__
    if of in _SIZED:
        return f"{kind or of} {_SIZED[of](value)}"
    if hasattr(value, "mode") and type(value).__module__.startswith("PIL."):
        return f"Image {value.width}×{value.height}"
    if isinstance(value, dict):
        return f"dictionary of {len(value)}"
    if isinstance(value, _FORMS) or of in _SUMMARIZED:
        text = summarize(value)
        return text if not kind or text.startswith(kind) else f"{kind} {text}"
    # What others hold may say where files lie on this machine; the digest tells them apart.
    return kind or of


_PICTURES = {4: "Image", 3: "Mask"}
"""What tensors are taken for of which nothing is known, by their dimensions."""
_SUMMARIZED = frozenset({"bool", "bytes", "NoneType", "ndarray"})
"""Classes whose values are told besides those of `_FORMS`."""
_SIZED: Mapping[str, Callable[[Any], str]] = {
    "Latent": lambda value: f"{value.width}×{value.height}{_batch(value.batch_size)}",
    "Video": lambda value: (
        f"{value.frames.shape[2]}×{value.frames.shape[1]}, {value.frames.shape[0]} frames"
    ),
    "Audio": lambda value: f"{float(value.seconds):.2f} s, {value.rate} Hz",
}


def _tensor_words(value: Any, kind: str) -> str:
    shape = tuple(value.shape)
    if kind == "Image" and len(shape) == 4:
        return f"Image {shape[2]}×{shape[1]}{_batch(shape[0])}"
    if kind == "Mask" and len(shape) == 3:
        return f"Mask {shape[2]}×{shape[1]}{_batch(shape[0])}"
    form = f"{str(value.dtype).removeprefix('torch.')} {list(shape)}"
    return f"{kind} {form}" if kind not in ("", "Image", "Mask") else form


def _batch(count: int) -> str:
    return f", {count} of them" if count > 1 else ""


OutputSource: TypeAlias = "str | Value | Sequence[OutputSource]"
"""What stands for an output: ``"node.port"`` of a fragment, a `Value`, or a list of such."""


@dataclass(frozen=True)
class Expand(_AnyOutputs):  # type: ignore[misc] # what it stands for has any type
    """A node's answer that is more graph: the fragment's outputs stand for the node's.

    To a type checker it is of whatever type the node declares to return.

    Attributes:
        nodes: As in a workflow file: ``{"blur": {"type": "Blur", "inputs": {...}}}``. An input is
            a literal, ``{"from": "other.port"}`` within the fragment, or a live value, such as a
            tensor, which may be in a `Value`.
        outputs: For each output of the node, ``"node.port"`` of the fragment, a `Value`, or a list
            of such.
        subgraphs: Definitions, as in a workflow file, that `nodes` may use as types.
        then: For answers in several steps. It is called once the fragment has run, with its
            `outputs`, which may be any, and answers as the node's function does: with its
            outputs, or with the next `Expand`. All steps stand at the same level, so there may
            be thousands; the names of their nodes must differ. It should do little itself, and
            may be called again with the same.
    """

    nodes: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, OutputSource]
    subgraphs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    then: Callable[[Mapping[str, Value]], Any] | None = None
