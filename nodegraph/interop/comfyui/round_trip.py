"""Notes in exported workflows that restore the native nodes on import.

ComfyUI can't express every native node, and some of its nodes stand for several native ones. A
correction records what a node would be imported as, and what it was. It is dropped if the node was
changed in ComfyUI, since the import then differs from the record.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nodegraph.core.catalog import Catalog
from nodegraph.core.context import CPU_PRECISION
from nodegraph.core.links import Link, is_link, read_link
from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow
from nodegraph.interop.comfyui.entries import InputSignature, Signature, TableEntry
from nodegraph.interop.comfyui.foreign_workflow import ForeignGraph, ForeignNode, ForeignWorkflow
from nodegraph.interop.comfyui.translating import MadeOutput, Passage

NATIVE_PREFIX = "nodegraph."
"""What types begin with of native nodes that nothing in ComfyUI stands for."""
_NOTED = "nodegraph"
_OF_WORKFLOW = ("title", "description", "parameters", "requires", CPU_PRECISION, "subgraphs")


@dataclass(frozen=True)
class NativeNotes:
    """What a node of ComfyUI is known to have been here.

    Attributes:
        name: Of the native node; empty if it never was one.
        outputs: Of a native type that nothing there stood for.
        extra_fields: Fields of its entry that ComfyUI has no place for.
        corrections: See `corrections`.
        is_implied: It is there for another node only, and nothing by itself.
        prompt_notes: Notes of the native nodes that draw its prompts, by input.
    """

    name: str = ""
    outputs: tuple[str, ...] = ()
    extra_fields: Mapping[str, Any] = field(default_factory=dict)
    corrections: Any = None
    is_implied: bool = False
    prompt_notes: Mapping[str, Any] = field(default_factory=dict)


def read_native_notes(node: ForeignNode) -> NativeNotes:
    """What was noted of a node, as far as it can be made out: files are edited by hand, too."""
    noted = next((note for note in _places(node.raw) if isinstance(note, dict)), {})
    name, outputs = noted.get("name"), noted.get("outputs")
    version = noted.get("version")
    attributes: dict[str, Any] = {}
    for key in ("label", "note"):
        if isinstance(noted.get(key), str):
            attributes[key] = noted[key]
    if noted.get("always") is True:
        attributes["always"] = True
    unread = noted.get("unread")
    if isinstance(unread, list) and all(isinstance(port, str) for port in unread):
        attributes["unread"] = unread
    unread_as = noted.get("unread_as")
    if isinstance(unread_as, dict) and all(isinstance(name, str) for name in unread_as.values()):
        attributes["unread_as"] = unread_as
    if isinstance(version, int) and not isinstance(version, bool) and version >= 1:
        attributes["version"] = version
    is_name = isinstance(name, str) and name and not set("./") & set(name)
    ports = outputs if isinstance(outputs, list) else []
    drawing = noted.get("drawing")
    return NativeNotes(
        name if isinstance(name, str) and is_name else "",
        tuple(port for port in ports if isinstance(port, str)),
        attributes,
        noted.get("corrections"),
        noted.get("implied") is True,
        drawing if isinstance(drawing, dict) else {},
    )


def _places(kept: Mapping[str, Any]) -> list[Any]:
    properties, meta = kept.get("properties"), kept.get("_meta")
    notes = [each.get(_NOTED) for each in (properties, meta) if isinstance(each, dict)]
    return [*notes, kept.get(_NOTED)]


def native_entry(node: ForeignNode) -> TableEntry | None:
    """What stands for a native node that was written as it is; None for others."""
    if not node.type.startswith(NATIVE_PREFIX):
        return None
    outputs = read_native_notes(node).outputs

    def forward(passage: Passage) -> None:
        name = passage.add(node.type.removeprefix(NATIVE_PREFIX), **dict(passage.inputs))
        for port in outputs:
            passage.give(port, MadeOutput(name, port))

    return TableEntry(
        Signature(
            node.type,
            tuple(InputSignature(name, "*") for name in node.inputs),
            tuple((port, "*") for port in outputs),
        ),
        forward,
    )


def restore_metadata(workflow: Workflow, foreign: ForeignWorkflow) -> Workflow:
    """A translated workflow with what its file says of the native one that it was."""
    extra = foreign.kept.get("extra")
    noted = extra.get(_NOTED) if isinstance(extra, dict) else None
    if not isinstance(noted, dict):
        return workflow
    document = workflow.to_dict()
    for key in _OF_WORKFLOW:
        if key not in noted:
            continue
        if isinstance(noted[key], dict) and isinstance(document.get(key), dict):
            document[key] = {**noted[key], **document[key]}
        else:
            document[key] = noted[key]
    try:
        return Workflow.from_dict(document)
    except InvalidWorkflow:
        return workflow  # what somebody has made of these notes is no reason to refuse the file


def add_corrections(
    graph: ForeignGraph,
    was: Mapping[str, NodeEntry],
    read: Mapping[str, NodeEntry],
    catalog: Catalog,
) -> tuple[ForeignGraph, set[str]]:
    """A graph whose nodes note how they differ.

    Args:
        was: The native nodes that it was made of.
        read: Those that it would be translated into.
    Returns:
        Names of native nodes, too, that it doesn't become again.
    """
    nodes = dict(graph.nodes)
    corrections: dict[str, Any] = {}
    for name, node in graph.nodes.items():
        native = read_native_notes(node).name
        if native not in was or native not in read:
            continue
        differences = _differences(native, was, read, catalog)
        if differences:
            corrections[native] = differences
            noted = {**node.raw["nodegraph"], "corrections": differences}
            nodes[name] = replace(node, raw={**node.raw, "nodegraph": noted})
    again = apply_corrections(read, corrections)
    lost = {name for name in was if name not in again or again[name].type != was[name].type}
    return replace(graph, nodes=nodes), lost


def _upstream_nodes(
    name: str, nodes: Mapping[str, NodeEntry], only: Collection[str]
) -> dict[str, Any]:
    """Nodes of some names that a node needs, by way of such alone."""
    sources: dict[str, Any] = {}
    waiting = [name]
    while waiting:
        for value in nodes[waiting.pop()].inputs.values():
            source = read_link(value).node if value is not None and is_link(value) else ""
            if source in only and source not in sources and source in nodes:
                sources[source] = nodes[source].to_dict()
                waiting.append(source)
    return sources


def _differences(
    name: str, was: Mapping[str, NodeEntry], read: Mapping[str, NodeEntry], catalog: Catalog
) -> dict[str, Any]:
    old, new = was[name], read[name]
    differences: dict[str, Any] = {}
    if old.type != new.type:
        differences["type"] = {"read": new.type, "was": old.type}
    inputs: dict[str, Any] = {}
    for port in {**old.inputs, **new.inputs}:
        if _meant(old, port, was, catalog) != _meant(new, port, read, catalog):
            sides = {"read": new.inputs.get(port), "was": old.inputs.get(port)}
            inputs[port] = {side: value for side, value in sides.items() if value is not None}
    if inputs:
        differences["inputs"] = inputs
        # A guider, for example, is another node there, which is made again where it is used.
        extra_nodes = {
            "read": _upstream_nodes(name, read, read.keys() - was.keys()),
            "was": _upstream_nodes(name, was, was.keys() - read.keys()),
        }
        if extra_nodes["read"] or extra_nodes["was"]:
            differences["beside"] = extra_nodes
    return differences


def _meant(entry: NodeEntry, port: str, nodes: Mapping[str, NodeEntry], catalog: Catalog) -> Any:
    """An input's value or link, its default if nothing is written, and the port of a link."""
    written = entry.inputs.get(port)
    if written is not None and is_link(written):
        link = read_link(written)
        source = nodes.get(link.node)
        spec = catalog.spec(source.type) if source else None
        is_only = spec is not None and len(spec.outputs) == 1
        return Link(link.node) if is_only else link
    if written is None and port in entry.unread:
        return None  # and no default stands for it
    spec = catalog.spec(entry.type)
    taken = spec.inputs_by_name.get(port) if spec else None
    return taken.default if written is None and taken else written


