"""Import ComfyUI workflows with the table of built-in and pack entries.

An installed pack names a module, or its entries, in the entry-point group ``nodegraph.comfyui``; a
pack that is a folder has a module ``comfyui.py``. A module lists its entries in ``ENTRIES``.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nodegraph.core.parts import NodeEntry
from nodegraph.core.spec import NodeSpec
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.entries import Signatures, TableEntry
from nodegraph.interop.comfyui.foreign_workflow import (
    ForeignGraph,
    ForeignWorkflow,
    TranslationOutcome,
)
from nodegraph.interop.comfyui.graph_builder import GraphBuilder
from nodegraph.interop.comfyui.import_walk import TO_GIVE, ImportWalk
from nodegraph.interop.comfyui.original_document import pack_document
from nodegraph.interop.comfyui.packs.import_entries import pack_entries
from nodegraph.interop.comfyui.reading import read_workflow, ui_document
from nodegraph.interop.comfyui.round_trip import restore_metadata
from nodegraph.interop.comfyui.similar_nodes import unreadable_widgets
from nodegraph.interop.comfyui.subgraph_import import SubgraphBuilder, SubgraphDefinition
from nodegraph.interop.comfyui.table import built_in
from nodegraph.interop.comfyui.unread_values import (
    Maker,
    Ports,
    TrialTranslation,
    find_unread_ports,
    foreign_graphs,
)
from nodegraph.packs.pack import Pack
from nodegraph.packs.registry import Registry

GROUP = "nodegraph.comfyui"
MODULE = "comfyui"
_ENTRIES = "ENTRIES"


@dataclass(frozen=True)
class NodeTable:
    """Entries by ComfyUI's type.

    Attributes:
        problems: What packs bring and can't be used.
    """

    entries: Mapping[str, TableEntry]
    problems: tuple[str, ...] = ()

    @property
    def signatures(self) -> Signatures:
        return Signatures(self.entries)


def node_table(packs: Iterable[Pack] = (), registry: Registry | None = None) -> NodeTable:
    """What stands for ComfyUI's node types.

    An entry for a type that is there already is left out and told of, and so is what can't be
    imported; it hurts nothing else. Node types of ComfyUI's packs stand for themselves, if no entry
    stands for them.

    Args:
        packs: Of which those that aren't installed are looked into.
        registry: Knows the node types of ComfyUI's packs.
    """
    entries: dict[str, TableEntry] = {}
    for entry in built_in():
        entries.setdefault(entry.type, entry)
    owners: dict[str, str] = {}
    problems: list[str] = []
    for owner, source in [*_installed(), *_loose(packs)]:
        try:
            brought = source() if callable(source) else source
            for entry in _checked(brought):
                if entry.type in entries:
                    taken = owners.get(entry.type, "nodegraph itself")
                    problems.append(f"{owner}: {taken} already has an entry for `{entry.type}`")
                    continue
                entries[entry.type] = entry
                owners[entry.type] = owner
        except (Exception, SystemExit) as error:  # noqa: BLE001 - importing runs the pack's code
            problems.append(f"{owner}: its entries for ComfyUI cannot be used: {error}")
    if registry is not None:
        for entry in pack_entries(comfyui_specs(registry)):
            entries.setdefault(entry.type, entry)
    return NodeTable(entries, tuple(problems))


def comfyui_specs(registry: Registry) -> Iterator[NodeSpec]:
    """Iterate over the node types that were read from classes of ComfyUI's packs."""
    for pack in registry.packs:
        if pack.isolation is not None and pack.isolation.kind == "comfyui":
            specs = (registry.spec(node_type) for node_type in registry.types_of(pack.name))
            yield from (spec for spec in specs if spec is not None)


def _installed() -> Iterator[tuple[str, Any]]:
    from nodegraph.core.plugins import entry_points

    for point in entry_points(GROUP):
        yield f"pack `{point.name}`", point.load


def _loose(packs: Iterable[Pack]) -> Iterator[tuple[str, Any]]:
    for pack in packs:
        if pack.is_loose and (pack.root / f"{MODULE}.py").is_file():
            module = f"{pack.package}.{MODULE}"
            yield f"pack `{pack.name}`", lambda pack=pack, module=module: pack.import_module(module)


def _checked(brought: Any) -> tuple[TableEntry, ...]:
    """The entries that a pack brings.

    Raises:
        TypeError: It brings something else.
        ValueError: An entry's signature can't be read.
    """
    entries = getattr(brought, _ENTRIES, brought)
    if not isinstance(entries, (list, tuple)) or not all(
        isinstance(entry, TableEntry) for entry in entries
    ):
        raise TypeError(f"`{_ENTRIES}` must be a tuple of `TableEntry`")
    for entry in entries:
        _ = entry.signature  # a pack's fault is told at once
    return tuple(entries)


