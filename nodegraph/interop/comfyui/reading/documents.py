"""Detect and read ComfyUI documents, with their subgraph definitions."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from nodegraph.core.garbage_collection import PausedGC
from nodegraph.interop.comfyui.entries import Signature
from nodegraph.interop.comfyui.foreign_workflow import (
    BLOCK,
    ForeignBlock,
    ForeignPort,
    ForeignWorkflow,
    Source,
)
from nodegraph.interop.comfyui.reading.document_check import (
    DocumentCheck,
    printable,
    read_rectangle,
    text_of,
)
from nodegraph.interop.comfyui.reading.graph_reader import (
    BlockFacts,
    GraphReader,
    NodeInput,
    ReadGraph,
    is_input,
    proxies,
)
from nodegraph.interop.comfyui.reading.group_nodes import with_groups_as_blocks
from nodegraph.interop.comfyui.reading.nodes import is_api_node, ports_of, read_api
from nodegraph.interop.comfyui.reading.ui_graph import Level, level_of

_BLOCK_KEYS = frozenset(
    ("id", "name", "nodes", "links", "groups", "inputs", "outputs", "definitions")
)


def block_levels(document: Mapping[str, Any], check: DocumentCheck) -> dict[str, Level]:
    """All blocks that a file defines, by id; those within definitions stand beside them."""
    levels: dict[str, Level] = {}
    waiting = [document]
    while waiting:
        for entry in _definitions(waiting.pop(), check):
            name = check.identity(entry.get("id"), "`id` of a block")
            if name not in levels:
                levels[name] = level_of(entry, check, name)
                waiting.append(entry)
    return levels


def _definitions(holder: Mapping[str, Any], check: DocumentCheck) -> Iterator[Mapping[str, Any]]:
    definitions = check.fields(holder.get("definitions"), "`definitions`")
    for entry in check.items(definitions.get("subgraphs"), "`definitions.subgraphs`"):
        yield check.fields(entry, "an entry of `definitions.subgraphs`")


class BlockReader:
    """Reads blocks and remembers what their nodes have to know of them.

    Args:
        prompts: What was run of them, by block, see `prompt_nodes_by_block`.
    Attributes:
        facts: By id, of the blocks that were read.
        blocks: Likewise.
    """

    def __init__(
        self,
        levels: Mapping[str, Level],
        signatures: Mapping[str, Signature],
        check: DocumentCheck,
        prompts: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.facts: dict[str, BlockFacts] = {}
        self.blocks: dict[str, ForeignBlock] = {}
        self._levels = levels
        self._signatures = signatures
        self._check = check
        self._prompts = prompts

    def read(self, exposed: Mapping[str, Iterable[NodeInput]]) -> None:
        """Read all blocks.

        Args:
            exposed: Widgets that their nodes show, by id.
        Raises:
            InvalidFile: One holds itself, or a part has the wrong form.
        """
        for name in _inner_first(self._levels, self._check):
            self._read_one(self._levels[name], exposed.get(name, ()))

    def _read_one(self, level: Level, exposed: Iterable[NodeInput]) -> None:
        run = self._prompts.get(level.block)
        read = GraphReader(level, self._signatures, self.facts, self._check, run).read()
        inputs = tuple(self._ports(level, "inputs"))
        facts = _facts(level, inputs, read, exposed)
        self.facts[level.block] = facts
        ends = self._ports(level, "outputs")
        self.blocks[level.block] = ForeignBlock(
            level.block,
            facts.name,
            read.graph,
            inputs,
            tuple((port, read.ends.get(slot)) for slot, port in enumerate(ends)),
            tuple(dict.fromkeys(facts.exposed.values())),
            dict(_ends(level.entry)),
            {name: value for name, value in facts.widgets.items() if value is not None},
            {key: value for key, value in level.entry.items() if key not in _BLOCK_KEYS},
        )

    def _ports(self, level: Level, key: str) -> Iterator[ForeignPort]:
        what = f"`{key}` of block `{printable(level.block)}`"
        return ports_of(level.entry.get(key), what, self._check)


def prompt_nodes_by_block(
    prompt: Mapping[str, Any], levels: Mapping[str, Level], top: Level
) -> dict[str, dict[str, Any]]:
    """What was run of each block that a file uses once, by its nodes' ids.

    What was run names nodes in blocks after the block's node: ``9:3``, ``9:3:1``.
    """
    uses: dict[str, list[str]] = {}
    waiting = [("", top)]
    while waiting and len(uses) <= len(levels):
        prefix, level = waiting.pop()
        for name, entry in level.nodes.items():
            if entry["type"] in levels and prompt:
                known = uses.setdefault(entry["type"], [])
                known.append(f"{prefix}{name}:")
                if len(known) == 1:
                    waiting.append((known[0], levels[entry["type"]]))
    return {
        block: {name: prompt.get(f"{prefixes[0]}{name}") for name in levels[block].nodes}
        for block, prefixes in uses.items()
        if len(prefixes) == 1
    }


def _facts(
    level: Level,
    inputs: tuple[ForeignPort, ...],
    read: ReadGraph,
    shown_places: Iterable[NodeInput],
) -> BlockFacts:
    names = [port.name for port in inputs]
    fed = {
        (node.id, port): names[value.slot]
        for node in read.graph.nodes.values()
        for port, value in node.inputs.items()
        if isinstance(value, Source) and value.node == BLOCK and value.slot < len(names)
    }
    widgets = {name: read.widgets[at] for at, name in enumerate(names) if at in read.widgets}
    exposed = dict(_still_exposed(shown_places, read, fed))
    return BlockFacts(text_of(level.entry.get("name")), names, widgets, fed, exposed)


def _still_exposed(
    exposed: Iterable[NodeInput], read: ReadGraph, fed: Container[NodeInput]
) -> Iterator[tuple[NodeInput, NodeInput]]:
    """Widgets that are shown and are no inputs anyway, of nodes that there are.

    Each with where its value is: that of a primitive is in the input that it feeds.
    """
    for node, name in exposed:
        value_input = read.inlined.get(node, (node, name)) if name == "value" else (node, name)
        if value_input[0] in read.graph.nodes and value_input not in fed and is_input(name):
            yield (node, name), value_input


def _ends(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, name in (("inputNode", "inputs"), ("outputNode", "outputs")):
        end = entry.get(key)
        spot = read_rectangle(end.get("bounding")) if isinstance(end, dict) else None
        if spot is not None:
            yield name, spot


def exposed_widgets(levels: Mapping[str, Level], top: Level) -> dict[str, dict[NodeInput, None]]:
    """The widgets that blocks' nodes show, by block, in order."""
    widgets: dict[str, dict[NodeInput, None]] = {}
    for level in (top, *levels.values()):
        for entry in level.nodes.values():
            if entry["type"] in levels:
                known = widgets.setdefault(entry["type"], {})
                known.update(dict.fromkeys(proxies(entry)))
    return widgets


