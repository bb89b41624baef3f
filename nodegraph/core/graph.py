"""The executable graph: a workflow with its specs found, its inputs checked and its links typed.

And the order in which every node comes after what it needs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from nodegraph.core.spec import NodeSpec
from nodegraph.core.types import Fit

if TYPE_CHECKING:
    from networkx import DiGraph


@dataclass(frozen=True, slots=True)
class LinkSource:
    """Where a linked input's value comes from, and how it gets in."""

    node: str
    port: str
    fit: Fit = field(default_factory=Fit)


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One node, ready to run.

    Attributes:
        name: In the workflow; nodes of a subgraph are ``block/inner``.
        spec: Its type's spec.
        literals: Checked values of the inputs that aren't linked, defaults included.
        links: The linked inputs.
        map_depth: Levels of list that it is mapped over; 0 runs once.
        facts: What is known of each output before it runs.
        always: Run in any case, never from the cache.
        memo: What the runner of the graph has worked out about the node and would work out again.
    """

    name: str
    spec: NodeSpec
    literals: Mapping[str, Any]
    links: Mapping[str, LinkSource]
    map_depth: int = 0
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    always: bool = False
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def lazy_links(self) -> frozenset[str]:
        """Linked inputs that are evaluated on demand; one that is mapped over never is."""
        ports = self.spec.lazy_ports
        if not ports:
            return ports
        links = self.links.items()
        return frozenset([at for at, source in links if at in ports and not source.fit.map_depth])

    @property
    def raw_links(self) -> dict[str, LinkSource]:
        """Linked inputs that the function receives as links; nothing is evaluated for them."""
        ports = self.spec.raw_ports
        return {port: self.links[port] for port in ports if port in self.links} if ports else {}

    @property
    def is_repeatable(self) -> bool:
        """Whether an earlier result for equal inputs may stand for a new one."""
        return self.spec.deterministic and not self.spec.output and not self.always


@dataclass(frozen=True)
class CheckedGraph:
    """Nodes by name, in an order in which every node comes after what it needs.

    Attributes:
        nodes: All nodes that the targets need, in topological order.
        targets: Names of the nodes that were asked for.
        output_aliases: Outputs of theirs that stand for those of subgraphs' uses and of bypassed
            nodes, by the name of the latter: ``block.port``.
        values: What nodes give that stand for live values and never run, by their names: products.
    """

    nodes: Mapping[str, GraphNode]
    targets: tuple[str, ...]
    output_aliases: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def dag(self) -> DiGraph[str]:
        """The same as a networkx graph: an edge from each node to each that uses it."""
        import networkx

        dag: DiGraph[str] = networkx.DiGraph()
        dag.add_nodes_from(self.nodes)
        dag.add_edges_from(
            (source.node, name)
            for name, item in self.nodes.items()
            for source in item.links.values()
        )
        return dag


_MOST = 20


def topological_order(
    needs: Mapping[str, Collection[str]],
) -> tuple[list[str], list[list[str]]]:
    """Names ordered so that each comes after those it needs, and cycles that prevent it.

    Args:
        needs: By name, the names it needs; all of them keys themselves.
    Returns:
        The order, without the members of cycles; and cycles that share no name, each from its
        earliest member along the links back to it. The first 20 are reported.
    """
    cycles: list[list[str]] = []
    left: Mapping[str, Collection[str]] = needs
    while True:
        try:
            return list(TopologicalSorter(left).static_order()), cycles
        except CycleError as error:
            cycle: list[str] = error.args[1]
            cycles.append(_from_earliest(cycle, needs))
            gone = set(cycle)
        if len(cycles) == _MOST:
            return [], cycles
        left = {
            name: [other for other in others if other not in gone]
            for name, others in left.items()
            if name not in gone
        }


def _from_earliest(cycle: list[str], needs: Mapping[str, Collection[str]]) -> list[str]:
    members = set(cycle)
    first = next(name for name in needs if name in members)
    start = cycle.index(first)
    return [*cycle[start:-1], *cycle[:start], first]
