"""A node that answers with more graph: the fragment joins the run and stands for the node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nodegraph.core.building import build_graph
from nodegraph.core.graph import Graph, GraphNode, Source
from nodegraph.core.ports import Expand, Value
from nodegraph.core.spec import HookName, NodeSpec, OutputSpec
from nodegraph.core.types import ANY, TypeTable, fit, list_of, named
from nodegraph.core.workflow import Workflow
from nodegraph.engine.artifact import Artifact, artifact_of, unnamed_digest
from nodegraph.engine.registry import Registry
from nodegraph.engine.scheduling import Answer, Scheduling
from nodegraph.engine.states import Call
from nodegraph.errors import InvalidValue

DEEPEST = 64
"""Expansions within expansions; more is taken for a node that expands without end."""


class _FragmentCatalog:
    """The registry's node types, and one for each live value that the fragment is given."""

    def __init__(self, registry: Registry, values: Mapping[str, Any]) -> None:
        self._registry = registry
        output = OutputSpec(name="value", type="Any")
        self._values = {name: NodeSpec(type=name, outputs=(output,)) for name in values}

    @property
    def types(self) -> TypeTable:
        return self._registry.types

    def spec(self, node_type: str) -> NodeSpec | None:
        return self._values.get(node_type) or self._registry.spec(node_type)

    def node_types(self) -> list[str]:
        return self._registry.node_types()

    def hook(self, node_type: str, name: HookName) -> Callable[..., Any] | None:
        return None if node_type in self._values else self._registry.hook(node_type, name)

    def migrations(self, node_type: str) -> dict[int, Callable[[dict[str, Any]], dict[str, Any]]]:
        return {} if node_type in self._values else self._registry.migrations(node_type)


def expand(run: Scheduling, call: Call, answer: Answer) -> None:
    """Take a call's fragment into the run; the call completes with the fragment's outputs.

    Raises:
        NodegraphError: The fragment is invalid, or expansions don't end.
    """
    expansion = answer.expansion
    assert expansion is not None
    if call.state.level >= DEEPEST:
        raise InvalidValue(
            f"expands within itself more than {DEEPEST} times",
            hint="Let the node return plain outputs at some depth.",
        )
    _check_outputs(call, expansion)
    values = _values(expansion)
    graph = _prefixed(_build(run, expansion, values), f"{call.name}/")
    ends = [
        _end_of(run, call, graph, port, expansion.outputs[port.name])
        for port in call.state.node.spec.outputs
    ]
    run.add(graph, within=call.state)
    _give_values(run, call, values)
    run.events.emit("node.expanded", call.name, nodes=list(graph.nodes))
    _Fragment(run, call, answer, graph, ends).start()


@dataclass(frozen=True, slots=True)
class _End:
    """An output of a fragment that stands for one of the node's.

    Attributes:
        source: The inner node and its port, and how the value becomes the node's output.
        port: The node's output.
    """

    source: Source
    port: OutputSpec


def _end_of(run: Scheduling, call: Call, graph: Graph, port: OutputSpec, output: str) -> _End:
    name, _, wanted = output.partition(".")
    item = graph.nodes[f"{call.name}/{name}"]
    inner = [found for found in item.spec.outputs if found.name == wanted or not wanted]
    if len(inner) != 1:
        raise InvalidValue(
            f"the expansion's output `{port.name}` names no output of its node",
            given=output,
            expected=" or ".join(f"{name}.{found.name}" for found in item.spec.outputs) or "none",
        )
    expr = inner[0].expr
    for _ in range(item.map_depth):
        expr = list_of(expr)
    found = fit(expr, port.expr, run.shared.registry.types)
    if found is None or found.map_depth:
        raise InvalidValue(
            f"the expansion's output `{port.name}` has another type than the node declares",
            given=f"{expr} from `{output}`",
            expected=port.type,
        )
    return _End(Source(item.name, inner[0].name, found), port)


