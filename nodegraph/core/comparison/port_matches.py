"""Ports of subgraphs that have another name in the second workflow, and the nodes that follow.

Ports of equal names are the same. The others are paired where one renamed port needs fewer
entries than a removed and an added one with all that names them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

from nodegraph.core.comparison.fields import (
    ABSENT,
    PART,
    Fields,
    Path,
    Scope,
    count_differences,
    node_path,
    same,
    scope_of,
)
from nodegraph.core.comparison.references import (
    NO_NAMES,
    Names,
    PartNames,
    body_names,
    port_references,
    renamed_path,
    split_target,
    used_types,
)

_ROUNDS = 3
"""A port of a subgraph within another one is paired a round before the port that leads to it."""
_ENTRIES = {"inputs": 2, "outputs": 1}
"""Entries of a field with the old name: an input goes and comes, a link changes."""

Definition = Mapping[str, Any]
PortKey = tuple[str, Scope, str, str]
"""``inputs`` or ``outputs``, subgraph, node and port."""


class Ports:
    """The ports of a workflow's subgraphs, and how many fields name each port of a node."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.definitions: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        for path, value in fields.items():
            if len(path) >= 4 and path[0] == "subgraphs" and path[2] in ("inputs", "outputs"):
                key = str(path[1]), str(path[2])
                port = self.definitions.setdefault(key, {}).setdefault(str(path[3]), {})
                if value is not PART:
                    port[str(path[4]) if len(path) > 4 else "from"] = value

    @cached_property
    def uses(self) -> Mapping[Path, str]:
        """The subgraph of each node whose type is one, by the path of the node."""
        return dict(uses_of(self.fields))

    @cached_property
    def counts(self) -> Mapping[PortKey, int]:
        """How many fields name a port."""
        return Counter(port_references(self.fields))

    def of_block(self, block: str, side: str) -> Mapping[str, Definition]:
        """Return the ports of a subgraph."""
        return self.definitions.get((block, side), {})

    def entries(
        self, block: str, side: str, name: str, matched: Mapping[Scope, Names] | None = None
    ) -> int:
        """Return how many entries another name of a port takes at the nodes with that block.

        Args:
            matched: Count only nodes that have a partner here.
        """
        fields = sum(
            self.counts.get((side, scope_of(path), str(path[-1]), name), 0)
            for path, own in self.uses.items()
            if own == block
            and (matched is None or path[-1] in matched.get(scope_of(path), NO_NAMES))
        )
        return fields * _ENTRIES[side]


def uses_of(fields: Fields) -> Iterator[tuple[Path, str]]:
    """Yield the path of each node whose type is a subgraph, with that subgraph."""
    for path, value in used_types(fields):
        if ("subgraphs", value) in fields:
            yield path[:-1], value


def match_ports(
    left: Ports,
    right: Ports,
    nodes: Mapping[Scope, Names],
    blocks: Names,
    *,
    only_paired: bool = True,
) -> PartNames:
    """Return the new names of renamed ports; only the tables of ports are filled.

    Args:
        left, right: The ports of the first and of the second workflow.
        nodes, blocks: The pairs of nodes and subgraphs.
        only_paired: Whether only nodes with a partner follow; else also those that may get one.
    """
    names = PartNames()
    for _ in range(_ROUNDS):
        # A port that names nodes needs their new names; these of ports grow round by round.
        known = replace(names, nodes=nodes)
        tables = {
            side: {
                old: pairs
                for old, new in blocks.items()
                if (pairs := _match_block(left, right, old, new, side, known))
            }
            for side in ("inputs", "outputs")
        }
        renames = PartNames(block_inputs=tables["inputs"], block_outputs=tables["outputs"])
        if not renames:
            break
        followers = partial(_followers, left, right, nodes, blocks, only_paired=only_paired)
        renames = replace(
            renames,
            node_inputs=followers(renames.block_inputs, "inputs"),
            node_outputs=followers(renames.block_outputs, "outputs"),
        )
        if renames == names:
            break
        names = renames
    return names


