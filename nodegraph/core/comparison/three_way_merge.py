"""Three-way merges of workflows: changes of two sides since a common base, in one workflow.

Changes of different fields are kept from both sides. Where both changed the same, ours stays and
a conflict has both values. A link to a node that the other side removed, two parts of one name,
and links that would close a cycle are conflicts, too, so the result is no broken file.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nodegraph.core.comparison.changes import kind_of, part_document, path_document, whole_layouts
from nodegraph.core.comparison.fields import (
    ABSENT,
    NODE_LAYOUT,
    PART,
    Fields,
    ListStep,
    Path,
    Scope,
    canonical,
    plain_document,
    same,
    scope_of,
    scope_path,
    to_document,
    to_fields,
)
from nodegraph.core.comparison.port_matches import ports_at_uses
from nodegraph.core.comparison.references import (
    PartNames,
    is_link_value,
    references,
    renamed,
    used_blocks,
)
from nodegraph.core.comparison.shared_names import CLASH_MESSAGES, SharedNames, free_name
from nodegraph.core.graph import topological_order

MESSAGES = {
    **CLASH_MESSAGES,
    "both-added": "both sides added one of this name; theirs is now called `{}`",
    "both-changed": "both sides changed it; ours stays",
    "cycle": "theirs links it, which would close a cycle; ours stays",
    "link-to-removed": "theirs links it to {}, which ours removed; ours stays",
    "ours-removed": "ours removed it and theirs changed it; it stays removed",
    "ours-removed-used": "ours removed it and theirs uses it in another node; it stays",
    "theirs-removed": "theirs removed it and ours changed it; it stays",
    "theirs-removed-used": "theirs removed it and ours needs it; it stays",
}
"""What both sides did, by the reason of the conflict."""


@dataclass(frozen=True)
class MergeConflict:
    """What both sides changed, or what one side removed and the other needs.

    Attributes:
        path: Its place, by the names in the merged workflow.
        kind: What it is; see `changes.WorkflowChange`.
        reason: What the sides did, as a key of `MESSAGES`.
        message: The same in one sentence, and which of it the file keeps.
        base, ours, theirs: The three values; `ABSENT` where there is none.
        causes: Other places that take part: a removed node, links of a cycle.
    """

    path: Path
    kind: str
    reason: str
    message: str
    base: Any
    ours: Any
    theirs: Any
    causes: tuple[Path, ...] = ()

    @property
    def is_quiet(self) -> bool:
        """Whether it only concerns the drawing of the workflow."""
        return self.kind == "layout"

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON output."""
        values = (("base", self.base), ("ours", self.ours), ("theirs", self.theirs))
        return {
            "kind": self.kind,
            "reason": self.reason,
            "path": path_document(self.path),
            "message": self.message,
            **{name: value for name, value in values if value is not ABSENT},
        }


@dataclass(frozen=True)
class Merge:
    """A merged workflow.

    Attributes:
        document: In the form of `fields.canonical`.
        conflicts: What could not be kept from both sides; the document has ours there.
        names: Names in the document by those in base, ours and theirs.
    """

    document: dict[str, Any]
    conflicts: tuple[MergeConflict, ...]
    names: tuple[PartNames, ...]


def merge(base: Any, ours: Any, theirs: Any) -> Merge:
    """Merge two workflows with a common base.

    Args:
        base, ours, theirs: Workflows or their documents.
    Raises:
        InvalidFile: One is no workflow.
        InvalidWorkflow: Parts of one have the wrong form.
    """
    documents = [plain_document(each) for each in (base, ours, theirs)]
    whole = whole_layouts(*documents, ordered=False)
    tables = [to_fields(document, whole) for document in documents]
    names = SharedNames(*tables)
    return _Merger(names).merge()


