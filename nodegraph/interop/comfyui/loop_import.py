"""Import of ComfyUI's loops: what stands between `StartLoop` and `EndLoop` as a native subgraph.

Both nodes are placeholders at first, among the translated nodes of their graph. So what stands
between them is translated as everything else is, with all that it needs to know of nodes outside.
Then it moves to a subgraph, and a native loop that runs the subgraph replaces the two nodes.

Sources: ComfyUI, ``comfy_extras/nodes_loop.py`` and ``comfy_execution/validation.py``. There, an
end belongs to the innermost start before it that no other end belongs to, and a loop runs all that
depends on its start. The first turn takes `initial_iteration_value`, each other one the
`next_iteration_value` of the turn before. The end gives the last turn's `output_value`, or a list
of those of all turns if `accumulate` is set.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from nodegraph.core.parts import PLACEHOLDER, Subgraph, SubgraphInput
from nodegraph.interop.comfyui.foreign_workflow import BLOCK, TranslationOutcome
from nodegraph.interop.comfyui.graph_builder import GraphBuilder, MadeNode, Names
from nodegraph.interop.comfyui.literal_tags import tag_of
from nodegraph.interop.comfyui.translating import MadeOutput, Untranslatable

_START, _END = PLACEHOLDER + "StartLoop", PLACEHOLDER + "EndLoop"
_STATE, _ITEM, _INDEX = "current_iteration_value", "list_item", "iteration_index"
_DEFAULTS = {
    "mode": "simple",
    "mode_num_iterations": 4,
    "mode_start_iteration_index": 0,
    "mode_max_iteration": 4,
    "mode_step": 1,
    "accumulate": False,
}
"""Values of inputs that the file leaves out."""
_FIRST = {"Fold": "initial", "Scan": "state"}
"""Inputs of native loops for what the first turn takes."""
_RESERVED = frozenset(("items", "item", "index", "state", "initial", "accumulated", "body"))
"""Inputs of native loops and of their subgraphs, which no other input may have the name of."""
_PLAIN = frozenset(("on_true", "on_false", "value", "first", "second", "a", "b", "c", "d"))
"""Inputs whose names say nothing: the subgraph's input is named after the node that gives it."""
_LISTS = frozenset(("List", "Range", "ImageList", "ChunkList", "Slice", "Lines"))
"""Native nodes that give a list, of which a list of all turns would be a list of lists."""


class Definitions(Protocol):
    """Takes the subgraphs of loops."""

    def define(
        self,
        title: str,
        subgraph: Subgraph,
        layout: Mapping[str, Any],
        outcomes: Iterable[TranslationOutcome],
    ) -> str:
        """Keep a subgraph; returns its name."""


@dataclass
class _Loop:
    """A start, its end, and the names of what stands between."""

    start: str
    end: str
    body: set[str]


def translate_loops(
    graph: GraphBuilder,
    since: int,
    outputs: Collection[MadeOutput],
    definitions: Definitions,
    outcomes: list[TranslationOutcome],
) -> dict[MadeOutput, MadeOutput]:
    """Replace the loops of a graph by native ones, those that can be.

    Args:
        since: The number of nodes that were there before: loops among those stay.
        outputs: What leaves the graph.
        outcomes: What became of each node; changed in place.
    Returns:
        What stands for outputs of nodes that are gone.
    """
    names = list(reversed(graph.since(since)))
    if not any(graph.nodes[name].type in (_START, _END) for name in names):
        return {}
    replaced: dict[MadeOutput, MadeOutput] = {}
    loops, reasons = _find_loops(graph, names)
    waiting = list(loops)
    while waiting:
        loop = waiting.pop(0)
        try:
            native, output = _Lifting(graph, loop, outputs, definitions).run(outcomes)
        except Untranslatable as reason:
            # A loop around it is refused too, because its body has placeholders then.
            reasons |= dict.fromkeys((loop.start, loop.end), str(reason))
            continue
        replaced[MadeOutput(loop.end, "outputs")] = output
        for other in waiting:
            if loop.start in other.body or loop.end in other.body:
                other.body -= {loop.start, loop.end, *loop.body}
                other.body |= set(native)
    outcomes[:] = [
        replace(each, untranslated_reason=reasons[each.name]) if each.name in reasons else each
        for each in outcomes
    ]
    return replaced


