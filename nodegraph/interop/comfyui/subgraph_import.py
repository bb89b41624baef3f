"""Import of ComfyUI subgraphs, as native subgraphs or inlined.

A native sub-graph is a value of its own. Where something goes along unsaid with a link that
crosses its border, or a node within has to know what is linked from outside, its nodes are put
where it stands.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodegraph.core.parts import NodeEntry, Subgraph, SubgraphInput
from nodegraph.core.subgraphs import DEEPEST, LARGEST
from nodegraph.errors import InvalidWorkflow, Problem
from nodegraph.interop.comfyui.entries import TableEntry
from nodegraph.interop.comfyui.foreign_workflow import (
    BLOCK,
    ForeignBlock,
    ForeignNode,
    Frame,
    Rectangle,
    Source,
    TranslationOutcome,
)
from nodegraph.interop.comfyui.graph_builder import (
    GraphBuilder,
    Names,
    subgraph_name,
    to_snake_case,
)
from nodegraph.interop.comfyui.import_walk import GraphScope, ImportWalk, seed_control
from nodegraph.interop.comfyui.literal_tags import Tag, can_be_tagged, strip_tags, tag_of, with_tag
from nodegraph.interop.comfyui.round_trip import read_native_notes
from nodegraph.interop.comfyui.translating import MadeOutput, Signal

_MARGIN = 40.0
_TITLE = 60.0


@dataclass
class SubgraphDefinition:
    """A native sub-graph that stands for a block, for some of its uses.

    Attributes:
        outputs: What each of the block's outputs gives: one of the sub-graph's, by its name, or
            what one of its inputs is given, a `Signal`.
    """

    name: str
    subgraph: Subgraph
    layout: Mapping[str, Any]
    outputs: tuple[str | Signal | None, ...]
    outcomes: Sequence[TranslationOutcome] = ()


@dataclass
class _Attempt:
    """What a block's nodes had to know of its inputs, and may be told without asking."""

    literals: Mapping[str, Any] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    is_in_vain: bool = False

    def ask(self, name: str) -> Any:
        if name in self.literals:
            self.known.add(name)
            return self.literals[name]
        self.is_in_vain = True
        return None


