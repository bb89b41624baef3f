"""Translating a workflow of ComfyUI into a native one, by the table of node types."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nodegraph.compat.comfyui.blocks import Definition, NativeBlocks
from nodegraph.compat.comfyui.entries import TableEntry
from nodegraph.compat.comfyui.fates import Fate
from nodegraph.compat.comfyui.foreign import ForeignGraph, ForeignNode, ForeignWorkflow
from nodegraph.compat.comfyui.made import MadeGraph
from nodegraph.compat.comfyui.originals import packed
from nodegraph.compat.comfyui.packs import NodeTable
from nodegraph.compat.comfyui.reading import drawing_of, read_workflow
from nodegraph.compat.comfyui.returning import returned
from nodegraph.compat.comfyui.signatures import TakenInput
from nodegraph.compat.comfyui.walking import Walk
from nodegraph.core.links import is_link
from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow


@dataclass(frozen=True)
class ImportedWorkflow:
    """A workflow that was translated.

    Attributes:
        format: What it was, see `foreign.ForeignWorkflow`.
        fates: What became of each of its nodes, blocks' nodes beside them.
        told: What the reading of the file had to say.
    """

    workflow: Workflow
    format: str
    fates: tuple[Fate, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def placeholders(self) -> tuple[Fate, ...]:
        """Nodes that couldn't be translated."""
        return tuple(fate for fate in self.fates if fate.is_placeholder)

    @property
    def differences(self) -> tuple[tuple[str, str], ...]:
        """What is otherwise here than in ComfyUI: the native node, or nothing, and what."""
        told = [("", message) for message in self.told]
        told += [(fate.name, message) for fate in self.fates for message in fate.told]
        return tuple(dict.fromkeys(told))


