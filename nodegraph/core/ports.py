"""Port types as Python sees them in a node's signature."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, is_dataclass
from enum import Enum
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    NamedTuple,
    Protocol,
    TypeAlias,
    TypeVar,
    final,
    overload,
)

from nodegraph.core.digests import type_name
from nodegraph.core.spec import RunFact
from nodegraph.core.types import TypeInfo
from nodegraph.core.values import NOT_CONTENT

if TYPE_CHECKING:
    from torch import Tensor

    Image: TypeAlias = Tensor
    """float32, shape (batch, height, width, channels), values in 0..1, sRGB, on the CPU."""
    Mask: TypeAlias = Tensor
    """float32, shape (batch, height, width), values in 0..1, on the CPU."""
else:
    # Markers: a signature names them, and importing torch can wait until a node runs.
    class Image:
        """float32 tensor, shape (batch, height, width, channels), values in 0..1, sRGB."""

    class Mask:
        """float32 tensor, shape (batch, height, width), values in 0..1."""


if TYPE_CHECKING:
    _Anything: TypeAlias = Any
else:
    _Anything = object

T = TypeVar("T")
PORT_ATTRIBUTE = "__nodegraph_port__"


@dataclass(frozen=True)
class Serializer:
    """Functions that write and read values of a class for the store.

    Attributes:
        name: Name of the class in files.
        dumps: Converts a value to bytes. None for dataclasses and enums, which are stored by their
            fields.
        loads: Converts the bytes back to the value.
    """

    name: str
    dumps: Callable[[Any], bytes] | None = None
    loads: Callable[[bytes], Any] | None = None


@dataclass(frozen=True)
class PortType:
    """Port type that a pack defines.

    Attributes:
        info: Name, color and supertypes of the type.
        python: Class of the values.
        digest: Function that returns equal texts for equal values. If None, cache keys identify a
            frozen dataclass of plain values and tensors by its content, and other values by the
            computation that produced them.
        serializer: How values are stored on disk. None if they are kept only in memory.
    """

    info: TypeInfo
    python: type
    digest: Callable[[Any], str] | None = None
    serializer: Serializer | None = None


class _Declare(Protocol):
    """Type of the decorator that `port_type(...)` returns; it returns its class unchanged."""

    def __call__(self, cls: type[T], /) -> type[T]: ...


@overload
def port_type(cls: type[T], /) -> type[T]: ...
@overload
def port_type(
    *,
    name: str = "",
    color: str = "#9aa0a6",
    parents: tuple[str, ...] = (),
    digest: Callable[[Any], str] | None = None,
) -> _Declare: ...
@overload
def port_type(
    *,
    name: str = "",
    color: str = "#9aa0a6",
    parents: tuple[str, ...] = (),
    digest: Callable[[Any], str] | None = None,
    dumps: Callable[[T], bytes],
    loads: Callable[[bytes], T],
) -> Callable[[type[T]], type[T]]: ...


def port_type(
    decorated: Any = None,
    /,
    *,
    name: str = "",
    color: str = "#9aa0a6",
    parents: tuple[str, ...] = (),
    digest: Callable[[Any], str] | None = None,
    dumps: Callable[[T], bytes] | None = None,
    loads: Callable[[bytes], T] | None = None,
) -> Any:
    """Make a class a port type.

    The first line of the class's docstring becomes the description of the type.

    Args:
        name: Display name. The name of the class if empty.
        color: Color of its ports and links, ``#rrggbb``.
        parents: Names of other port types whose inputs also accept values of this type.
        digest: Function that returns equal texts for equal values. Frozen dataclasses of plain
            values and tensors do not need it.
        dumps: Function that converts a value to bytes, to store it on disk. Dataclasses and enums
            of values that can be stored do not need it. Values of other classes without it stay in
            memory.
        loads: Function that converts the bytes of `dumps` back to an equal value with an equal
            digest.
    Raises:
        TypeError: Only one of `dumps` and `loads` is given.
    """
    if (dumps is None) != (loads is None):
        raise TypeError("a port type needs `dumps` and `loads` together")

    def declare(cls: type[T]) -> type[T]:
        summary = (cls.__doc__ or "").strip().split("\n")[0]
        info = TypeInfo(name or cls.__name__, color, parents, summary)
        serializer = None
        if dumps is not None or is_dataclass(cls) or issubclass(cls, Enum):
            serializer = Serializer(type_name(cls), dumps, loads)
        setattr(cls, PORT_ATTRIBUTE, PortType(info, cls, digest, serializer))
        return cls

    return declare if decorated is None else declare(decorated)


class Lazy(Generic[T]):
    """Input that is evaluated only when the node awaits it: ``value = await image()``."""

    def __init__(self, evaluate: Callable[[], Any]) -> None:
        self._evaluate = evaluate

    async def __call__(self) -> T:
        value: T = await self._evaluate()
        return value


@dataclass(frozen=True, slots=True)
class RawLink(Generic[T]):
    """Link to an output of a node of the run, which has not been evaluated for it.

    A parameter ``image: RawLink[Image]`` receives one. It may be an input of a node, or an output,
    of an `Expand`: only then is the node that it names needed.

    Attributes:
        node: Name of the node in the run.
        port: Name of its output.
    """

    node: str
    port: str

    def __str__(self) -> str:
        return f"{self.node}.{self.port}"


class NodeId(str):
    """Parameter type: the name of the node in the run, which no other node has.

    A node inside a subgraph or a returned graph has the names around it in front: ``outer/inner``.
    """

    __slots__ = ()


if TYPE_CHECKING:
    WorkflowDocument: TypeAlias = Mapping[str, Any]
    """Parameter type: the whole workflow of the run with its values set, as JSON values."""
    WorkflowMetadata: TypeAlias = Mapping[str, Any]
    """Parameter type: ``metadata`` of the workflow, which clients send to be kept in files."""
else:

    class WorkflowDocument:
        """The whole workflow of the run with its values set, as JSON values."""

    class WorkflowMetadata:
        """``metadata`` of the workflow, which clients send to be kept in files."""


class RunNode(NamedTuple):
    """One node of the graph that is being run.

    Attributes:
        name: Name in the run.
        type: Node type.
        inputs: Values of the inputs, defaults included; a `RawLink` for a linked one.
        parent: Node that returned the graph that it is in. None for a node of the workflow.
        origin: Node of the workflow to show for it: the node that it is a copy of, or else the
            one that returned its graph.
    """

    name: str
    type: str
    inputs: Mapping[str, Any]
    parent: str | None
    origin: str


class GraphCopy(NamedTuple):
    """Copies of nodes, for an `Expand`.

    Attributes:
        nodes: The copies, by their new names. Links between them lead from copy to copy, all others
            to the nodes of the run, as `RawLink`.
        names: New names, by the names in the run.
        subgraphs: Definitions of subgraphs that the copies run.
    """

    nodes: dict[str, dict[str, Any]]
    names: dict[str, str]
    subgraphs: dict[str, Any]

    def output(self, link: RawLink[Any]) -> str | RawLink[Any]:
        """Return the output of the copy that a link of an original leads to, for an `Expand`."""
        name = self.names.get(link.node)
        return link if name is None else f"{name}.{link.port}"


class RunGraph(Mapping[str, RunNode]):
    """Parameter type: the nodes before this one in the graph that is being run, and itself.

    It maps names to nodes. Reading it makes all of these nodes, with their types and inputs, part
    of the cache key.
    """

    @property
    @abstractmethod
    def node(self) -> str:
        """Name of the node that reads the graph."""

    @abstractmethod
    def between(self, first: str) -> tuple[str, ...]:
        """Return the nodes on the way from a node to the reader, in the order of the links.

        Args:
            first: The node to start from, which is the first in the result. The reader itself is
                not in it.
        Raises:
            InvalidValue: No links lead from there to the reader.
        """

    @abstractmethod
    def copy(self, names: Iterable[str], suffix: str = "") -> GraphCopy:
        """Return copies of nodes, for an `Expand`.

        Args:
            suffix: Text after the names of the copies, to tell those of several steps apart.
        """


def run_fact(annotation: Any) -> RunFact | None:
    """Return what a parameter of this type asks of the run; None if it is an input."""
    return _RUN_FACTS.get(annotation) if isinstance(annotation, type) else None


_RUN_FACTS: dict[Any, RunFact] = {
    NodeId: "node",
    WorkflowDocument: "workflow",
    WorkflowMetadata: "metadata",
    RunGraph: "graph",
}

_LONGEST_REASON = 2000
"""Letters of a blocker's message."""


