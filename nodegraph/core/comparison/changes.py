"""The difference of two workflows as typed entries, which also are a patch.

`diff` gives the entries from one workflow to another, and `apply_changes` makes the second of the
first. A removed part takes the links to it along, and a renamed one keeps them: each is one entry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nodegraph.core.comparison.fields import (
    ABSENT,
    NODE_LAYOUT,
    PART,
    Fields,
    ListStep,
    Path,
    Scope,
    canonical,
    layout_form,
    part_of,
    parts,
    plain_document,
    same,
    scope_of,
    to_document,
    to_fields,
)
from nodegraph.core.comparison.matches import Matches, match
from nodegraph.core.comparison.references import (
    Names,
    PartNames,
    is_link_value,
    references,
    renamed,
    renamed_path,
    without_references,
)

Verb = Literal["added", "removed", "renamed", "changed"]


@dataclass(frozen=True)
class WorkflowChange:
    """One entry of a difference.

    Attributes:
        verb: What happened to it.
        kind: What it is: ``node``, ``subgraph``, ``subgraph input``, ``parameter``, ``type``,
            ``version``, ``input``, ``link``, ``mode``, ``label``, ``note``, ``comment``,
            ``layout``, ``requirement``, ``model``, ``metadata``, or the key of the file.
        path: Its place. Removed and renamed parts have their place in the first workflow, all
            others in the second.
        before, after: Its values. Of an added or removed part, its document; of a renamed part,
            its names. `ABSENT` where there is none.
        moved: Other fields that come or go with a part: links to it, its position. Of a renamed
            port, the nodes whose inputs or outputs are renamed with it. Of a renamed subgraph, the
            inputs of loops that name it.
    """

    verb: Verb
    kind: str
    path: Path
    before: Any = ABSENT
    after: Any = ABSENT
    moved: Mapping[Path, Any] = field(default_factory=dict)

    @property
    def is_quiet(self) -> bool:
        """Whether it only concerns the drawing of the workflow."""
        return self.kind == "layout"

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON output."""
        document: dict[str, Any] = {
            "change": self.verb,
            "kind": self.kind,
            "path": path_document(self.path),
        }
        values = {"before": self.before, "after": self.after}
        document |= {key: value for key, value in values.items() if value is not ABSENT}
        if self.moved:
            document["moved"] = [path_document(path) for path in self.moved]
        return document


def path_document(path: Path) -> list[Any]:
    """Return a path for JSON output: keys, and ``{"id": …}`` or ``{"is": …}`` in lists."""
    return [{step.kind: step.name} if isinstance(step, ListStep) else step for step in path]


def diff(first: Any, second: Any) -> list[WorkflowChange]:
    """Return the changes that make the second workflow of the first.

    Args:
        first, second: Workflows or their documents.
    Raises:
        InvalidFile: One is no workflow.
        InvalidWorkflow: Parts of one have the wrong form.
    """
    old, new = plain_document(first), plain_document(second)
    whole = whole_layouts(old, new)
    before, after = to_fields(old, whole), to_fields(new, whole)
    return changes_between(before, after, match(before, after))


def whole_layouts(*documents: Mapping[str, Any], ordered: bool = True) -> set[Path]:
    """Return the entries of the layout that cannot be compared item by item.

    They have different forms, or, with `ordered`, their items have another order.
    """
    tables = [_layout_entries(document) for document in documents]
    whole = set()
    for path in {path for table in tables for path in table}:
        values = [table[path] for table in tables if table.get(path) not in (None, {}, [])]
        forms = {layout_form(value) for value in values}
        is_ordered = ordered and path[-1] not in NODE_LAYOUT and len(values) == 2
        if len(forms) > 1 or (is_ordered and not _is_in_order(*values)):
            whole.add(path)
    return whole


def _layout_entries(document: Mapping[str, Any]) -> dict[Path, Any]:
    layout = document.get("ui", {})
    table: dict[Path, Any] = {("ui", key): value for key, value in layout.items()}
    blocks = layout.get("subgraphs")
    for name, inner in blocks.items() if isinstance(blocks, dict) else ():
        if isinstance(inner, dict):
            table.update({("ui", "subgraphs", name, key): item for key, item in inner.items()})
    return table


