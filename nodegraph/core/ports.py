"""Port types as Python sees them in a node's signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from nodegraph.core.types import TypeInfo

if TYPE_CHECKING:
    from typing import TypeAlias

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
class PortType:
    """A pack's own port type.

    Attributes:
        info: Name, colour and supertypes.
        python: Class of the values.
        digest: Text that is equal for equal values; None if values have no content digest, and
            are then named by what they were computed from.
    """

    info: TypeInfo
    python: type
    digest: Callable[[Any], str] | None = None


def port_type(
    *,
    name: str = "",
    color: str = "#9aa0a6",
    parents: tuple[str, ...] = (),
    digest: Callable[[Any], str] | None = None,
) -> Callable[[type[T]], type[T]]:
    """Make a class a port type of its own.

    Args:
        name: As shown; the class's name if empty.
        color: ``#rrggbb`` of its ports and links.
        parents: Names of port types that also take it.
        digest: Text that is equal for equal values. Frozen dataclasses of plain values and
            tensors need none.
    """

    def declare(cls: type[T]) -> type[T]:
        summary = (cls.__doc__ or "").strip().split("\n")[0]
        info = TypeInfo(name or cls.__name__, color, parents, summary)
        setattr(cls, PORT_ATTRIBUTE, PortType(info, cls, digest))
        return cls

    return declare


class Lazy(Generic[T]):
    """An input that is evaluated only if the node asks: ``value = await image()``."""

    def __init__(self, evaluate: Callable[[], Any]) -> None:
        self._evaluate = evaluate

    async def __call__(self) -> T:
        value: T = await self._evaluate()
        return value


@dataclass(frozen=True)
class Value:
    """A live value given to a node of an `Expand` fragment."""

    value: Any


@dataclass(frozen=True)
class Expand:
    """A node's answer that is more graph: the fragment's outputs stand for the node's.

    Attributes:
        nodes: As in a workflow file: ``{"blur": {"type": "Blur", "inputs": {...}}}``. An input is
            a literal, ``{"from": "other.port"}`` within the fragment, or a `Value`.
        outputs: For each output of the node, ``"node.port"`` of the fragment.
    """

    nodes: dict[str, dict[str, Any]]
    outputs: dict[str, str]