def apply_corrections(
    nodes: Mapping[str, NodeEntry], corrections: Mapping[str, Any]
) -> dict[str, NodeEntry]:
    """Nodes as they were before, where they are still what was read of them.

    Args:
        corrections: As noted, by node; anything that is none is passed over.
    """
    restored_nodes = dict(nodes)
    for name, noted in corrections.items():
        if not isinstance(noted, dict):
            continue
        extra_nodes = noted.get("beside")
        sides = extra_nodes if isinstance(extra_nodes, dict) else {}
        if not _is_as_read(sides.get("read"), nodes):
            continue
        entry = _restored(nodes[name], noted)
        if entry is nodes[name]:
            continue
        restored_nodes[name] = entry
        for other, written in _entries(sides.get("was")).items():
            restored_nodes.setdefault(other, written)
    return restored_nodes


def remove_idle_nodes(
    nodes: Mapping[str, NodeEntry], implied: Collection[str]
) -> dict[str, NodeEntry]:
    """Nodes without those that were there for others only, and that nothing needs any more."""
    remaining = dict(nodes)
    idle = set(implied)
    while idle:
        links = {
            read_link(value).node
            for entry in remaining.values()
            for value in entry.inputs.values()
            if is_link(value)
        }
        idle = {name for name in implied if name in remaining and name not in links}
        for name in idle:
            del remaining[name]
    return remaining


def _is_as_read(noted: Any, nodes: Mapping[str, NodeEntry]) -> bool:
    known = _entries(noted)
    return all(
        name in nodes and (nodes[name].type, nodes[name].inputs) == (entry.type, entry.inputs)
        for name, entry in known.items()
    )


def _entries(noted: Any) -> dict[str, NodeEntry]:
    entries: dict[str, NodeEntry] = {}
    for name, written in (noted if isinstance(noted, dict) else {}).items():
        try:
            entries[name] = NodeEntry.read(written)
        except InvalidWorkflow:
            continue  # somebody's edit; what links to it is told where it is checked
    return entries


def _restored(entry: NodeEntry, noted: Mapping[str, Any]) -> NodeEntry:
    ports = noted.get("inputs")
    changes = {
        port: sides
        for port, sides in (ports if isinstance(ports, dict) else {}).items()
        if isinstance(sides, dict)
    }
    apt = {port for port, values in changes.items() if entry.inputs.get(port) == values.get("read")}
    of_type, node_type = noted.get("type"), entry.type
    if isinstance(of_type, dict):
        if of_type.get("read") != node_type or len(apt) < len(changes):
            return entry
        node_type = str(of_type.get("was", node_type))
    inputs = {port: value for port, value in entry.inputs.items() if port not in apt}
    inputs |= {
        port: changes[port]["was"] for port in changes if port in apt and "was" in changes[port]
    }
    return replace(entry, type=node_type, inputs=inputs)
