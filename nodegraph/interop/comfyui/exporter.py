"""Export native workflows to ComfyUI, with subgraphs kept or inlined."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nodegraph.core.catalog import Catalog
from nodegraph.core.context import CPU_PRECISION
from nodegraph.core.flat_workflow import bypass_input
from nodegraph.core.links import Link, is_link, parse_link, parse_target, read_link, write_input
from nodegraph.core.parts import NodeEntry, Subgraph
from nodegraph.core.spec import NodeSpec
from nodegraph.core.subgraphs import inlinable_subgraphs, node_spec
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.document_writer import missing_inputs, write_api, write_ui
from nodegraph.interop.comfyui.entries import Signature, Signatures, TableEntry
from nodegraph.interop.comfyui.export_walk import ExportWalk, NeedsInlining, points
from nodegraph.interop.comfyui.foreign_workflow import (
    ForeignBlock,
    ForeignPort,
    ForeignWorkflow,
    Rectangle,
    TranslationOutcome,
)
from nodegraph.interop.comfyui.graph_builder import Names
from nodegraph.interop.comfyui.importer import entries_by_type, translate
from nodegraph.interop.comfyui.original_document import update_original
from nodegraph.interop.comfyui.reading import read_workflow
from nodegraph.interop.comfyui.reading.dynamic_prompts import read_back
from nodegraph.interop.comfyui.round_trip import add_corrections


def inline_subgraphs(workflow: Workflow, catalog: Catalog, *, splices: bool = False) -> Workflow:
    """The same workflow without uses of sub-graphs that can be inlined.

    Definitions stay, for nodes that name one in an input. A use that is bypassed is left out: what
    it would pass on stands for its outputs, as its inner nodes would pass on other things.

    Args:
        catalog: Types of inputs and outputs.
        splices: Leave out all bypassed nodes likewise.
    """
    return replace(workflow, nodes=_Inlining(workflow, catalog, splices=splices).nodes)


class _Inlining:
    def __init__(self, workflow: Workflow, catalog: Catalog, *, splices: bool) -> None:
        self._workflow = workflow
        self._catalog = catalog
        self._splices = splices
        self._blocks = {name: workflow.subgraphs[name] for name in inlinable_subgraphs(workflow)}
        self._names = Names(set(workflow.nodes))
        self._outputs: dict[tuple[str, str], Link] = {}
        self._bypassed: dict[str, NodeEntry] = {}
        self._found: dict[str, NodeEntry] = {}
        self._put(workflow.nodes, {name: name for name in workflow.nodes}, {}, None)
        self.nodes = {name: self._linked(entry) for name, entry in self._found.items()}

    def _put(
        self,
        nodes: Mapping[str, NodeEntry],
        names: Mapping[str, str],
        fed: Mapping[tuple[str, str], Any],
        around: NodeEntry | None,
    ) -> None:
        """Put nodes of one graph, under new names.

        Args:
            fed: What inputs are given from outside, by node and input, under outer names.
            around: The use of a block that they are of.
        """
        for name, entry in nodes.items():
            inputs = {port: _renamed(value, names) for port, value in entry.inputs.items()}
            inputs |= {port: value for (node, port), value in fed.items() if node == name}
            mode = entry.mode or (around.mode if around else None)
            always = entry.always or bool(around and around.always)
            placed = replace(entry, inputs=inputs, mode=mode, always=always)
            block = self._blocks.get(entry.type)
            if mode == "bypass" and (block is not None or self._splices):
                self._bypassed[names[name]] = placed
            elif block is None:
                self._found[names[name]] = placed
            else:
                self._use(names[name], placed, block)

    def _use(self, name: str, entry: NodeEntry, block: Subgraph) -> None:
        names = {inner: self._names.reserve(f"{name}_{inner}") for inner in block.nodes}
        fed: dict[tuple[str, str], Any] = {}
        for port, taken in block.inputs.items():
            if port in entry.inputs or taken.has_default:
                value = entry.inputs.get(port, taken.default)
                fed |= {parse_target(target): value for target in taken.to}
        for port, text in block.outputs.items():
            link = parse_link(text)
            self._outputs[name, port] = Link(names[link.node], link.port)
        self._put(block.nodes, names, fed, entry)

    def _linked(self, entry: NodeEntry) -> NodeEntry:
        """A node whose links lead to what the outputs of uses stand for."""
        inputs = {port: self._followed(value) for port, value in entry.inputs.items()}
        return replace(entry, inputs=inputs)

    def _followed(self, written: Any) -> Any:
        if not is_link(written):
            return written
        link = read_link(written)
        passed: set[Link] = set()
        while link.node not in self._found and link not in passed:
            passed.add(link)
            before = self._before(link)
            if before is None:
                return written  # to nothing, which is told where it is checked
            link = before
        return write_input(link)

    def _before(self, link: Link) -> Link | None:
        """What stands for an output of a use, or of a bypassed node; None if nothing does."""
        if link.node in self._bypassed:
            return self._bypass_link(self._bypassed[link.node], link.port)
        only = [key for key in self._outputs if key[0] == link.node]
        key = (link.node, link.port) if link.port else next(iter(only), ("", ""))
        return self._outputs.get(key)

    def _bypass_link(self, entry: NodeEntry, port: str) -> Link | None:
        """What a bypassed node passes on in place of an output."""
        spec = node_spec(entry, self._workflow, self._catalog)
        outputs = list(spec.outputs) if spec else []
        wanted = next((each.expr for each in outputs if each.name == port or not port), None)
        if spec is None or wanted is None:
            return None
        linked = {
            each.name: each.expr for each in spec.inputs if is_link(entry.inputs.get(each.name))
        }
        passing = bypass_input(wanted, linked, self._catalog.types)
        return None if passing is None else read_link(entry.inputs[passing])


def _renamed(written: Any, names: Mapping[str, str]) -> Any:
    if not is_link(written):
        return written
    link = read_link(written)
    return write_input(Link(names.get(link.node, link.node), link.port))


@dataclass(frozen=True)
class ExportedWorkflow:
    """A workflow that was translated for ComfyUI.

    Attributes:
        messages: What has no counterpart there, each with its node.
        unknown: Native nodes that ComfyUI doesn't know: they are kept, and don't run there.
    """

    foreign: ForeignWorkflow
    messages: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def export(
    workflow: Workflow, table: Iterable[TableEntry], catalog: Catalog, *, flat: bool = False
) -> ExportedWorkflow:
    """A workflow as ComfyUI would say it.

    Nodes that can't be said there stay as ones of types that begin with ``nodegraph.``, so that
    nothing is lost when the file comes back.

    Args:
        catalog: Native node types.
        flat: Without sub-graphs and bypassed nodes, as the API format has none.
    """
    entries = tuple(table)
    if not flat:
        try:
            return _checked(workflow, entries, catalog, flat=False)
        except NeedsInlining:
            # What goes along unsaid crosses a border, such as a guider that has no model yet.
            pass
    return _checked(inline_subgraphs(workflow, catalog, splices=flat), entries, catalog, flat=flat)


def _checked(
    workflow: Workflow, table: tuple[TableEntry, ...], catalog: Catalog, *, flat: bool
) -> ExportedWorkflow:
    """A workflow as ComfyUI says it, read again: what would not come back stays as it is.

    Args:
        flat: It is for its server, which takes prompts as they are; else its page reads them.
    """
    signatures = Signatures(entries_by_type(table))

    def read_again(foreign: ForeignWorkflow) -> Workflow:
        reread = foreign if flat else read_back(foreign, signatures)
        return translate(reread, table).workflow

    native: set[str] = set()
    while True:
        exported = _WorkflowExport(workflow, table, catalog, native).exported()
        read = read_again(exported.foreign)
        noted, lost = _noted(workflow, exported, read, catalog)
        if not lost - native:
            # Notes change what it is read as; without any it is read already.
            is_read = noted.foreign == exported.foreign
            again = read if is_read else read_again(noted.foreign)
            lost = _with_others(workflow, again)
        if not lost - native:
            return noted
        native |= lost


def _noted(
    workflow: Workflow, exported: ExportedWorkflow, read: Workflow, catalog: Catalog
) -> tuple[ExportedWorkflow, set[str]]:
    """What was exported, with notes of all that it would be read as and wasn't.

    Args:
        read: What it would be read as.
    Returns:
        Nodes that it wouldn't be read as besides, those of blocks as ``block/node``.
    """
    foreign = exported.foreign
    graph, missing = add_corrections(foreign.graph, workflow.nodes, read.nodes, catalog)
    lost, blocks = set(missing), {}
    for name, block in foreign.blocks.items():
        was, again = workflow.subgraphs[name].nodes, read.subgraphs.get(name)
        if again is None:
            raise NeedsInlining
        inner, missing = add_corrections(block.graph, was, again.nodes, catalog)
        blocks[name] = replace(block, graph=inner)
        lost |= {f"{name}/{node}" for node in missing}
    return replace(exported, foreign=replace(foreign, graph=graph, blocks=blocks)), lost


def _with_others(workflow: Workflow, read: Workflow) -> set[str]:
    """Nodes that would come back with others beside them; those of blocks as ``block/node``."""
    graphs = [("", workflow.nodes, read.nodes, read.ui)]
    layouts = read.ui.get("subgraphs", {})
    graphs += [
        (f"{name}/", workflow.subgraphs[name].nodes, block.nodes, layouts.get(name, {}))
        for name, block in read.subgraphs.items()
        if name in workflow.subgraphs
    ]
    return {
        prefix + name
        for prefix, was, again, ui in graphs
        for name in _accompanied(again.keys() - was.keys(), ui) & was.keys()
    }


def _accompanied(others: Collection[str], ui: Mapping[str, Any]) -> set[str]:
    """All nodes that were made of one that became such, too, as layouts tell."""
    known = ui.get("comfyui", {}).get("nodes", {})
    made = [{name, *origin.get("with", ())} for name, origin in known.items()]
    return {name for group in made if group & set(others) for name in group}


def export_documents(
    workflow: Workflow, table: Iterable[TableEntry], catalog: Catalog
) -> tuple[ExportedWorkflow, Mapping[str, dict[str, Any]]]:
    """A workflow in both of ComfyUI's formats.

    What came from ComfyUI goes back as it was, with the values that were changed since.

    Returns:
        What became of it, and the documents: ``ui``, which its page opens, and ``api``, which its
        server is sent.
    """
    entries = entries_by_type(table)
    signatures = Signatures(entries)
    drawn = export(workflow, entries.values(), catalog)
    # Without sub-graphs, bypassed nodes and prompts that are drawn both formats say the same.
    is_flat = not drawn.foreign.blocks and not _bypasses(workflow)
    is_flat = is_flat and read_back(drawn.foreign, signatures) == drawn.foreign
    flat = drawn if is_flat else export(workflow, entries.values(), catalog, flat=True)
    api = write_api(flat.foreign, signatures)
    written = {"ui": write_ui(drawn.foreign, signatures), "api": api}
    lacking = tuple(_lacking(api, signatures))
    drawn = replace(drawn, messages=(*drawn.messages, *lacking))

    def retranslate(document: Any) -> tuple[Workflow, tuple[TranslationOutcome, ...]]:
        imported = translate(read_workflow(document, signatures), entries)
        return imported.workflow, imported.outcomes

    original = update_original(workflow, retranslate)
    if original is None:
        return drawn, written
    if not isinstance(original.get("nodes"), list):
        return drawn, written | {"api": original}
    extra = original.get("extra")
    known = extra if isinstance(extra, dict) else {}
    noted = {**known, **drawn.foreign.kept["extra"]}
    # The page opens it as it was; what its server is sent is made anew.
    drawn = replace(drawn, messages=(*flat.messages, *lacking), unknown=flat.unknown)
    return drawn, written | {"ui": {**original, "extra": noted}}


def _lacking(api: Mapping[str, Any], signatures: Mapping[str, Signature]) -> Iterator[str]:
    """What ComfyUI's server would refuse of a document, for people."""
    for name, inputs in missing_inputs(api, signatures).items():
        meta = api[name]["_meta"]
        noted = meta.get("nodegraph", {})
        native = noted.get("name") or meta["title"]
        unread = {
            name for names in noted.get("unread_as", {}).values() for name in names.split(", ")
        }
        named = ", ".join(f"`{port}`" for port in inputs if port not in unread)
        if not named:
            continue  # it is told of already
        node_type = api[name]["class_type"]
        yield f"{native}: {named} of {node_type} needs a value in ComfyUI, and has none here"