def _is_in_order(first: Any, second: Any) -> bool:
    """Whether the second list is the first without some items and with new ones at its end."""
    if not isinstance(first, list) or layout_form(first) == "whole":
        return True
    old, new = ([_key(item) for item in items] for items in (first, second))
    return new == [*(key for key in old if key in new), *(key for key in new if key not in old)]


def _key(item: Any) -> Any:
    return item["id"] if isinstance(item, dict) else item


def changes_between(before: Fields, after: Fields, matches: Matches) -> list[WorkflowChange]:
    """Return the changes from fields to others, of parts that are paired."""
    names = matches.renames()
    gone = _outermost(path for path in parts(before) if _is_gone(path, before, after, matches))
    nodes = {key for path in gone if (key := _node_key(path)) is not None}
    # A parameter goes with the node of its input: that is one change.
    gone = [path for path in gone if not _is_parameter_of(path, before, nodes)]
    detached = _detached(before, after, gone, names)
    old = _grouped(before, gone)
    changes = [_removal(path, old[path], detached) for path in gone]
    moved = {path: value for each in changes for path, value in each.moved.items()}
    renames = _renames(names)
    current = renamed(_without(before, gone, moved), names)
    new = _outermost(path for path in parts(after) if path not in current)
    arriving = _arriving(after, current, new)
    added = _grouped(after, new)
    changes += [_addition(path, added[path], arriving) for path in new]
    taken = {path for each in changes for path in each.moved} | paths_below(after, new)
    changes = [*changes[: len(gone)], *renames, *changes[len(gone) :]]
    for path in dict.fromkeys((*current, *after)):
        value, wanted = current.get(path, ABSENT), after.get(path, ABSENT)
        if (path in taken and path not in current) or same(value, wanted):
            continue
        changes.append(_field_change(path, value, wanted))
    return changes


def _is_gone(path: Path, before: Fields, after: Fields, matches: Matches) -> bool:
    if path[0] == "ui" or (path[0] == "subgraphs" and len(path) == 4 and path[2] == "inputs"):
        return renamed_path(path, matches.renames()) not in after
    return not matches.has(path)


def _is_parameter_of(path: Path, fields: Fields, nodes: Collection[tuple[Scope, str]]) -> bool:
    target = fields.get((*path, "input")) if path[0] == "parameters" else None
    return isinstance(target, str) and (None, target.partition(".")[0]) in nodes


def _outermost(paths: Iterable[Path]) -> list[Path]:
    result: dict[Path, None] = {}
    for path in paths:
        if not any(path[:end] in result for end in range(1, len(path))):
            result[path] = None
    return list(result)


def _grouped(fields: Fields, roots: Collection[Path]) -> dict[Path, Fields]:
    """The fields below each path."""
    groups: dict[Path, Fields] = {root: {} for root in roots}
    lengths = sorted({len(root) for root in roots})
    for path, value in fields.items():
        root = next((path[:length] for length in lengths if path[:length] in groups), None)
        if root is not None:
            groups[root][path] = value
    return groups


def paths_below(fields: Iterable[Path], roots: Collection[Path]) -> set[Path]:
    """Return the paths at and below some others."""
    known = set(roots)
    lengths = {len(root) for root in roots}
    return {path for path in fields if any(path[:length] in known for length in lengths)}


def _detached(
    before: Fields, after: Fields, gone: Sequence[Path], names: PartNames
) -> dict[Path, dict[Path, Any]]:
    """What each removed part takes along, as far as the second workflow lacks it, too."""
    removed = {_node_key(path): path for path in gone if _node_key(path) is not None}
    below = paths_below(before, gone)
    result: dict[Path, dict[Path, Any]] = {path: {} for path in gone}
    scopes: dict[Scope, set[str]] = {}
    for scope, name in filter(None, removed):
        scopes.setdefault(scope, set()).add(name)
    for path, value in before.items():
        if path in below:
            continue
        layout = _layout_of_block(path, gone)
        if layout is not None:
            if renamed_path(path, names) not in after:
                result[layout][path] = ABSENT
            continue
        scope = scope_of(path)
        named = [name for name in references(path, value) if name in scopes.get(scope, ())]
        if not named:
            continue
        remaining = without_references(path, value, scopes[scope])
        wanted = after.get(renamed_path(path, names), ABSENT)
        kept = remaining
        if remaining is not ABSENT:
            (kept,) = renamed({path: remaining}, names).values()
        if same(kept, wanted):
            owner = removed[scope, named[0]]
            result[owner][path] = remaining
            part = part_of(path)
            if path[0] == "parameters" and part is not None:
                # A parameter whose input is gone goes with all that it says.
                if renamed_path(part, names) not in after:
                    result[owner].update(dict.fromkeys(paths_below(before, [part]), ABSENT))
                else:
                    del result[owner][path]
    return result