class SubgraphBuilder:
    """Makes native nodes of uses of blocks; satisfies `import_walk.Blocks`.

    Attributes:
        definitions: What was made, by the names of the sub-graphs; not all may be in use.
    """

    def __init__(
        self, blocks: Mapping[str, ForeignBlock], table: Mapping[str, TableEntry], taken: set[str]
    ) -> None:
        self._blocks = blocks
        self._table = table
        self._names = Names(taken)
        self._known: dict[str, dict[str, SubgraphDefinition | None]] = {}
        self._open: list[str] = []
        self._loops: list[str] = []
        self._left = LARGEST
        self.definitions: dict[str, SubgraphDefinition] = {}

    def __contains__(self, node_type: str) -> bool:
        return node_type in self._blocks

    def outputs(self, node_type: str) -> Sequence[tuple[str, str]]:
        return [(port.name, port.type) for port, _ in self._blocks[node_type].outputs]

    def used_by(self, nodes: Iterable[NodeEntry]) -> dict[str, SubgraphDefinition]:
        """The definitions that nodes need, and those within them, the outer ones first."""
        used: dict[str, SubgraphDefinition] = {}
        waiting = deque(_named(nodes))
        while waiting:
            definition = self.definitions.get(name := waiting.popleft())
            if definition is not None and name not in used:
                used[name] = definition
                waiting += _named(definition.subgraph.nodes.values())
        return used

    def define(
        self,
        title: str,
        subgraph: Subgraph,
        layout: Mapping[str, Any],
        outcomes: Iterable[TranslationOutcome],
    ) -> str:
        """Keep the subgraph of a loop; returns its name. Equal ones are one."""
        written = subgraph.to_dict()
        for name in self._loops:
            if self.definitions[name].subgraph.to_dict() == written:
                return name
        name = self._names.reserve(subgraph_name(title), between=" ")
        self.definitions[name] = SubgraphDefinition(name, subgraph, layout, (), tuple(outcomes))
        self._loops.append(name)
        return name

    def add_instance(
        self, node: ForeignNode, inputs: Mapping[str, Signal], walk: ImportWalk
    ) -> Sequence[Signal | None]:
        block = self._blocks[node.type]
        self._enter(block)
        try:
            definition = None
            is_bypassed = walk.mode(node) == "bypass"
            plain_inputs = {name: Signal(signal.content) for name, signal in inputs.items()}
            if is_bypassed or not any(signal.carried for signal in inputs.values()):
                definition = self._definition(block, _exposed_values(block) | plain_inputs)
            if definition is not None:
                return self._instance(block, definition, node, inputs, walk)
            if is_bypassed:
                walk.note(node, "", messages=("it is skipped: it is bypassed",))
                return [None for _ in block.outputs]
            return self._in_place(block, node, inputs, walk)
        finally:
            self._open.pop()

    def _enter(self, block: ForeignBlock) -> None:
        names = [self._blocks[each].name for each in (*self._open, block.id)]
        if block.id in self._open:
            path = " → ".join(names[self._open.index(block.id) :])
            raise InvalidWorkflow(
                [Problem("recursive-subgraph", f"a subgraph contains itself: {path}")]
            )
        self._left -= len(block.graph.nodes)
        if len(self._open) >= DEEPEST or self._left < 0:
            raise InvalidWorkflow(
                [
                    Problem(
                        "too-large",
                        "with its subgraphs expanded, the workflow has too many nodes or too many "
                        "nested levels",
                        expected=f"at most {LARGEST} nodes and {DEEPEST} levels",
                    )
                ]
            )
        self._open.append(block.id)

    def _definition(
        self, block: ForeignBlock, inputs: Mapping[str, Signal]
    ) -> SubgraphDefinition | None:
        """The native sub-graph for a use with such inputs; None if there can't be one."""
        known = self._known.setdefault(block.id, {})
        key = _key(inputs)
        if key not in known:
            known[key] = self._settled(block, inputs)
        return known[key]

    def _settled(
        self, block: ForeignBlock, inputs: Mapping[str, Signal]
    ) -> SubgraphDefinition | None:
        """A definition like one that is there already is that one."""
        candidate = self._made(block, inputs)
        if candidate is None:
            return None
        for other in self._known[block.id].values():
            if other is not None and _is_same(other, candidate):
                return other
        candidate.name = self._names.reserve(subgraph_name(block.name), between=" ")
        self.definitions[candidate.name] = candidate
        return candidate

    def _made(self, block: ForeignBlock, inputs: Mapping[str, Signal]) -> SubgraphDefinition | None:
        ports = _ports(block)
        input_signals = {ports[name]: signal for name, signal in inputs.items() if name in ports}
        known: set[str] = set()
        while True:
            attempt = _Attempt(
                {
                    name: signal.content
                    for name, signal in input_signals.items()
                    if not signal.is_link
                }
            )
            around = GraphScope(
                [
                    _inside(ports[port.name], input_signals.get(ports[port.name]), known)
                    for port in block.inputs
                ],
                {
                    (inner, name): _exposed(port, input_signals[port], known)
                    for inner, name in block.exposed
                    if (port := ports[exposed_name(inner, name)]) in input_signals
                },
                ask_block=attempt.ask,
            )
            made = GraphBuilder()
            walk = ImportWalk(block.graph, self._table, self, made, around)
            walk.run(*(source for _, source in block.outputs))
            if attempt.is_in_vain:
                return None
            if attempt.known <= known:
                break
            known |= attempt.known
        made.canvas.ends.update(block.ends)
        return _definition_of(block, walk, input_signals)

    def _instance(
        self,
        block: ForeignBlock,
        definition: SubgraphDefinition,
        node: ForeignNode,
        inputs: Mapping[str, Signal],
        walk: ImportWalk,
    ) -> Sequence[Signal | None]:
        ports = _ports(block)
        drawn = {
            name: signal
            for name, signal in _exposed_values(block).items()
            if tag_of(signal.content).control
        }
        shown = drawn | dict(inputs)
        input_signals = {ports[name]: signal for name, signal in shown.items() if name in ports}
        taken = definition.subgraph.inputs
        noted = read_native_notes(node)
        made = walk.builder.add(
            node.title or block.name,
            definition.name,
            {name: signal.content for name, signal in input_signals.items() if name in taken},
            noted.name,
        )
        made.extra_fields, made.corrections = noted.extra_fields, noted.corrections
        made.label = node.title if node.title != block.name else ""
        made.mode = walk.mode(node)
        made.origin = {"id": walk.id(node), "type": node.type}
        walk.put(node, made.name)
        walk.note(node, made.name)
        return [_output_signal(output, made.name, input_signals) for output in definition.outputs]

    def _in_place(
        self, block: ForeignBlock, node: ForeignNode, inputs: Mapping[str, Signal], walk: ImportWalk
    ) -> Sequence[Signal | None]:
        """Put a block's nodes where it stands; returns what its outputs give."""
        around = GraphScope(
            [inputs.get(port.name) for port in block.inputs],
            {
                (inner, name): inputs[key]
                for inner, name in block.exposed
                if (key := exposed_name(inner, name)) in inputs
            },
            f"{walk.id(node)}:",
            (*walk.scope.file_position, walk.at(node)),
            walk.mode(node),
            self._shift(block, node, walk),
            walk.scope.ask_block,
        )
        inner = ImportWalk(block.graph, self._table, self, walk.builder, around)
        inner.run(*(source for _, source in block.outputs))
        walk.outcomes += inner.outcomes
        return [inner.signal(source) if source else None for _, source in block.outputs]

    def _shift(
        self, block: ForeignBlock, node: ForeignNode, walk: ImportWalk
    ) -> tuple[float, float]:
        """How far a block's nodes are moved: below all that is there, within a frame."""
        spots = [inner.bounds for inner in block.graph.nodes.values() if inner.bounds is not None]
        if node.bounds is None or not spots:
            return 0.0, 0.0
        left = min(spot.x for spot in spots)
        top = min(spot.y for spot in spots)
        width = max(spot.x + (spot.width or 248) for spot in spots) - left
        height = max(spot.y + (spot.height or 140) for spot in spots) - top
        x, lowest = walk.lower_left()
        at = (x + _MARGIN, lowest + _MARGIN + _TITLE)
        frame = Rectangle(
            at[0] - _MARGIN, at[1] - _TITLE, width + 2 * _MARGIN, height + _TITLE + _MARGIN
        )
        walk.builder.canvas.frame([Frame(node.title or block.name, frame)])
        return at[0] - left, at[1] - top


