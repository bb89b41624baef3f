"""Inputs in workflow files: literals, and links to the outputs of other nodes.

``{"from": "node.port"}`` is a link, everything else a literal. A literal that is an object with the
key ``from`` is written as ``{"value": {...}}``. Every literal may be written so.

In memory an input may also be a `Value`: a value of a script that a file cannot contain, such as an
image. It has a copy, so the script may change the original later. Objects of classes that are not
declared as port types are not copied. Files leave the value out and have a parameter instead
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
    from nodegraph.core.ports import RawLink
    from nodegraph.core.types import TypeExpr

    _AnyOutputs: TypeAlias = Any
else:
    _AnyOutputs = object

_OWN = (bool, int, float, str, dict, type(None))


@dataclass(frozen=True, slots=True)
class Link:
    """Link to an output of a node.

    Attributes:
        node: Name of the node.
        port: Name of the output. Empty for the only output of a node.
    """

    node: str
    port: str = ""

    def __str__(self) -> str:
        return f"{self.node}.{self.port}" if self.port else self.node


class Handle:
    """Base class of Python objects that represent a node of a workflow or one of its outputs.

    Its text is the name: ``node.port`` or ``node``.
    """

    __slots__ = ()


def parse_link(text: str) -> Link:
    """Parse ``node.port`` or ``node``.

    Raises:
        ValueError: The text is neither.
    """
    node, dot, port = text.partition(".")
    if not node or "." in port or (dot and not port):
        raise ValueError(f"{text!r} is not of the form `node.port`")
    return Link(node, port)


def parse_target(text: str) -> tuple[str, str]:
    """Parse ``node.input``, the name of one input of a node.

    Raises:
        ValueError: The text has another form.
    """
    link = parse_link(text)
    if not link.port:
        raise ValueError(f"{text!r} is not of the form `node.input`")
    return link.node, link.port


def is_link(written: Any) -> bool:
    """Return whether an input of a workflow file is written as a link."""
    return isinstance(written, dict) and "from" in written


def read_link(written: Mapping[str, Any]) -> Link:
    """Read an input of a workflow file as a link.

    Raises:
        ValueError: The value of ``from`` is not ``node.port``.
    """
    text = written["from"]
    if not isinstance(text, str):
        # Cut short: it may be a list of any depth.
        raise ValueError(f"{reprlib.repr(text)} is not of the form `node.port`")
    return parse_link(text)


def read_literal(written: Any) -> Any:
    """Read an input of a workflow file as a literal."""
    if isinstance(written, dict) and len(written) == 1 and "value" in written:
        return written["value"]
    return written


def write_input(value: Any) -> Any:
    """Convert a Python value or a `Link` to the form of a workflow file.

    As in a file, ``{"from": "node.port"}`` is a link, and ``{"value": {"from": …}}`` a literal.
    """
    if isinstance(value, Link):
        return {"from": str(value)}
    return value if _is_as_written(value) else write_literal(value)


def write_literal(value: Any) -> Any:
    """Convert a Python value to a literal of a workflow file, even if it looks like a link.

    A value that a file cannot contain becomes a `Value` with a copy of it.
    """
    try:
        if is_live(value):
            # What is too large is reported where it is checked.
            return value if is_too_large(value) else to_live(value)
        plain = plain_value(value)
    except RecursionError:  # of what holds itself, which is reported where it is checked
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
    """Convert arrays, tuples, enums and paths in a value to numbers, texts, lists and dictionaries.

    An object that occurs twice in the value also occurs twice in the result.
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
    """Convert a numpy number, a path or an enum member to a plain value."""
    if isinstance(value, PurePath):
        return str(value)
    return value.value if isinstance(value, Enum) else plain_number(value)


def is_array(value: Any) -> bool:
    """Return whether a value is a numpy array, without importing numpy."""
    of = type(value)
    return (of.__module__, of.__name__) == ("numpy", "ndarray")