class _Merger:
    """Merges fields whose names are the same in all three tables."""

    def __init__(self, names: SharedNames) -> None:
        self._base, self._ours, self._theirs = names.tables
        self._names = names.names
        self._renamed_parts = names.renamed_parts
        self._body_ports = names.body_ports
        self._merged: Fields = {}
        self._conflicts: dict[Path, MergeConflict] = {}
        self._gone: set[Path] = set()
        self._places = _places(*names.tables)
        self._referring: dict[Path, list[Path]] = {}
        """The fields of the base that refer to a node."""
        for path, value in self._base.items():
            for node in _referred_nodes(path, value):
                self._referring.setdefault(node, []).append(path)
        for path, reason, name, base, ours, theirs in names.clashes:
            self._conflict(path, reason, base, ours, theirs, name)

    def merge(self) -> Merge:
        self._separate_added()
        self._settle_removals()
        settled = dict(self._conflicts)
        while True:
            self._conflicts = dict(settled)
            self._merged = {}
            for path in dict.fromkeys((*self._ours, *self._base, *self._theirs)):
                self._merge_field(path)
            needed = self._needed()
            if not needed:
                break
            while needed:
                for path, users in needed.items():
                    self._keep(path, "theirs-removed-used", tuple(users))
                settled |= {path: self._conflicts[path] for path in needed}
                needed = self._needed_by(needed)
            self._drop_homeless()
        self._leave_out_orphans()
        self._break_cycles()
        order = self._order()
        document = canonical(to_document({path: self._merged[path] for path in order}))
        return Merge(document, tuple(self._conflicts.values()), self._names)

    def _conflict(
        self,
        path: Path,
        reason: str,
        base: Any,
        ours: Any,
        theirs: Any,
        name: str = "",
        causes: tuple[Path, ...] = (),
    ) -> None:
        message = MESSAGES[reason].format(name)
        conflict = MergeConflict(path, kind_of(path), reason, message, base, ours, theirs, causes)
        self._conflicts.setdefault(path, conflict)

    # Parts

    def _separate_added(self) -> None:
        """Give theirs another name for a part that both sides added under one, differently."""
        names = {str(path[-1]) for path in (*self._ours, *self._theirs) if len(path) in (2, 4)}
        nodes: dict[Scope, dict[str, str]] = {}
        blocks: dict[str, str] = {}
        parameters: dict[str, str] = {}
        renames = PartNames(nodes, blocks, parameters)
        for path in [path for path, value in self._theirs.items() if value is PART]:
            is_added = path in self._ours and path not in self._base
            if not is_added or path[0] == "ui" or (len(path) == 4 and path[2] == "inputs"):
                continue
            if len(path) == 4 and path[:2] not in self._base:
                continue  # the subgraph around it is new, too
            ours = part_document(path, self._inside(self._ours, path))
            theirs = part_document(path, renamed(self._inside(self._theirs, path), renames))
            if same(ours, theirs):
                continue
            old = str(path[-1])
            new = free_name(old, names)
            names.add(new)
            self._conflict(path, "both-added", ABSENT, ours, theirs, new, ((*path[:-1], new),))
            if path[0] == "parameters":
                parameters[old] = new
            elif len(path) == 2 and path[0] == "subgraphs":
                blocks[old] = new
            else:
                nodes.setdefault(scope_of(path), {})[old] = new
        if renames:
            self._theirs = renamed(self._theirs, renames)
            self._places = _places(self._base, self._ours, self._theirs)

    def _inside(self, table: Fields, path: Path) -> Fields:
        """The fields of a table at and below a part."""
        return {each: table[each] for each in self._places.get(path, ()) if each in table}

    def _settle_removals(self) -> None:
        for path in [path for path, value in self._base.items() if value is PART]:
            if path not in self._base:
                continue  # gone with the subgraph around it
            if path in self._ours and path not in self._theirs:
                if self._is_changed(self._ours, path) or self._is_renamed(0, path):
                    self._keep(path, "theirs-removed")
            elif path in self._theirs and path not in self._ours:
                self._settle_removal_of_ours(path)
            elif path not in self._theirs:
                self._gone.add(path)
        self._settle_outputs()
        self._drop_homeless()

    def _settle_outputs(self) -> None:
        """Settle the outputs of subgraphs that one side removed and the other renamed."""
        for path in [path for path in self._base if kind_of(path) == "subgraph output"]:
            values = [table.get(path, ABSENT) for table in (self._base, self._ours, self._theirs)]
            sides = values[1] is ABSENT, values[2] is ABSENT
            if sides == (True, False) and path in self._renamed_parts[1]:
                self._conflict(path, "ours-removed", *values)
                self._gone.add(path)
            elif sides == (False, True) and path in self._renamed_parts[0]:
                self._keep(path, "theirs-removed")
            elif sides[0]:
                self._gone.add(path)

    def _settle_removal_of_ours(self, path: Path) -> None:
        inside = self._inside(self._base, path)
        before = part_document(path, inside)
        after = part_document(path, self._inside(self._theirs, path))
        is_changed = self._is_changed(self._theirs, path) or self._is_renamed(1, path)
        users = self._users(path, is_changed) if kind_of(path) == "subgraph" else ()
        if users:
            self._conflict(path, "ours-removed-used", before, ABSENT, after, causes=users)
            self._ours |= inside
            return
        if is_changed:
            self._conflict(path, "ours-removed", before, ABSENT, after)
        self._gone |= inside.keys()
        for table in (self._base, self._theirs):
            for each in self._inside(table, path):
                del table[each]

    def _users(self, path: Path, is_changed: bool) -> tuple[Path, ...]:
        """Where theirs uses a subgraph that the base does not use there.

        Args:
            is_changed: Whether theirs changed the subgraph; then also where ours still names it.
        """
        block = str(path[1])
        tables = (self._theirs, self._ours) if is_changed else (self._theirs,)
        return tuple(
            user
            for table in tables
            for user, name in used_blocks(table, self._body_ports)
            if name == block and (table is self._ours or self._base.get(user) != block)
        )

    def _is_changed(self, side: Fields, path: Path) -> bool:
        """Whether a side changed something inside a part; links that went with their node aside."""
        return any(
            not same(self._base.get(each, ABSENT), side.get(each, ABSENT))
            for each in self._places.get(path, ())
            if not self._is_detached(each, side)
        )

    def _is_renamed(self, side: int, path: Path) -> bool:
        """Whether a side gave another name to a part or to something inside."""
        length = len(path)
        return any(each[:length] == path for each in self._renamed_parts[side])

    def _is_detached(self, path: Path, side: Fields) -> bool:
        """Whether a link of the base is gone because the node that it comes from is."""
        if path in side or path not in self._base:
            return False
        nodes = _referred_nodes(path, self._base[path])
        return any(node not in side for node in nodes)

    def _keep(self, path: Path, reason: str, causes: tuple[Path, ...] = ()) -> None:
        """Put a part that theirs removed back into theirs, with the references to it."""
        inside = self._inside(self._base, path)
        before, ours = self._base.get(path, ABSENT), self._ours[path]
        if ours is PART:
            before = part_document(path, inside)
            ours = part_document(path, self._inside(self._ours, path))
        self._conflict(path, reason, before, ours, ABSENT, causes=causes)
        kept = [path, *inside, *self._referring.get(path, ())]
        if path[0] == "subgraphs" and len(path) == 2:
            kept += self._places.get(("ui", *path), ())
        for each in kept:
            if each in self._base:
                self._theirs.setdefault(each, self._base[each])

    def _drop_homeless(self) -> None:
        """Drop references of parts that theirs removed from theirs, after parts were kept."""
        for each in [*self._theirs]:
            holder = _holder(each)
            if holder is not None and holder not in self._theirs:
                del self._theirs[each]

    # The order of lists

    def _order(self) -> list[Path]:
        """The fields in the order of the file: parts before what they contain."""
        order = sorted(self._merged, key=len)
        places: dict[Path, list[int]] = {}
        for at, path in enumerate(order):
            if isinstance(path[-1], ListStep) and path[-2] not in NODE_LAYOUT:
                places.setdefault(path[:-1], []).append(at)
        for items, slots in places.items():
            present = [order[at] for at in slots]
            for at, path in zip(slots, self._ordered(items, present), strict=True):
                order[at] = path
        return order

    def _ordered(self, items: Path, present: list[Path]) -> list[Path]:
        """The items of a list in the order of the side that changed it; ours if both did."""
        ranks = [
            {path: at for at, path in enumerate(path for path in table if path[:-1] == items)}
            for table in (self._base, self._ours, self._theirs)
        ]
        common = [path for path in present if all(path in rank for rank in ranks)]
        base, ours, theirs = (sorted(common, key=rank.__getitem__) for rank in ranks)
        if theirs in (base, ours):
            return present
        if ours == base:
            rank = ranks[2]
            return sorted(present, key=lambda path: rank.get(path, len(rank)))
        before, mine, yours = (_item_names(side) for side in (base, ours, theirs))
        self._conflict(items, "both-changed", before, mine, yours)
        return present

    # Fields

    def _merge_field(self, path: Path) -> None:
        tables = (self._base, self._ours, self._theirs)
        base, ours, theirs = (table.get(path, ABSENT) for table in tables)
        merged = ours
        if same(ours, theirs) or same(base, theirs):
            pass
        elif same(base, ours):
            named = (*_referred_nodes(path, theirs), *self._ports_at(path, theirs))
            lost = [part for part in named if part in self._gone]
            if not lost:
                merged = theirs
            elif path[0] != "ui":
                names = ", ".join(f"`{part[-1]}`" for part in lost)
                self._conflict(path, "link-to-removed", base, ours, theirs, names, tuple(lost))
        elif not (ABSENT in (ours, theirs) and _is_node_layout(path)):  # the node is gone
            self._conflict(path, "both-changed", base, ours, theirs)
        if merged is not ABSENT:
            self._merged[path] = merged

    def _ports_at(self, path: Path, value: Any) -> Iterator[Path]:
        """The paths of the ports of subgraphs that a field names."""
        if value is not ABSENT and path[0] != "ui":
            yield from ports_at_uses(path, value, ChainMap(self._ours, self._theirs))

    def _needed(self) -> dict[Path, list[Path]]:
        """What theirs removed and something of the result refers to, with what refers to it."""
        needed: dict[Path, list[Path]] = {}
        for path, value in self._merged.items():
            for node in _referred_nodes(path, value) if path[0] != "ui" else ():
                if node not in self._merged and node in self._ours:
                    needed.setdefault(node, []).append(path)
            if not same(value, self._theirs.get(path, ABSENT)):
                for port in self._ports_at(path, value):
                    if port not in self._merged and port in self._ours and port[:2] in self._merged:
                        needed.setdefault(port, []).append(path)
        for user, block in used_blocks(self._merged, self._body_ports):
            path = ("subgraphs", block)
            is_lost = path not in self._merged and path in self._ours
            if is_lost and self._theirs.get(user) != block:
                needed.setdefault(path, []).append(user)
        return needed

    def _needed_by(self, kept: Collection[Path]) -> dict[Path, list[Path]]:
        """What theirs removed and parts that were just kept refer to, with what refers to it."""
        needed: dict[Path, list[Path]] = {}
        for part in kept:
            for path, value in self._inside(self._ours, part).items():
                for node in _referred_nodes(path, value):
                    if node in self._ours and node not in self._theirs:
                        needed.setdefault(node, []).append(path)
        return needed

    def _leave_out_orphans(self) -> None:
        """Leave out the layout of nodes that are gone, and parameters without an input."""
        parts = {path for path, value in self._merged.items() if value is PART}
        for path, value in [*self._merged.items()]:
            nodes = _referred_nodes(path, value) if path[0] == "ui" else []
            is_lost = any(
                node not in parts and (node in self._base or node in self._gone) for node in nodes
            )
            holder = _holder(path)
            is_empty = path[0] == "parameters" and (*path[:2], "input") not in self._merged
            if is_lost or is_empty or (holder is not None and holder not in parts):
                del self._merged[path]

    def _break_cycles(self) -> None:
        """Take back links of theirs that close a cycle with links of ours."""
        for scope in {scope_of(path) for path in self._merged if path[0] != "ui"}:
            base = scope_path(scope)
            if any(_cycle(self._ours, base)) or any(_cycle(self._theirs, base)):
                continue  # one side has a cycle without the other
            while cycle := set(_cycle(self._merged, base)):
                links = [
                    path
                    for path, value in self._merged.items()
                    if is_link_value(value)
                    and _holder(path) in cycle
                    and cycle.issuperset(_referred_nodes(path, value))
                    and not same(self._ours.get(path, ABSENT), value)
                ]
                path = links[0]
                theirs, ours = self._merged.pop(path), self._ours.get(path, ABSENT)
                if ours is not ABSENT:
                    self._merged[path] = ours
                own = tuple(
                    each
                    for each, value in self._merged.items()
                    if is_link_value(value)
                    and _holder(each) in cycle
                    and cycle.issuperset(_referred_nodes(each, value))
                    and not same(self._base.get(each, ABSENT), value)
                )
                base_value = self._base.get(path, ABSENT)
                self._conflict(path, "cycle", base_value, ours, theirs, causes=own)