def _node_key(path: Path) -> tuple[Scope, str] | None:
    inner = path[2:] if path[0] == "subgraphs" else path
    if len(inner) == 2 and inner[0] == "nodes":
        return scope_of(path), str(inner[1])
    return None


def _layout_of_block(path: Path, gone: Collection[Path]) -> Path | None:
    if path[:2] == ("ui", "subgraphs") and len(path) > 2:
        block: Path = ("subgraphs", path[2])
        return block if block in gone else None
    return None


def _removal(
    path: Path, before: Fields, detached: Mapping[Path, Mapping[Path, Any]]
) -> WorkflowChange:
    return WorkflowChange(
        "removed", kind_of(path), path, part_document(path, before), moved=detached[path]
    )


def part_document(path: Path, fields: Fields) -> Any:
    """Return the document of a part."""
    own = {each: fields[each] for each in paths_below(fields, [path])}
    document: Any = to_document(dict(sorted(own.items(), key=lambda item: len(item[0]))))
    for step in path:
        if isinstance(step, ListStep):
            return next(item for item in document if item["id"] == step.name)
        document = document[step]
    return document


def _renames(names: PartNames) -> list[WorkflowChange]:
    changes = [
        WorkflowChange(
            "renamed",
            "subgraph",
            ("subgraphs", old),
            old,
            new,
            {path: PART for path, name in names.bodies.items() if name == old},
        )
        for old, new in names.blocks.items()
    ]
    for scope, inside in names.nodes.items():
        base: Path = () if scope is None else ("subgraphs", scope)
        changes += [
            WorkflowChange("renamed", "node", (*base, "nodes", old), old, new)
            for old, new in inside.items()
        ]
    changes += [
        WorkflowChange("renamed", "parameter", ("parameters", old), old, new)
        for old, new in names.parameters.items()
    ]
    changes += _port_renames(names.block_inputs, names.node_inputs, "inputs")
    changes += _port_renames(names.block_outputs, names.node_outputs, "outputs")
    return changes


def _port_renames(
    ports: Mapping[str, Names], nodes: Mapping[Path, Names], side: str
) -> Iterable[WorkflowChange]:
    for block, names in ports.items():
        for old, new in names.items():
            path: Path = ("subgraphs", block, side, old)
            followers = {node: PART for node, own in nodes.items() if own.get(old) == new}
            yield WorkflowChange("renamed", kind_of(path), path, old, new, followers)


def _without(fields: Fields, gone: Collection[Path], moved: Mapping[Path, Any]) -> Fields:
    below = paths_below(fields, gone)
    kept = {path: value for path, value in fields.items() if path not in below}
    for path, value in moved.items():
        if value is ABSENT:
            kept.pop(path, None)
        else:
            kept[path] = value
    return kept


def _arriving(after: Fields, current: Fields, new: Sequence[Path]) -> dict[Path, dict[Path, Any]]:
    """The layout that comes with added parts."""
    result: dict[Path, dict[Path, Any]] = {path: {} for path in new}
    added = {_node_key(path): path for path in new if _node_key(path) is not None}
    for path, value in after.items():
        if path[0] != "ui" or path in current:
            continue
        block = _layout_of_block(path, new)
        owners = [added.get((scope_of(path), name)) for name in references(path, value)]
        owner = block or next(filter(None, owners), None)
        if owner is not None:
            result[owner][path] = value
    return result


def _addition(
    path: Path, after: Fields, arriving: Mapping[Path, Mapping[Path, Any]]
) -> WorkflowChange:
    document = part_document(path, after)
    return WorkflowChange("added", kind_of(path), path, after=document, moved=arriving[path])