@final
@dataclass(frozen=True, slots=True)
class Blocked(_Anything):  # type: ignore[misc] # what it stands for has any type
    """Value for an output, or an item of a list, that has no value in this call.

    Nodes that depend on it do not run. Type checkers accept it for any declared return type.

    Attributes:
        message: Why there is no value. Each sink that does not run because of it reports it. Empty
            for `BLOCKED`, which is silent.
    """

    # No part of the content: a node never receives a blocked value, so no result depends on it.
    message: str = field(default="", metadata=NOT_CONTENT)

    def __new__(cls, message: str = "") -> Blocked:
        """Return the only silent instance, also after copying or unpickling."""
        silent: Blocked | None = None if message else globals().get("BLOCKED")
        return silent or object.__new__(cls)

    def __post_init__(self) -> None:
        if not isinstance(self.message, str):
            raise TypeError(f"the message of a blocker is a text, not {self.message!r}")
        if len(self.message) > _LONGEST_REASON:
            object.__setattr__(self, "message", f"{self.message[: _LONGEST_REASON - 1]}…")

    def __reduce__(self) -> str | tuple[type[Blocked], tuple[str]]:
        return (Blocked, (self.message,)) if self.message else "BLOCKED"

    def __repr__(self) -> str:
        return f"Blocked({self.message!r})" if self.message else "BLOCKED"


BLOCKED: Any = Blocked()
"""Value that a node returns for an output, or an item of a list, that has no value in this call.
Nodes that depend on it are skipped without an error or a message; see `Blocked`."""


@dataclass(frozen=True, slots=True)
class Subgraph:
    """Subgraph of the workflow as an input of a node that runs it. Workflow files give its name.

    Attributes:
        name: Name of the subgraph in the workflow file.
        definitions: The subgraph and all subgraphs that it uses, by name, as in a workflow file.
            Pass them as `subgraphs` of an `Expand`.
        code: Digest of the code of the node types that it uses.
        acts: Whether one of its nodes has effects outside the run, such as writing files. Then the
            order of its runs matters.
        inputs, outputs: Types of its ports, by name.
    """

    name: str
    definitions: Mapping[str, Mapping[str, Any]]
    code: str = ""
    acts: bool = False
    inputs: Mapping[str, str] = field(default_factory=dict, metadata=NOT_CONTENT)
    outputs: Mapping[str, str] = field(default_factory=dict, metadata=NOT_CONTENT)
