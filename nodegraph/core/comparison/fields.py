"""A workflow as a flat table of fields.

A difference, a patch and a merge are tables of fields, too. The order of keys has no meaning in a
workflow, so two tables with equal fields are the same workflow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

from nodegraph.core.workflow import Workflow


class ListStep(NamedTuple):
    """An item of a list in a path.

    Attributes:
        kind: "id" for an object with this `id`, "is" for a text.
    """

    kind: str
    name: str


Step = str | ListStep
Path = tuple[Step, ...]
Fields = dict[Path, Any]
Scope = str | None
"""Name of a subgraph; None for the graph of the workflow itself."""


class _Marker(Enum):
    PART = "part"
    ABSENT = "absent"


PART: Final = _Marker.PART
"""Value of a path that only says that a part exists: a node, a subgraph, a parameter."""
ABSENT: Final = _Marker.ABSENT
"""Value of a field that is not there."""

NODE_LAYOUT = frozenset(
    {
        *("positions", "sizes", "colors", "collapsed", "locked", "alpha_locked"),
        *("reroutes", "shown", "seeds"),
    }
)
"""Keys of `ui` whose entries belong to nodes: by ``node`` or ``node.port``."""


def canonical(document: Any) -> dict[str, Any]:
    """Return a workflow's document in the form that is compared: without empty containers.

    Raises:
        InvalidFile: It is no workflow, or one of an unknown format.
        InvalidWorkflow: Parts of it have the wrong form.
    """
    return to_document(to_fields(plain_document(document)))


def plain_document(document: Any) -> dict[str, Any]:
    """Return the document as its file has it, checked; raises the errors of `canonical`."""
    workflow = document if isinstance(document, Workflow) else Workflow.from_dict(document)
    return workflow.without_values().to_dict()


def to_fields(document: Mapping[str, Any], whole: Collection[Path] = ()) -> Fields:
    """Return the fields of a document.

    Args:
        document: One of `plain_document`.
        whole: Entries of the layout that are one field each, whatever they contain.
    """
    fields: Fields = {}
    for key, value in document.items():
        if key == "nodes":
            _add_nodes(fields, (), value)
        elif key == "subgraphs":
            for name, block in value.items():
                _add_block(fields, (key, name), block)
        elif key == "parameters":
            for name, parameter in value.items():
                entry = {"input": parameter} if isinstance(parameter, str) else parameter
                _add_part(fields, (key, name), entry)
        elif key in ("requires", "metadata"):
            fields.update({(key, name): item for name, item in value.items()})
        elif key == "ui":
            _add_layout(fields, (key,), value, whole)
        else:
            fields[(key,)] = value
    return fields


def _add_part(fields: Fields, path: Path, part: Mapping[str, Any]) -> None:
    fields[path] = PART
    fields.update({(*path, key): value for key, value in part.items()})


def _add_nodes(fields: Fields, path: Path, nodes: Mapping[str, Any]) -> None:
    for name, node in nodes.items():
        at = (*path, "nodes", name)
        _add_part(fields, at, {key: value for key, value in node.items() if key != "inputs"})
        for port, value in node.get("inputs", {}).items():
            fields[(*at, "inputs", port)] = value


def _add_block(fields: Fields, path: Path, block: Mapping[str, Any]) -> None:
    fields[path] = PART
    for key, value in block.items():
        if key == "nodes":
            _add_nodes(fields, path, value)
        elif key == "inputs":
            for name, port in value.items():
                _add_part(fields, (*path, key, name), port)
        elif key == "outputs":
            fields.update({(*path, key, name): item for name, item in value.items()})
        else:
            fields[(*path, key)] = value


def layout_form(value: Any) -> str:
    """Return how an entry of the layout is compared: by "key", "id", "text", or "whole"."""
    if isinstance(value, dict):
        return "key"
    if isinstance(value, list):
        ids = [item.get("id") if isinstance(item, dict) else None for item in value]
        if all(isinstance(name, str) for name in ids) and len({*ids}) == len(ids):
            return "id"
        if all(isinstance(item, str) for item in value) and len({*value}) == len(value):
            return "text"
    return "whole"


def _add_layout(
    fields: Fields, path: Path, layout: Mapping[str, Any], whole: Collection[Path]
) -> None:
    for key, value in layout.items():
        at = (*path, key)
        if value in ({}, []):
            continue
        form = "whole" if at in whole else layout_form(value)
        if at == ("ui", "subgraphs") and form == "key":
            for name, inner in value.items():
                if isinstance(inner, dict):
                    _add_layout(fields, (*at, name), inner, whole)
                else:
                    fields[(*at, name)] = inner
        elif form == "key":
            fields.update({(*at, name): item for name, item in value.items()})
        elif form == "id":
            for item in value:
                own = {name: inner for name, inner in item.items() if name != "id"}
                _add_part(fields, (*at, ListStep("id", item["id"])), own)
        elif form == "text":
            fields.update({(*at, ListStep("is", text)): True for text in value})
        else:
            fields[at] = value


def to_document(fields: Mapping[Path, Any]) -> dict[str, Any]:
    """Return the document of fields; its parts have their canonical order in `Workflow`."""
    document: dict[str, Any] = {"nodes": {}}
    for path, value in fields.items():
        container: Any = document
        for at, step in enumerate(path):
            is_last = at == len(path) - 1
            if isinstance(step, ListStep):
                container = _list_item(container, step)
            elif is_last and value is not PART:
                container[step] = value
            else:
                follows = path[at + 1] if not is_last else ""
                container = container.setdefault(step, [] if isinstance(follows, ListStep) else {})
    parameters = document.get("parameters", {})
    for name, parameter in parameters.items():
        if parameter.keys() == {"input"}:
            parameters[name] = parameter["input"]
    _sort_node_lists(document.get("ui", {}))
    return document


def _sort_node_lists(layout: Any) -> None:
    """Sort lists of nodes, which are sets: a renamed node may stand elsewhere in them."""
    blocks = layout.get("subgraphs")
    inner = blocks.values() if isinstance(blocks, dict) else ()
    for each in (layout, *(block for block in inner if isinstance(block, dict))):
        for key in NODE_LAYOUT & each.keys():
            if isinstance(each[key], list) and layout_form(each[key]) == "text":
                each[key].sort()


def _list_item(items: list[Any], step: ListStep) -> Any:
    if step.kind == "is":
        items.append(step.name)
        return None
    known = next((item for item in items if item["id"] == step.name), None)
    if known is None:
        known = {"id": step.name}
        items.append(known)
    return known


def scope_of(path: Path) -> Scope:
    """Return the subgraph that a path of the graph or its layout lies in."""
    inner = path[1:] if path[0] == "ui" else path
    if len(inner) > 1 and inner[0] == "subgraphs" and isinstance(inner[1], str):
        return inner[1]
    return None


def scope_path(scope: Scope) -> Path:
    """Return the path of a graph: empty for that of the workflow itself."""
    return () if scope is None else ("subgraphs", scope)


def node_path(scope: Scope, name: str) -> Path:
    """Return the path of a node."""
    return (*scope_path(scope), "nodes", name)


def part_of(path: Path) -> Path | None:
    """Return the innermost node, parameter, subgraph, port of one or layout item around a path."""
    if path[0] == "ui":
        for at, step in enumerate(path):
            if isinstance(step, ListStep) and step.kind == "id":
                return path[: at + 1]
        return None
    if path[0] in ("nodes", "parameters"):
        return path[:2]
    if path[0] == "subgraphs":
        inner = len(path) >= 4 and path[2] in ("nodes", "inputs")
        return path[:4] if inner else path[:2]
    return None


def parts(fields: Mapping[Path, Any]) -> list[Path]:
    """Return the paths of all parts."""
    return [path for path, value in fields.items() if value is PART]


def same(first: Any, second: Any) -> bool:
    """Return whether two JSON values are the same: 1, 1.0 and true are three."""
    if isinstance(first, dict):
        return (
            isinstance(second, dict)
            and first.keys() == second.keys()
            and all(same(value, second[key]) for key, value in first.items())
        )
    if isinstance(first, list):
        return (
            isinstance(second, list) and len(first) == len(second) and all(map(same, first, second))
        )
    return type(first) is type(second) and bool(first == second)


def count_differences(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> int:
    """Return how many keys have different values, or are only in one of two tables."""
    return sum(
        not same(first.get(key, ABSENT), second.get(key, ABSENT)) for key in {*first, *second}
    )
