"""Which nodes, subgraphs and parameters of two workflows are the same ones.

Equal names come first. The others are paired by their structure where that needs fewer entries
than a removal and an addition: by type, inputs, and the links of other nodes to them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nodegraph.core.comparison.fields import ABSENT, PART, Fields, Path, Scope, same, scope_of
from nodegraph.core.comparison.port_matches import Ports, match_bodies, match_ports
from nodegraph.core.comparison.references import (
    PartNames,
    is_link_value,
    references,
    renamed,
    renamed_path,
    split_target,
)

_ROUNDS = 12
_MAYBE = 0.5
"""Entries that a link counts for whose ends may still turn out to be the same node."""
_MOST_PAIRS = 40_000
"""Pairs of nodes that are compared at most; beyond that, only names count."""


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
    left, right = _Tables(first), _Tables(second)
    blocks = _match_blocks(left, right)
    nodes = _match_nodes(left, right, blocks, by_name=by_name)
    ports = match_ports(left.ports, right.ports, nodes, blocks, only_paired=False)
    if ports:
        old_ports = left.ports
        left = _Tables(renamed(first, ports))
        nodes = _match_nodes(left, right, blocks, by_name=by_name)
        ports = match_ports(old_ports, right.ports, nodes, blocks)
        left = _Tables(renamed(first, ports))
    parameters = _match_parameters(left.fields, second, nodes[None])
    matches = Matches(nodes, blocks, parameters, ports)
    bodies = match_bodies(first, second, matches.renames())
    return replace(matches, ports=replace(ports, bodies=bodies))


def _match_nodes(
    left: _Tables, right: _Tables, blocks: Mapping[str, str], *, by_name: bool
) -> dict[Scope, Mapping[str, str]]:
    return {
        old: _Graph(left, right, old, new, blocks).match(by_name=by_name)
        for old, new in ((None, None), *blocks.items())
    }


class _Tables:
    """The fields of a workflow by node, and the fields that refer to each node."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.nodes: dict[Scope, dict[str, dict[Path, Any]]] = defaultdict(dict)
        self.blocks: dict[str, dict[Path, Any]] = {}
        self.references: dict[Scope, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
        self.uses: dict[str, int] = defaultdict(int)
        self.ports = Ports(fields)
        for path, value in fields.items():
            self._add(path, value)

    def _add(self, path: Path, value: Any) -> None:
        scope = scope_of(path)
        inner = path
        if path[0] == "subgraphs":
            self.blocks.setdefault(str(path[1]), {})[path[2:]] = value
            inner = path[2:]
        for name in references(path, value):
            self.references[scope][name].append(path)
        if len(inner) >= 2 and inner[0] == "nodes":
            self.nodes[scope].setdefault(str(inner[1]), {})[inner[2:]] = value
            is_body = inner[2:3] == ("inputs",) and isinstance(value, str)
            if inner[2:] == ("type",) or is_body:
                self.uses[value] += 1


def _match_blocks(left: _Tables, right: _Tables) -> dict[str, str]:
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


def _count_block(left: _Tables, right: _Tables, old: str, new: str) -> float:
    """How many entries the difference of two subgraphs has, about."""
    graph = _Graph(left, right, old, new, {old: new})
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
        best = min(alike, key=lambda each: _differing(expected, free[each]), default=None)
        if best is not None and _differing(expected, free[best]) <= 1:
            matched[name] = best
            del free[best]
    return matched


def _parameters(fields: Fields) -> dict[str, dict[Any, Any]]:
    table: dict[str, dict[Any, Any]] = {}
    for path, value in fields.items():
        if path[0] == "parameters" and value is not PART:
            table.setdefault(str(path[1]), {})[path[2]] = value
    return table


def _differing(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> int:
    return sum(
        not same(first.get(key, ABSENT), second.get(key, ABSENT)) for key in {*first, *second}
    )


class _Graph:
    """The nodes of one graph in two workflows."""

    def __init__(
        self,
        left: _Tables,
        right: _Tables,
        old: Scope,
        new: Scope,
        blocks: Mapping[str, str],
    ) -> None:
        self.first, self.second = left.nodes.get(old, {}), right.nodes.get(new, {})
        self._left, self._right = left, right
        self._old, self._new = old, new
        self._blocks = blocks
        self._names: dict[str, str] = {}
        self._partners: dict[str, str] = {}

    def match(self, *, by_name: bool = False) -> dict[str, str]:
        """Return the names of the second graph's nodes by those of the first."""
        for name in self.first:
            if name in self.second and self._same_type(name, name):
                self._pair(name, name)
        self._pair_by_structure()
        paired = len(self._names)
        for name in self.first:
            is_free = name not in self._names and name not in self._partners
            if is_free and name in self.second and (by_name or self.together(name, name) <= 2):
                self._pair(name, name)
        if len(self._names) > paired:
            self._pair_by_structure()  # links from these nodes are equal now
        return self._names

    def _pair_by_structure(self) -> None:
        for _ in range(_ROUNDS):
            if not self._round():
                break

    def _pair(self, old: str, new: str) -> None:
        self._names[old], self._partners[new] = new, old

    def _round(self) -> bool:
        """Pair the nodes whose pairing saves most entries; whether there were any."""
        gains = []
        for old, new in self._candidates():
            gain = self._apart(old, new) - self.together(old, new)
            if gain >= 0 and (self._same_type(old, new) or gain > 0):
                gains.append((-gain, old != new, old, new))
        paired = False
        for _, _, old, new in sorted(gains):
            if old not in self._names and new not in self._partners:
                self._pair(old, new)
                paired = True
        return paired

    def _candidates(self) -> Iterable[tuple[str, str]]:
        free = [name for name in self.first if name not in self._names]
        others = [name for name in self.second if name not in self._partners]
        by_type: dict[Any, list[str]] = defaultdict(list)
        for new in others:
            by_type[self.second[new].get(("type",))].append(new)
        pairs: dict[tuple[str, str], None] = {}
        for old in free:
            for new in by_type[self._type(old)]:
                pairs[old, new] = None
            for new in self._moved(old):
                pairs[old, new] = None
            if len(pairs) > _MOST_PAIRS:
                return []
        return pairs

    def _type(self, old: str) -> Any:
        own = self.first[old]["type",]
        return self._blocks.get(own, own)

    def _same_type(self, old: str, new: str) -> bool:
        return bool(self._type(old) == self.second[new].get(("type",)))

    def _moved(self, old: str) -> Iterator[str]:
        """Free nodes of the second graph that links lead to which led to a node."""
        for path in self._left.references[self._old].get(old, ()):
            for new in self._references_at(path):
                if new in self.second and new not in self._partners:
                    yield new

    def _references_at(self, path: Path) -> Sequence[str]:
        """What the second workflow's field refers to, by the path of the first's."""
        there = self._there(path)
        value = self._right.fields.get(there, ABSENT) if there is not None else ABSENT
        return () if there is None or value is ABSENT else references(there, value)

    def _there(self, path: Path) -> Path | None:
        if path[0] == "ui":
            return None
        if path[0] == "parameters":
            return path
        inner = path[2:] if self._old is not None else path
        base = path[:0] if self._new is None else ("subgraphs", self._new)
        if inner[0] != "nodes":
            return (*base, *inner)
        own = str(inner[1])
        is_free = own in self.second and own not in self._partners
        name = self._names.get(own, own if is_free else None)
        return None if name is None else (*base, "nodes", name, *inner[2:])

    def _apart(self, old: str, new: str) -> float:
        """Entries that a removal and an addition take, with the links that move."""
        if old == new:
            return 2
        moved = [
            path
            for path in self._left.references[self._old].get(old, ())
            if new in self._references_at(path)
        ]
        return self._alone(old) + self._alone(new) + len(moved)

    def _alone(self, name: str) -> float:
        """Entries of a node without a partner of another name; half of a pair of that name."""
        is_free = name not in self._names and name not in self._partners
        if is_free and name in self.first and name in self.second:
            return min(1.0, self.together(name, name) / 2)
        return 1.0

    def together(self, old: str, new: str) -> float:
        """Entries that a pair of nodes takes."""
        mine, theirs = self.first[old], self.second[new]
        cost: float = old != new
        for path in {*mine, *theirs}:
            cost += self._difference(path, mine.get(path, ABSENT), theirs.get(path, ABSENT))
        return cost + self._layout_difference(old, new)

    def _difference(self, path: Path, before: Any, after: Any) -> float:
        if path == ("type",):
            return float(self._blocks.get(before, before) != after)
        if path[:1] == ("inputs",) and is_link_value(before) and is_link_value(after):
            (source, port), (target, other) = map(split_target, (before["from"], after["from"]))
            if port == other and {**before, "from": 0} == {**after, "from": 0}:
                if source in self._names:
                    return float(self._names[source] != target)
                if source not in self.first and target not in self.second:
                    return float(source != target)
                if target not in self._partners and source in self.first:
                    return _MAYBE
                return 1.0
        if path[:1] == ("inputs",) and isinstance(before, str) and before in self._blocks:
            return float(after not in (before, self._blocks[before]))  # the body of a loop
        if path[:1] == ("inputs",) and after is ABSENT and is_link_value(before):
            # The link goes with the node that it came from.
            return float(split_target(before["from"])[0] in self._names)
        return float(not same(before, after))

    def _layout_difference(self, old: str, new: str) -> int:
        if old == new:
            return 0  # costs the same whether it is paired or not
        before, after = self._layout(self._left, old), self._layout(self._right, new)
        return _differing(before, after)

    def _layout(self, tables: _Tables, name: str) -> dict[Any, Any]:
        scope = self._old if tables is self._left else self._new
        result = {}
        for path in tables.references[scope].get(name, ()):
            if path[0] == "ui":
                steps = [step if isinstance(step, str) else step.name for step in path[-2:]]
                result[steps[0], split_target(steps[1])[1]] = tables.fields[path]
        return result