def _match_block(
    left: Ports, right: Ports, old: str, new: str, side: str, known: PartNames
) -> dict[str, str]:
    before, after = left.of_block(old, side), right.of_block(new, side)
    free = [name for name in after if name not in before]
    gains = []
    for name in before if free else ():
        if name in after:
            continue
        expected = _expected(before[name], old, known)
        entries = left.entries(old, side, name, known.nodes)
        for other in free:
            differing = count_differences(expected, after[other])
            gain = 1 - differing + min(entries, right.entries(new, side, other))
            is_alike = all(same(expected.get(key), after[other].get(key)) for key in ("to", "from"))
            if gain > 0 or (gain == 0 and is_alike):
                gains.append((-gain, not is_alike, name, other))
    pairs: dict[str, str] = {}
    for _, _, name, other in sorted(gains):
        if name not in pairs and other not in pairs.values():
            pairs[name] = other
    return pairs


def _expected(definition: Definition, block: str, known: PartNames) -> dict[str, Any]:
    """What a port says under the new names of nodes and their ports, without removed nodes."""
    matched = known.nodes.get(block, NO_NAMES)
    expected = dict(definition)
    if "from" in expected:
        expected["from"] = known.source(block, expected["from"])
    if isinstance(expected.get("to"), list):
        kept = [text for text in expected["to"] if split_target(text)[0] in matched]
        expected["to"] = [known.target(block, text) for text in kept]
        if not kept:
            del expected["to"]
    return expected


def _followers(
    left: Ports,
    right: Ports,
    nodes: Mapping[Scope, Names],
    blocks: Names,
    ports: Mapping[str, Names],
    side: str,
    *,
    only_paired: bool,
) -> dict[Path, Names]:
    """The new names at each node that uses a subgraph, as far as the second workflow has them."""
    result: dict[Path, Names] = {}
    for path, block in (*left.uses.items(), *_loops(left.fields, ports)):
        scope, node = scope_of(path), str(path[-1])
        if block not in ports or (scope is not None and scope not in blocks):
            continue
        there = None if scope is None else blocks[scope]
        partner = nodes.get(scope, NO_NAMES).get(node)
        if partner is None and only_paired:
            continue
        partner = partner or node
        other = node_path(there, partner)
        is_same = right.uses.get(other) == blocks[block] or other not in right.fields
        is_use = is_same and left.uses.get(path) == block
        names = {}
        for old, new in ports[block].items():
            stays = right.counts.get((side, there, partner, old), 0)
            moves = right.counts.get((side, there, partner, new), 0)
            is_taken = side == "inputs" and (*path, side, new) in left.fields
            if not is_taken and (moves > stays or (is_use and moves == stays)):
                names[old] = new
        if names:
            result[path] = names
    return result


def _loops(fields: Fields, blocks: Collection[str]) -> Iterator[tuple[Path, str]]:
    """Nodes with a subgraph as the value of an input."""
    for path, block in body_names(fields, blocks):
        yield path[:-2], block


def match_bodies(left: Fields, right: Fields, names: PartNames) -> dict[Path, str]:
    """Return the inputs that name a renamed subgraph in both workflows; see `PartNames.bodies`."""
    renames = {old for old, new in names.blocks.items() if old != new}
    return {
        path: old
        for path, old in body_names(left, renames)
        if same(right.get(renamed_path(path, names), ABSENT), names.blocks[old])
    }


def names_at_uses(fields: Fields, names: PartNames, body_ports: Container[str]) -> PartNames:
    """Return the names of parts with those at all nodes that use the subgraphs.

    Args:
        body_ports: Names of the inputs of loops that name subgraphs.
    """
    inputs: dict[Path, Names] = {}
    outputs: dict[Path, Names] = {}
    for path, block in uses_of(fields):
        renames = names.block_inputs.get(block, NO_NAMES)
        inputs[path] = {
            old: new for old, new in renames.items() if (*path, "inputs", new) not in fields
        }
        outputs[path] = names.block_outputs.get(block, NO_NAMES)
    bodies = {
        path: block for path, block in body_names(fields, names.blocks) if path[-1] in body_ports
    }
    return replace(names, node_inputs=inputs, node_outputs=outputs, bodies=bodies)


def ports_at_uses(
    path: Path, value: Any, types: Mapping[Path, Any]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield the path of each port that a field names, at nodes whose type is a subgraph.

    Args:
        types: Fields that have the types of nodes.
    """
    for side, scope, node, port in port_references({path: value}):
        block = types.get((*node_path(scope, node), "type"))
        if isinstance(block, str) and ("subgraphs", block) in types:
            yield "subgraphs", block, side, port