def _bypasses(workflow: Workflow) -> bool:
    graphs = [workflow.nodes, *(block.nodes for block in workflow.subgraphs.values())]
    return any(node.mode == "bypass" for nodes in graphs for node in nodes.values())


class _WorkflowExport:
    def __init__(
        self,
        workflow: Workflow,
        table: tuple[TableEntry, ...],
        catalog: Catalog,
        native: Collection[str],
    ) -> None:
        self._workflow = workflow
        self._native = native
        self._catalog = catalog
        self.signatures = Signatures(entries_by_type(table))
        self._by_native: dict[str, list[TableEntry]] = {}
        for entry in table:
            if entry.backward is not None:
                self._by_native.setdefault(entry.native, []).append(entry)
        self._blocks = _used(workflow)
        self._told: list[str] = []
        self._unknown: list[str] = []

    def exported(self) -> ExportedWorkflow:
        workflow = self._workflow
        blocks = {
            name: self._block(name, workflow.subgraphs[name])
            for name in workflow.subgraphs
            if name in self._blocks
        }
        graph = self._graph(workflow.nodes, workflow.ui).graph()
        metadata = {
            "title": workflow.title,
            "description": workflow.description,
            "parameters": {
                name: parameter.to_dict() for name, parameter in workflow.parameters.items()
            },
            "requires": workflow.requires,
            CPU_PRECISION: workflow.cpu_precision,
            "subgraphs": {
                name: block.to_dict()
                for name, block in workflow.subgraphs.items()
                if name not in self._blocks
            },
        }
        kept = {"extra": {"nodegraph": {key: value for key, value in metadata.items() if value}}}
        foreign = ForeignWorkflow(graph, "0.4", workflow.title, blocks, kept=kept)
        return ExportedWorkflow(foreign, tuple(self._told), tuple(self._unknown))

    def _graph(
        self,
        nodes: Mapping[str, NodeEntry],
        ui: Mapping[str, Any],
        block: Subgraph | None = None,
        prefix: str = "",
    ) -> ExportWalk:
        walk = ExportWalk(self, nodes, ui, block, prefix)
        walk.run()
        return walk

    def _block(self, name: str, block: Subgraph) -> ForeignBlock:
        layouts = self._workflow.ui.get("subgraphs")
        layout = layouts.get(name) if isinstance(layouts, dict) else None
        ui = layout if isinstance(layout, dict) else {}
        walk = self._graph(block.nodes, ui, block, f"{name}/")
        outputs = []
        for port, text in block.outputs.items():
            source = walk.end(text)
            outputs.append((ForeignPort(port, walk.type_of(source)), source))
        inputs = [ForeignPort(port, walk.type_fed(at)) for at, port in enumerate(block.inputs)]
        ends = {end: Rectangle(*at) for end, at in points(ui.get("ends")).items()}
        return ForeignBlock(name, name, walk.graph(), tuple(inputs), tuple(outputs), ends=ends)

    def spec(self, entry: NodeEntry) -> NodeSpec | None:
        return node_spec(entry, self._workflow, self._catalog)

    def block_outputs(self, node_type: str) -> Iterable[str] | None:
        is_block = node_type in self._blocks
        return self._workflow.subgraphs[node_type].outputs if is_block else None

    def candidates(self, node_type: str, was: str) -> list[TableEntry]:
        entries = self._by_native.get(node_type, [])
        return sorted(entries, key=lambda entry: entry.type != was)

    def stays_native(self, node: str) -> bool:
        return node in self._native

    def add_message(self, node: str, message: str) -> None:
        self._told.append(f"{node}: {message}")

    def add_untranslated(self, node: str) -> None:
        self._unknown.append(node)


def _used(workflow: Workflow) -> set[str]:
    """Sub-graphs that nodes are of. Others are only named, by loops, and ComfyUI has no use."""
    can_be = set(inlinable_subgraphs(workflow))
    used: set[str] = set()
    waiting = [node.type for node in workflow.nodes.values()]
    while waiting:
        name = waiting.pop()
        if name in can_be - used:
            used.add(name)
            waiting += [node.type for node in workflow.subgraphs[name].nodes.values()]
    return used