class _Fragment:
    """Waits for a fragment's targets and answers the call that made it."""

    def __init__(
        self, run: Scheduling, call: Call, answer: Answer, graph: Graph, ends: list[_End]
    ) -> None:
        self._run = run
        self._call = call
        self._answer = answer
        self._graph = graph
        self._ends = ends
        self._waiting = 0

    def start(self) -> None:
        states = [self._run.states[name] for name in self._graph.targets]
        waiting = [state for state in states if state.status is None]
        self._waiting = len(waiting)
        for state in waiting:
            state.watchers.append(self._one_ended)
        for state in waiting:
            self._run.demand(state.node.name)
        if not waiting:
            self._finish()

    def _one_ended(self) -> None:
        self._waiting -= 1
        if not self._waiting:
            with self._run.calls.failing(self._call):
                self._finish()

    def _finish(self) -> None:
        targets = [self._run.states[name] for name in self._graph.targets]
        if not all(state.has_outputs for state in targets):
            self._run.let_go(targets)
            self._run.calls.leave(self._call)
            return
        artifacts = tuple(self._output(end) for end in self._ends)
        self._run.let_go(targets)
        self._call.is_repeatable = all(map(self._is_repeatable, self._graph.nodes.values()))
        if self._call.is_repeatable:
            self._run.calls.keep(self._call, artifacts, self._answer.seconds)
        self._run.calls.complete(self._call, artifacts)

    def _is_repeatable(self, item: GraphNode) -> bool:
        return item.is_repeatable and self._run.states[item.name].is_repeatable

    def _output(self, end: _End) -> Artifact:
        found = self._run.states[end.source.node].output(end.source.port)
        artifact = found.converted(end.source.fit.conversions)
        if end.port.expr.is_list and artifact.items is None:  # it came through a port of type Any
            digesters = self._run.shared.registry.digesters
            return artifact_of(artifact.value, end.port.expr, digesters, artifact.digest)
        return artifact


def _node_of(output: str) -> str:
    return output.partition(".")[0]


def _check_outputs(call: Call, expansion: Expand) -> None:
    declared = [port.name for port in call.state.node.spec.outputs]
    if sorted(expansion.outputs) != sorted(declared):
        raise InvalidValue(
            "the expansion's outputs are not the node's",
            given=", ".join(expansion.outputs) or "none",
            expected=", ".join(declared) or "none",
        )
    for port, output in expansion.outputs.items():
        if _node_of(output) not in expansion.nodes:
            raise InvalidValue(f"the expansion's output `{port}` names no node of it", given=output)


def _values(expansion: Expand) -> dict[str, Any]:
    """The live values of a fragment, by the name of the node that stands for each."""
    found = [
        given.value
        for item in expansion.nodes.values()
        for given in item.get("inputs", {}).values()
        if isinstance(given, Value)
    ]
    return {f"__value_{at}__": value for at, value in enumerate(found)}


def _build(run: Scheduling, expansion: Expand, values: Mapping[str, Any]) -> Graph:
    names = iter(values)
    nodes: dict[str, Any] = {name: {"type": name} for name in values}
    for name, item in expansion.nodes.items():
        inputs = {
            port: {"from": f"{next(names)}.value"} if isinstance(given, Value) else given
            for port, given in item.get("inputs", {}).items()
        }
        nodes[name] = {**item, "inputs": inputs}
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    catalog = _FragmentCatalog(run.shared.registry, values)
    sinks = [
        name
        for name, item in expansion.nodes.items()
        if (spec := catalog.spec(str(item.get("type")))) is not None and spec.output
    ]
    targets = list(dict.fromkeys([*map(_node_of, expansion.outputs.values()), *sinks]))
    return build_graph(workflow, catalog, run.shared.environment, targets=targets)


def _prefixed(graph: Graph, prefix: str) -> Graph:
    def moved(item: GraphNode) -> GraphNode:
        links = {
            port: Source(prefix + source.node, source.port, source.fit)
            for port, source in item.links.items()
        }
        return replace(item, name=prefix + item.name, links=links)

    nodes = {prefix + name: moved(item) for name, item in graph.nodes.items()}
    return Graph(nodes, tuple(prefix + name for name in graph.targets))


def _give_values(run: Scheduling, call: Call, values: Mapping[str, Any]) -> None:
    """Settle the nodes that stand for live values; known inputs keep their digest."""
    known = {id(artifact.value): artifact for artifact in call.inputs.values()}
    for name, value in values.items():
        state = run.states.get(f"{call.name}/{name}")
        if state is None:
            continue
        artifact = known.get(id(value)) or _artifact(run, call, name, value)
        state.artifacts = (artifact,)
        state.demanded = True
        state.status = "ran"


def _artifact(run: Scheduling, call: Call, name: str, value: Any) -> Artifact:
    deterministic = call.state.node.spec.deterministic
    unnamed = unnamed_digest(call.key, name, deterministic=deterministic)
    return artifact_of(value, named(ANY), run.shared.registry.digesters, unnamed)
