"""Import a graph node by node, in topological order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from nodegraph.core.graph import topological_order
from nodegraph.core.parts import Mode
from nodegraph.errors import InvalidWorkflow, Problem
from nodegraph.interop.comfyui.entries import Signature, TableEntry
from nodegraph.interop.comfyui.foreign_workflow import (
    BLOCK,
    ForeignGraph,
    ForeignNode,
    Frame,
    Rectangle,
    Source,
    TranslationOutcome,
)
from nodegraph.interop.comfyui.graph_builder import GraphBuilder
from nodegraph.interop.comfyui.import_context import (
    CarriedValues,
    FindBlockValue,
    ImportContext,
    add_placeholder,
    match_bypass_outputs,
    output_ports,
)
from nodegraph.interop.comfyui.literal_tags import (
    Tag,
    find_referenced_node,
    iter_references,
    with_tag,
)
from nodegraph.interop.comfyui.loop_import import Definitions, translate_loops
from nodegraph.interop.comfyui.postprocess import (
    add_vision_models,
    attach_first_frames,
    remove_idle_loaders,
    resolve_families,
    resolve_file_names,
    resolve_language_models,
    resolve_music,
    resolve_video_decoders,
)
from nodegraph.interop.comfyui.round_trip import native_entry, read_native_notes
from nodegraph.interop.comfyui.translating import MadeOutput, Signal, Untranslatable
from nodegraph.interop.comfyui.unread_values import ignored_values

_CONTROLS = {"randomize": "random", "increment": "increment", "decrement": "decrement"}
_MISFIT = "its values in the file {} do not match the known inputs of its type"
TO_GIVE = "set them in nodegraph"
_IDLE = "nothing saved or shown depends on it, so ComfyUI does not run it; it is muted here"
_LANGUAGE_FOLDER = (
    "nodegraph reads this language model from a folder as transformers saves it, not from one file"
)
_TRANSLATED_KEYS = frozenset(
    ("id", "type", "class_type", "pos", "size", "mode", "order", "inputs", "outputs", "title")
) | {"widgets_values", "color", "bgcolor", "flags", "_meta"}
"""Parts of a node's entry that what was made of it says anew."""


class Blocks(Definitions, Protocol):
    """Makes native nodes of uses of blocks."""

    def __contains__(self, node_type: str) -> bool: ...

    def outputs(self, node_type: str) -> Sequence[tuple[str, str]]:
        """Name and type of each output of a block."""

    def add_instance(
        self, node: ForeignNode, inputs: Mapping[str, Signal], walk: ImportWalk
    ) -> Sequence[Signal | None]:
        """Make what stands for one use; returns what each output gives."""


@dataclass(frozen=True)
class GraphScope:
    """Where a graph stands: what a block's use brings into it.

    Attributes:
        incoming: What each of the block's inputs gives, in order.
        exposed: Likewise of widgets of inner nodes, by node and input.
        prefix: Of ids of nodes in it.
        file_position: Where it stands in the file.
        mode: Of the block's use, which its nodes share.
        shift: How far the graph is moved on the canvas.
        ask_block: See `import_context.FindBlockValue`.
    """

    incoming: Sequence[Signal | None] = ()
    exposed: Mapping[tuple[str, str], Signal] = field(default_factory=dict)
    prefix: str = ""
    file_position: tuple[int, ...] = ()
    mode: Mode | None = None
    shift: tuple[float, float] = (0.0, 0.0)
    ask_block: FindBlockValue = lambda _: None


