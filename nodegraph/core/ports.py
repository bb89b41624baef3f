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
    """How the store writes and reads values of a class.

    Attributes:
        name: Stands for the class in files.
        dumps: A value as bytes; None for dataclasses and enums that are kept by their fields.
        loads: The value again.
    """

    name: str
    dumps: Callable[[Any], bytes] | None = None
    loads: Callable[[bytes], Any] | None = None


@dataclass(frozen=True)
class PortType:
    """A pack's own port type.

    Attributes:
        info: Name, color and supertypes.
        python: Class of the values.
        digest: Text that is equal for equal values; None if values have no content digest, and
            are then named by what they were computed from.
        serializer: How values are stored; None if they are kept in memory only.
    """

    info: TypeInfo
    python: type
    digest: Callable[[Any], str] | None = None
    serializer: Serializer | None = None


class _Declare(Protocol):
    """What `port_type(...)` gives: whatever class it is put on stays that class."""

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
    """Make a class a port type of its own.

    Args:
        name: As shown; the class's name if empty.
        color: ``#rrggbb`` of its ports and links.
        parents: Names of port types that also take it.
        digest: Text that is equal for equal values. Frozen dataclasses of plain values and
            tensors need none.
        dumps: A value as bytes, to store it on disk. Dataclasses and enums of values that can be
            stored need none; of other classes without it, values stay in memory.
        loads: The value again, from what `dumps` gave; equal, digest included.
    Raises:
        TypeError: One of `dumps` and `loads` without the other.
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
    """An input that is evaluated only if the node asks: ``value = await image()``."""

    def __init__(self, evaluate: Callable[[], Any]) -> None:
        self._evaluate = evaluate

    async def __call__(self) -> T:
        value: T = await self._evaluate()
        return value


@final
@dataclass(frozen=True, slots=True)
class Blocked:
    """Stands for an output that has no value this time; there is just one, `BLOCKED`."""

    def __new__(cls) -> Blocked:
        """The only one, also where it is copied or unpickled."""
        instance: Blocked = globals().get("BLOCKED") or object.__new__(cls)
        return instance

    def __reduce__(self) -> str:
        return "BLOCKED"

    def __repr__(self) -> str:
        return "BLOCKED"


BLOCKED: Any = Blocked()
"""What a node returns for an output, or for an item of a list, that has no value this time: what
depends on it is skipped silently."""


@dataclass(frozen=True, slots=True)
class Subgraph:
    """One of the workflow's subgraphs, for a node that runs it: the file gives just its name.

    Attributes:
        name: In the workflow file.
        definitions: Itself and all subgraphs that it uses, by name, as in a workflow file: for
            the `subgraphs` of an `Expand`.
        code: Digest of the code behind the node types that it uses.
        acts: Something in it acts on the world outside, so the order of its runs counts.
        inputs, outputs: Its ports' types, by name.
    """

    name: str
    definitions: Mapping[str, Mapping[str, Any]]
    code: str = ""
    acts: bool = False
    inputs: Mapping[str, str] = field(default_factory=dict, metadata=NOT_CONTENT)
    outputs: Mapping[str, str] = field(default_factory=dict, metadata=NOT_CONTENT)