def _field_change(path: Path, before: Any, after: Any) -> WorkflowChange:
    verb: Verb = "changed"
    if before is ABSENT or after is ABSENT:
        verb = "added" if before is ABSENT else "removed"
    kind = kind_of(path)
    if kind == "input" and (is_link_value(before) or is_link_value(after)):
        kind = "link"
    return WorkflowChange(verb, kind, path, before, after)


def kind_of(path: Path) -> str:
    """Return the word for what stands at a path."""
    if path[0] == "ui":
        inner = path[3:] if len(path) > 3 and path[1] == "subgraphs" else path[1:]
        return "comment" if inner and inner[0] in ("notes", "comments") else "layout"
    if path[0] == "metadata":
        return "model" if path[1] == "models" else "metadata"
    if path[0] == "requires":
        return "requirement"
    if path[0] == "parameters":
        return "parameter"
    inner = path
    if path[0] == "subgraphs":
        if len(path) == 2:
            return "subgraph"
        inner = path[2:]
        if inner[0] in ("inputs", "outputs"):
            return f"subgraph {str(inner[0])[:-1]}"
    if inner[0] == "nodes":
        if len(inner) == 2:
            return "node"
        return "input" if inner[2] == "inputs" else str(inner[2])
    return str(inner[0])


def apply_changes(changes: Iterable[WorkflowChange], document: Any) -> dict[str, Any]:
    """Return the second workflow of a difference, made of the first; see `fields.canonical`.

    Args:
        changes: What `diff` gave for this workflow as the first.
        document: The first workflow.
    """
    changes = list(changes)
    plain = plain_document(document)
    whole = {each.path for each in changes if is_whole(each)}
    fields = to_fields(plain, whole)
    gone = [each.path for each in changes if each.verb == "removed" and _is_part(each, fields)]
    moved = {
        path: value for each in changes if each.path in gone for path, value in each.moved.items()
    }
    fields = renamed(_without(fields, gone, moved), names_of(changes))
    for each in changes:
        if each.verb == "renamed" or (each.verb == "removed" and each.path in gone):
            continue
        if each.after is ABSENT:
            fields.pop(each.path, None)
        elif each.verb == "added" and part_of(each.path) == each.path:
            fields.update(_part_fields(each.path, each.after))
        else:
            fields[each.path] = each.after
        fields.update(each.moved)
    return canonical({"format": plain["format"], **to_document(fields)})


def is_whole(change: WorkflowChange) -> bool:
    """Return whether an entry is one of the layout that is compared as a whole."""
    path = change.path
    is_entry = len(path) == (4 if path[:2] == ("ui", "subgraphs") else 2)
    return path[0] == "ui" and is_entry and not isinstance(path[-1], ListStep)


def _is_part(change: WorkflowChange, fields: Fields) -> bool:
    return fields.get(change.path) is PART


def names_of(changes: Iterable[WorkflowChange]) -> PartNames:
    """Return the new names that renamed parts have in the second workflow."""
    names = PartNames({}, {}, {}, {}, {}, {}, {}, {})
    tables: dict[str, Any] = {"subgraph": names.blocks, "parameter": names.parameters}
    ports: dict[str, tuple[Any, Any]] = {
        "subgraph input": (names.block_inputs, names.node_inputs),
        "subgraph output": (names.block_outputs, names.node_outputs),
    }
    nodes: Any = names.nodes
    bodies: Any = names.bodies
    for each in changes:
        if each.verb != "renamed":
            continue
        if each.kind == "node":
            nodes.setdefault(scope_of(each.path), {})[each.before] = each.after
        elif each.kind in tables:
            tables[each.kind][each.before] = each.after
            bodies.update(dict.fromkeys(each.moved, each.before))
        else:
            blocks, uses = ports[each.kind]
            blocks.setdefault(each.path[1], {})[each.before] = each.after
            for node in each.moved:
                uses.setdefault(node, {})[each.before] = each.after
    return names


def _part_fields(path: Path, document: Any) -> Fields:
    """The fields of a part, from its document."""
    nested: Any = document
    for step in reversed(path):
        nested = [nested] if isinstance(step, ListStep) else {step: nested}
    fields = to_fields(nested)
    return {each: value for each, value in fields.items() if each[: len(path)] == path}