def _named(nodes: Iterable[NodeEntry]) -> Iterator[str]:
    """What may be names of subgraphs: nodes' types, and the bodies of loops."""
    for node in nodes:
        yield node.type
        body = node.inputs.get("body")
        if isinstance(body, str):
            yield body


def exposed_name(node: str, name: str) -> str:
    """What a use calls a widget of an inner node that it shows."""
    return f"{node}.{name}"


def _ports(block: ForeignBlock) -> dict[str, str]:
    """Native names of a block's inputs, by ComfyUI's."""
    names = Names()
    native_names: dict[str, str] = {}
    for port in block.inputs:
        native_names[port.name] = names.reserve(to_snake_case(port.label or port.name, "input"))
    for inner, name in block.exposed:
        native_names[exposed_name(inner, name)] = names.reserve(to_snake_case(name, "input"))
    return native_names


def _exposed_values(block: ForeignBlock) -> dict[str, Signal]:
    """What widgets of inner nodes hold that a block's uses show, by how uses call them."""
    signals: dict[str, Signal] = {}
    for inner, name in block.exposed:
        node = block.graph.nodes.get(inner)
        value = node.inputs.get(name) if node else None
        if node is not None and value is not None and not isinstance(value, Source):
            control = seed_control(node, name)
            tag = Tag(control=control)
            signals[exposed_name(inner, name)] = Signal(with_tag(value, tag) if control else value)
    return signals


