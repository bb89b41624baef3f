"""Sub-graphs: their definitions, read from the innermost on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodegraph.compat.comfyui.foreign import BLOCK, ForeignBlock, ForeignPort, Source
from nodegraph.compat.comfyui.reading.checked import DocumentCheck, shown, spot_of, text_of
from nodegraph.compat.comfyui.reading.graphs import GraphReader, ReadGraph
from nodegraph.compat.comfyui.reading.instances import OWN, BlockFacts, is_input, shown_values
from nodegraph.compat.comfyui.reading.levels import Level, level_of
from nodegraph.compat.comfyui.reading.nodes import ports_of
from nodegraph.compat.comfyui.signatures import Signature

Exposed = Mapping[tuple[str, str], Any]
"""Widgets inside a block that its nodes show, as (node, input), with the value that they have for
it; None if they have none of their own."""
_PARTS = frozenset(("id", "name", "nodes", "links", "groups", "inputs", "outputs", "definitions"))


def block_levels(document: Mapping[str, Any], check: DocumentCheck) -> dict[str, Level]:
    """All blocks that a file defines, by id; those within definitions stand beside them."""
    found: dict[str, Level] = {}
    waiting = [document]
    while waiting:
        for entry in _definitions(waiting.pop(), check):
            name = check.identity(entry.get("id"), "`id` of a block")
            if name not in found:
                found[name] = level_of(entry, check, name)
                waiting.append(entry)
    return found


def _definitions(holder: Mapping[str, Any], check: DocumentCheck) -> Iterator[Mapping[str, Any]]:
    definitions = check.fields(holder.get("definitions"), "`definitions`")
    for entry in check.items(definitions.get("subgraphs"), "`definitions.subgraphs`"):
        yield check.fields(entry, "an entry of `definitions.subgraphs`")


class BlockReader:
    """Reads blocks and remembers what their nodes have to know of them.

    Attributes:
        facts: By id, of the blocks that were read.
        blocks: Likewise.
    """

    def __init__(
        self, levels: Mapping[str, Level], signatures: Mapping[str, Signature], check: DocumentCheck
    ) -> None:
        self.facts: dict[str, BlockFacts] = {}
        self.blocks: dict[str, ForeignBlock] = {}
        self._levels = levels
        self._signatures = signatures
        self._check = check

    def read(self, exposed: Mapping[str, Exposed]) -> None:
        """Read all blocks.

        Args:
            exposed: Widgets that their nodes show, by id.
        Raises:
            InvalidFile: One holds itself, or a part has the wrong form.
        """
        for name in _inner_first(self._levels, self._check):
            self._read_one(self._levels[name], exposed.get(name, {}))

    def _read_one(self, level: Level, exposed: Exposed) -> None:
        held: dict[str, dict[str, Any]] = {}
        for (node, name), value in exposed.items():
            if value is not None and _is_inside((node, name)):
                held.setdefault(node, {})[name] = value
        read = GraphReader(level, self._signatures, self.facts, self._check, held).read()
        inputs = tuple(self._ports(level, "inputs"))
        facts = _facts(level, inputs, read)
        self.facts[level.block] = facts
        ends = self._ports(level, "outputs")
        self.blocks[level.block] = ForeignBlock(
            level.block,
            facts.name,
            read.graph,
            inputs,
            tuple((port, read.ends.get(slot)) for slot, port in enumerate(ends)),
            tuple(_still_exposed(exposed, read, facts)),
            dict(_ends(level.entry)),
            {name: value for name, value in facts.widgets.items() if value is not None},
            {key: value for key, value in level.entry.items() if key not in _PARTS},
        )

    def _ports(self, level: Level, key: str) -> Iterator[ForeignPort]:
        what = f"`{key}` of block `{shown(level.block)}`"
        return ports_of(level.entry.get(key), what, self._check)


def _facts(level: Level, inputs: tuple[ForeignPort, ...], read: ReadGraph) -> BlockFacts:
    names = [port.name for port in inputs]
    fed = {
        (node.id, port): names[value.slot]
        for node in read.graph.nodes.values()
        for port, value in node.inputs.items()
        if isinstance(value, Source) and value.node == BLOCK and value.slot < len(names)
    }
    widgets = {name: read.widgets[at] for at, name in enumerate(names) if at in read.widgets}
    return BlockFacts(text_of(level.entry.get("name")), names, widgets, fed)


def _still_exposed(
    exposed: Exposed, read: ReadGraph, facts: BlockFacts
) -> Iterator[tuple[str, str]]:
    """Widgets that are shown and are no inputs anyway, of nodes that there are."""
    for node, name in exposed:
        place = read.inlined.get(node, (node, name)) if name == "value" else (node, name)
        if place[0] in read.graph.nodes and place not in facts.fed and is_input(name):
            yield place


def _ends(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, name in (("inputNode", "inputs"), ("outputNode", "outputs")):
        end = entry.get(key)
        place = spot_of(end.get("bounding")) if isinstance(end, dict) else None
        if place is not None:
            yield name, place


def exposed_widgets(
    levels: Mapping[str, Level], top: Level, check: DocumentCheck
) -> dict[str, dict[tuple[str, str], Any]]:
    """The widgets that blocks' nodes show, by block, in order."""
    found: dict[str, dict[tuple[str, str], Any]] = {}
    for level in (top, *levels.values()):
        for entry in level.nodes.values():
            if entry["type"] not in levels:
                continue
            known = found.setdefault(entry["type"], {})
            for place, value in shown_values(entry):
                if known.setdefault(place, value) is None:
                    known[place] = value
                elif value is not None and value != known[place] and _is_inside(place):
                    check.tell(
                        f"nodes of block `{shown(entry['type'])}` differ in `{shown(place[1])}` "
                        f"of the node `{shown(place[0])}` inside; all have the first one's value"
                    )
    return found


def _is_inside(place: tuple[str, str]) -> bool:
    return place[0] != OWN and is_input(place[1])


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
            inner = next((one for one in way[name] if one not in done), None)
            if inner is None:
                del way[name]
                done.add(name)
                yield name
            elif inner in way:
                raise check.refusal(f"the block `{shown(inner)}` holds itself")
            else:
                way[inner] = iter(within[inner])
