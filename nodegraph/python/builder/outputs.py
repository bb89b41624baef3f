"""Handles of a graph's nodes, with their outputs as attributes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Protocol, TypeAlias, TypeVar

from nodegraph.core.links import Handle, Link
from nodegraph.core.literals import format_repr
from nodegraph.core.spec import NodeSpec
from nodegraph.core.suggest import port_hint
from nodegraph.core.types import ANY, TypeExpr, list_of, named_type
from nodegraph.errors import InvalidValue, NodegraphError

if TYPE_CHECKING:
    from nodegraph.core.workflow import Workflow
    from nodegraph.packs.registry import Registry

T_co = TypeVar("T_co", covariant=True)
N = TypeVar("N", int, float)


class UnknownName(NodegraphError, AttributeError):
    """There is no node type, node or output of a name."""

    code = "unknown-name"


class Owner(Protocol):
    """A graph or subgraph to which nodes are added."""

    @property
    def workflow(self) -> Workflow:
        """Whole workflow."""

    @property
    def catalog(self) -> Registry:
        """Available node types."""

    @property
    def takes_values(self) -> bool:
        """Whether its nodes accept live values."""

    def spec_of(self, node: str) -> NodeSpec | None:
        """Return the declaration of a node's type; None if it is not known."""

    def type_of(self, output: Out[Any]) -> TypeExpr:
        """Return the type of an output."""

    def available_outputs(self, node: str) -> Iterator[tuple[TypeExpr, bool]]:
        """Yield the types of linkable outputs, and whether a link to a node makes no cycle."""

    def node(self, node_type: str, name: str | None = None, /, **inputs: Any) -> Any:
        """Add a node."""


class _GraphHandle(Handle):
    """A handle of a node or an output; equal handles name the same place of a graph."""

    @property
    def _identity(self) -> tuple[object, ...]:
        """Place and graph of the handle."""
        raise NotImplementedError

    @property
    def _text(self) -> str:
        """Name in a message; reading it adds no node to the graph."""
        return str(self)

    def __eq__(self, other: object) -> bool:
        """Return whether both name the same node or output.

        Raises:
            TypeError: The other is a value, such as a number, and this has no value yet.
        """
        if not isinstance(other, _GraphHandle):
            self._refuse_order(other)
        return self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def _refuse_order(self, other: object) -> NoReturn:
        raise TypeError(
            f"`{self._text}` cannot be compared with {format_repr(other)}: it has no value before "
            "the graph has run; use a node such as `Compare` or `CompareTexts`"
        )

    def _refuse_number(self, *_: object) -> NoReturn:
        raise TypeError(
            f"`{self._text}` has no value before the graph has run, so Python cannot convert it "
            "to a number; use a node such as `Round`, `ToInteger` or `Formula`"
        )

    if not TYPE_CHECKING:  # type checkers report them without these
        __lt__ = __le__ = __gt__ = __ge__ = _refuse_order
        __int__ = __float__ = __index__ = __round__ = __abs__ = _refuse_number