def _key(inputs: Mapping[str, Signal]) -> str:
    """What of inputs decides on how a block is translated."""
    return json.dumps(
        [
            [name, signal.is_link or strip_tags(signal.content)]
            for name, signal in sorted(inputs.items())
        ]
    )


def _inside(port: str, signal: Signal | None, known: set[str]) -> Signal | None:
    """What an input of a block gives within it."""
    if signal is None:
        return None
    if signal.is_link:
        return Signal(MadeOutput(BLOCK, port))
    return _exposed(port, signal, known)


def _exposed(port: str, signal: Signal, known: set[str]) -> Signal:
    value = strip_tags(signal.content)
    if can_be_tagged(value):
        return Signal(with_tag(value, Tag(port)))
    if isinstance(value, bool) and port not in known:
        return Signal(MadeOutput(BLOCK, port))
    return Signal(value)


def _definition_of(
    block: ForeignBlock, walk: ImportWalk, input_signals: Mapping[str, Signal]
) -> SubgraphDefinition | None:
    """The sub-graph that a walk made; None if more than values leaves it."""
    ends = [walk.signal(source) for _, source in block.outputs if source]
    walk.builder.needed = {
        end.content.node for end in ends if end and isinstance(end.content, MadeOutput)
    }
    nodes = walk.builder.in_order()
    targets: dict[str, list[str]] = {name: [] for name in input_signals}
    for node in nodes.values():
        for inner_port, name in node.from_block().items():
            targets[name].append(f"{node.name}.{inner_port}")
    names = Names()
    outputs: dict[str, str] = {}
    stands: list[str | Signal | None] = []
    for port, source in block.outputs:
        signal = walk.signal(source) if source else None
        if signal is not None and signal.carried:
            return None
        inner = signal.content if signal else None
        if not isinstance(inner, MadeOutput) or inner.node == BLOCK:
            stands.append(signal)
            continue
        name = names.reserve(to_snake_case(port.label or port.name, "output"))
        outputs[name] = f"{inner.node}.{inner.port}" if inner.port else inner.node
        stands.append(name)
    subgraph = Subgraph(
        inputs={name: _input(to, input_signals[name]) for name, to in targets.items() if to},
        outputs=outputs,
        nodes=walk.builder.entries(),
    )
    return SubgraphDefinition("", subgraph, walk.builder.layout(), tuple(stands), walk.outcomes)


def _input(to: list[str], signal: Signal) -> SubgraphInput:
    if signal.is_link:
        return SubgraphInput(to=to)
    return SubgraphInput(to=to, extra={"default": strip_tags(signal.content)})


def _output_signal(
    output: str | Signal | None, instance: str, input_signals: Mapping[str, Signal]
) -> Signal | None:
    """What a use's output gives."""
    if isinstance(output, str):
        return Signal(MadeOutput(instance, output))
    if output is None:
        return None
    value = output.content
    name = value.port if isinstance(value, MadeOutput) else tag_of(value).block_input
    return input_signals.get(name, output) if name else output


def _is_same(definition: SubgraphDefinition, other: SubgraphDefinition) -> bool:
    """Whether two differ in nothing but what their inputs are given."""
    return (
        _without_defaults(definition.subgraph) == _without_defaults(other.subgraph)
        and definition.outputs == other.outputs
    )


def _without_defaults(subgraph: Subgraph) -> dict[str, Any]:
    document = subgraph.to_dict()
    for port in document.get("inputs", {}).values():
        port.pop("default", None)
    return document