def _inner_first(levels: Mapping[str, Level], check: DocumentCheck) -> Iterator[str]:
    """The blocks in an order in which each stands behind those that it holds."""
    within = {
        name: dict.fromkeys(
            entry["type"] for entry in level.nodes.values() if entry["type"] in levels
        )
        for name, level in levels.items()
    }
    done: set[str] = set()
    for first in levels:
        way: dict[str, Iterator[str]] = {} if first in done else {first: iter(within[first])}
        while way:
            name = next(reversed(way))
            inner = next((block_id for block_id in way[name] if block_id not in done), None)
            if inner is None:
                del way[name]
                done.add(name)
                yield name
            elif inner in way:
                raise check.invalid_file(f"the block `{printable(inner)}` contains itself")
            else:
                way[inner] = iter(within[inner])


def find_embedded_workflow(texts: Mapping[str, str]) -> Any:
    """The workflow among the texts that a file carries; None if there is none of ComfyUI.

    Args:
        texts: By name, as `read_metadata` and `video_texts` of `nodegraph.media` give them.
            ComfyUI writes ``workflow`` and ``prompt``, packs both within ``comment``.
    Returns:
        A JSON document for `read_workflow`: the UI format, if there is one, else the API format.
        The drawing tells more than what was run: places, titles, and what is muted. What was run
        says its values by name. Of a file that has both, both are in one document.
    """
    drawing, prompt = _find_document(texts, "workflow"), _find_document(texts, "prompt")
    is_drawn = isinstance(drawing, dict) and isinstance(drawing.get("nodes"), list)
    if is_drawn and prompt is not None and prompt_of({"prompt": prompt}):
        return {"workflow": drawing, "prompt": prompt}
    return prompt if drawing is None else drawing


def _find_document(texts: Mapping[str, str], key: str) -> Any:
    for holder in (texts, _parsed(texts.get("comment"))):
        document = _parsed(holder.get(key)) if isinstance(holder, Mapping) else None
        if is_foreign(document):
            return document
    return None


def loose_document(text: str) -> Any:
    """The workflow of ComfyUI's that a text is which only Python takes for JSON, as its `json`
    writes NaN; None of any other text."""
    document = _parsed(text)
    return document if is_foreign(document) else None


def _parsed(text: Any) -> Any:
    """What a JSON text says, or was said already; None if it says nothing.

    Python's `json`, which writes these texts, writes NaN as itself. Mostly it stands where ComfyUI
    asked nodes for changes, and means nothing to us; as a text it is told of anywhere else.
    """
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text, parse_constant=str, parse_float=_finite)
    except (ValueError, RecursionError):
        return None


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