def _find_loops(graph: GraphBuilder, names: list[str]) -> tuple[list[_Loop], dict[str, str]]:
    """The loops, inner ones first, and why other starts and ends are none."""
    starts = {name for name in names if graph.nodes[name].type == _START}
    ends = [name for name in names if graph.nodes[name].type == _END]
    readers = _readers(graph)
    loops: list[_Loop] = []
    reasons: dict[str, str] = {}
    # Nodes are made in topological order: no end that comes later stands before an earlier one.
    for end in ends:
        candidates = _reach(_sources(graph, end), lambda name: _sources(graph, name), starts)
        candidates &= starts
        closest = [
            each
            for each in candidates
            if all(
                other == each
                or each in _reach(readers.get(other, ()), lambda n: readers.get(n, ()))
                for other in candidates
            )
        ]
        if len(closest) != 1:
            reasons[end] = "it is not clear which `StartLoop` it belongs to"
            continue
        (start,) = closest
        starts.discard(start)
        body = _reach(readers.get(start, ()), lambda name: readers.get(name, ()), {end}) - {end}
        loops.append(_Loop(start, end, body))
    reasons |= dict.fromkeys(starts, "no `EndLoop` belongs to it")
    return loops, reasons


def _reach(first: Iterable[str], follow: Any, stop: Collection[str] = ()) -> set[str]:
    """Nodes that are reached from some, without going beyond those at which to stop."""
    reached: set[str] = set()
    waiting = list(first)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [] if name in stop else follow(name)
    return reached


def _sources(graph: GraphBuilder, name: str) -> list[str]:
    node = graph.nodes.get(name)
    values = node.inputs.values() if node else ()
    return [each.node for each in values if isinstance(each, MadeOutput) and each.node != BLOCK]


def _readers(graph: GraphBuilder) -> dict[str, list[str]]:
    """The nodes that are linked to each node."""
    readers: dict[str, list[str]] = {}
    for name in graph.nodes:
        for source in _sources(graph, name):
            readers.setdefault(source, []).append(name)
    return readers


