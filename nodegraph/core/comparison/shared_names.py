"""Names that three workflows share before a merge: the same part has one name in all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple

from nodegraph.core.comparison.fields import (
    ABSENT,
    PART,
    Fields,
    Path,
    Scope,
    count_differences,
    node_path,
)
from nodegraph.core.comparison.matches import Matches, match
from nodegraph.core.comparison.port_matches import names_at_uses
from nodegraph.core.comparison.references import (
    NO_NAMES,
    Names,
    PartNames,
    renamed,
    renamed_path,
)

_BODY = "body"
"""The input of a loop that names its subgraph."""
CLASH_MESSAGES = {
    "both-renamed": "both sides renamed it; ours stays",
    "name-taken": "theirs renamed it to a name that ours uses; ours stays",
    "name-used": "ours uses this name; the one of theirs is now called `{}`",
}
"""What both sides did, by the reason of the clash."""


class NameClash(NamedTuple):
    """A name that two parts want, or two names that one part has."""

    path: Path
    reason: str
    name: str
    base: Any
    ours: Any
    theirs: Any


def free_name(name: str, taken: Container[str]) -> str:
    """Return a name that is not taken: ``name_2``, ``name_3``, …"""
    return next(each for at in count(2) if (each := f"{name}_{at}") not in taken)


class SharedNames:
    """Base, ours and theirs with the same name for the same part.

    A part has the name that one side gave it. If both sides renamed it, or theirs wants a name
    that ours uses for another part, ours stays.

    Attributes:
        names: The shared names by those in base, ours and theirs.
        tables: The three tables of fields.
        clashes: Names that could not be kept.
        renamed_parts: The paths of parts that ours renamed, and of those that theirs renamed.
        body_ports: Names of the inputs of loops that name subgraphs.
    """

    def __init__(self, base: Fields, ours: Fields, theirs: Fields) -> None:
        self.clashes: list[NameClash] = []
        to_ours, to_theirs = (match(base, side, by_name=True) for side in (ours, theirs))
        # A part that both sides removed may have left its name to another.
        both = {
            path
            for path, value in base.items()
            if value is PART and path[0] != "ui" and not (to_ours.has(path) or to_theirs.has(path))
        }
        lengths = {len(path) for path in both}
        base = {
            path: value
            for path, value in base.items()
            if not any(path[:length] in both for length in lengths)
        }
        blocks = self._join(
            ("subgraphs",), to_ours.blocks, to_theirs.blocks, _names(ours), _names(theirs)
        )
        blocks = (
            blocks[0],
            _with_removed(blocks[1], blocks[0], ours, to_ours),
            _with_removed(blocks[2], blocks[0], theirs, to_theirs),
        )
        parameters = self._join(
            ("parameters",),
            to_ours.parameters,
            to_theirs.parameters,
            _names(ours, "parameters"),
            _names(theirs, "parameters"),
        )
        nodes: tuple[dict[Scope, Mapping[str, str]], ...] = ({}, {}, {})
        for scope in dict.fromkeys((None, *to_ours.blocks, *to_theirs.blocks)):
            self._join_nodes(scope, to_ours, to_theirs, base, ours, theirs, blocks[0], nodes)
        ports = [
            self._join_ports(side, to_ours, to_theirs, (base, ours, theirs), blocks[0])
            for side in ("inputs", "outputs")
        ]
        tables = (base, ours, theirs)
        self.body_ports = {
            _BODY,
            *(str(path[-1]) for path in (*to_ours.ports.bodies, *to_theirs.ports.bodies)),
        }
        self.names = tuple(
            names_at_uses(
                table,
                PartNames(nodes[at], blocks[at], parameters[at], ports[0][at], ports[1][at]),
                self.body_ports,
            )
            for at, table in enumerate(tables)
        )
        self.tables = tuple(map(renamed, tables, self.names))
        self.renamed_parts = tuple(
            {renamed_path(path, self.names[0]) for path in _renamed_parts(matches)}
            for matches in (to_ours, to_theirs)
        )

    def _join_ports(
        self,
        side: str,
        to_ours: Matches,
        to_theirs: Matches,
        tables: tuple[Fields, Fields, Fields],
        blocks: Names,
    ) -> tuple[dict[str, Names], dict[str, Names], dict[str, Names]]:
        """New names for the ports of subgraphs in the three tables."""
        result: tuple[dict[str, Names], ...] = ({}, {}, {})
        for block in to_ours.blocks.keys() & to_theirs.blocks.keys():
            own = block, to_ours.blocks[block], to_theirs.blocks[block]
            names = [_port_names(table, at, side) for table, at in zip(tables, own, strict=True)]
            path: Path = ("subgraphs", blocks.get(block, block), side)
            matched = [
                _port_pairs(matches, block, side, names[0], there)
                for matches, there in ((to_ours, names[1]), (to_theirs, names[2]))
            ]
            joined = self._join(path, matched[0], matched[1], names[1], names[2])
            for table, at, renames in zip(result, own, joined, strict=True):
                table[at] = renames
        return result  # type: ignore[return-value]

    def _join_nodes(
        self,
        scope: Scope,
        to_ours: Matches,
        to_theirs: Matches,
        base: Fields,
        ours: Fields,
        theirs: Fields,
        blocks: Mapping[str, str],
        nodes: Collection[dict[Scope, Mapping[str, str]]],
    ) -> None:
        path: Path = ("nodes",)
        scopes = [scope, scope, scope]
        if scope is not None:
            path = ("subgraphs", blocks.get(scope, scope), "nodes")
            scopes[1:] = to_ours.blocks.get(scope), to_theirs.blocks.get(scope)
        mine, yours = (
            _node_names(side, at) if scope is None or at is not None else []
            for side, at in zip((ours, theirs), scopes[1:], strict=True)
        )
        pairs = to_ours.nodes.get(scope, {})

        def is_changed(old: str) -> bool:
            there = node_path(scopes[1], pairs[old])
            return _is_changed(base, node_path(scope, old), ours, there)

        joined = self._join(path, pairs, to_theirs.nodes.get(scope, {}), mine, yours, is_changed)
        for table, at, names in zip(nodes, scopes, joined, strict=True):
            if scope is None or at is not None:
                table[at] = names

    def _join(
        self,
        path: Path,
        to_ours: Mapping[str, str],
        to_theirs: Mapping[str, str],
        ours: Iterable[str],
        theirs: Iterable[str],
        is_changed: Callable[[str], bool] = lambda old: True,
    ) -> tuple[Mapping[str, str], Mapping[str, str], Mapping[str, str]]:
        """New names for the parts of the base, of ours and of theirs.

        Args:
            is_changed: Whether ours changed a part. If not, and theirs removed it, it leaves its
                name to a part that theirs renamed.
        """
        added = set(ours) - set(to_ours.values())
        left = _left_names(to_ours, to_theirs, is_changed, {*ours, *theirs})
        refused: set[str] = set()
        while True:
            shared = {
                old: left.get(old)
                or _shared_name(old, to_ours.get(old), to_theirs.get(old), old in refused)
                for old in {**to_ours, **to_theirs}
            }
            wanted = _repeated(shared, added) - refused
            renames = {old for old in wanted if shared[old] != to_ours.get(old)} - left.keys()
            if not renames:
                break
            refused |= renames
        for old, name in shared.items():
            mine, yours = to_ours.get(old), to_theirs.get(old)
            if old in refused and mine is None:
                shared[old] = free_name(name, {*shared.values(), *added})
            elif old in refused:
                self.clashes.append(NameClash((*path, name), "name-taken", "", old, mine, yours))
            elif mine is not None and yours not in (None, old, name) and mine != old:
                self.clashes.append(NameClash((*path, name), "both-renamed", "", old, mine, yours))
        own = {mine: shared[old] for old, mine in to_ours.items()}
        other = {yours: shared[old] for old, yours in to_theirs.items()}
        wanted = {*shared.values()}
        taken = wanted | added
        for name in theirs:
            if name in other or name not in wanted:
                continue
            other[name] = free_name(name, taken)
            taken.add(other[name])
            new = other[name]
            self.clashes.append(NameClash((*path, name), "name-used", new, ABSENT, name, new))
        return tuple(  # type: ignore[return-value]
            {old: new for old, new in names.items() if old != new} for names in (shared, own, other)
        )


def _left_names(
    to_ours: Names,
    to_theirs: Names,
    is_changed: Callable[[str], bool],
    taken: Collection[str],
) -> dict[str, str]:
    """Other names for parts that theirs removed, and whose names it gave to renamed ones."""
    wanted = {yours for old, yours in to_theirs.items() if yours != old}
    names = {*taken, *to_ours, *to_theirs}
    result: dict[str, str] = {}
    for old, mine in to_ours.items():
        is_free = old not in to_theirs and mine == old and mine in wanted
        if is_free and not is_changed(old):
            result[old] = free_name(mine, names)
            names.add(result[old])
    return result


def _is_changed(base: Fields, path: Path, side: Fields, there: Path) -> bool:
    """Whether a part has other fields in a side."""
    before, after = (
        {each[len(own) :]: value for each, value in table.items() if each[: len(own)] == own}
        for table, own in ((base, path), (side, there))
    )
    return bool(count_differences(before, after))


def _with_removed(own: Names, shared: Names, side: Fields, matches: Matches) -> Names:
    """New names of a side's subgraphs, also of those that it removed and still uses."""
    known = {*_names(side), *matches.blocks}
    return {**{old: new for old, new in shared.items() if old not in known}, **own}


