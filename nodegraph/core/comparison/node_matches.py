"""Which nodes of one graph are the same ones in two workflows.

Nodes of equal names come first, unless names were exchanged: where other names make nodes equal,
with fewer entries, these count. Nodes without a partner of their name are paired by structure:
equal ones in all but their names, then those whose pairing needs fewer entries than a removal and
an addition.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodegraph.core.comparison.color_refinement import NodeShape, pair_equal_nodes
from nodegraph.core.comparison.fields import (
    ABSENT,
    Fields,
    Path,
    Scope,
    count_differences,
    node_path,
    same,
    scope_of,
)
from nodegraph.core.comparison.port_matches import Ports
from nodegraph.core.comparison.references import (
    PartNames,
    is_link_value,
    references,
    renamed,
    split_target,
)

_ROUNDS = 12
_MAYBE = 0.5
"""Entries that a link counts for whose ends may still turn out to be the same node."""
_MOST_PAIRS = 40_000
"""Pairs of nodes of one type that are all compared; of more, those with a rare value in common."""
_RARE = 8
"""Nodes that have a rare value at most."""


class NodeTables:
    """The fields of a workflow by node, and the fields that refer to each node."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.nodes: dict[Scope, dict[str, dict[Path, Any]]] = defaultdict(dict)
        self.blocks: dict[str, dict[Path, Any]] = {}
        self.references: dict[Scope, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
        self.uses: dict[str, int] = defaultdict(int)
        self.ports = Ports(fields)
        self.links: dict[Scope, dict[str, list[tuple[Hashable, str]]]] = defaultdict(
            lambda: defaultdict(list)
        )
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
            if inner[2:3] == ("inputs",) and is_link_value(value):
                source, port = split_target(value["from"])
                self.links[scope][str(inner[1])].append(((str(inner[3]), port, "from"), source))
                self.links[scope][source].append(((str(inner[3]), port, "to"), str(inner[1])))


class NodeMatcher:
    """The nodes of one graph in two workflows."""

    def __init__(
        self,
        left: NodeTables,
        right: NodeTables,
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
        self._pair_equal(only_unique=True)
        self._pair_along_links(only_changed=True)
        self._pair_equal(only_unique=False)
        self._pair_by_structure()
        paired = len(self._names)
        for name in self.first:
            is_free = name not in self._names and name not in self._partners
            if is_free and name in self.second and (by_name or self.together(name, name) <= 2):
                self._pair(name, name)
        if len(self._names) > paired:
            self._pair_by_structure()  # links from these nodes are equal now
        return self._names

    def _pair(self, old: str, new: str) -> None:
        self._names[old], self._partners[new] = new, old

    # Nodes that are equal in all but their names

    def _pair_equal(self, *, only_unique: bool) -> None:
        """Pair nodes that are equal under other names, where that needs fewer entries."""
        exact = self._exact()
        known = {*exact.values()}
        sides = (
            [name for name in self.first if name not in exact],
            [name for name in self.second if name not in known],
        )
        if not all(sides) or (len(sides[0]) == len(sides[1]) == 1):
            return
        equal: dict[str, str] = {}
        for is_strict in (True, False):
            shapes = [
                {name: self._shape(tables, name, fixed, is_strict) for name in names}
                for tables, names, fixed in (
                    (self._left, sides[0], exact),
                    (self._right, sides[1], dict.fromkeys(known)),
                )
            ]
            pair_equal_nodes(shapes[0], shapes[1], equal, only_unique=only_unique)
            if len(equal) == min(map(len, sides)):
                break
        self._take_better(equal, self._common_contents(sides, equal) if only_unique else set())

    def _exact(self) -> dict[str, str]:
        """The pairs that differ in nothing but their names, nor does anything that names them."""
        differing: set[str] = set()
        for old, new in self._names.items():
            links = [
                source
                for path, value in self.first[old].items()
                if is_link_value(value)
                and self._difference(path, value, self.second[new].get(path, ABSENT))
                for source in references((*node_path(self._old, old), *path), value)
            ]
            ports = [
                path
                for path in self._left.references[self._old].get(old, ())
                if _holder(path) is None and path[0] != "ui"
            ]
            differing.update(links)
            if (
                links
                or self.together(old, new) > (old != new)
                or (old == new and self._count_layout(old, new))
                or any(new not in self._references_at(path) for path in ports)
            ):
                differing.add(old)
        return {old: new for old, new in self._names.items() if old not in differing}

    def _shape(
        self, tables: NodeTables, name: str, fixed: Mapping[str, str | None], is_strict: bool
    ) -> NodeShape:
        """What a node is without its name; if strict, with its layout and what refers to it."""
        is_left = tables is self._left
        scope = self._old if is_left else self._new
        content: set[Hashable] = set()
        for path, value in tables.nodes[scope][name].items():
            text = value
            if path[:1] == ("inputs",) and is_link_value(value):
                source, port = split_target(value["from"])
                is_open = source in tables.nodes[scope] and source not in fixed
                name_there = (fixed.get(source) if is_left else None) or source
                text = {**value, "from": [port] if is_open else name_there + port}
            elif is_left and isinstance(value, str) and path[0] in ("type", "inputs"):
                text = self._blocks.get(value, value)
            content.add((path, _text(text)))
        if is_strict:
            for path in tables.references[scope].get(name, ()):
                inner = path[2:] if path[0] == "subgraphs" else path
                if inner[0] != "nodes" and path[0] != "ui":
                    content.add((inner, _text(_ports(name, tables.fields[path]))))
            layout = self._layout(tables, name)
            content |= {(key, _text(value)) for key, value in layout.items()}
        return NodeShape(frozenset(content), tables.links[scope].get(name, ()))

    def _take_better(self, equal: Mapping[str, str], known: set[Hashable]) -> None:
        """Take the pairs of equal nodes that need fewer entries than those of equal names.

        Args:
            known: Contents of nodes that may get an equal partner later.
        """
        names = dict(self._names)
        before = names | {name: name for name in equal if self._is_kept(name)}
        chains = [*partner_chains(before, equal)]
        for chain in chains:
            chain.apply(names, chain.pairs)
        for chain in chains:
            if chain.ends is not None and not self._may_be_equal(*chain.ends, known):
                self._close(chain, *chain.ends, names)
        while True:
            kept = [chain for chain in chains if self._is_better(chain, names)]
            if len(kept) == len(chains):
                break
            chains = kept
        self._names = {
            old: new for old, new in names.items() if self._same_type(old, new)
        }  # those of another type count later
        self._partners = {new: old for old, new in self._names.items()}

    def _is_better(self, chain: PartnerChain, names: MutableMapping[str, str]) -> bool:
        """Whether the pairs of a chain need fewer entries than equal names; else these count."""
        entries = self._entries(chain, names)
        if not chain.before and entries == len(chain.pairs):
            return True
        chain.apply(names, chain.before)
        if entries >= self._entries(chain, names):
            return False
        chain.apply(names, chain.pairs)
        return True

    def _is_kept(self, name: str) -> bool:
        """Whether a name without a partner may stay with a node of another type."""
        is_free = name not in self._names and name not in self._partners
        return is_free and name in self.second and self.together(name, name) <= 2

    def _close(
        self, chain: PartnerChain, old: str, new: str, names: MutableMapping[str, str]
    ) -> None:
        """Pair the ends of a chain too, if that needs fewer entries."""
        if not self._same_type(old, new):
            return
        entries = self._entries(chain, names)
        names[old] = new
        if self._entries(chain, names) < entries:
            chain.pairs[old] = new
        else:
            del names[old]

    def _entries(self, chain: PartnerChain, names: Mapping[str, str]) -> int:
        """Entries of the nodes of a chain and of all that refers to them, under some names."""
        inside = PartNames(nodes={self._old: names}, blocks=self._blocks)
        olds, news = chain.olds, chain.news
        paths: dict[Path, None] = {}
        for name in olds:
            base = node_path(self._old, name)
            paths |= dict.fromkeys((*base, *inner) for inner in self.first[name])
            paths |= dict.fromkeys(self._left.references[self._old].get(name, ()))
        count = sum(name not in names or names[name] != name for name in olds)
        count += len(news) - sum(name in names for name in olds)
        expected: dict[Path, Any] = {}
        for path in paths:
            holder = _holder(path)
            if holder is not None and holder not in names:
                continue  # gone with its node
            value = self._left.fields[path]
            is_lost = any(name not in names for name in references(path, value))
            if is_lost and path[0] == "ui":
                continue
            [(there, after)] = renamed({path: value}, inside).items()
            expected[there] = ABSENT if is_lost else after
        for there, after in expected.items():
            count += not same(self._right.fields.get(there, ABSENT), after)
        partners = {names[name] for name in olds if name in names}
        for name in partners:
            base = node_path(self._new, name)
            count += sum((*base, *inner) not in expected for inner in self.second[name])
            count += sum(
                path[0] == "ui" and path not in expected
                for path in self._right.references[self._new].get(name, ())
            )
        return count

    # Nodes of the same structure

    def _pair_by_structure(self) -> None:
        for _ in range(_ROUNDS):
            if not self._round():
                break
        self._pair_along_links()

    def _pair_along_links(self, *, only_changed: bool = False) -> None:
        """Pair what is left and hangs on equal links of pairs, node by node.

        Args:
            only_changed: Leave out pairs of two nodes that both are equal to others.
        """
        sides = [
            [name for name in self.first if name not in self._names],
            [name for name in self.second if name not in self._partners],
        ]
        known = self._common_contents(sides, {}) if only_changed else set()
        pairs = [*self._names.items()]
        while pairs:
            old, new = pairs.pop()
            for pair in self._linked(old, new):
                if self._may_be_equal(*pair, known):
                    continue
                gain = self._apart(*pair) - self.together(*pair)
                if gain >= 0 and self._same_type(*pair):
                    self._pair(*pair)
                    pairs.append(pair)

    def _common_contents(
        self, sides: Sequence[Iterable[str]], pairs: Mapping[str, str]
    ) -> set[Hashable]:
        """Contents that nodes without a partner have in both graphs."""
        partners = {*pairs.values()}
        olds = {self._content(self.first[name]) for name in sides[0] if name not in pairs}
        news = {self._content(self.second[name]) for name in sides[1] if name not in partners}
        return olds & news

    def _may_be_equal(self, old: str, new: str, known: set[Hashable]) -> bool:
        """Whether two different nodes may both get an equal partner of these contents."""
        if not known:
            return False
        contents = self._content(self.first[old]), self._content(self.second[new])
        return contents[0] != contents[1] and known.issuperset(contents)

    def _content(self, node: Mapping[Path, Any]) -> Hashable:
        """The values of a node, without where its links come from."""
        return frozenset(
            (path, "" if is_link_value(value) else _text(value))
            for path, value in node.items()
            if path != ("type",)
        )

    def _linked(self, old: str, new: str) -> Iterator[tuple[str, str]]:
        """Free nodes at equal links of a pair, where there is only one each."""
        groups: dict[Hashable, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
        sides = (
            (self._left.links[self._old].get(old, ()), self.first, self._names),
            (self._right.links[self._new].get(new, ()), self.second, self._partners),
        )
        for at, (links, nodes, known) in enumerate(sides):
            for label, name in links:
                if name in nodes and name not in known:
                    groups[label][at].add(name)
        for olds, news in groups.values():
            if len(olds) == len(news) == 1 and not olds & self._names.keys():
                yield olds.pop(), news.pop()

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
        """Pairs of free nodes that may be the same: all of one type, if these are not too many."""
        by_type: dict[Any, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        for old in self.first:
            if old not in self._names:
                by_type[self._type(old)][0].append(old)
        for new in self.second:
            if new not in self._partners:
                by_type[self.second[new].get(("type",))][1].append(new)
        pairs: dict[tuple[str, str], None] = {}
        count = sum(len(olds) * len(news) for olds, news in by_type.values())
        for olds, news in by_type.values():
            if count <= _MOST_PAIRS:
                pairs |= {(old, new): None for old in olds for new in news}
            else:
                pairs |= dict.fromkeys(self._alike(olds, news))
            for old in olds:
                pairs |= {(old, new): None for new in self._moved(old)}
        return pairs

    def _alike(self, olds: Sequence[str], news: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Pairs of nodes of one type with a rare value in common."""
        groups: dict[Hashable, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        for side, (names, nodes) in enumerate(((olds, self.first), (news, self.second))):
            for name in names:
                for path, value in nodes[name].items():
                    if not is_link_value(value):
                        groups[path, _text(value)][side].append(name)
        for mine, theirs in groups.values():
            if max(len(mine), len(theirs)) <= _RARE:
                yield from ((old, new) for old in mine for new in theirs)

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
        return self._count_layout(old, new)

    def _count_layout(self, old: str, new: str) -> int:
        before, after = self._layout(self._left, old), self._layout(self._right, new)
        return count_differences(before, after)

    def _layout(self, tables: NodeTables, name: str) -> dict[Any, Any]:
        scope = self._old if tables is self._left else self._new
        result = {}
        for path in tables.references[scope].get(name, ()):
            if path[0] == "ui":
                steps = [step if isinstance(step, str) else step.name for step in path[-2:]]
                result[steps[0], split_target(steps[1])[1]] = tables.fields[path]
        return result


def _holder(path: Path) -> str | None:
    """The node that a field of a graph lies in."""
    inner = path[2:] if path[0] == "subgraphs" else path
    return str(inner[1]) if inner[0] == "nodes" else None


def _ports(name: str, value: Any) -> list[str]:
    """The ports of a node that a parameter or a port of a subgraph leads to."""
    texts = value if isinstance(value, list) else [value]
    targets = [split_target(text) for text in texts if isinstance(text, str)]
    return [port for node, port in targets if node == name]


def _text(value: Any) -> str:
    """A JSON value as text: equal for the same values only."""
    return json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else repr(value)


@dataclass
class PartnerChain:
    """Nodes that get other partners, one because of the next.

    Attributes:
        olds, news: The nodes of both graphs.
        before: Their pairs until now.
        pairs: Their new pairs.
        ends: The nodes that lose their partners without getting another.
    """

    olds: list[str]
    news: list[str]
    before: dict[str, str]
    pairs: dict[str, str]
    ends: tuple[str, str] | None

    def apply(self, names: MutableMapping[str, str], pairs: Mapping[str, str]) -> None:
        """Let names have these pairs for the chain's nodes."""
        for name in self.olds:
            names.pop(name, None)
        names.update(pairs)


def partner_chains(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[PartnerChain]:
    """Yield the nodes whose pairs differ, each chain in its order.

    Args:
        before, after: Nodes of the second graph by those of the first.
    """
    partners = {new: old for old, new in before.items()}
    taken = {*after.values()}
    known: set[str] = set()
    starts = [old for old in after if before.get(old) not in taken]
    for start in (*starts, *after):
        if start in known or after[start] == before.get(start):
            continue
        lost = before.get(start)
        news = [] if lost is None or lost in taken else [lost]
        olds: list[str] = []
        old: str | None = start
        while old is not None and old not in known:
            known.add(old)
            olds.append(old)
            new = after.get(old)
            news += [] if new is None else [new]
            old = None if new is None else partners.get(new)
        ends = (olds[-1], news[0]) if olds[-1] not in after and news[0] == lost else None
        yield PartnerChain(
            olds,
            news,
            {name: before[name] for name in olds if name in before},
            {name: after[name] for name in olds if name in after},
            ends,
        )