def translate(
    foreign: ForeignWorkflow, table: Iterable[TableEntry] | Mapping[str, TableEntry]
) -> ImportedWorkflow:
    """The native workflow that says the same.

    Nodes that can't be translated stay as placeholders, of types that begin with ``comfyui:``.

    Args:
        table: What stands for ComfyUI's node types; of two for one, the first counts.
    Raises:
        InvalidWorkflow: Its nodes need each other's results in a circle, a block contains itself,
            or with blocks in place it is too large.
    """
    entries = table if isinstance(table, Mapping) else by_type(table)
    base = _translated(foreign, entries)
    groups = list(_misfits(foreign, entries))
    count = sum(len(graph.nodes) for graph in _graphs(foreign))
    trials = min(max(_MOST_NODES // max(count, 1), _TRIALS.start), _TRIALS.stop)
    return _with_unread(base, foreign, entries, groups, trials) if groups else base


def _translated(foreign: ForeignWorkflow, entries: Mapping[str, TableEntry]) -> ImportedWorkflow:
    made = MadeGraph()
    blocks = NativeBlocks(foreign.blocks, entries, _natives(entries))
    walk = Walk(foreign.graph, entries, blocks, made)
    walk.run()
    nodes = made.entries()
    used = blocks.used_by(nodes.values())
    workflow = Workflow(
        title=foreign.title,
        nodes=nodes,
        subgraphs={name: found.subgraph for name, found in used.items()},
        ui=_ui(made, used, foreign),
    )
    inner = [fate.within(name) for name, found in used.items() for fate in found.fates]
    return ImportedWorkflow(
        returned(workflow, foreign), foreign.format, (*walk.fates, *inner), foreign.told
    )


@dataclass(frozen=True)
class _Misfits:
    """Nodes of a type whose values couldn't be read from the same input on.

    Attributes:
        lost: The widgets whose values are left out.
    """

    type: str
    misfit: str
    lost: tuple[TakenInput, ...]

    def __contains__(self, node: ForeignNode) -> bool:
        return (node.type, node.misfit) == (self.type, self.misfit)


_TRIALS = range(24, 200)
"""Translations of one file that look for what its unread values become, of large and small ones."""
_MOST_NODES = 20_000
"""Nodes that these translate altogether, where the file isn't too large for that."""


def _with_unread(
    base: ImportedWorkflow,
    foreign: ForeignWorkflow,
    entries: Mapping[str, TableEntry],
    groups: Sequence[_Misfits],
    trials: int,
) -> ImportedWorkflow:
    """The translation in which inputs have to be given that depend on values that weren't read.

    Which these are is seen by translating other values in their place: the table may hand a value
    on, work out something of it, or build other nodes by it, in this node or far behind it. Nodes
    of which more than values of inputs depends on them become placeholders.

    Args:
        base: The translation as it is with the defaults.
        trials: How many translations there may be.
    """
    usual = _Traces(_translated(_tried(foreign, groups[0], {}), entries))
    unread: dict[_Port, list[str]] = {}
    unclear: list[_Misfits] = []
    for group in groups:
        ports: dict[_Port, list[str]] | None = {}
        for taken in group.lost:
            values = _stand_ins(taken, group.lost)
            trials -= len(values)
            if trials < 0 or ports is None:
                ports = None
                break
            others = [
                _Traces(_translated(_tried(foreign, group, {taken.name: value}), entries))
                for value in values
            ]
            more = usual.dependent(others, taken)
            ports = None if more is None else _joined(ports, {port: [taken.name] for port in more})
        if ports is None:
            unclear.append(group)
        else:
            unread = _joined(unread, ports)
    if not unclear:
        return replace(base, workflow=_marked(base.workflow, unread))
    kept = _with_nodes(
        foreign,
        lambda node: (
            replace(node, is_unclear=True) if any(node in group for group in unclear) else node
        ),
    )
    clear = [group for group in groups if group not in unclear]
    again = _translated(kept, entries)
    return _with_unread(again, kept, entries, clear, trials) if clear else again


_OTHER_WORDS = {
    "enable": "disable",
    "disable": "enable",
    "cpu": "gpu",
    "gpu": "cpu",
    "disabled": "center",
    "midpoint": "heun",
}
"""Second options of choices that have two: any other word is taken for the usual one."""

_Port = tuple[str, str, str]
"""Sub-graph, or nothing, node and input."""


class _Traces:
    """What a translation says, apart by what it says it with.

    Attributes:
        literals: Values of inputs.
        structure: All else that a run depends on.
        notes: What is kept for the way back, and changes nothing here.
    """

    def __init__(self, translation: ImportedWorkflow) -> None:
        workflow = translation.workflow
        self.literals: dict[_Port, Any] = {}
        self.structure: list[Any] = []
        self.notes = {
            name: origin.get("values")
            for name, origin in workflow.ui["comfyui"].get("nodes", {}).items()
        }
        self._add("", workflow.nodes)
        for name, subgraph in workflow.subgraphs.items():
            self._add(name, subgraph.nodes)
            self.structure.append(replace(subgraph, nodes={}).to_dict())

    def _add(self, scope: str, nodes: Mapping[str, NodeEntry]) -> None:
        for name, entry in nodes.items():
            links = {port: value for port, value in entry.inputs.items() if is_link(value)}
            self.structure.append((scope, name, replace(entry, inputs=links).to_dict()))
            self.literals |= {
                (scope, name, port): value
                for port, value in entry.inputs.items()
                if port not in links
            }

    def dependent(self, others: Sequence[_Traces], taken: TakenInput) -> set[_Port] | None:
        """The inputs that other values of a widget change; None if more than these is changed.

        A choice that changes nothing may be one that the table doesn't know.
        """
        if any(other.structure != self.structure for other in others):
            return None
        ports = {
            port
            for other in others
            for port in self.literals.keys() | other.literals.keys()
            if _is_other(self.literals.get(port), other.literals.get(port))
        }
        is_noted = any(other.notes != self.notes for other in others)
        return None if taken.type == "COMBO" and not ports and not is_noted else ports


def _is_other(value: Any, other: Any) -> bool:
    return type(value) is not type(other) or value != other


def _graphs(foreign: ForeignWorkflow) -> Iterator[ForeignGraph]:
    yield foreign.graph
    yield from (block.graph for block in foreign.blocks.values())


def _misfits(foreign: ForeignWorkflow, entries: Mapping[str, TableEntry]) -> Iterator[_Misfits]:
    """The kinds of nodes whose values couldn't be read, each once."""
    kinds: dict[tuple[str, str], dict[str, TakenInput]] = {}
    for graph in _graphs(foreign):
        for node in graph.nodes.values():
            entry = entries.get(node.type) if node.misfit and not node.is_unclear else None
            if entry is not None:
                lost = kinds.setdefault((node.type, node.misfit), {})
                shown = entry.signature.shown(node.inputs)
                lost |= {
                    each.name: each
                    for each in shown
                    if not each.grows and each.name not in node.inputs
                }
    for (node_type, misfit), lost in kinds.items():
        yield _Misfits(node_type, misfit, tuple(lost.values()))


def _stand_ins(taken: TakenInput, lost: Sequence[TakenInput]) -> list[Any]:
    """Values that a widget may have, other than its default.

    Args:
        lost: Inputs of which some may be there with certain values of this one alone.
    """
    usual = taken.default
    match taken.type:
        case "BOOLEAN":
            return [not usual]
        case "INT":
            return [int(usual or 0) + 8, int(usual or 0) + 24]
        case "FLOAT":
            number = float(usual or 0.0)
            return [number + step if number <= 0.75 else number - step for step in (0.25, 0.125)]
        case "COLOR":
            return ["#123456", "#fedcba"]
    words = [word for each in lost if each.parent == taken.name for word in each.when]
    other = _OTHER_WORDS.get(usual) if isinstance(usual, str) else None
    words += ["another", "a third"] if other is None else ["another", other]
    return [word for word in words if word != usual]


def _tried(
    foreign: ForeignWorkflow, group: _Misfits, stand_ins: Mapping[str, Any]
) -> ForeignWorkflow:
    """A workflow as if unread values had been read: defaults, and others of some nodes."""
    return _with_nodes(
        foreign,
        lambda node: (
            replace(node, stand_ins=stand_ins if node in group else {}) if node.misfit else node
        ),
    )


def _with_nodes(
    foreign: ForeignWorkflow, change: Callable[[ForeignNode], ForeignNode]
) -> ForeignWorkflow:
    """A workflow of which each node, those of blocks as well, is another one."""

    def changed(graph: ForeignGraph) -> ForeignGraph:
        return replace(graph, nodes={name: change(node) for name, node in graph.nodes.items()})

    blocks = {
        name: replace(block, graph=changed(block.graph)) for name, block in foreign.blocks.items()
    }
    return replace(foreign, graph=changed(foreign.graph), blocks=blocks)


def _joined(
    names: Mapping[_Port, list[str]], more: Mapping[_Port, list[str]]
) -> dict[_Port, list[str]]:
    return {
        port: list(dict.fromkeys((*names.get(port, ()), *more.get(port, ()))))
        for port in (*names, *more)
    }


def _marked(workflow: Workflow, unread: Mapping[_Port, list[str]]) -> Workflow:
    """A workflow in which some inputs couldn't be read, besides those that say so already.

    Args:
        unread: What ComfyUI calls the widgets that each input depends on.
    """
    ports: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for (scope, name, port), theirs in unread.items():
        ports[scope, name][port] = ", ".join(theirs)

    def marked(scope: str, nodes: Mapping[str, NodeEntry]) -> dict[str, NodeEntry]:
        return {
            name: replace(
                entry,
                inputs={
                    port: value
                    for port, value in entry.inputs.items()
                    if port not in ports[scope, name]
                },
                unread=[*entry.unread, *sorted(ports[scope, name].keys() - set(entry.unread))],
                unread_as=entry.unread_as | ports[scope, name],
            )
            for name, entry in nodes.items()
        }

    subgraphs = {
        name: replace(each, nodes=marked(name, each.nodes))
        for name, each in workflow.subgraphs.items()
    }
    return replace(workflow, nodes=marked("", workflow.nodes), subgraphs=subgraphs)


def import_document(document: object, table: NodeTable, *, name: str = "") -> ImportedWorkflow:
    """The native workflow that says the same as a JSON document of ComfyUI's.

    Args:
        name: Where the document comes from, for messages.
    Raises:
        InvalidFile: See `reading.read_workflow`.
        InvalidWorkflow: See `translate`.
    """
    foreign = read_workflow(document, table.signatures, name=name)
    found = translate(foreign, table.entries)
    original = packed(drawing_of(document))
    comfyui = {**found.workflow.ui["comfyui"], "original": original}
    ui = {**found.workflow.ui, "comfyui": comfyui}
    return replace(found, workflow=replace(found.workflow, ui=ui))


def by_type(table: Iterable[TableEntry]) -> dict[str, TableEntry]:
    """Entries by ComfyUI's type; of two for one type, the first."""
    found: dict[str, TableEntry] = {}
    for entry in table:
        found.setdefault(entry.type, entry)
    return found


def _natives(table: Mapping[str, TableEntry]) -> set[str]:
    """Types of native nodes, which no sub-graph may hide."""
    return {entry.native for entry in table.values() if entry.native}


def _ui(
    made: MadeGraph, blocks: Mapping[str, Definition], foreign: ForeignWorkflow
) -> dict[str, Any]:
    found = made.layout()
    layouts = {name: each.layout for name, each in blocks.items() if each.layout}
    if layouts:
        found["subgraphs"] = layouts
    kept = {"format": foreign.format} | ({"kept": dict(foreign.kept)} if foreign.kept else {})
    found["comfyui"] = kept | found.get("comfyui", {})
    return found
