"""A node that answers with more graph: the fragment joins the run and stands for the node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nodegraph.core.building import build_graph
from nodegraph.core.digests import Undigestable, digest_value
from nodegraph.core.graph import Graph, GraphNode, Source
from nodegraph.core.keys import opaque_digest
from nodegraph.core.ports import Expand, Value
from nodegraph.core.spec import HookName, NodeSpec, OutputSpec
from nodegraph.core.types import TypeTable
from nodegraph.core.workflow import Workflow
from nodegraph.engine.artifact import Artifact
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
    level = call.state.level + 1
    if level > DEEPEST:
        raise InvalidValue(
            f"expands within itself more than {DEEPEST} times",
            hint="Let the node return plain outputs at some depth.",
        )
    _check_outputs(call, expansion)
    values = _values(expansion)
    graph = _prefixed(_build(run, expansion, values), f"{call.name}/")
    run.add(graph, kept=graph.targets, level=level)
    _give_values(run, call, values)
    run.events.emit("node.expanded", call.name, nodes=list(graph.nodes))
    _Fragment(run, call, answer, graph, expansion).start()


class _Fragment:
    """Waits for a fragment's targets and answers the call that made it."""

    def __init__(
        self, run: Scheduling, call: Call, answer: Answer, graph: Graph, expansion: Expand
    ) -> None:
        self._run = run
        self._call = call
        self._answer = answer
        self._graph = graph
        self._outputs = expansion.outputs
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
            self._finish()

    def _finish(self) -> None:
        targets = [self._run.states[name] for name in self._graph.targets]
        if not all(state.has_outputs for state in targets):
            self._run.leave(self._call)
            return
        artifacts = tuple(self._output(port.name) for port in self._call.state.node.spec.outputs)
        if all(_is_repeatable(item) for item in self._graph.nodes.values()):
            self._run.keep(self._call, artifacts, self._answer.seconds)
        self._run.complete(self._call, artifacts)
        self._run.let_go(targets)

    def _output(self, port: str) -> Artifact:
        name, _, inner = self._outputs[port].partition(".")
        state = self._run.states[f"{self._call.name}/{name}"]
        assert state.artifacts is not None
        names = [output.name for output in state.node.spec.outputs]
        return state.artifacts[names.index(inner) if inner else 0]


def _is_repeatable(item: GraphNode) -> bool:
    return item.spec.deterministic and not item.spec.output and not item.always


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
        artifact = known.get(id(value)) or _digested(run, call, name, value)
        state.artifacts = (artifact,)
        state.demanded = True
        state.status = "ran"


def _digested(run: Scheduling, call: Call, name: str, value: Any) -> Artifact:
    try:
        return Artifact(value, digest_value(value, run.shared.registry.digesters))
    except Undigestable:
        return Artifact(value, opaque_digest(call.key, name))
