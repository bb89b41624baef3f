"""A subgraph of a graph, built like a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodegraph.core.links import is_live, write_literal
from nodegraph.core.literals import format_repr
from nodegraph.core.parts import NodeEntry, Subgraph, SubgraphInput
from nodegraph.core.subgraphs import declared_type
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.summary import summarize
from nodegraph.core.types import ANY, TypeExpr, named_type, parse_type
from nodegraph.errors import InvalidValue
from nodegraph.python.builder.inputs import CheckedInputs, InnerInput
from nodegraph.python.builder.outputs import BuiltNode, Out
from nodegraph.python.builder.scope import Scope, check_text

if TYPE_CHECKING:
    from nodegraph.core.workflow import Workflow
    from nodegraph.packs.registry import Registry

_NOTHING = object()


class BuiltSubgraph(Scope):
    """A subgraph: nodes are added to it as to a graph, its inputs and outputs by name.

    Give it to a loop as its `body`, or use it as a node: ``graph.node(block, …)``.

    Attributes:
        name: In the workflow.
    """

    takes_values = False

    def __init__(self, graph: Scope, name: str) -> None:
        self._graph = graph
        self._depths = {}
        self.name = name

    @property
    def subgraph(self) -> Subgraph:
        """What the workflow says of it."""
        return self.workflow.subgraphs[self.name]

    @property
    def workflow(self) -> Workflow:
        return self._graph.workflow

    @property
    def catalog(self) -> Registry:
        return self._graph.catalog

    def _entries(self) -> dict[str, NodeEntry]:
        return self.subgraph.nodes

    def input(
        self, name: str, port_type: str = "", /, *, default: Any = _NOTHING, help: str = ""
    ) -> Out[Any]:
        """An input of the subgraph, for its nodes; one that isn't there yet is made.

        Args:
            port_type: Such as ``Image`` or ``list[int]``; that of the first input it is given to
                if empty.
            default: Its value where none is given.
            help: One sentence.
        Raises:
            InvalidValue: There is no such type, or the default is a live value.
        """
        check_text("the name of an input", name)
        check_text(f"the type of input `{name}`", port_type)
        if default is not _NOTHING and is_live(default):
            raise InvalidValue(
                f"the default of input `{name}` is a live value, which a subgraph can't hold",
                given=summarize(default),
                expected="what a file can hold",
                hint=f"Give it where the subgraph is used: `graph.node(block, {name}=…)`.",
            )
        ports = self.subgraph.inputs
        if name not in ports:
            self._check_type(name, port_type)
            ports[name] = SubgraphInput(type=port_type, help=help)
            if default is not _NOTHING:
                ports[name].extra["default"] = write_literal(default)
        return InnerInput(self, name)

    def output(self, name: str, value: Out[Any], /) -> None:
        """Make an output of one of the subgraph's nodes an output of the subgraph.

        Raises:
            InvalidValue: It is none of those.
        """
        self._check_output(name, value)
        self.subgraph.outputs[name] = str(value)

    def _check_output(self, name: str, value: object) -> None:
        check_text("the name of an output", name)
        if isinstance(value, BuiltNode) and not isinstance(value, Out):
            names = " or ".join(f"`{value}.{port}`" for port in dir(value))
            raise InvalidValue(
                f"output `{name}` of subgraph `{self.name}` is one output of a node",
                given=f"`{value}`, which has {'several' if names else 'none'}",
                hint=f"Write {names}." if names else None,
            )
        is_own = isinstance(value, Out) and value._owner is self
        if not is_own or isinstance(value, InnerInput):
            raise InvalidValue(
                f"output `{name}` of subgraph `{self.name}` is an output of a node in it",
                given=format_repr(value),
            )

    def inner_type(self, name: str) -> TypeExpr:
        port = self.subgraph.inputs[name]
        expr = declared_type(port, self.catalog.types)
        for target in port.to if expr is None else ():
            node, _, inner = target.partition(".")
            spec = self.spec_of(node)
            if spec is not None and inner in spec.inputs_by_name:
                return spec.inputs_by_name[inner].expr
        return expr or named_type(ANY)

    def _record_inner_inputs(self, node: str, checked: CheckedInputs) -> None:
        for name, port in self.subgraph.inputs.items():
            for inner in {*checked.written, *checked.inner_inputs}:
                if f"{node}.{inner}" in port.to and checked.inner_inputs.get(inner) != name:
                    port.to.remove(f"{node}.{inner}")
        for inner, name in checked.inner_inputs.items():
            targets = self.subgraph.inputs[name].to
            if f"{node}.{inner}" not in targets:
                targets.append(f"{node}.{inner}")

    def _check_type(self, name: str, port_type: str) -> None:
        if not port_type:
            return
        types = self.catalog.types
        try:
            unknown = [each for each in parse_type(port_type).type_names() if each not in types]
        except ValueError as error:
            raise InvalidValue(
                f"input `{name}` of subgraph `{self.name}`: {error}", given=port_type
            ) from None
        for each in unknown:
            raise InvalidValue(
                f"input `{name}` of subgraph `{self.name}`: there is no port type `{each}`",
                hint=did_you_mean(each, types.names()),
            )

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        ports = [", ".join(names) for names in (self.subgraph.inputs, self.subgraph.outputs)]
        return f"<subgraph {self.name}: {' → '.join(ports)}>"