def _places(*tables: Fields) -> dict[Path, list[Path]]:
    """The paths at and below each part of the tables, and the layout of each subgraph."""
    roots = {path for table in tables for path, value in table.items() if value is PART}
    roots |= {("ui", *path) for path in roots if path[0] == "subgraphs" and len(path) == 2}
    lengths = sorted({len(root) for root in roots})
    places: dict[Path, list[Path]] = {}
    for path in dict.fromkeys(path for table in tables for path in table):
        for length in lengths:
            root = path[:length]
            if len(root) == length and root in roots:
                places.setdefault(root, []).append(path)
    return places


def _referred_nodes(path: Path, value: Any) -> list[Path]:
    """The paths of the nodes that a field refers to."""
    if value is ABSENT:
        return []
    base = scope_path(scope_of(path))
    return [(*base, "nodes", name) for name in references(path, value)]


def _item_names(items: Iterable[Path]) -> list[str]:
    return [path[-1].name for path in items if isinstance(path[-1], ListStep)]


def _is_node_layout(path: Path) -> bool:
    return path[0] == "ui" and bool(references(path, ABSENT))


def _holder(path: Path) -> Path | None:
    """The node, parameter or port that a field lies in; else the subgraph."""
    if path[0] in ("nodes", "parameters"):
        return path[:2]
    if path[0] == "subgraphs":
        is_part = len(path) >= 4 and path[2] in ("nodes", "inputs")
        return path[:4] if is_part else path[:2]
    return None


def _cycle(fields: Mapping[Path, Any], base: Path) -> Iterator[Path]:
    """The nodes of a cycle of links in one graph; none if there is no cycle."""
    needs: dict[str, list[str]] = {}
    start = (*base, "nodes")
    for path, value in fields.items():
        if path[: len(start)] == start:
            name = str(path[len(start)])
            needs.setdefault(name, []).extend(references(path, value))
    known = {name: [each for each in names if each in needs] for name, names in needs.items()}
    _, cycles = topological_order(known)
    for name in cycles[0] if cycles else ():
        yield (*start, name)