@dataclass(frozen=True)
class ImportedWorkflow:
    """A workflow that was translated.

    Attributes:
        format: What it was, see `foreign.ForeignWorkflow`.
        outcomes: What became of each of its nodes, blocks' nodes beside them.
        warnings: What the reading of the file had to say.
        tool: The tool that made an image with these settings; empty for ComfyUI.
        origins: Id of the node that each native node outside of blocks was made of.
    """

    workflow: Workflow
    format: str
    outcomes: tuple[TranslationOutcome, ...] = ()
    warnings: tuple[str, ...] = ()
    tool: str = ""
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def placeholders(self) -> tuple[TranslationOutcome, ...]:
        """Nodes that couldn't be translated."""
        return tuple(fate for fate in self.outcomes if fate.is_placeholder)

    @property
    def differences(self) -> tuple[tuple[str, str], ...]:
        """What is otherwise here than in ComfyUI: the native node, or nothing, and what."""
        messages = [("", message) for message in self.warnings]
        messages += [(fate.name, message) for fate in self.outcomes for message in fate.messages]
        return tuple(dict.fromkeys(messages))


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
    entries = table if isinstance(table, Mapping) else entries_by_type(table)
    base = _translated(foreign, entries)
    if not any(
        node.has_unreadable_values
        for graph in foreign_graphs(foreign)
        for node in graph.nodes.values()
    ):
        return base.imported

    def tried(other: ForeignWorkflow) -> _Translated:
        return _translated(other, entries)

    read, unread = find_unread_ports(foreign, entries, base, tried)
    workflow = _marked(read.imported.workflow, unread)
    dependent = {name for names in unread.values() for name in names}
    fates = tuple(
        _without_idle_messages(fate, foreign, entries, dependent) for fate in read.imported.outcomes
    )
    return replace(read.imported, workflow=workflow, outcomes=fates)


def _without_idle_messages(
    fate: TranslationOutcome,
    foreign: ForeignWorkflow,
    entries: Mapping[str, TableEntry],
    dependent: Collection[str],
) -> TranslationOutcome:
    """What became of a node, where nothing depends on the values that weren't read of it.

    Args:
        dependent: Widgets that something depends on.
    """
    if not any(message.endswith(TO_GIVE) for message in fate.messages):
        return fate
    matches = (graph.nodes.get(fate.id.rpartition(":")[2]) for graph in foreign_graphs(foreign))
    nodes = (node for node in matches if node is not None and node.type == fate.type)
    signature = entries[fate.type].signature
    if any(
        each.name in dependent for node in nodes for each in unreadable_widgets(node, signature)
    ):
        return fate
    idle = [
        message.replace(TO_GIVE, "nothing in nodegraph depends on them")
        for message in fate.messages
    ]
    return replace(fate, messages=tuple(idle))


@dataclass(frozen=True)
class _Translated(TrialTranslation):
    """A translation, with what became of each node."""

    imported: ImportedWorkflow


def _translated(foreign: ForeignWorkflow, entries: Mapping[str, TableEntry]) -> _Translated:
    made = GraphBuilder()
    blocks = SubgraphBuilder(foreign.blocks, entries, _natives(entries))
    walk = ImportWalk(foreign.graph, entries, blocks, made)
    walk.run()
    nodes = made.entries()
    used = blocks.used_by(nodes.values())
    workflow = Workflow(
        title=foreign.title,
        nodes=nodes,
        subgraphs={name: imported.subgraph for name, imported in used.items()},
        ui=_ui(made, used, foreign),
    )
    makers = _makers(made, foreign.graph)
    inner = [fate.within(name) for name, imported in used.items() for fate in imported.outcomes]
    imported = ImportedWorkflow(
        restore_metadata(workflow, foreign),
        foreign.format,
        (*walk.outcomes, *inner),
        foreign.warnings,
        origins={name: str(path[0]) for name, (path, _) in makers.items() if path},
    )
    return _Translated(imported.workflow, makers, imported)


def _makers(made: GraphBuilder, graph: ForeignGraph) -> dict[str, Maker]:
    """Which node, and the how manyth that it was made into, each native node is."""
    ids = list(graph.nodes)
    counts: Counter[tuple[str | int, ...]] = Counter()
    makers: dict[str, Maker] = {}
    for name, at in made.file_positions():
        path: tuple[str | int, ...] = (ids[at[0]], *at[1:]) if at else ()
        makers[name] = path, counts[path]
        counts[path] += 1
    return makers


def _marked(workflow: Workflow, unread: Ports) -> Workflow:
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
    imported = translate(foreign, table.entries)
    original = pack_document(ui_document(document))
    comfyui = {**imported.workflow.ui["comfyui"], "original": original}
    ui = {**imported.workflow.ui, "comfyui": comfyui}
    models = _declared_models(imported)
    extra = {**imported.workflow.extra, **({"models": models} if models else {})}
    return replace(imported, workflow=replace(imported.workflow, ui=ui, extra=extra))


def _declared_models(imported: ImportedWorkflow) -> list[dict[str, str]]:
    """The models of which nodes say where to get them, as a workflow of nodegraph lists them."""
    files = dict.fromkeys(model for fate in imported.outcomes for model in fate.models)
    lines = (
        {
            "name": model.name,
            "directory": model.folder,
            "source": model.url,
            "sha256": model.sha256,
        }
        for model in files
        if model.url or model.sha256
    )
    return [{key: text for key, text in line.items() if text} for line in lines]


def entries_by_type(table: Iterable[TableEntry]) -> dict[str, TableEntry]:
    """Entries by ComfyUI's type; of two for one type, the first."""
    entries: dict[str, TableEntry] = {}
    for entry in table:
        entries.setdefault(entry.type, entry)
    return entries


def _natives(table: Mapping[str, TableEntry]) -> set[str]:
    """Types of native nodes, which no sub-graph may hide."""
    return {entry.native for entry in table.values() if entry.native}


def _ui(
    made: GraphBuilder, blocks: Mapping[str, SubgraphDefinition], foreign: ForeignWorkflow
) -> dict[str, Any]:
    layout = made.layout()
    layouts = {name: each.layout for name, each in blocks.items() if each.layout}
    if layouts:
        layout["subgraphs"] = layouts
    # Cards are larger here: the editor moves those apart that lie on each other, and sets this.
    kept = {"format": foreign.format, "is_spread": False}
    kept |= {"kept": dict(foreign.kept)} if foreign.kept else {}
    layout["comfyui"] = kept | layout.get("comfyui", {})
    return layout