def plain_number(value: Any) -> Any:
    """Convert a number of numpy or another library to Python's; return other values unchanged."""
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
"""Types that are written as plain values."""
_COUNTED = "biuf"
"""Kinds of numpy dtypes whose arrays may be images."""
_SHOWN = 8
"""Displayed characters of a digest."""
MOST_LEVELS = 200
"""Largest nesting depth of a value: Python cannot hash, copy or write much deeper ones as JSON."""
MOST_PARTS = 10_000_000
"""Largest number of parts of a value in JSON, where an object that occurs twice counts twice."""


class Value:
    """Value in memory, such as an image, as an input of a node of a graph or of an `Expand`.

    Attributes:
        port_type: Port type that it was accepted as. None if it is not known yet.
        digest: Digest of its content. Empty if it is not computed yet.
        is_own: Whether this object holds the only reference to the value.
    """

    __slots__ = ("_value", "digest", "is_own", "port_type")

    def __init__(self, value: Any) -> None:
        self._value = value
        self.port_type: TypeExpr | None = None
        self.digest: Digest = ""
        self.is_own = False

    @classmethod
    def own(cls, value: Any, port_type: TypeExpr | None = None) -> Value:
        """Wrap a value to which there is no other reference."""
        owned = cls(value)
        owned.port_type, owned.is_own = port_type, True
        return owned

    @property
    def value(self) -> Any:
        """The value. The output of an `Expand` step may have to be read from disk first."""
        return self._value

    @property
    def is_blocked(self) -> bool:
        """Whether the value is blocked. The value is not read from disk for this."""
        from nodegraph.core.ports import Blocked  # which knows this class

        return type(self._value) is Blocked

    @property
    def text(self) -> str:
        """Short description: type, size and digest, such as ``Image 512×512 #4f3a9c21``."""
        words = _describe(self._value, "" if self.port_type is None else str(self.port_type))
        try:
            digest = self.digest or _digest(self._value, self.port_type)
        except (Undigestable, RecursionError):
            return words
        return f"{words} #{digest[:_SHOWN]}"

    def __repr__(self) -> str:
        return f"<value {self.text}>"

    def __eq__(self, other: object) -> bool:
        """Return whether both values have the same content."""
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
    """Return whether a value is, or contains, a value that a file cannot contain.

    This includes numpy arrays with several dimensions: they may be images or lists of lists.
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
    return not isinstance(value, Handle)  # reported where it is checked


def is_too_large(value: Any) -> bool:
    """Return whether a value has too many levels or parts for a workflow, or contains itself."""
    return exceeded_limit(value) is not None


def exceeded_limit(value: Any) -> Literal["levels", "parts"] | None:
    """Return the limit that a value exceeds, or None. One that contains itself exceeds levels."""
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
    """Wrap a copy of a value in a `Value`."""
    from nodegraph.core.copies import snapshot

    if type(value) is Value and value.is_own:
        return value
    return Value.own(snapshot(unwrap_live(value)))


def live_inputs(inputs: Mapping[str, Any]) -> list[tuple[str, Value]]:
    """Return the inputs of a node whose values are held in memory, with these values."""
    candidates = ((port, _live_in(written)) for port, written in _special(inputs))
    return [(port, value) for port, value in candidates if value is not None]


def too_large_inputs(inputs: Mapping[str, Any]) -> list[str]:
    """Return the inputs of a node whose values have too many parts for a file."""
    # Whatever is plain or a link is passed over quickly: see `_special`.
    return [
        port
        for port, written in inputs.items()
        if (kind := type(written)) not in _PLAIN
        and not (kind is dict and len(written) == 1 and type(written.get("from")) is str)
        and exceeded_limit(written) == "parts"
    ]


def to_written(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the inputs of a node that are not in the form of a file, as `write_literal` does."""
    written: dict[str, Any] = {}
    for port, raw in _special(inputs):
        value = _live_in(raw)
        if value is not None:
            written[port] = value
        else:
            # Of what holds itself, which is reported where it is checked.
            with suppress(RecursionError):
                written[port] = plain_value(raw)
    return written


