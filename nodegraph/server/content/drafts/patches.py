"""Patches of workflow documents: fields that are set or removed, last writer per field.

A document is a state machine, and the server puts the patches in order. Each operation writes one
field, so that two windows that change different fields never conflict, and whoever comes last at
the same field wins. Texts that people type, such as prompts, are merged instead. An operation
inside of a part that is gone has no effect: who removes a node removes what others write to it.
A node that gets another name keeps its content. `editor/src/model/shared/patch.ts` does
the same, and tests/data/draft_patches.json has the cases that both must pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from nodegraph.core.json_text import read_json
from nodegraph.errors import InvalidFile
from nodegraph.server.content.drafts.text_merge import merge_text
from nodegraph.server.http.errors import Conflict, TooLarge, Unprocessable

MOST_OPERATIONS = 50_000
LARGEST_PATCH = 8 << 20
"""Characters of a patch."""
MOST_MERGED = 100
"""Texts of a patch that are merged: one can take some 10 ms."""
_CONTAINERS = frozenset({"nodes", "subgraphs", "parameters", "requires", "ui"})
"""Written by field: as a whole, they would take away what others wrote meanwhile."""
_LONGEST_PATH, _LONGEST_KEY = 32, 1_000
_ABSENT: Final = object()


class Segment(NamedTuple):
    """One step of a path.

    Attributes:
        kind: "key" of an object, "id" of an object in a list, or "is" for a text in a list.
    """

    kind: Literal["key", "id", "is"]
    name: str


Path = tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """Sets or removes one field.

    Attributes:
        value: What is set; `_ABSENT` to remove the field.
        is_new: Whether the field must not exist: the name of a node that is added.
        before: The text that the value was made of; None for what isn't merged.
        renames: Whether the value is another name for the node.
    """

    path: Path
    value: Any = _ABSENT
    is_new: bool = False
    before: str | None = None
    renames: bool = False

    @property
    def removes(self) -> bool:
        """Whether it removes the field."""
        return self.value is _ABSENT


class Rename(NamedTuple):
    """A node that gets another name.

    Attributes:
        scope: The block that it is in; None for the outermost graph.
    """

    scope: str | None
    old: str
    new: str


class NameTaken(Conflict):
    """Another window added a node or block of the same name before."""

    code = "draft-name-taken"


class NodeRenamed(Conflict):
    """Another window gave a node another name; the patch may speak of it by the old one."""

    code = "draft-node-renamed"


def parse_patch(text: str) -> tuple[Operation, ...]:
    """Parse a patch: a JSON list of operations.

    They are ``[path, value]``, ``[path, value, true]`` for what must not be there yet,
    ``[path, text, "merge", before]``, ``[path, name, "rename"]``, or ``[path]`` to remove.

    Raises:
        TooLarge: It is too long.
        Unprocessable: It is no patch.
    """
    if len(text) > LARGEST_PATCH:
        raise TooLarge("the patch is too large", expected=f"at most {LARGEST_PATCH} characters")
    try:
        items = read_json(text)
    except InvalidFile as error:
        raise Unprocessable(f"the patch is no JSON: {error.problem.message}") from error
    if not isinstance(items, list) or not items or len(items) > MOST_OPERATIONS:
        raise Unprocessable(
            "a patch is a JSON list of operations", expected=f"1 to {MOST_OPERATIONS} operations"
        )
    operations = tuple(map(_operation, items))
    if sum(each.before is not None for each in operations) > MOST_MERGED:
        raise Unprocessable(
            "the patch merges too many texts",
            expected=f"at most {MOST_MERGED} operations with `merge`",
            hint="Set the others as a whole.",
        )
    return operations


def _operation(item: Any) -> Operation:
    if not isinstance(item, list) or not item or not _is_form(item[1:]):
        expected = '[path], [path, value], [path, value, true], [path, text, "merge", text] or'
        raise _malformed(item, f'{expected} [path, name, "rename"]')
    steps = item[0]
    if not isinstance(steps, list) or not 1 <= len(steps) <= _LONGEST_PATH:
        raise _malformed(item, f"a path of 1 to {_LONGEST_PATH} steps")
    path = tuple(map(_segment, steps))
    if path[0].kind != "key" or path[0].name == "format":
        raise _malformed(item, "a path that begins with a key other than `format`")
    if len(path) == 1 and path[0].name in _CONTAINERS:
        raise _malformed(item, f"a path to a field of `{path[0].name}`")
    if any(step.kind == "is" for step in path[:-1]):
        raise _malformed(item, '{"is": …} at the end of a path only')
    value = item[1] if len(item) > 1 else _ABSENT
    if path[-1].kind == "is" and value not in (True, _ABSENT):
        raise _malformed(item, 'the value true for {"is": …}')
    is_item = path[-1].kind == "id" and value is not _ABSENT
    if is_item and not (isinstance(value, dict) and value.get("id") == path[-1].name):
        raise _malformed(item, "an object with the `id` of its path")
    if item[2:] == ["rename"]:
        if not _has_name(path):
            raise _malformed(item, "the path of a node")
        return Operation(path, value, renames=True)
    return Operation(path, value, item[2:] == [True], item[3] if len(item) == 4 else None)


def _is_form(values: Sequence[Any]) -> bool:
    """Whether an operation has this after its path."""
    if len(values) < 2 or (len(values) == 2 and values[1] is True):
        return True
    if values[1] == "merge":
        return len(values) == 3 and isinstance(values[0], str) and isinstance(values[2], str)
    return len(values) == 2 and values[1] == "rename" and _is_name(values[0])


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_KEY


def _has_name(path: Path) -> bool:
    """Whether a path is that of a node."""
    if any(step.kind != "key" for step in path):
        return False
    if len(path) == 2:
        return path[0].name == "nodes"
    return len(path) == 4 and path[0].name == "subgraphs" and path[2].name == "nodes"


def _segment(step: Any) -> Segment:
    if isinstance(step, str) and len(step) <= _LONGEST_KEY:
        return Segment("key", step)
    if isinstance(step, dict) and len(step) == 1:
        ((kind, name),) = step.items()
        if kind in ("id", "is") and isinstance(name, str) and len(name) <= _LONGEST_KEY:
            return Segment(kind, name)
    raise _malformed(step, 'a key, {"id": text} or {"is": text}')


def _malformed(item: Any, expected: str) -> Unprocessable:
    return Unprocessable(
        "an operation of the patch is malformed", given=ascii(item)[:200], expected=expected
    )


def apply_patch(document: dict[str, Any], patch: Sequence[Operation]) -> dict[str, Any]:
    """Return the document with a patch; the document itself stays as it is.

    Raises:
        NameTaken: It adds a node or block under a name that is taken.
    """
    writer = _Writer()
    root = writer.own(document)
    for operation in patch:
        writer.write(root, operation)
    return dict(root)


def renames_of(patch: Sequence[Operation]) -> list[Rename]:
    """Return the nodes to which a patch gives another name."""
    return [
        Rename(each.path[1].name if len(each.path) == 4 else None, each.path[-1].name, each.value)
        for each in patch
        if each.renames
    ]


def changed_parts(document: dict[str, Any], patch: Sequence[Operation]) -> dict[str, Any]:
    """Return what is to be checked of a document after a patch: a workflow of the changed parts.

    It is the whole document if nodes, blocks or the like were added or removed.
    """
    if any(_is_part(each.path) for each in patch):
        return document
    changed = {key: value for key, value in document.items() if key not in ("nodes", "subgraphs")}
    for top in ("nodes", "subgraphs"):
        names = {each.path[1].name for each in patch if each.path[0].name == top}
        parts = document.get(top, {})
        changed[top] = {name: parts[name] for name in names if name in parts}
    return changed


def check_types(document: Mapping[str, Any]) -> None:
    """See that each node says its type: the engine reads a file without, and no editor does.

    Raises:
        Unprocessable: One does not.
    """
    blocks = document.get("subgraphs", {}).values()
    for nodes in (document.get("nodes", {}), *(block.get("nodes", {}) for block in blocks)):
        for name, node in nodes.items():
            if not isinstance(node.get("type"), str):
                raise Unprocessable(
                    "a node has no type", given=name[:200], expected="`type`, the name of its type"
                )


class _Writer:
    """Copies each container once, before its first change."""

    def __init__(self) -> None:
        self._owned: dict[int, Any] = {}

    def own(self, container: Any) -> Any:
        if id(container) in self._owned:
            return container
        copied = container.copy()
        self._owned[id(copied)] = copied
        return copied

    def write(self, root: Any, operation: Operation) -> None:
        """Write one operation, unless what it lies in is gone."""
        if not _applies(root, operation):
            return
        path = operation.path
        way = [root]
        for at, step in enumerate(path[:-1]):
            container = way[-1]
            child = _get(container, step)
            owned = self.own(_empty_for(path[at + 1]) if child is _ABSENT else child)
            if owned is not child:
                _put(container, step, owned)
            way.append(owned)
        if operation.renames:
            _rename(way[-1], path[-1].name, operation.value)
            return
        if not operation.removes:
            _put(way[-1], path[-1], _value_of(operation, _get(way[-1], path[-1])))
            return
        _remove(way[-1], path[-1])
        # The editor writes no empty containers either. `nodes` stays, as files need it, and so
        # does a node that lost its last field.
        for at in range(len(way) - 1, 0, -1):
            if way[at] or _is_part(path[:at]) or (at == 1 and path[0].name == "nodes"):
                break
            _remove(way[at - 1], path[at - 1])


def _applies(root: Any, operation: Operation) -> bool:
    container = root
    for at, step in enumerate(operation.path):
        if not isinstance(container, dict if step.kind == "key" else list):
            return False
        child = _get(container, step)
        if at == len(operation.path) - 1:
            if operation.is_new and child is not _ABSENT:
                raise _name_taken(step.name)
            if child is _ABSENT:
                return not (operation.removes or operation.renames)
            if operation.renames and operation.value in container:
                raise _name_taken(operation.value)
            return True
        if child is _ABSENT:
            # A missing container is made. A part that people add and remove is not.
            if operation.removes or _is_part(operation.path[: at + 1]):
                return False
            return not any(
                _is_part(operation.path[:end]) for end in range(at + 2, len(operation.path))
            )
        container = child
    return True


def _name_taken(name: str) -> NameTaken:
    return NameTaken(
        "another window added something of this name before",
        given=name[:200],
        hint="Choose another name for what is added, and send it again.",
    )


def _is_part(path: Path) -> bool:
    """Whether a path is that of a node, a block, an input of one, a parameter or an item."""
    if path[-1].kind == "id":
        return True
    top = path[0].name
    if len(path) == 2:
        return top in ("nodes", "subgraphs", "parameters")
    return len(path) == 4 and top == "subgraphs" and path[2].name in ("nodes", "inputs")


def _empty_for(step: Segment) -> Any:
    return {} if step.kind == "key" else []


def _value_of(operation: Operation, current: Any) -> Any:
    if operation.before is not None and isinstance(current, str):
        return merge_text(operation.before, operation.value, current)
    return operation.path[-1].name if operation.path[-1].kind == "is" else operation.value


def _index(items: Sequence[Any], step: Segment) -> int | None:
    for at, item in enumerate(items):
        if step.kind == "is":
            is_it = item == step.name
        else:
            is_it = isinstance(item, dict) and item.get("id") == step.name
        if is_it:
            return at
    return None


def _get(container: Any, step: Segment) -> Any:
    if step.kind == "key":
        return container.get(step.name, _ABSENT)
    at = _index(container, step)
    return _ABSENT if at is None else container[at]


def _put(container: Any, step: Segment, value: Any) -> None:
    if step.kind == "key":
        container[step.name] = value
        return
    at = _index(container, step)
    if at is None:
        container.append(value)
    else:
        container[at] = value


def _remove(container: Any, step: Segment) -> None:
    if step.kind == "key":
        container.pop(step.name, None)
        return
    at = _index(container, step)
    if at is not None:
        del container[at]


def _rename(container: dict[str, Any], name: str, next_name: str) -> None:
    """Give an item another key; all keep their order."""
    items = list(container.items())
    container.clear()
    container.update((next_name if key == name else key, value) for key, value in items)
