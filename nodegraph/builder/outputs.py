"""Nodes of a graph as its builder hands them out: their outputs are attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeAlias, TypeVar

from nodegraph.core.links import Handle, Link
from nodegraph.core.spec import NodeSpec
from nodegraph.core.suggest import port_hint
from nodegraph.core.types import TypeExpr
from nodegraph.errors import NodegraphError

T_co = TypeVar("T_co", covariant=True)
N = TypeVar("N", int, float)


class UnknownName(NodegraphError, AttributeError):
    """No node type, node or output goes by a name."""

    code = "unknown-name"


class Owner(Protocol):
    """What nodes are added to: a graph, or one of its subgraphs."""

    def spec_of(self, node: str) -> NodeSpec | None:
        """What a node's type declares; None if that isn't known."""

    def type_of(self, output: Out[Any]) -> TypeExpr:
        """What an output gives."""

    def node(self, node_type: str, name: str | None = None, /, **inputs: Any) -> Any:
        """Add a node."""


class _Place(Handle):
    """What a graph hands out: it equals what stands for the same place in it."""

    @property
    def _place(self) -> tuple[object, ...]:
        """Which place of which graph."""
        raise NotImplementedError

    @property
    def _text(self) -> str:
        """It in a message, which adds no node to the graph."""
        return str(self)

    def __eq__(self, other: object) -> bool:
        """Whether it stands for the same node, or the same output.

        Raises:
            TypeError: The other is a value, such as a number; there is none yet to compare it with.
        """
        if not isinstance(other, _Place):
            self._refuse_order(other)
        return self._place == other._place

    def __hash__(self) -> int:
        return hash(self._place)

    def _refuse_order(self, other: object) -> NoReturn:
        raise TypeError(
            f"`{self._text}` can't be compared with {other!r}: it has no value before the "
            "graph has run; let a node do it, such as `Compare` or `CompareTexts`"
        )

    def _refuse_number(self, *_: object) -> NoReturn:
        raise TypeError(
            f"`{self._text}` has no value before the graph has run, so Python can't make a number "
            "of it; let a node do it, such as `Round`, `ToInteger` or `Formula`"
        )

    if not TYPE_CHECKING:  # type checkers find them amiss by themselves
        __lt__ = __le__ = __gt__ = __ge__ = _refuse_order
        __int__ = __float__ = __index__ = __round__ = __abs__ = _refuse_number


class Out(_Place, Generic[T_co]):
    """An output of a node. Give it to an input of another node, and the two are linked.

    With outputs that are numbers one reckons as with numbers: ``seed + 1`` is the output of a node
    that is added for it.
    """

    # Numpy's numbers leave an operation with one to it.
    __array_ufunc__ = None

    def __init__(self, owner: Owner, link: Link) -> None:
        self._owner = owner
        self._named = link

    @property
    def _link(self) -> Link:
        """How the workflow names it."""
        return self._named

    @property
    def _place(self) -> tuple[object, ...]:
        return id(self._owner), self._named.node, self._named.port

    @property
    def _known_type(self) -> TypeExpr | None:
        """What it gives, where that is known without its node."""
        return None

    @property
    def _shown(self) -> str:
        """It in a message, set off from the words around it."""
        return f"`{self._text}`"

    def __str__(self) -> str:
        """As links name it: ``node.port``, or ``node`` for its only output."""
        return str(self._link)

    def __repr__(self) -> str:
        return f"<output {self}>"

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"`{self}` has no value before the graph has run; to choose by a value, add a `Switch`"
        )

    if not TYPE_CHECKING:

        def _refuse_items(self, *_: object) -> NoReturn:
            raise TypeError(
                f"{self._shown} has no items before the graph has run; give it to a node as it is, "
                "which runs for each item of a list, or to `Length`, `Item` or `ForEach`"
            )

        __len__ = __iter__ = __getitem__ = _refuse_items

    def __add__(self: Out[N], other: N | Out[N]) -> Out[N]:
        return _calculated("+", self, other)

    def __radd__(self: Out[N], other: N) -> Out[N]:
        return _calculated("+", self, other, is_turned=True)

    def __sub__(self: Out[N], other: N | Out[N]) -> Out[N]:
        return _calculated("-", self, other)

    def __rsub__(self: Out[N], other: N) -> Out[N]:
        return _calculated("-", self, other, is_turned=True)

    def __mul__(self: Out[N], other: N | Out[N]) -> Out[N]:
        return _calculated("*", self, other)

    def __rmul__(self: Out[N], other: N) -> Out[N]:
        return _calculated("*", self, other, is_turned=True)

    def __floordiv__(self: Out[N], other: N | Out[N]) -> Out[N]:
        return _calculated("//", self, other)

    def __rfloordiv__(self: Out[N], other: N) -> Out[N]:
        return _calculated("//", self, other, is_turned=True)

    def __mod__(self: Out[N], other: N | Out[N]) -> Out[N]:
        return _calculated("%", self, other)

    def __rmod__(self: Out[N], other: N) -> Out[N]:
        return _calculated("%", self, other, is_turned=True)

    def __truediv__(self: Out[float], other: float | Out[float]) -> Out[float]:
        return _calculated("/", self, other)

    def __rtruediv__(self: Out[float], other: float) -> Out[float]:
        return _calculated("/", self, other, is_turned=True)

    def __pow__(self: Out[float], other: float | Out[float]) -> Out[float]:
        return _calculated("**", self, other)

    def __rpow__(self: Out[float], other: float) -> Out[float]:
        return _calculated("**", self, other, is_turned=True)

    def __neg__(self: Out[N]) -> Out[N]:
        return _calculated("-", self, 0, is_turned=True)


def _calculated(sign: str, one: Out[N], other: N | Out[N], *, is_turned: bool = False) -> Out[N]:
    from nodegraph.builder.arithmetic import calculation  # it knows what an output is

    found: Out[N] = calculation(sign, *((other, one) if is_turned else (one, other)))
    return found


class BuiltNode(_Place):
    """A node of a graph; its outputs are its attributes, or ``node["name"]``."""

    def __init__(self, owner: Owner, name: str) -> None:
        self._owner = owner
        self._name = name

    @property
    def _place(self) -> tuple[object, ...]:
        return id(self._owner), self._name, ""

    if not TYPE_CHECKING:  # there the stubs say which outputs there are

        def __getattr__(self, port: str) -> Out[Any]:
            if port.startswith("_"):
                raise AttributeError(port)
            return self[port]

        def __iter__(self) -> NoReturn:
            outputs = ", ".join(f"{self._name}.{port}" for port in dir(self)) or "none"
            raise TypeError(
                f"node `{self._name}` isn't taken apart as a tuple; take its outputs by their "
                f"names: {outputs}"
            )

    def __getitem__(self, port: str) -> Out[Any]:
        """An output by its name.

        Raises:
            UnknownName: It has none of that name.
        """
        spec = self._owner.spec_of(self._name)
        if spec is not None and port not in spec.outputs_by_name:
            hint = port_hint(port, spec.outputs_by_name) or "It has no outputs."
            raise UnknownName(
                f"has no output `{port}`", node=self._name, node_type=spec.type, hint=hint
            )
        return Out(self._owner, Link(self._name, port))

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            raise AttributeError(
                f"outputs of node `{self._name}` can't be set. "
                f"For an input write `graph.set({self._name}, {name}=…)`."
            )
        super().__setattr__(name, value)

    def __dir__(self) -> Sequence[str]:
        spec = self._owner.spec_of(self._name)
        return [] if spec is None else list(spec.outputs_by_name)

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        spec = self._owner.spec_of(self._name)
        kind = f" ({spec.type})" if spec else ""
        return f"<node {self._name}{kind}: {', '.join(dir(self)) or 'no outputs'}>"


class OneOutput(BuiltNode, Out[T_co]):
    """A node with one output, which stands for that output, too."""

    def __init__(self, owner: Owner, name: str, port: str) -> None:
        BuiltNode.__init__(self, owner, name)
        Out.__init__(self, owner, Link(name))
        self._port = port

    if not TYPE_CHECKING:
        __iter__ = Out.__iter__

    @property
    def _place(self) -> tuple[object, ...]:
        return id(self._owner), self._name, self._port


AnyNode: TypeAlias = "BuiltNode | Out[Any] | str"
"""A node, by itself, by one of its outputs, or by its name."""


def built_node(owner: Owner, name: str) -> BuiltNode:
    """The handle of a node that a graph has."""
    spec = owner.spec_of(name)
    if spec is None or len(spec.outputs) != 1:
        return BuiltNode(owner, name)
    return OneOutput(owner, name, spec.outputs[0].name)