class Out(_GraphHandle, Generic[T_co]):
    """An output of a node. Pass it to an input of another node to link the two.

    Numeric outputs support arithmetic: ``seed + 1`` adds a node and returns its output.
    """

    # NumPy numbers leave operations with an output to this class.
    __array_ufunc__ = None

    def __init__(self, owner: Owner, link: Link) -> None:
        self._owner = owner
        self._named = link

    @property
    def _link(self) -> Link:
        """Link that names the output in the workflow."""
        return self._named

    @property
    def _identity(self) -> tuple[object, ...]:
        return id(self._owner), self._named.node, self._named.port

    @property
    def _known_type(self) -> TypeExpr | None:
        """Type of the output, if it is known without its node."""
        return None

    @property
    def _shown(self) -> str:
        """Name of the output in a message, in backquotes."""
        return f"`{self._text}`"

    def __str__(self) -> str:
        """Return the name in links: ``node.port``, or ``node`` for its only output."""
        return str(self._link)

    def __repr__(self) -> str:
        return f"<output {self}>"

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"`{self}` has no value before the graph has run; to choose by a value, use a "
            "`Switch` node"
        )

    if not TYPE_CHECKING:

        def _refuse_items(self, *_: object) -> NoReturn:
            raise TypeError(
                f"{self._shown} has no items before the graph has run; pass it to a node, which "
                "then runs for each item of a list, or to `Length`, `Item` or `ForEach`"
            )

        __len__ = __iter__ = __getitem__ = _refuse_items

    def __add__(self: Out[N], other: N | Out[N]) -> Out[N]:
        return _calculate("+", self, other)

    def __radd__(self: Out[N], other: N) -> Out[N]:
        return _calculate("+", self, other, is_turned=True)

    def __sub__(self: Out[N], other: N | Out[N]) -> Out[N]:
        return _calculate("-", self, other)

    def __rsub__(self: Out[N], other: N) -> Out[N]:
        return _calculate("-", self, other, is_turned=True)

    def __mul__(self: Out[N], other: N | Out[N]) -> Out[N]:
        return _calculate("*", self, other)

    def __rmul__(self: Out[N], other: N) -> Out[N]:
        return _calculate("*", self, other, is_turned=True)

    def __floordiv__(self: Out[N], other: N | Out[N]) -> Out[N]:
        return _calculate("//", self, other)

    def __rfloordiv__(self: Out[N], other: N) -> Out[N]:
        return _calculate("//", self, other, is_turned=True)

    def __mod__(self: Out[N], other: N | Out[N]) -> Out[N]:
        return _calculate("%", self, other)

    def __rmod__(self: Out[N], other: N) -> Out[N]:
        return _calculate("%", self, other, is_turned=True)

    def __truediv__(self: Out[float], other: float | Out[float]) -> Out[float]:
        return _calculate("/", self, other)

    def __rtruediv__(self: Out[float], other: float) -> Out[float]:
        return _calculate("/", self, other, is_turned=True)

    def __pow__(self: Out[float], other: float | Out[float]) -> Out[float]:
        return _calculate("**", self, other)

    def __rpow__(self: Out[float], other: float) -> Out[float]:
        return _calculate("**", self, other, is_turned=True)

    def __neg__(self: Out[N]) -> Out[N]:
        return _calculate("-", self, 0, is_turned=True)


def _calculate(sign: str, operand: Out[N], other: N | Out[N], *, is_turned: bool = False) -> Out[N]:
    calculated: Out[N] = calculation(sign, *((other, operand) if is_turned else (operand, other)))
    return calculated


