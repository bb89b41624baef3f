"""A workflow built in Python, and its subgraphs: node types are methods."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nodegraph.core.links import is_live, write_literal
from nodegraph.core.literals import format_repr
from nodegraph.core.parts import NodeEntry, Parameter, Subgraph, SubgraphInput
from nodegraph.core.subgraphs import declared_type
from nodegraph.core.suggest import did_you_mean, port_hint
from nodegraph.core.summary import summarize
from nodegraph.core.types import ANY, TypeExpr, named_type, parse_type
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue
from nodegraph.python.builder.inputs import CheckedInputs, InnerInput
from nodegraph.python.builder.outputs import AnyNode, BuiltNode, Out, UnknownName
from nodegraph.python.builder.scope import INSTALLED, NodeMethod, PackNodes, Scope, check_text
from nodegraph.session.node_types import NodeTypes
from nodegraph.session.scripts import run, run_async
from nodegraph.session.session import Session
from nodegraph.session.settings import input_folder
from nodegraph.session.shared_sessions import SHARED_SESSIONS, SessionOptions

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from nodegraph.core.workflow import Workflow
    from nodegraph.engine.options import RunKeywords
    from nodegraph.engine.planning.plan import Plan
    from nodegraph.engine.result import RunResult
    from nodegraph.errors import Problem
    from nodegraph.packs.registry import Registry

_NOTHING = object()


class BuiltSubgraph(Scope):
    """A subgraph of a graph, with named inputs and outputs. Add nodes to it as to a graph.

    Pass it to a loop as its `body`, or use it as a node: ``graph.node(block, …)``.

    Attributes:
        name: Name in the workflow.
    """

    takes_values = False

    def __init__(self, graph: Scope, name: str) -> None:
        self._graph = graph
        self._depths = {}
        self.name = name

    @property
    def subgraph(self) -> Subgraph:
        """Definition of the subgraph in the workflow."""
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
        """Return an input of the subgraph for use by its nodes; a new one is created.

        Args:
            port_type: Type, such as ``Image`` or ``list[int]``. If empty, the type of the first
                input that it is linked to.
            default: Value if none is given.
            help: Help text, one sentence.
        Raises:
            InvalidValue: There is no such type, or the default is a live value.
        """
        check_text("the name of an input", name)
        check_text(f"the type of input `{name}`", port_type)
        if default is not _NOTHING and is_live(default):
            raise InvalidValue(
                f"the default of input `{name}` is a live value, which a subgraph cannot hold",
                given=summarize(default),
                expected="what a file can hold",
                hint=f"Pass it where the subgraph is used: `graph.node(block, {name}=…)`.",
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
            InvalidValue: The value is not an output of a node in the subgraph.
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

    def available_outputs(self, node: str) -> Iterator[tuple[TypeExpr, bool]]:
        yield from super().available_outputs(node)
        for name in self.subgraph.inputs:
            yield self.inner_type(name), True

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


Result = TypeVar("Result")

_INSIDE = {"parameters": Parameter, "nodes": NodeEntry, "subgraphs": Subgraph}
"""Classes of the named items below the keys of a workflow."""


class Graph(Scope, Workflow):
    """A workflow in Python. Call node types as methods to add nodes.

    ::

        g = Graph("An image")
        load = g.LoadModel(model="tiny")
        size = g.EmptyLatent(width=128, height=128)

    Each call checks its arguments and returns the node. Outputs are attributes, such as
    ``load.vae``. A node with one output can be used as that output. The first positional argument
    may be the node's name; by default the name is derived from the type.

    Args:
        title: Title of the workflow.
        inputs: Folder for relative input paths, if the settings do not name one.
        session: Session that provides the node types and runs the workflow, with packs and nodes
            of your own. By default all graphs share one session, which stays open.
        parts: Other keys of the workflow, such as description and requires.
    Raises:
        TypeError: There is no key of this name; names the nearest.
        InvalidValue: An argument has a wrong type.
    """

    def __init__(
        self,
        title: str = "",
        *,
        inputs: str | Path | None = None,
        session: Session | None = None,
        **parts: Any,
    ) -> None:
        _check_parts({"title": title, **parts})
        if session is not None and not isinstance(session, Session):
            raise InvalidValue(
                "this is not a session of a graph",
                given=format_repr(session),
                expected="a `Session`, as in Graph(session=nodegraph.Session())",
            )
        Workflow.__init__(self, title=title, **parts)
        self._depths = {}
        self._session = session
        self._types: NodeTypes | None = None
        self._inputs = input_folder(inputs)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Load a workflow file. Relative input paths start in its folder; see `Workflow.load`."""
        graph = super().load(path)
        graph._inputs = Path(path).absolute().parent
        return graph

    @property
    def session(self) -> Session | None:
        """Session that checks and runs the graph; None for the shared session."""
        return self._session

    @property
    def workflow(self) -> Workflow:
        return self

    @property
    def catalog(self) -> Registry:
        if self._session is not None:
            return self._session.registry
        if self._types is None:
            # Read once, as reading settings takes longer than adding a node.
            self._types = INSTALLED.read()
        return self._types.registry

    def _find_node_method(self, name: str) -> NodeMethod | PackNodes:
        if self._types is None:
            return super()._find_node_method(name)
        self._types.refresh()
        try:
            return super()._find_node_method(name)
        except UnknownName:
            self._types = None  # the settings may name other packs by now
            return super()._find_node_method(name)

    def _entries(self) -> dict[str, NodeEntry]:
        return self.nodes

    def inner_type(self, name: str) -> TypeExpr:
        return named_type(ANY)

    # What else a workflow says

    def parameter(
        self,
        name: str,
        node: AnyNode,
        port: str,
        /,
        *,
        label: str = "",
        help: str = "",
        required: bool = False,
    ) -> None:
        """Make an input a named parameter: ``g.run(parameters={name: value})``.

        Args:
            required: Whether a value must be given, even if the node has a default.
        Raises:
            InvalidValue: The node has no such input.
        """
        check_text("the name of a parameter", name)
        target = self._name_of(node)
        spec = self.spec_of(target)
        if spec is not None and port not in spec.inputs_by_name:
            raise InvalidValue(
                f"parameter `{name}` is for an input that does not exist",
                node=target,
                node_type=spec.type,
                port=port,
                hint=port_hint(port, spec.inputs_by_name) or None,
            )
        self.parameters[name] = Parameter(
            input=f"{target}.{port}", label=label, help=help, required=required
        )

    def subgraph(self, name: str, /) -> BuiltSubgraph:
        """Return a subgraph by its name, to add nodes to; a new one is created."""
        check_text("the name of a subgraph", name)
        self.subgraphs.setdefault(name, Subgraph())
        return BuiltSubgraph(self, name)

    # What is done with it

    def run(
        self,
        *nodes: AnyNode,
        check: bool = True,
        progress: bool = True,
        **options: Unpack[RunKeywords],
    ) -> RunResult:
        """Run the graph and wait for the result.

        Args:
            nodes: Nodes to run, with the nodes that they need; all sinks if none are given. The
                result has the values of their outputs.
            check: Raise if a node failed. If False, the result lists the errors.
            progress: Show the progress, as `nodegraph.run` does; only for the shared session.
            options: See `nodegraph.engine.options.RunOptions`.
        Raises:
            InvalidWorkflow, InvalidValue: Nothing was run.
            NodeFailed: A node raised; all nodes that do not depend on it were run.
        """
        targeted = self._with_targets(nodes, options)
        if self._session is None:
            return run(self, inputs=self._inputs, check=check, progress=progress, **targeted)
        result = self._session.run(self, **targeted)
        if check and result.errors:
            raise result.errors[0]
        return result

    async def run_async(
        self,
        *nodes: AnyNode,
        check: bool = True,
        progress: bool = True,
        **options: Unpack[RunKeywords],
    ) -> RunResult:
        """Run the graph on the running event loop; see `run`."""
        targeted = self._with_targets(nodes, options)
        if self._session is None:
            return await run_async(
                self, inputs=self._inputs, check=check, progress=progress, **targeted
            )
        result = await self._session.run_async(self, **targeted)
        if check and result.errors:
            raise result.errors[0]
        return result

    def plan(self, *nodes: AnyNode) -> Plan:
        """Return what a run would do, with its expected time and memory; see `run`."""
        targets = self._targets(nodes)
        return self._query(lambda session: session.plan(self, targets=targets, values=bool(nodes)))

    def check(self, *nodes: AnyNode) -> Sequence[Problem]:
        """Return all problems of the graph without running it; see `run`."""
        targets = self._targets(nodes)
        return self._query(lambda session: session.check(self, targets=targets))

    def _query(self, question: Callable[[Session], Result]) -> Result:
        if self._session is not None:
            return question(self._session)
        return SHARED_SESSIONS.query(SessionOptions.of(None, (), (), self._inputs), question)

    def _targets(self, nodes: Sequence[AnyNode]) -> list[str] | None:
        return [self._name_of(node) for node in nodes] or None

    def _with_targets(self, nodes: Sequence[AnyNode], options: RunKeywords) -> RunKeywords:
        named = options.get("targets") or ()
        if isinstance(named, str) or not isinstance(named, Collection):
            return options  # the wrong type is reported where the options are read
        targets = [*nodes, *named]
        return {**options, "targets": self._targets(targets)} if targets else options

    # As a value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Workflow) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _with_nodes(self, nodes: dict[str, NodeEntry]) -> Self:
        graph = super()._with_nodes(nodes)
        graph._session, graph._inputs = self._session, self._inputs
        return graph

    def __copy__(self) -> Self:
        duplicate = type(self).__new__(type(self))
        duplicate.__dict__.update(self.__dict__)
        return duplicate

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        duplicate = memo[id(self)] = type(self).__new__(type(self))
        duplicate.__dict__.update(copy.deepcopy(self.__getstate__(), memo), _session=self._session)
        return duplicate

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None, "_types": None}

    def __repr__(self) -> str:
        nodes = ", ".join(f"{name} ({entry.type})" for name, entry in self.nodes.items())
        title = f" {self.title!r}" if self.title else ""
        return f"<graph{title}: {nodes or 'no nodes'}>"


def _check_parts(parts: Mapping[str, Any]) -> None:
    """Check what a graph is made of.

    Raises:
        TypeError, InvalidValue: See `Graph`.
    """
    known = {part.name: part for part in fields(Workflow)}
    for name, value in parts.items():
        if name not in known:
            names = [*known, "inputs", "session"]
            raise TypeError(f"a graph has no `{name}`. {did_you_mean(name, names, listed=99)}")
        if known[name].default is MISSING:
            _check_dictionary(name, value)
        else:
            check_text(f"a graph's `{name}`", value)


def _check_dictionary(name: str, value: object) -> None:
    inside = _INSIDE.get(name, object)
    if isinstance(value, dict) and all(isinstance(each, inside) for each in value.values()):
        return
    raise InvalidValue(
        f"a graph's `{name}` is a dictionary" + (f" of `{inside.__name__}`" * (name in _INSIDE)),
        given=format_repr(value),
        hint="Use `Graph.from_dict` to read the content of a file.",
    )
