"""Which nodes, subgraphs and parameters of two workflows are the same ones.

Equal names come first. The others are paired by their structure where that needs fewer entries
than a removal and an addition: by type, inputs, and the links of other nodes to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nodegraph.core.comparison.fields import (
    ABSENT,
    PART,
    Fields,
    Path,
    Scope,
    count_differences,
    same,
    scope_of,
)
from nodegraph.core.comparison.node_matches import NodeMatcher, NodeTables
from nodegraph.core.comparison.port_matches import match_bodies, match_ports
from nodegraph.core.comparison.references import (
    PartNames,
    references,
    renamed,
    renamed_path,
    split_target,
)


@dataclass(frozen=True)
class Matches:
    """Names in the second workflow by those in the first; parts without a partner are absent.

    Attributes:
        nodes: By the name that their subgraph has in the first workflow.
        ports: The ports of subgraphs that have another name, in its tables of ports, and the
            inputs of loops that follow renamed subgraphs.
    """

    nodes: Mapping[Scope, Mapping[str, str]]
    blocks: Mapping[str, str]
    parameters: Mapping[str, str]
    ports: PartNames = field(default_factory=PartNames)

    def renames(self) -> PartNames:
        """The names that differ."""
        return replace(
            self.ports,
            nodes={scope: _changed(names) for scope, names in self.nodes.items()},
            blocks=_changed(self.blocks),
            parameters=_changed(self.parameters),
        )

    def has(self, path: Path) -> bool:
        """Whether a node, subgraph or parameter of the first workflow has a partner."""
        if path[0] == "parameters":
            return path[1] in self.parameters
        if path[0] == "subgraphs":
            if path[1] not in self.blocks:
                return False
            if len(path) < 4 or path[2] != "nodes":
                return True
            return path[3] in self.nodes.get(scope_of(path), {})
        return path[1] in self.nodes.get(None, {})


def _changed(names: Mapping[str, str]) -> dict[str, str]:
    return {old: new for old, new in names.items() if old != new}


def match(first: Fields, second: Fields, *, by_name: bool = False) -> Matches:
    """Pair the parts of two workflows.

    Args:
        by_name: Pair nodes of one name also where a removal and an addition were fewer entries.
    """
    left, right = NodeTables(first), NodeTables(second)
    blocks = _match_blocks(left, right)
    nodes = _match_nodes(left, right, blocks, by_name=by_name)
    ports = match_ports(left.ports, right.ports, nodes, blocks, only_paired=False)
    if ports:
        old_ports = left.ports
        left = NodeTables(renamed(first, ports))
        nodes = _match_nodes(left, right, blocks, by_name=by_name)
        ports = match_ports(old_ports, right.ports, nodes, blocks)
        left = NodeTables(renamed(first, ports))
    parameters = _match_parameters(left.fields, second, nodes[None])
    matches = Matches(nodes, blocks, parameters, ports)
    bodies = match_bodies(first, second, matches.renames())
    return replace(matches, ports=replace(ports, bodies=bodies))


def _match_nodes(
    left: NodeTables, right: NodeTables, blocks: Mapping[str, str], *, by_name: bool
) -> dict[Scope, Mapping[str, str]]:
    return {
        old: NodeMatcher(left, right, old, new, blocks).match(by_name=by_name)
        for old, new in ((None, None), *blocks.items())
    }


def _match_blocks(left: NodeTables, right: NodeTables) -> dict[str, str]:
    matched = {name: name for name in left.blocks if name in right.blocks}
    gains = []
    for old in left.blocks.keys() - matched.keys():
        for new in right.blocks.keys() - matched.keys():
            together = 1 + _count_block(left, right, old, new)
            apart = 2 + min(left.uses[old], right.uses[new])
            gains.append((together - apart, old, new))
    for loss, old, new in sorted(gains):
        if loss <= 0 and old not in matched and new not in matched.values():
            matched[old] = new
    return matched


def _count_block(left: NodeTables, right: NodeTables, old: str, new: str) -> float:
    """How many entries the difference of two subgraphs has, about."""
    graph = NodeMatcher(left, right, old, new, {old: new})
    nodes = graph.match()
    paired = sum(graph.together(a, b) for a, b in nodes.items())
    alone = len(graph.first) + len(graph.second) - 2 * len(nodes)
    ports = match_ports(left.ports, right.ports, {old: nodes}, {old: new})
    names = replace(ports, nodes={old: _changed(nodes)}, blocks={old: new})
    mine = {
        ("subgraphs", old, *path): value
        for path, value in left.blocks[old].items()
        if path and path[0] != "nodes"
    }
    # A port that leads to a removed node goes with it.
    kept = {
        path: value
        for path, value in mine.items()
        if all(name in nodes for name in references(path, value))
    }
    gone = {renamed_path(path, names) for path in mine.keys() - kept.keys()}
    before = renamed(kept, names)
    after = {
        ("subgraphs", new, *path): value
        for path, value in right.blocks[new].items()
        if path and path[0] != "nodes"
    }
    differing = sum(
        not same(before.get(path, ABSENT), after.get(path, ABSENT))
        for path in {*before, *after} - gone
    )
    renames = 0
    for side, tables in (("inputs", ports.block_inputs), ("outputs", ports.block_outputs)):
        for old_name, new_name in tables.get(old, {}).items():
            fields = min(
                left.ports.entries(old, side, old_name), right.ports.entries(new, side, new_name)
            )
            renames += 1 - fields  # apart, each of these fields is an entry, too
    return paired + alone + differing + renames


def _match_parameters(first: Fields, second: Fields, nodes: Mapping[str, str]) -> dict[str, str]:
    old, new = _parameters(first), _parameters(second)
    matched = {name: name for name in old if name in new}
    free = {name: each for name, each in new.items() if name not in matched}
    for name, own in old.items():
        if name in matched:
            continue
        node, port = split_target(own.get("input", ""))
        target = nodes.get(node, node) + port
        expected = {**own, "input": target}
        alike = [each for each, other in free.items() if other["input"] == target]
        best = min(alike, key=lambda each: count_differences(expected, free[each]), default=None)
        if best is not None and count_differences(expected, free[best]) <= 1:
            matched[name] = best
            del free[best]
    return matched


def _parameters(fields: Fields) -> dict[str, dict[Any, Any]]:
    table: dict[str, dict[Any, Any]] = {}
    for path, value in fields.items():
        if path[0] == "parameters" and value is not PART:
            table.setdefault(str(path[1]), {})[path[2]] = value
    return table
