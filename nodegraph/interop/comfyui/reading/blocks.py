"""Sub-graphs: their definitions, read from the innermost on."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from nodegraph.interop.comfyui.foreign import BLOCK, ForeignBlock, ForeignPort, Source
from nodegraph.interop.comfyui.reading.checked import (
    DocumentCheck,
    printable,
    read_rectangle,
    text_of,
)
from nodegraph.interop.comfyui.reading.graphs import GraphReader, ReadGraph
from nodegraph.interop.comfyui.reading.instances import BlockFacts, NodeInput, is_input, proxies
from nodegraph.interop.comfyui.reading.levels import Level, level_of
from nodegraph.interop.comfyui.reading.nodes import ports_of
from nodegraph.interop.comfyui.signatures import Signature

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
                raise check.invalid_file(f"the block `{printable(inner)}` holds itself")
            else:
                way[inner] = iter(within[inner])
