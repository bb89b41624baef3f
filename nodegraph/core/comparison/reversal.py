"""The second workflow of a difference without some of its changes: each can be taken back alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from nodegraph.core.comparison.changes import WorkflowChange, is_whole, names_of, paths_below
from nodegraph.core.comparison.fields import (
    ABSENT,
    PART,
    Fields,
    Path,
    canonical,
    node_path,
    plain_document,
    scope_of,
    scope_path,
    to_document,
    to_fields,
)
from nodegraph.core.comparison.references import (
    PartNames,
    references,
    renamed,
    renamed_path,
    used_types,
    without_references,
)


def without_changes(
    first: Any, second: Any, changes: Sequence[WorkflowChange], skipped: Collection[int]
) -> dict[str, Any]:
    """Return the second workflow without some of its changes since the first.

    Args:
        first, second: Workflows or their documents.
        changes: What `diff` gave for them.
        skipped: Indices of the changes to leave out; see `with_dependent`.

    Returns:
        A document in the form of `fields.canonical`. No link of it leads to a node that only a
        skipped change added.
    """
    whole = {each.path for each in changes if is_whole(each)}
    before, after = (to_fields(plain_document(each), whole) for each in (first, second))
    names = names_of(changes)
    fields = dict(after)
    chosen = [changes[at] for at in sorted(skipped)]
    for change in chosen:
        if change.verb == "added":
            for path in (*paths_below(fields, [change.path]), *change.moved):
                fields.pop(path, None)
    for change in chosen:
        if change.verb == "removed" and before.get(change.path) is PART:
            paths = (*paths_below(before, [change.path]), *change.moved)
            own = {path: before[path] for path in paths if path in before}
            fields.update(renamed(own, names))
        elif change.verb in ("removed", "changed"):
            fields[change.path] = change.before
    _drop_dangling(fields, (before, after), names)
    renames = [change for change in chosen if change.verb == "renamed"]
    fields = renamed(fields, _back(names_of(renames), names))
    order = sorted(fields, key=len)  # parts before what they contain
    return canonical(
        {
            "format": plain_document(second)["format"],
            **to_document({path: fields[path] for path in order}),
        }
    )


def _drop_dangling(fields: Fields, sides: Iterable[Fields], names: PartNames) -> None:
    """Drop references to nodes that one of the workflows has and the result does not."""
    before, after = sides
    known = {renamed_path(path, names) for path, value in before.items() if value is PART}
    known |= {path for path, value in after.items() if value is PART}
    for path, value in [*fields.items()]:
        base = scope_path(scope_of(path))
        gone = {
            name
            for name in references(path, value)
            if (*base, "nodes", name) in known and (*base, "nodes", name) not in fields
        }
        if not gone:
            continue
        remaining = without_references(path, value, gone)
        if remaining is not ABSENT:
            fields[path] = remaining
        elif path[0] == "parameters":
            for each in paths_below(fields, [path[:2]]):
                del fields[each]
        else:
            fields.pop(path, None)


def _back(names: PartNames, current: PartNames) -> PartNames:
    """The old names of renamed parts, by those in the second workflow.

    Args:
        names: The renames to take back.
        current: All renames, which lead to the paths of the second workflow.
    """

    def back(table: Any) -> dict[str, str]:
        return {new: old for old, new in table.items()}

    blocks = back(names.blocks)

    def there(scope: str | None) -> str | None:
        return current.blocks.get(scope, scope) if scope is not None else None

    return PartNames(
        {there(scope): back(inside) for scope, inside in names.nodes.items()},
        blocks,
        back(names.parameters),
        {str(there(block)): back(ports) for block, ports in names.block_inputs.items()},
        {str(there(block)): back(ports) for block, ports in names.block_outputs.items()},
        {renamed_path(path, current): back(ports) for path, ports in names.node_inputs.items()},
        {renamed_path(path, current): back(ports) for path, ports in names.node_outputs.items()},
        {renamed_path(path, current): names.blocks[old] for path, old in names.bodies.items()},
    )


# Changes that need others


def with_dependent(changes: Sequence[WorkflowChange], skipped: Collection[int]) -> list[int]:
    """Return the skipped changes with those that cannot be kept without them.

    A link to an added node, a node of an added subgraph and a part that takes the name of a
    removed one go with that change.
    """
    dependencies = _Dependencies(changes)
    result = {at for at in skipped if 0 <= at < len(changes)}
    while True:
        more = {at for at in dependencies.of(result) if at not in result}
        if not more:
            return sorted(result)
        result |= more


class _Dependencies:
    """Which changes go with skipped ones."""

    def __init__(self, changes: Sequence[WorkflowChange]) -> None:
        self._changes = changes
        self._names = names_of(changes)

    def of(self, skipped: Collection[int]) -> Iterator[int]:
        """Yield the changes that need one of these."""
        chosen = [self._changes[at] for at in skipped]
        gone = {each.path for each in chosen if each.verb == "added"}
        restored = {self._restored(each) for each in chosen if each.verb in ("removed", "renamed")}
        types = set()
        for each in chosen:
            if each.verb == "removed":
                types |= _types(each.path, each.before)
            elif each.verb == "changed" and each.kind == "type":
                types.add(each.before)
        for at, change in enumerate(self._changes):
            is_new = change.verb in ("added", "renamed") and self._result(change) in restored
            is_lost = change.verb in ("added", "changed") and self._needs(change, gone)
            is_used = change.verb == "removed" and change.kind == "subgraph"
            if is_new or is_lost or (is_used and change.path[1] in types):
                yield at

    def _needs(self, change: WorkflowChange, gone: Collection[Path]) -> bool:
        path, value = change.path, change.after
        if path[0] == "parameters" and len(path) == 2:
            value = value["input"] if isinstance(value, dict) else value
            path = (*path, "input")
        scope = scope_of(path)
        if change.kind != "layout" and any(
            node_path(scope, name) in gone for name in references(path, value)
        ):
            return True
        types = {value} if change.kind == "type" else _types(path, value)
        return any(("subgraphs", name) in gone for name in types)

    def _restored(self, change: WorkflowChange) -> Path:
        """The path that a part has in the second workflow once it has its old name again."""
        path = change.path
        if path[0] != "subgraphs" or len(path) == 2:
            return path
        return ("subgraphs", self._names.blocks.get(str(path[1]), path[1]), *path[2:])

    def _result(self, change: WorkflowChange) -> Path:
        """The path of a part in the second workflow."""
        return renamed_path(change.path, self._names) if change.verb == "renamed" else change.path


def _types(path: Path, document: Any) -> set[str]:
    """The types of a node, or of the nodes of a subgraph."""
    if not isinstance(document, dict):
        return set()
    if path[-2:-1] == ("nodes",):
        return {document.get("type", "")}
    if path[0] == "subgraphs" and len(path) == 2:
        return {value for _, value in used_types(to_fields({"nodes": document.get("nodes", {})}))}
    return set()