class ImportWalk:
    """Translates one graph.

    Args:
        table: Entries by type.
        into: The native graph that it becomes, or becomes part of.
    """

    def __init__(
        self,
        graph: ForeignGraph,
        table: Mapping[str, TableEntry],
        blocks: Blocks,
        into: GraphBuilder,
        around: GraphScope | None = None,
    ) -> None:
        self.graph = graph
        self.builder = into
        self.scope = around or GraphScope()
        self.outcomes: list[TranslationOutcome] = []
        self._table = table
        self._blocks = blocks
        self._signals: dict[Source, Signal | None] = {}
        self._used: dict[str, set[int]] = defaultdict(set)
        for node in graph.nodes.values():
            for value in node.inputs.values():
                if isinstance(value, Source):
                    self._used[value.node].add(value.slot)
        self._referenced_inputs = {
            (find_referenced_node(word, graph.nodes), port)
            for node in graph.nodes.values()
            for word, port in iter_references(node.inputs)
        }
        self._at = {name: at for at, name in enumerate(graph.nodes)}
        self._unused: set[str] = set()
        self._arrivals: list[tuple[ForeignNode, ImportContext, int]] = []

    def run(self, *ends: Source | None) -> None:
        """Translate all nodes.

        Args:
            ends: Outputs that are needed besides: a block's own.
        Raises:
            InvalidWorkflow: Nodes need each other's results in a circle.
        """
        for end in ends:
            if end is not None:
                self._used[end.node].add(end.slot)
        before = len(self.builder.nodes)
        self._unused = self._find_unused([end.node for end in ends if end is not None])
        for name in self._order():
            node = self.graph.nodes[name]
            self.builder.file_position = (*self.scope.file_position, self._at[name])
            self._translate(node, self._inputs(node))
        self._report_unread_carried()
        self._arrive_late()
        if self._referenced_inputs:
            resolve_file_names(self.builder.since(before), self.builder, self.graph.nodes)
        attach_first_frames(self.builder)
        add_vision_models(self.builder)
        resolve_families(self.builder, self.scope.ask_block)
        resolve_music(self.builder, self.scope.ask_block)
        videos = resolve_video_decoders(self.builder)
        # Of those that give sound as well now, what was given are the images.
        self._reroute(lambda each: MadeOutput(each.node, "image") if each.node in videos else each)
        self._replace_nodes(before, ends)
        canvas = self.builder.canvas
        canvas.frame(
            [_moved(frame, self.scope.shift) for frame in self.graph.groups],
            [_moved(frame, self.scope.shift) for frame in self.graph.notes],
        )

    def _final_outputs(self, ends: Collection[Source | None]) -> list[MadeOutput]:
        signals = [self.signal(end) for end in ends if end is not None]
        return [signal.content for signal in signals if signal is not None and signal.is_link]

    def _replace_nodes(self, before: int, ends: Collection[Source | None]) -> None:
        """Replace loaders of models that are something else here, and loops."""
        outputs = self._final_outputs(ends)
        shared = {output.node for output in outputs}
        language = resolve_language_models(self.builder, self.scope.ask_block, shared)
        removed = remove_idle_loaders(self.builder, self.builder.since(before), shared)
        for at, each in enumerate(self.outcomes):
            messages = (*each.messages, *([_LANGUAGE_FOLDER] if each.name in language else ()))
            name = removed.get(each.name, each.name)
            self.outcomes[at] = replace(each, name=name, messages=messages)
        replaced = translate_loops(self.builder, before, outputs, self._blocks, self.outcomes)
        self._reroute(lambda each: replaced.get(each, each))

    def _reroute(self, other: Callable[[MadeOutput], MadeOutput]) -> None:
        """Let what outputs give be what stands for it now."""
        for source, signal in self._signals.items():
            if signal is not None and signal.is_link:
                self._signals[source] = Signal(other(signal.content), signal.carried)

    def signal(self, source: Source) -> Signal | None:
        """What an output gives; None if nothing stands for it."""
        if source.node == BLOCK:
            incoming = self.scope.incoming
            return incoming[source.slot] if 0 <= source.slot < len(incoming) else None
        return self._signals.get(source)

    def spot(self, node: ForeignNode) -> Rectangle | None:
        """Where a node stands here."""
        return _shifted(node.bounds, self.scope.shift) if node.bounds else None

    def at(self, node: ForeignNode) -> int:
        """Where a node stands in the file."""
        return self._at[node.id]

    def lower_left(self) -> tuple[float, float]:
        """Of all that stands in this graph, or will."""
        spots = [spot for node in self.graph.nodes.values() if (spot := self.spot(node))]
        left, bottom = self.builder.canvas.bottom()
        return (
            min([left, *(spot.x for spot in spots)]),
            max([bottom, *(spot.y + spot.height for spot in spots)]),
        )

    def id(self, node: ForeignNode) -> str:
        """Its id in the workflow as a whole."""
        return self.scope.prefix + node.id

    def mode(self, node: ForeignNode) -> Mode | None:
        return node.mode or self.scope.mode or ("mute" if node.id in self._unused else None)

    def _find_unused(self, ends: Sequence[str]) -> set[str]:
        """Nodes that lead to no end, which ComfyUI neither checks nor runs; none if nothing does.

        Args:
            ends: Nodes that the graph's outputs lead to.
        """
        nodes = self.graph.nodes
        waiting = [*ends, *(name for name, node in nodes.items() if self._is_end(node))]
        certain = [name for name in waiting if self._is_known_end(name)]
        if not ends and not certain:
            return set()  # somebody is still drawing it
        needed: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name in needed or name not in nodes:
                continue
            needed.add(name)
            values = nodes[name].inputs.values()
            waiting += [value.node for value in values if isinstance(value, Source)]
        return set(nodes) - needed

    def _is_known_end(self, name: str) -> bool:
        node = self.graph.nodes.get(name)
        entry = self._table.get(node.type) if node is not None else None
        return entry is not None and (entry.is_built_in or bool(entry.is_output))

    def _is_end(self, node: ForeignNode) -> bool:
        """Whether a node is run for itself, as far as can be told."""
        entry = self._table.get(node.type)
        is_known = entry is not None and node.type not in self._blocks
        if entry is None or not is_known or read_native_notes(node).name:
            return True
        return entry.is_end

    def _order(self) -> list[str]:
        needs = {
            node.id: [
                value.node
                for value in node.inputs.values()
                if isinstance(value, Source) and value.node in self.graph.nodes
            ]
            for node in self.graph.nodes.values()
        }
        order, cycles = topological_order(needs)
        if cycles:
            raise InvalidWorkflow([self._cycle(cycle) for cycle in cycles])
        return order

    def _cycle(self, cycle: Sequence[str]) -> Problem:
        shown = " → ".join(f"{each} ({self.graph.nodes[each].type})" for each in cycle)
        return Problem(
            "cycle",
            f"ComfyUI nodes depend on each other in a circle: {shown}",
            hint="Remove one of these links.",
        )

    def _inputs(self, node: ForeignNode) -> dict[str, Signal]:
        signals: dict[str, Signal] = {}
        for name, value in node.inputs.items():
            exposed = self.scope.exposed.get((node.id, name))
            if exposed is not None:
                signals[name] = exposed
            elif not isinstance(value, Source):
                at = (node.id, name)
                tag = Tag(
                    control=seed_control(node, name),
                    referenced_at=at if at in self._referenced_inputs else ("", ""),
                )
                signals[name] = Signal(value if tag == Tag() else with_tag(value, tag))
            elif (signal := self.signal(value)) is not None:
                signals[name] = signal
        if node.has_unreadable_values:
            shown = self.scope.exposed.items()
            signals |= {
                name: signal
                for (inner, name), signal in shown
                if inner == node.id and node.is_unreadable(name)
            }
        return signals

    def _translate(self, node: ForeignNode, inputs: Mapping[str, Signal]) -> None:
        if node.type in self._blocks:
            outputs = dict(enumerate(self._blocks.add_instance(node, inputs, self)))
            if self.mode(node) == "bypass":
                passed = self._bypass_outputs(node)
                outputs = {
                    slot: _through(signal, passed.get(slot)) for slot, signal in outputs.items()
                }
            self._give(node, outputs)
            return
        entry = self._table.get(node.type) or native_entry(node)
        if entry is None:
            self._placeholder(node, inputs, "nodegraph has no equivalent for it")
            return
        if node.is_undetermined:
            self._placeholder(node, inputs, _misfit(node))
            return
        arrival = ImportContext(node, entry.signature, inputs, self.builder, self.scope.ask_block)
        before = len(self.builder.nodes)
        try:
            entry.forward(arrival)
            outputs_given = self._outputs_of(node, entry.signature, arrival)
            names = [name for name, _ in entry.signature.outputs]
            arrival.leave_out_unused([names[at] for at in self._used[node.id] if at < len(names)])
        except Untranslatable as reason:
            self._take_back(arrival, before)
            self._placeholder(node, inputs, str(reason))
            return
        except Exception as error:  # noqa: BLE001 - a pack's entry may raise anything
            self._take_back(arrival, before)
            open_input = next(iter(arrival.open_inputs), "")
            why = f"its import function fails: {error!r}"
            if open_input:
                why = f"its input `{open_input}` is not connected"
            self._placeholder(node, inputs, why)
            return
        for message in ignored_values(node, entry, arrival):
            arrival.tell(message)
        self._record_node(node, arrival)
        self._arrivals.append((node, arrival, len(arrival.node_names)))
        self._give(node, outputs_given)

    def _take_back(self, arrival: ImportContext, before: int) -> None:
        """Remove what a node made, and what others made for it.

        Args:
            before: How many nodes there were.
        """
        arrival.undo()
        made = self.builder.since(before)
        if not made:
            return
        for name in made:
            self.builder.remove(name)
        for _, other, _ in self._arrivals:
            other.node_names = [name for name in other.node_names if name not in made]

    def _arrive_late(self) -> None:
        """Note what nodes made for others, such as patches of models for the sampler."""
        places = {fate.id: at for at, fate in enumerate(self.outcomes)}
        for node, arrival, known in self._arrivals:
            if len(arrival.node_names) <= known:
                continue
            for made_node in arrival.nodes():
                made_node.mode = self.mode(node)
            if not known:
                first = arrival.node_names[0]
                self.put(node, first)
                self.builder.nodes[first].origin = self._origin_of(node, arrival)
                noted = places[self.id(node)]
                outcome = self.outcomes[noted]
                messages = tuple(dict.fromkeys((*outcome.messages, *arrival.messages)))
                self.outcomes[noted] = replace(outcome, name=first, messages=messages)

    def _outputs_of(
        self, node: ForeignNode, signature: Signature, arrival: ImportContext
    ) -> dict[int, Signal | None]:
        mode = self.mode(node)
        if mode != "bypass":
            return self._all_given(node, signature, arrival)
        passed = self._bypass_outputs(node)
        if len(arrival.node_names) != 1 or not self._passes_alike(node, arrival, passed):
            return passed
        # What is left out runs on: links lead to it, and past it as long as it is bypassed.
        return {
            slot: _through(arrival.output_signals.get(name), passed.get(slot))
            for slot, (name, _) in enumerate(signature.outputs)
        }

    def _all_given(
        self, node: ForeignNode, signature: Signature, arrival: ImportContext
    ) -> dict[int, Signal | None]:
        signals: dict[int, Signal | None] = {}
        for slot, (name, _) in enumerate(signature.outputs):
            signals[slot] = arrival.output_signals.get(name)
            if signals[slot] is None and slot in self._used[node.id]:
                raise Untranslatable(f"nodegraph has no equivalent for its output `{name}`")
        return signals

    def _passes_alike(
        self, node: ForeignNode, arrival: ImportContext, passed: Mapping[int, Signal | None]
    ) -> bool:
        """Whether a bypassed native node passes the input that ComfyUI passes.

        It passes its first of a type. Some have two of a type in the reverse order.
        """
        (made,) = arrival.nodes()
        links = [value for value in made.inputs.values() if isinstance(value, MadeOutput)]
        kinds = [kind for _, kind in self._outputs(node)]
        for slot, signal in passed.items():
            of_type = {
                rival.content
                for source in node.inputs.values()
                if isinstance(source, Source) and self._type(source) == kinds[slot]
                if (rival := self.signal(source)) is not None and rival.is_link
            }
            first = next((link for link in links if link in of_type), None)
            if first is not None and signal is not None and signal.content != first:
                return False
        return True

    def _bypass_outputs(self, node: ForeignNode) -> dict[int, Signal | None]:
        """What stands for a bypassed node's outputs."""
        sources = [value for value in node.inputs.values() if isinstance(value, Source)]
        types = [(self._type(source), self.signal(source)) for source in sources]
        outputs = [kind for _, kind in self._outputs(node)]
        return dict(enumerate(match_bypass_outputs(outputs, types)))

    def _type(self, source: Source) -> str:
        """ComfyUI's type of an output; empty if nobody tells."""
        node = self.graph.nodes.get(source.node)
        outputs = self._outputs(node) if node else []
        return outputs[source.slot][1] if 0 <= source.slot < len(outputs) else ""

    def _outputs(self, node: ForeignNode) -> Sequence[tuple[str, str]]:
        if node.type in self._blocks:
            return self._blocks.outputs(node.type)
        entry = self._table.get(node.type) or native_entry(node)
        if entry is not None:
            return entry.signature.outputs
        return [(port.name, port.type) for port in node.ports]

    def _record_node(self, node: ForeignNode, arrival: ImportContext) -> None:
        """Note what became of a node."""
        made = arrival.nodes()
        for made_node in made:
            made_node.mode = self.mode(node)
        main = arrival.main
        for name in arrival.node_names:
            if name != main:
                self.builder.canvas.put_beside(name, main)
        if made:
            made[0].label = ""
            self.builder.nodes[main].label = node.title
            self.put(node, main)
            origin = self._origin_of(node, arrival)
            if len(made) > 1:
                origin["with"] = arrival.node_names[1:]
            made[0].origin = origin
        self.note(node, main, messages=tuple(arrival.messages))

    def put(self, node: ForeignNode, name: str) -> None:
        """Place what stands for a node."""
        spot = self.spot(node)
        if spot is not None:
            canvas = self.builder.canvas
            canvas.put(name, spot, node.color, is_collapsed=node.is_collapsed)

    def _origin_of(self, node: ForeignNode, arrival: ImportContext) -> dict[str, Any]:
        """What is kept of a node for the way back, with what its entry wants to be kept."""
        kept = arrival.to_keep
        return self._origin(node) | ({"values": dict(kept)} if kept else {})

    def _origin(self, node: ForeignNode) -> dict[str, Any]:
        kept = {key: value for key, value in node.raw.items() if key not in _TRANSLATED_KEYS}
        return {"id": self.id(node), "type": node.type} | ({"kept": kept} if kept else {})

    def note(
        self, node: ForeignNode, name: str, *, missing: str = "", messages: tuple[str, ...] = ()
    ) -> None:
        """Note what became of a node, for people."""
        if node.id in self._unused and node.mode is None:
            messages = (*messages, _IDLE)
        if node.has_unreadable_values and not missing:
            messages = (*messages, f"{_misfit(node)}: {TO_GIVE}")
        fate = TranslationOutcome(
            self.id(node), node.type, name, node.pack, missing, messages, node.models
        )
        self.outcomes.append(fate)

    def _placeholder(self, node: ForeignNode, inputs: Mapping[str, Signal], why: str) -> None:
        """Keep a node that can't be translated, with all that the file says of it."""
        mode = self.mode(node)
        made = add_placeholder(node, inputs, self.builder, mode)
        made.origin = {"id": self.id(node), **made.origin}
        self.put(node, made.name)
        self.note(node, made.name, missing=why)
        if mode == "bypass":
            self._give(node, self._bypass_outputs(node))
            return
        outputs = self._outputs(node)
        ports = output_ports(outputs, self._used[node.id])
        made.origin["outputs"] = list(ports.values())
        kinds = dict(enumerate(kind for _, kind in outputs))
        # What goes along with an input of the same type goes on.
        self._give(
            node,
            {
                slot: Signal(MadeOutput(made.name, port), self._along(node, kinds.get(slot, "")))
                for slot, port in ports.items()
            },
        )

    def _along(self, node: ForeignNode, kind: str) -> Mapping[str, Any]:
        """What goes along with the first input of a type."""
        sources = (value for value in node.inputs.values() if isinstance(value, Source))
        source = next((each for each in sources if kind and self._type(each) == kind), None)
        return self._carried(source) if source else {}

    def _carried(self, source: Source) -> Mapping[str, Any]:
        signal = self.signal(source)
        return signal.carried if signal else {}

    def _give(self, node: ForeignNode, outputs: Mapping[int, Signal | None]) -> None:
        for slot, signal in outputs.items():
            watched = signal
            if signal is not None and signal.carried:
                watched = Signal(signal.content, CarriedValues(signal.carried))
            self._signals[Source(node.id, slot)] = watched

    def _report_unread_carried(self) -> None:
        """Tell of what goes along with outputs and nobody has looked at."""
        lost: dict[str, list[str]] = {}
        for source, signal in self._signals.items():
            carried = signal.carried if signal else {}
            is_lost = isinstance(carried, CarriedValues) and not carried.was_read
            if is_lost and source.slot in self._used[source.node]:
                node = self.graph.nodes[source.node]
                lost.setdefault(self.id(node), []).extend(carried)
        self.outcomes = [
            replace(
                fate,
                messages=(*fate.messages, f"no node uses its settings ({', '.join(keys)})"),
            )
            if (keys := lost.get(fate.id))
            else fate
            for fate in self.outcomes
        ]


def seed_control(node: ForeignNode, name: str) -> str:
    """What happens to an input after a run, as layouts say it; empty if nothing does."""
    return _CONTROLS.get(node.control.get(name, ""), "")


def _misfit(node: ForeignNode) -> str:
    """Which of a node's values are left out, for people."""
    alone = [f"`{name}`" for name in node.unreadable_inputs if name not in node.inputs]
    parts = [f"of {', '.join(alone)}"] if alone else []
    parts += [f"from `{node.unreadable_from}` on"] if node.unreadable_from else []
    return _MISFIT.format(" and ".join(parts))


def _through(output: Signal | None, passed: Signal | None) -> Signal | None:
    """What leads through a bypassed node: its output, with what goes along past it."""
    if output is None or passed is None or not output.is_link:
        return passed
    return Signal(output.content, passed.carried)


def _shifted(spot: Rectangle, shift: tuple[float, float]) -> Rectangle:
    return replace(spot, x=spot.x + shift[0], y=spot.y + shift[1])


def _moved(frame: Frame, shift: tuple[float, float]) -> Frame:
    return replace(frame, bounds=_shifted(frame.bounds, shift))