_VERSIONS: Mapping[float, str] = {0.4: "0.4", 1: "1.0"}
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""What sub-graphs are called by."""
_PARTS = frozenset(("nodes", "links", "groups", "definitions"))


def is_foreign(document: object) -> bool:
    """Whether a JSON document looks like a workflow of ComfyUI, in any format."""
    return _of_ui(document) is not None or _of_api(document) is not None


def read_workflow(
    document: object, signatures: Mapping[str, Signature], *, name: str = ""
) -> ForeignWorkflow:
    """A workflow of ComfyUI.

    Args:
        document: What its JSON says. Parts of it are kept in what is returned; it isn't changed.
        signatures: Of the node types that are known, by type: they say which value is whose where
            a file doesn't.
        name: Where the document comes from, for messages.
    Raises:
        InvalidFile: It is no workflow of ComfyUI, of a version that isn't known, has parts of the
            wrong form, is too large, or can't be drawn: reroutes lead in a circle, or a block
            holds itself.
    """
    check = DocumentCheck(name)
    ui, prompt = _of_ui(document), _of_api(document)
    with PausedGC():
        check.depth(ui if ui is not None else prompt or {})
        if ui is not None:
            return _read_ui(ui, prompt_of(document), signatures, check)
        if prompt is not None:
            return read_api(prompt, signatures, check)
    raise check.invalid_file(
        "this is not a ComfyUI workflow",
        document,
        "A ComfyUI workflow has `nodes` and `links`, or nodes with a `class_type`.",
    )


def _of_ui(document: object) -> Mapping[str, Any] | None:
    """A document of the UI format, also from within what is sent to a server."""
    if not isinstance(document, dict) or isinstance(document.get("format"), str):
        return None
    if isinstance(document.get("nodes"), list):
        return document
    extra = document.get("extra_data")
    info = extra.get("extra_pnginfo") if isinstance(extra, dict) else None
    for holder in (document, info):
        held = holder.get("workflow") if isinstance(holder, dict) else None
        if isinstance(held, dict) and isinstance(held.get("nodes"), list):
            return held
    return None


def prompt_of(document: object) -> Mapping[str, Any]:
    """What was run of a drawing, where the document holds both; empty if it doesn't."""
    held = document.get("prompt") if isinstance(document, dict) else None
    is_prompt = isinstance(held, dict) and any(map(is_api_node, held.values()))
    return held if isinstance(held, dict) and is_prompt else {}


def ui_document(document: object) -> object:
    """A document without what holds it, if that is more than the drawing: a request, an image."""
    return _of_ui(document) or document


def _of_api(document: object) -> Mapping[str, Any] | None:
    """A document of the API format, also wrapped as it is sent to a server."""
    if not isinstance(document, dict) or "nodes" in document or "format" in document:
        return None
    held = document.get("prompt")
    if isinstance(held, dict) and not is_api_node(held):
        document = held
    return document if any(map(is_api_node, document.values())) else None


def _read_ui(
    document: Mapping[str, Any],
    prompt: Mapping[str, Any],
    signatures: Mapping[str, Signature],
    check: DocumentCheck,
) -> ForeignWorkflow:
    version = _version(document, check)
    document = with_groups_as_blocks(document, check)
    top = level_of(document, check)
    levels = block_levels(document, check)
    _tell_missing((top, *levels.values()), levels, check)
    blocks = BlockReader(levels, signatures, check, prompt_nodes_by_block(prompt, levels, top))
    blocks.read(exposed_widgets(levels, top))
    read = GraphReader(top, signatures, blocks.facts, check, prompt).read()
    return ForeignWorkflow(
        read.graph,
        version,
        _title(document),
        blocks.blocks,
        check.warnings,
        {key: value for key, value in document.items() if key not in _PARTS},
    )


def _version(document: Mapping[str, Any], check: DocumentCheck) -> str:
    written = document.get("version", 0.4)
    known = isinstance(written, (int, float)) and not isinstance(written, bool)
    if not known or written not in _VERSIONS:
        raise check.invalid_file(
            "the workflow's `version` is not supported",
            written,
            "Versions 0.4 and 1.0 are supported.",
        )
    return _VERSIONS[written]


def _tell_missing(
    levels: tuple[Level, ...], blocks: Mapping[str, Level], check: DocumentCheck
) -> None:
    for level in levels:
        for name, node in level.nodes.items():
            if node["type"] not in blocks and _ID.fullmatch(node["type"]):
                check.warn(f"node `{printable(name)}`: its subgraph is not in the file")


def _title(document: Mapping[str, Any]) -> str:
    extra = document.get("extra")
    info = extra.get("info") if isinstance(extra, dict) else None
    return text_of(info.get("name")) if isinstance(info, dict) else ""