class _Lifting:
    """Moves the body of one loop to a subgraph.

    Raises:
        Untranslatable: A native loop cannot do it; nothing is changed.
    """

    def __init__(
        self,
        graph: GraphBuilder,
        loop: _Loop,
        outputs: Collection[MadeOutput],
        definitions: Definitions,
    ) -> None:
        self._graph = graph
        self._loop = loop
        self._definitions = definitions
        self._start = graph.nodes[loop.start]
        self._end = graph.nodes[loop.end]
        self._mode = self._value(self._start, "mode")
        self._next = self._end.inputs.get("next_iteration_value")
        self._output = self._end.inputs.get("output_value")
        self._check(outputs)
        is_fold = self._next is not None and self._next == self._output
        self._native = "ForEach" if self._next is None else "Fold" if is_fold else "Scan"
        self._carried = "accumulated" if is_fold else "state"
        self._created: list[str] = []

    def _value(self, node: MadeNode, port: str) -> Any:
        return node.inputs.get(port, _DEFAULTS.get(port))

    def _check(self, outputs: Collection[MadeOutput]) -> None:
        nodes, body = self._graph.nodes, self._loop.body
        if any(output.node in {self._loop.start, *body} for output in outputs):
            raise Untranslatable("what it repeats leads out of the subgraph before its `EndLoop`")
        if self._start.mode is not None or self._end.mode is not None:
            raise Untranslatable("it is muted or bypassed")
        strange = {nodes[name].type for name in body if nodes[name].type.startswith(PLACEHOLDER)}
        if strange:
            kind = min(strange).removeprefix(PLACEHOLDER)
            raise Untranslatable(f"it repeats `{kind}`, and nodegraph has no equivalent for that")
        if self._output is None:
            raise Untranslatable("its `EndLoop` gives nothing")
        for value in (self._output, self._next):
            is_inside = isinstance(value, MadeOutput) and value.node in body
            if value is not None and not is_inside:
                raise Untranslatable("its `EndLoop` takes a value that no node of the loop gives")
        accumulate = self._value(self._end, "accumulate")
        if not isinstance(accumulate, bool) or self._mode not in ("simple", "For", "List"):
            raise Untranslatable("the import needs to know its `mode` and `accumulate`")
        # A loop inside that accumulates gives a list, too.
        is_list = nodes[self._output.node].type in _LISTS or self._output.port == "results"
        if accumulate and is_list:
            raise Untranslatable("each turn gives a list, and ComfyUI joins these lists")
        if self._mode == "List" and "mode_list" not in self._start.inputs:
            raise Untranslatable("its list is not connected")
        used = {
            value.port
            for name in body
            for value in nodes[name].inputs.values()
            if isinstance(value, MadeOutput) and value.node == self._loop.start
        }
        if _ITEM in used and self._mode != "List":
            raise Untranslatable("a node takes its list item, and it repeats no list")
        if _STATE in used and self._first_state() is None:
            raise Untranslatable("its first turn takes no value: `initial_iteration_value` is open")

    def _first_state(self) -> Any:
        """What the first turn takes; an empty list, of which it takes nothing, if it is open."""
        first = self._start.inputs.get("initial_iteration_value")
        is_list = self._next is not None and self._graph.nodes[self._next.node].type in _LISTS
        return [] if first is None and is_list else first

    def run(self, outcomes: list[TranslationOutcome]) -> tuple[list[str], MadeOutput]:
        """Make the native loop; returns its nodes, and what it gives."""
        title = self._start.label or self._end.label or "Loop"
        made = self._graph.add(title, self._native, {}, like=self._loop.start)
        self._created.append(made.name)
        first = self._first_state()
        if self._next is not None and (first is None or first == []):
            first = MadeOutput(self._add("List"), "output")
        items = self._items()
        inner = self._graph.extract(self._loop.body)
        taken = self._link_inside(inner, items, first)
        ends = [end for end in (self._output, self._next) if end is not None]
        inner.needed = {end.node for end in ends}
        subgraph = Subgraph(
            inputs=taken.ports(inner), outputs=self._outputs(), nodes=inner.entries()
        )
        moved = [each for each in outcomes if each.name in self._loop.body]
        made.inputs = {
            "items": items,
            **({} if self._next is None else {_FIRST[self._native]: first}),
            "body": self._definitions.define(title, subgraph, inner.layout(), moved),
            **taken.outside,
        }
        output = self._result(made.name)
        self._graph.relink({MadeOutput(self._loop.end, "outputs"): output})
        self._graph.canvas.take_over(made.name, self._loop.start)
        for name in (self._loop.start, self._loop.end):
            self._graph.remove(name)
        outcomes[:] = [
            replace(each, name=made.name, untranslated_reason="")
            if each.name in (self._loop.start, self._loop.end)
            else each
            for each in outcomes
            if each not in moved
        ]
        return self._created, output

    def _items(self) -> Any:
        """The list that the native loop runs over."""
        if self._mode == "List":
            return self._start.inputs["mode_list"]
        ports = {"stop": "mode_num_iterations"}
        if self._mode == "For":
            ports = {"start": "mode_start_iteration_index", "stop": "mode_max_iteration"}
            ports["step"] = "mode_step"
        values = {port: self._value(self._start, theirs) for port, theirs in ports.items()}
        return MadeOutput(self._add("Range", **values), "numbers")

    def _link_inside(self, inner: GraphBuilder, items: Any, first: Any) -> _Taken:
        """Have the body's nodes take what comes from outside by the subgraph's inputs."""
        of_turn = ["item", *([self._carried] if self._next is not None else [])]
        taken = _Taken(of_turn)
        flags: dict[str, MadeOutput] = {}
        for node in list(inner.nodes.values()):
            for port, value in list(node.inputs.items()):
                is_link = isinstance(value, MadeOutput)
                if not is_link or value.node not in {*inner.nodes, self._loop.start}:
                    node.inputs[port] = taken.take(port, value)
                elif value.node == self._loop.start and value.port in ("is_first", "is_last"):
                    if value.port not in flags:
                        flags[value.port] = self._flag(inner, value.port, items, taken)
                    node.inputs[port] = flags[value.port]
                elif value.node == self._loop.start:
                    node.inputs[port] = self._of_turn(value.port, first, taken)
        return taken

    def _of_turn(self, port: str, first: Any, taken: _Taken) -> Any:
        """What stands inside for an output of the start."""
        if port == _STATE:
            # Where nothing is sent back, each turn takes the first value.
            is_carried = self._next is not None
            return MadeOutput(BLOCK, self._carried) if is_carried else taken.take("state", first)
        is_index = port == _INDEX and self._mode == "List"
        return MadeOutput(BLOCK, "index" if is_index else "item")

    def _flag(self, inner: GraphBuilder, port: str, items: Any, taken: _Taken) -> MadeOutput:
        """Whether a turn is the first or the last one."""
        inputs: dict[str, Any] = {"expression": "a == 0", "a": MadeOutput(BLOCK, "index")}
        if port == "is_last":
            count = MadeOutput(self._add("Length", items=items), "number")
            inputs |= {"expression": "a == b - 1", "b": taken.take("count", count)}
        return MadeOutput(inner.add(port, "Formula", inputs).name, "truth")

    def _outputs(self) -> dict[str, str]:
        outputs = {} if self._native == "Fold" else {"result": _written(self._output)}
        return outputs | ({} if self._next is None else {self._carried: _written(self._next)})

    def _result(self, name: str) -> MadeOutput:
        """What the loop gives: all turns' values, or the last one's."""
        if self._value(self._end, "accumulate"):
            return MadeOutput(name, "results")
        if self._native == "Fold":
            return MadeOutput(name, "result")
        return MadeOutput(self._add("Item", items=MadeOutput(name, "results"), index=-1), "output")

    def _add(self, node_type: str, **inputs: Any) -> str:
        """Make a node near the loop."""
        name = self._graph.add(node_type, node_type, inputs, like=self._loop.start).name
        self._graph.canvas.put_beside(name, self._created[0])
        self._created.append(name)
        return name


