"""The graph of a run as its nodes may read it, and what of it counts in their cache keys.

A node that reads the graph depends on all nodes before it: on their names, types, inputs and
links, as a whole and once it reads any of it. Such a node only builds a graph, whose nodes are
cached one by one, so counting more than it has read costs a call of a function that computes
nothing. What the graph that it returns is linked to counts by the digest of the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Any

from nodegraph.core.digests import Digest, digest_value
from nodegraph.core.flat_workflow import VALUE
from nodegraph.core.graph import GraphNode, LinkSource
from nodegraph.core.links import write_literal
from nodegraph.core.ports import GraphCopy, RawLink, RunGraph, RunNode, Subgraph
from nodegraph.core.suggest import did_you_mean
from nodegraph.engine.external_reads import GRAPH, OUTPUT, UNKNOWN
from nodegraph.engine.product import Digesters
from nodegraph.engine.states import NodeState
from nodegraph.errors import InvalidValue

NodeLookup = Callable[[str], GraphNode]


def nodes_before(name: str, node_of: NodeLookup) -> dict[str, None]:
    """All nodes that a node is linked from at any distance, lazy and raw links included."""
    before: dict[str, None] = {}
    waiting = [name]
    while waiting:
        for source in node_of(waiting.pop()).links.values():
            if source.node not in before:
                before[source.node] = None
                waiting.append(source.node)
    return before


def raw_digests(node: GraphNode) -> dict[str, Digest]:
    """What a node receives as links, by input, as it counts in its key: by name."""
    return {port: digest_value(_text(source)) for port, source in node.raw_links.items()}


def _text(source: LinkSource) -> str:
    return f"{source.node}.{source.port}"


@dataclass(frozen=True, slots=True)
class GraphReads:
    """Fingerprints of what one node reads of the graph, for `external_reads.fingerprint`.

    Attributes:
        name: The node that reads.
        node_of: Finds a node of the graph.
        digest_of: Finds the digest of an output by node and port; None if it is not known (yet).
    """

    name: str
    node_of: NodeLookup
    digest_of: Callable[[str, str], Digest | None]
    digesters: Digesters

    def __call__(self, read: str) -> Digest:
        if read != GRAPH:
            node, _, port = read.removeprefix(OUTPUT).rpartition(".")
            return self.digest_of(node, port) or UNKNOWN
        names = sorted((self.name, *nodes_before(self.name, self.node_of)))
        definitions = [self._definition(name) for name in names]
        return UNKNOWN if None in definitions else digest_value(definitions)

    def _definition(self, name: str) -> list[Any] | None:
        node = self.node_of(name)
        if node.spec.category == VALUE:
            # It stands for a value in memory, which is all that it is.
            value = self.digest_of(name, node.spec.outputs[0].name)
            return None if value is None else [name, value]
        literals = node.memo.get("literals")
        if literals is None:
            plain = {port: node.literals[port] for port in sorted(node.literals)}
            literals = node.memo["literals"] = digest_value(plain, self.digesters)
        links = [[port, _text(node.links[port])] for port in sorted(node.links)]
        return [name, node.spec.type, node.spec.version, node.always, literals, links]


class NodesBefore(RunGraph):
    """The graph of a run, as the function of one of its nodes reads it; from any thread.

    Args:
        states: Of the run's nodes.
        note: Called before it is read: it counts in the key from then on.
    """

    def __init__(
        self, state: NodeState, states: Mapping[str, NodeState], note: Callable[[], None]
    ) -> None:
        self._state = state
        self._states = states
        self._note = note

    @property
    def node(self) -> str:
        self._note()
        return self._state.node.name

    @cached_property
    def _names(self) -> dict[str, None]:
        self._note()
        own = self._state.node.name
        return dict.fromkeys(sorted((own, *nodes_before(own, self._node))))

    def _node(self, name: str) -> GraphNode:
        return self._states[name].node

    def __getitem__(self, name: str) -> RunNode:
        if name not in self._names:
            near = did_you_mean(name, self._names) or "Read nodes that this one is linked from."
            raise KeyError(f"there is no node `{name}` before `{self._state.node.name}`. {near}")
        state = self._states[name]
        outermost = state
        while outermost.within is not None:
            outermost = outermost.within
        return RunNode(
            name,
            state.node.spec.type,
            {
                **state.node.literals,
                **{port: RawLink(each.node, each.port) for port, each in state.node.links.items()},
            },
            state.within.node.name if state.within else None,
            state.origin or outermost.node.name,
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def between(self, first: str) -> tuple[str, ...]:
        own = self._state.node.name
        sources = {
            name: [source.node for source in self._node(name).links.values()]
            for name in self._names
        }
        reached = {first: None} if first in sources and first != own else {}
        for name in TopologicalSorter(sources).static_order():
            if not reached.keys().isdisjoint(sources[name]):
                reached[name] = None
        if own not in reached:
            raise InvalidValue(
                f"no links lead from `{first}` to `{own}`",
                given=first,
                hint="Name a node that this one is linked from, at any distance.",
            )
        # What comes after `first` may lead elsewhere, but all names here are before the reader.
        return tuple(name for name in reached if name != own)

    def copy(self, names: Iterable[str], suffix: str = "") -> GraphCopy:
        new: dict[str, str] = {}
        for name in names:
            short = name.rpartition("/")[2] + suffix
            taken = set(new.values())
            count = 2
            while short in taken:
                short = f"{name.rpartition('/')[2]}_{count}{suffix}"
                count += 1
            new[name] = short
        subgraphs: dict[str, Any] = {}
        nodes = {short: self._copied(self[name], new, subgraphs) for name, short in new.items()}
        return GraphCopy(nodes, new, subgraphs)

    def _copied(
        self, item: RunNode, new: Mapping[str, str], subgraphs: dict[str, Any]
    ) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        for port, value in item.inputs.items():
            if isinstance(value, RawLink):
                inner = new.get(value.node)
                inputs[port] = value if inner is None else {"from": f"{inner}.{value.port}"}
            elif isinstance(value, Subgraph):
                subgraphs |= value.definitions
                inputs[port] = value.name
            else:
                inputs[port] = write_literal(value)
        always = {"always": True} if self._node(item.name).always else {}
        return {"type": item.type, "inputs": inputs, "origin": item.origin, **always}