def _renamed_parts(matches: Matches) -> Iterator[Path]:
    """The paths in the base of the parts that have another name in a side."""
    names = matches.renames()
    for scope, inside in names.nodes.items():
        yield from (node_path(scope, name) for name in inside)
    yield from (("subgraphs", name) for name in names.blocks)
    yield from (("parameters", name) for name in names.parameters)
    for side, ports in (("inputs", names.block_inputs), ("outputs", names.block_outputs)):
        for block, inner in ports.items():
            yield from (("subgraphs", block, side, name) for name in inner)


def _shared_name(old: str, mine: str | None, yours: str | None, is_refused: bool) -> str:
    if mine is None:
        return yours or old
    keeps = is_refused or yours is None or mine != old
    return mine if keeps else str(yours)


def _repeated(shared: Mapping[str, str], added: Collection[str]) -> set[str]:
    """The parts whose new name another one has, too."""
    by_name: dict[str, list[str]] = {}
    for old, name in shared.items():
        by_name.setdefault(name, []).append(old)
    return {
        old
        for name, members in by_name.items()
        if len(members) > 1 or name in added
        for old in members
    }


def _names(fields: Fields, key: str = "subgraphs") -> list[str]:
    return [
        str(path[1])
        for path, value in fields.items()
        if value is PART and len(path) == 2 and path[0] == key
    ]


def _node_names(fields: Fields, scope: Scope) -> list[str]:
    start: Path = ("nodes",) if scope is None else ("subgraphs", scope, "nodes")
    length = len(start)
    return [
        str(path[-1])
        for path, value in fields.items()
        if value is PART and len(path) == length + 1 and path[:length] == start
    ]


def _port_names(fields: Fields, block: str, side: str) -> list[str]:
    start: Path = ("subgraphs", block, side)
    return [str(path[3]) for path in fields if len(path) == 4 and path[:3] == start]


def _port_pairs(
    matches: Matches, block: str, side: str, names: Iterable[str], there: Collection[str]
) -> dict[str, str]:
    tables = matches.ports.block_inputs if side == "inputs" else matches.ports.block_outputs
    renames = tables.get(block, NO_NAMES)
    pairs = {name: renames.get(name, name) for name in names}
    return {old: new for old, new in pairs.items() if new in there}
