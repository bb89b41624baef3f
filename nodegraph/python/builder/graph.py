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
"""What stands by name below keys of a workflow."""


class Graph(Scope, Workflow):
    """A workflow to which nodes are added by calling their types.

    ::

        g = Graph("An image")
        load = g.LoadModel(model="tiny")
        size = g.EmptyLatent(width=128, height=128)

    Each call checks what it is given, and gives back the node: its outputs are attributes, such as
    ``load.vae``, and a node with one output stands for it. The first thing in a call may be the
    node's name; without it, the name is made of the type.

    Args:
        title: Of the workflow.
        inputs: Where relative input paths start, unless the settings say.
        session: Whose node types there are, and who runs it: with packs and nodes of your own. If
            not given, one that all graphs share and that stays open.
        parts: The workflow's other keys: description, requires and so on.
    Raises:
        TypeError: There is no such key; names the nearest.
        InvalidValue: Something is of another kind.
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
        """Read a workflow file, in whose folder relative input paths start; as `Workflow.load`."""
        graph = super().load(path)
        graph._inputs = Path(path).absolute().parent
        return graph

    @property
    def session(self) -> Session | None:
        """Who checks and runs it; None if it is the session that all share."""
        return self._session

    @property
    def workflow(self) -> Workflow:
        return self

    @property
    def catalog(self) -> Registry:
        if self._session is not None:
            return self._session.registry
        if self._types is None:
            # Asked for once, as reading settings takes longer than adding a node.
            self._types = INSTALLED.read()
        return self._types.registry

    def _find_node_method(self, name: str) -> NodeMethod | PackNodes:
        if self._types is None:
            return super()._find_node_method(name)
        self._types.refresh()
        try:
            return super()._find_node_method(name)
        except UnknownName:
            self._types = None  # as settings may lead to other packs by now
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
        """Name an input that people vary: ``g.run(parameters={name: value})``.

        Args:
            required: It must be given, though the node has a default for it.
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
        """One of its subgraphs, to add nodes to; one that isn't there yet is made."""
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
        """Run it and wait for the end.

        Args:
            nodes: Those to run, with what they need; all sinks if none are given. The result has
                the values of their outputs.
            check: Raise if a node failed; else the result tells.
            progress: Show how it goes on, as `nodegraph.run` does; not by a session of one's own.
            options: See `nodegraph.engine.options.RunOptions`.
        Raises:
            InvalidWorkflow, InvalidValue: Nothing was run.
            NodeFailed: A node raised; the rest was run.
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
        """As `run`, on the running event loop."""
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
        """What a run would do, and what it is expected to take; see `run`."""
        targets = self._targets(nodes)
        return self._query(lambda session: session.plan(self, targets=targets, values=bool(nodes)))

    def check(self, *nodes: AnyNode) -> Sequence[Problem]:
        """Everything that is wrong with it; nothing runs. See `run`."""
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
            return options  # told of where they are read
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