class _Taken:
    """Inputs of a loop's subgraph.

    Attributes:
        outside: What the loop's node gives those that are not of a turn.
    """

    def __init__(self, of_turn: Iterable[str]) -> None:
        self._of_turn = list(of_turn)
        self._names = Names(set(_RESERVED))
        self._known: list[tuple[Any, str]] = []
        self.outside: dict[str, Any] = {}

    def take(self, port: str, value: Any) -> Any:
        """What gives a value inside.

        Args:
            port: What it is called after.
        """
        if not isinstance(value, MadeOutput) and not tag_of(value).block_input:
            return value
        for known, name in self._known:
            if known == value and tag_of(known).block_input == tag_of(value).block_input:
                return MadeOutput(BLOCK, name)
        wanted = value.node if port in _PLAIN and isinstance(value, MadeOutput) else port
        name = self._names.reserve(port if wanted == BLOCK else wanted)
        self._known.append((value, name))
        self.outside[name] = value
        return MadeOutput(BLOCK, name)

    def ports(self, inner: GraphBuilder) -> dict[str, SubgraphInput]:
        """The subgraph's inputs, with the inner inputs that they lead to."""
        targets: dict[str, list[str]] = {name: [] for name in (*self._of_turn, *self.outside)}
        for node in inner.in_order().values():
            for port, name in node.from_block().items():
                targets.setdefault(name, []).append(f"{node.name}.{port}")
        return {name: SubgraphInput(to=to) for name, to in targets.items()}


def _written(value: Any) -> str:
    return f"{value.node}.{value.port}" if value.port else str(value.node)