class BuiltNode(_GraphHandle):
    """A node of a graph; its outputs are its attributes, or ``node["name"]``."""

    def __init__(self, owner: Owner, name: str) -> None:
        self._owner = owner
        self._name = name

    @property
    def _identity(self) -> tuple[object, ...]:
        return id(self._owner), self._name, ""

    if not TYPE_CHECKING:  # there the stubs say which outputs there are

        def __getattr__(self, port: str) -> Out[Any]:
            if port.startswith("_"):
                raise AttributeError(port)
            return self[port]

        def __iter__(self) -> NoReturn:
            outputs = ", ".join(f"{self._name}.{port}" for port in dir(self)) or "none"
            raise TypeError(
                f"node `{self._name}` cannot be unpacked as a tuple; use its outputs by name: "
                f"{outputs}"
            )

    def __getitem__(self, port: str) -> Out[Any]:
        """Return an output by its name.

        Raises:
            UnknownName: There is no output of this name.
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
                f"outputs of node `{self._name}` cannot be set. To set an input, write "
                f"`graph.set({self._name}, {name}=…)`."
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
    """A node with one output, which can also be used as that output."""

    def __init__(self, owner: Owner, name: str, port: str) -> None:
        BuiltNode.__init__(self, owner, name)
        Out.__init__(self, owner, Link(name))
        self._port = port

    if not TYPE_CHECKING:
        __iter__ = Out.__iter__

    @property
    def _identity(self) -> tuple[object, ...]:
        return id(self._owner), self._name, self._port


AnyNode: TypeAlias = "BuiltNode | Out[Any] | str"
"""A node, one of its outputs, or its name."""


def built_node(owner: Owner, name: str) -> BuiltNode:
    """Return the handle of a node of a graph."""
    spec = owner.spec_of(name)
    if spec is None or len(spec.outputs) != 1:
        return BuiltNode(owner, name)
    return OneOutput(owner, name, spec.outputs[0].name)


_LETTERS = "abcd"
_LONGEST = 500
"""Largest length of an expression that is part of another one."""
_WHOLE = ("+", "-", "*", "//", "%")
"""Operators that make an integer from integers."""


@dataclass(frozen=True)
class _Term:
    """A part of an expression.

    Attributes:
        parts: Text, and the outputs that letters stand for.
        is_atom: Whether it needs no brackets.
    """

    parts: tuple[str | Out[Any], ...]
    is_whole: bool
    is_atom: bool = True

    @property
    def outputs(self) -> list[Out[Any]]:
        """Outputs in the term, each once."""
        return list(dict.fromkeys(part for part in self.parts if isinstance(part, Out)))

    @property
    def bracketed(self) -> tuple[str | Out[Any], ...]:
        return self.parts if self.is_atom else ("(", *self.parts, ")")

    @property
    def fits(self) -> bool:
        """Whether one node can compute the term."""
        return len(self.outputs) <= len(_LETTERS) and len(self.text(self.letters)) <= _LONGEST

    @property
    def letters(self) -> dict[Out[Any], str]:
        return dict(zip(self.outputs, _LETTERS + "?" * len(self.outputs), strict=False))

    def text(self, letters: dict[Out[Any], str]) -> str:
        return "".join(part if isinstance(part, str) else letters[part] for part in self.parts)


class Calculation(Out[Any]):
    """An expression of outputs and numbers; its node is added when something is linked to it."""

    def __init__(self, term: _Term) -> None:
        super().__init__(term.outputs[0]._owner, Link(""))
        self._term = term
        self._node: Any = None

    @property
    def _link(self) -> Link:
        if self._node is None:
            letters = self._term.letters
            inputs = {letter: output for output, letter in letters.items()}
            text = self._term.text(letters)
            self._node = self._owner.node("Formula", expression=text, **inputs)
        return Link(str(self._node), "integer" if self._term.is_whole else "number")

    @property
    def _known_type(self) -> TypeExpr | None:
        """Number type, or lists of it if an operand is a list; None once the node exists.

        Then the node's type is used: each part of a long sum would check all parts before it.
        """
        if self._node is not None:
            return None
        expr = named_type("int" if self._term.is_whole else "float")
        depths = [_lists(self._owner.type_of(each))[0] for each in self._term.outputs]
        for _ in range(max(depths)):
            expr = list_of(expr)
        return expr

    @property
    def _identity(self) -> tuple[object, ...]:
        return (id(self),)

    @property
    def _text(self) -> str:
        if self._node is not None:
            return str(self)
        return self._term.text({each: each._text for each in self._term.outputs})

    def __repr__(self) -> str:
        return f"<calculation {self._text}>"


def calculation(sign: str, left: Any, right: Any) -> Any:
    """Return the calculation of two operands; NotImplemented if one is no number or output.

    Raises:
        TypeError: An output is not a number.
        InvalidValue: The outputs belong to different graphs.
    """
    first, second = _term(left), _term(right)
    if first is None or second is None:
        return NotImplemented
    joined = _combine_terms(sign, first, second)
    if len({id(output._owner) for output in joined.outputs}) > 1:
        raise InvalidValue(
            "an operation needs outputs of the same graph or subgraph",
            given=" and ".join(output._shown for output in joined.outputs),
            expected="nodes that were added to the same graph or subgraph",
        )
    if not joined.fits:
        # The calculation of each operand becomes a separate node.
        joined = _combine_terms(sign, _single_term(left) or first, _single_term(right) or second)
    return Calculation(joined)


def _combine_terms(sign: str, left: _Term, right: _Term) -> _Term:
    is_whole = sign in _WHOLE and left.is_whole and right.is_whole
    return _Term((*left.bracketed, f" {sign} ", *right.bracketed), is_whole, is_atom=False)


def _term(value: Any) -> _Term | None:
    if isinstance(value, Calculation):
        return value._term
    if isinstance(value, Out):
        return _Term((value,), _is_whole(value))
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    number = int(value) if isinstance(value, Integral) else float(value)
    return _Term((repr(number),), isinstance(number, int), is_atom=number >= 0)


def _single_term(value: Any) -> _Term | None:
    if not isinstance(value, Calculation):
        return None
    str(value)  # adds its node: a sum of thousands is a chain too deep to be added at once
    return _Term((value,), value._term.is_whole)


def _is_whole(output: Out[Any]) -> bool:
    _, expr = _lists(output._owner.type_of(output))
    if expr not in (named_type("int"), named_type("float"), named_type(ANY)):
        raise TypeError(f"`{output}` carries {expr}, which is not a number to calculate with")
    return expr == named_type("int")


def _lists(expr: TypeExpr) -> tuple[int, TypeExpr]:
    """Return the depth of nested lists and the type of the innermost items."""
    depth = 0
    while expr.is_list:
        depth, expr = depth + 1, expr.item
    return depth, expr
