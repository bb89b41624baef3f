"""Build the executable graph of a workflow, and cache graphs of workflows that come again.

What depends on the workflow alone is cached. What can change meanwhile is checked again: the node
types, what packs' hooks read (files, for example), and which files may be read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from nodegraph.core.analysis import Analysis, analyse, needed_by
from nodegraph.core.catalog import Catalog
from nodegraph.core.context import Environment
from nodegraph.core.declarations import check_requirements
from nodegraph.core.digests import Digest
from nodegraph.core.file_access import path_problems
from nodegraph.core.flat_workflow import FlatWorkflow, Output
from nodegraph.core.garbage_collection import PausedGC
from nodegraph.core.graph import CheckedGraph, GraphNode
from nodegraph.core.hooks import HookInputs, hook_findings, output_facts
from nodegraph.core.links import Link
from nodegraph.core.spec import NodeSpec
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow


def build_graph(
    workflow: Workflow,
    catalog: Catalog,
    environment: Environment,
    *,
    targets: Sequence[str] | None = None,
) -> CheckedGraph:
    """The nodes that the targets need, checked, in an order in which they can run.

    Subgraphs are inlined (``block/inner``), older nodes led on, defaults filled in.

    Args:
        environment: Handed to the packs' own checks.
        targets: What is to be computed, as ``node`` or ``node.port``; all sinks if not given.
    Raises:
        InvalidWorkflow: Something is wrong with what is to be computed, or, where no targets are
            given, anywhere in the workflow; carries all of it.
    """
    with PausedGC():
        return graph_of(analyse(workflow, catalog, environment, targets=targets))


def graph_of(analysis: Analysis) -> CheckedGraph:
    """The nodes that an analyzed workflow's targets need.

    Raises:
        InvalidWorkflow: Something is wrong with it; carries all of it.
    """
    if analysis.problems:
        raise InvalidWorkflow(analysis.problems)
    needed = needed_by(analysis.nodes, analysis.targets)
    nodes = {name: node for name, node in analysis.nodes.items() if name in needed}
    return CheckedGraph(nodes, analysis.targets, _output_aliases(analysis.flat, nodes))


def _output_aliases(flat: FlatWorkflow, nodes: Collection[str]) -> dict[str, str]:
    """What stands for outputs of nodes that don't run, as others do in their place."""
    stand_ins = {}
    for name in (*flat.blocks, *flat.bypassed):
        for port in flat.outputs_of(name):
            output = flat.output(Link(name, port))
            if isinstance(output, Output) and output.port is not None and output.node in nodes:
                stand_ins[f"{name}.{port}"] = f"{output.node}.{output.port.name}"
    return stand_ins


_MOST_NODES = 20_000
"""Of all graphs together; one that is larger is remembered alone."""
_MOST_GRAPHS = 500
"""Each takes ten kilobytes, however small, and small ones are soon built anew."""
_IMPURE_HOOKS = ("infer", "validate")
_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Types of literals that nobody can change."""
_Key = tuple[Digest, tuple[str, ...] | None]


@dataclass(frozen=True, slots=True)
class _CachedGraph:
    """A sound workflow.

    Attributes:
        impure_nodes: Those of its nodes, needed or not, that may come out otherwise another time.
    """

    workflow: Workflow
    graph: CheckedGraph
    nodes: Mapping[str, GraphNode]
    specs: Sequence[NodeSpec]
    impure_nodes: Sequence[GraphNode]

    def is_valid(self, catalog: Catalog, environment: Environment) -> bool:
        if any(catalog.spec(spec.type) is not spec for spec in self.specs):
            return False
        if check_requirements(self.workflow, catalog):
            return False
        return all(self._is_unchanged(node, catalog, environment) for node in self.impure_nodes)

    def _is_unchanged(self, node: GraphNode, catalog: Catalog, environment: Environment) -> bool:
        name, spec = node.name, node.spec
        if any(True for _ in path_problems(name, spec, node.literals, environment)):
            return False
        facts = {
            port: self.nodes[source.node].facts.get(source.port, {})
            for port, source in node.links.items()
        }
        known = HookInputs(node.literals, facts, environment)
        wrong, _ = hook_findings(name, spec, known, catalog)
        if wrong:
            return False
        new_facts, problems = output_facts(name, spec, known, catalog)
        return not problems and new_facts == node.facts


class GraphCache:
    """Builds graphs, and remembers the last ones. Safe to use from several threads."""

    def __init__(self, most_nodes: int = _MOST_NODES, most: int = _MOST_GRAPHS) -> None:
        self._most_nodes = most_nodes
        self._most = most
        self._known: OrderedDict[_Key, _CachedGraph] = OrderedDict()
        self._nodes = 0
        self._lock = Lock()

    def get(
        self,
        digest: Digest,
        catalog: Catalog,
        environment: Environment,
        *,
        targets: Sequence[str] | None = None,
    ) -> CheckedGraph | None:
        """The graph of a workflow that was built before and would come out the same now.

        Args:
            digest: Of all that the workflow says, as for `built`.
        """
        key = _key(digest, targets)
        with self._lock:
            entry = self._known.get(key)
            if entry is not None:
                self._known.move_to_end(key)
        if entry is None or not entry.is_valid(catalog, environment):
            return None
        return entry.graph

    def get_or_build(
        self,
        digest: Digest,
        workflow: Workflow,
        catalog: Catalog,
        environment: Environment,
        *,
        targets: Sequence[str] | None = None,
    ) -> CheckedGraph:
        """The graph of a workflow; see `nodegraph.core.graph_builder.build_graph`.

        Raises:
            InvalidWorkflow: Something is wrong, anywhere in the workflow; carries all of it.
        """
        graph = self.get(digest, catalog, environment, targets=targets)
        if graph is not None:
            return graph
        with PausedGC():
            analysis = analyse(workflow, catalog, environment, targets=targets)
            graph = graph_of(analysis)
        if _is_cacheable(workflow, analysis.nodes):
            self._remember(_key(digest, targets), workflow, analysis, graph)
        return graph

    def _remember(
        self, key: _Key, workflow: Workflow, analysis: Analysis, graph: CheckedGraph
    ) -> None:
        specs = {node.spec.type: node.spec for node in analysis.nodes.values()}
        looking = [node for node in analysis.nodes.values() if _is_impure(node.spec)]
        known = _CachedGraph(workflow, graph, analysis.nodes, tuple(specs.values()), looking)
        with self._lock:
            before = self._known.pop(key, None)
            self._nodes += len(known.nodes) - (0 if before is None else len(before.nodes))
            self._known[key] = known
            while len(self._known) > 1 and (
                self._nodes > self._most_nodes or len(self._known) > self._most
            ):
                _, oldest = self._known.popitem(last=False)
                self._nodes -= len(oldest.nodes)


def _is_cacheable(workflow: Workflow, nodes: Mapping[str, GraphNode]) -> bool:
    """Whether a graph can be used again as it is.

    A body that a node is given isn't among the nodes, and a node's function may change a list.
    """
    if workflow.subgraphs:
        return False
    return all(_PLAIN.issuperset(map(type, node.literals.values())) for node in nodes.values())


def _is_impure(spec: NodeSpec) -> bool:
    return bool(spec.file_ports) or any(name in spec.hooks for name in _IMPURE_HOOKS)


def _key(digest: Digest, targets: Sequence[str] | None) -> _Key:
    return digest, None if targets is None else tuple(targets)
