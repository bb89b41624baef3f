"""Port types as Python sees them in a node's signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar, final, overload

from nodegraph.core.digests import type_name
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


@final
@dataclass(frozen=True, slots=True)
class Blocked:
    """Type of `BLOCKED`, its only instance."""

    def __new__(cls) -> Blocked:
        """Return the only instance, also after copying or unpickling."""
        instance: Blocked = globals().get("BLOCKED") or object.__new__(cls)
        return instance

    def __reduce__(self) -> str:
        return "BLOCKED"

    def __repr__(self) -> str:
        return "BLOCKED"


BLOCKED: Any = Blocked()
"""Value that a node returns for an output, or an item of a list, that has no value in this call.
Nodes that depend on it are skipped without an error."""


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