def _special(inputs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return inputs without plain values and links, of which large workflows have 100 000."""
    return [
        (port, written)
        for port, written in inputs.items()
        if (kind := type(written)) not in _PLAIN
        and not (kind is dict and len(written) == 1 and "from" in written)
        and not (kind is list and _PLAIN.issuperset(map(type, written)))
    ]


def _live_in(written: Any) -> Value | None:
    """Return the in-memory value of an input, or None if it has none."""
    # What is too large is reported where it is checked.
    if not is_live(written) or is_too_large(written):
        return None
    is_wrapped = type(written) is dict and written.keys() == {"value"}
    return to_live(written["value"] if is_wrapped else written)


def _digest(value: Any, port_type: TypeExpr | None) -> Digest:
    """Return a value's digest as the engine computes it: for a list, from those of its items."""
    if port_type is None or not port_type.is_list:
        return digest_value(value)
    from nodegraph.core.keys import list_digest

    return list_digest([_digest(item, port_type.item) for item in value])


def unwrap_live(value: Any) -> Any:
    """Replace each `Value` in a value by the value that it wraps."""
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
    """Return a short description of a value: its type and size."""
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
"""Assumed port types of tensors without a known type, by number of dimensions."""
_SUMMARIZED = frozenset({"bool", "bytes", "NoneType", "ndarray"})
"""Classes whose values are summarized, in addition to those of `_FORMS`."""
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


@dataclass(frozen=True)
class NodeOutput(_AnyOutputs):  # type: ignore[misc] # what it stands for has any type
    """Values that a node returns together with a JSON object that clients show for it.

    Type checkers accept it for any declared return type of a node.

    Attributes:
        values: What the node would return without it: a value, a tuple of several, or an `Expand`.
        ui: What to show, as plain JSON: names with values of any form, such as
            ``{"text": ["a red apple"]}``. It is stored with the outputs, so that a cached run gives
            it again. 256 KiB of JSON at most.
    """

    values: Any = None
    ui: Mapping[str, Any] = field(default_factory=dict)


OutputSource: TypeAlias = "str | Value | RawLink[Any] | Sequence[OutputSource]"
"""Source of an output: ``"node.port"`` of a fragment, a `Value`, a link to a node of the run, or a
list of these."""


@dataclass(frozen=True)
class Expand(_AnyOutputs):  # type: ignore[misc] # what it stands for has any type
    """Graph fragment that a node returns instead of values; its outputs become the node's outputs.

    Type checkers accept it for any declared return type of a node.

    Attributes:
        nodes: Nodes as in a workflow file: ``{"blur": {"type": "Blur", "inputs": {...}}}``. An
            input is a literal, a link ``{"from": "other.port"}`` inside the fragment, or a value
            in memory such as a tensor, which may be wrapped in a `Value`, or a `RawLink` to a node
            that comes before the expanding one. ``"origin"`` names the node that it is a copy of.
        outputs: For each output of the node, ``"node.port"`` of the fragment, a `Value`, a
            `RawLink`, or a list of these.
        subgraphs: Definitions of subgraphs, as in a workflow file, that `nodes` may use as types.
        then: Function for expansions in several steps. It is called with `outputs` after the
            fragment has run; the names in `outputs` may then be chosen freely. Like the node's
            function, it returns the node's outputs or the next `Expand`. The steps are not nested,
            so there may be thousands; their nodes must have different names. The function should
            be fast, and may be called again with the same outputs.
    """

    nodes: Mapping[str, Mapping[str, Any]]
    outputs: Mapping[str, OutputSource]
    subgraphs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    then: Callable[[Mapping[str, Value]], Any] | None = None
