"""Find the native inputs that depend on unreadable values, by trial translations.

The table may hand a value on, work out something of it, or build other nodes by it, in its node or
far behind it. So other values are translated in place of the lost ones, each node with what it is
linked to alone, and once for all nodes that stand in the same way: inputs that change with them
depend on them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from nodegraph.core.links import is_link
from nodegraph.core.parts import PLACEHOLDER, NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.entries import InputSignature, TableEntry
from nodegraph.interop.comfyui.foreign_workflow import (
    ForeignGraph,
    ForeignNode,
    ForeignWorkflow,
    Source,
)
from nodegraph.interop.comfyui.import_context import ImportContext
from nodegraph.interop.comfyui.literal_tags import strip_tags
from nodegraph.interop.comfyui.similar_nodes import SimilarNodes, group_similar_nodes


def ignored_values(node: ForeignNode, entry: TableEntry, arrival: ImportContext) -> Iterator[str]:
    """Tell of a node's values that differ from the defaults and that nothing here stands for."""
    for name in entry.unused:
        value = node.inputs.get(name)
        taken = entry.signature.find_input(name)
        if value is not None and taken is not None and value != taken.default:
            text = "its linked value" if isinstance(value, Source) else repr(strip_tags(value))
            yield f"nodegraph has no equivalent for its `{name}`: {text} has no effect"
    for taken in entry.signature.widgets:
        value = node.inputs.get(taken.name)
        is_word = taken.type == "COMBO" and isinstance(taken.default, str)
        is_word = is_word and isinstance(value, str) and value != taken.default
        if not is_word or entry.is_idle(taken.name):
            continue
        if str(value) not in entry.code_texts and not _is_handed_on(str(value), arrival):
            yield (
                f"its `{taken.name}` is {strip_tags(value)!r} in ComfyUI, which is not "
                "known: results may differ"
            )


def _is_handed_on(word: str, arrival: ImportContext) -> bool:
    """Whether something made of a node has a word of it, whole or a part, or people are told."""
    values = [value for made in arrival.nodes() for value in made.inputs.values()]
    values += [
        part
        for signal in arrival.output_signals.values()
        for part in (signal.content, signal.carried)
    ]
    # Families are spelled with hyphens.
    spellings = (word, word.replace("_", "-"))
    if any(each in str(other) for each in spellings for other in (*values, *arrival.messages)):
        return True
    return any(isinstance(each, str) and len(each) > 1 and each in word for each in values)


def trial_values(
    taken: InputSignature, lost: Sequence[InputSignature], words: Sequence[str]
) -> Iterator[Any]:
    """Values that a widget may have, other than its default.

    Args:
        lost: Inputs of which some may be there with certain values of this one alone.
        words: What the type's entry tells apart.
    """
    usual = taken.default
    for value in _possible(taken, lost, words):
        if value != usual or type(value) is not type(usual):
            yield value


def _possible(
    taken: InputSignature, lost: Sequence[InputSignature], words: Sequence[str]
) -> list[Any]:
    usual = taken.default
    match taken.type:
        case "BOOLEAN":
            return [not usual]
        case "INT":
            # Sizes go in steps of eight, and what others do to them is no value of the file's.
            whole = int(usual or 0)
            below = [whole - 8, whole // 2, 8] if whole > 8 else [whole - 1] if whole > 1 else []
            return [whole + 8, *below, whole + 24]
        case "FLOAT":
            number = float(usual or 0.0)
            steps = (0.25, 0.125, -0.25) if number <= 0.75 else (-0.25, -0.125, 0.25)
            return [moved for step in steps if (moved := number + step) >= 0 or number < 0]
        case "COLOR":
            return ["#123456", "#fedcba"]
    alike = re.sub(r"\d", "7", usual) if isinstance(usual, str) else ""
    texts = [alike] if taken.type == "STRING" and alike != usual and alike else []
    texts += ["another", "a third"]
    if taken.type == "COMBO" and isinstance(usual, str):
        texts += [word for each in lost if each.parent == taken.name for word in each.when]
        texts += words
    return list(dict.fromkeys(texts))


_MOST_NODES = 40_000
"""Nodes that are translated to find what unread values become, of one file."""

Maker = tuple[tuple[str | int, ...], int]
"""Where the node stands that a native one was made of, and the how manyth of these it is."""
_Port = tuple[str, str, str]
"""Sub-graph, or nothing, node and input."""
Ports = Mapping[_Port, Sequence[str]]
"""Inputs with what ComfyUI calls the widgets that each depends on."""


@dataclass(frozen=True)
class TrialTranslation:
    """A translation.

    Attributes:
        makers: Of the nodes that aren't in sub-graphs.
    """

    workflow: Workflow
    makers: Mapping[str, Maker]


_Trial = TypeVar("_Trial", bound=TrialTranslation)


def find_unread_ports(
    foreign: ForeignWorkflow,
    entries: Mapping[str, TableEntry],
    base: _Trial,
    translate: Callable[[ForeignWorkflow], _Trial],
) -> tuple[_Trial, Ports]:
    """The inputs that depend on values that weren't read.

    Nodes of which more than values of inputs depends on them become placeholders.

    Args:
        base: The workflow's translation.
    Returns:
        The translation with these, and the inputs in it.
    """
    probing = _Probing(entries, translate)
    groups = list(group_similar_nodes(foreign, entries))
    results: dict[int, Mapping[_Spot, list[str]]] = {}
    waiting = list(range(len(groups)))
    changed = False
    while waiting:
        unclear: set[tuple[str, str]] = set()
        for at in waiting:
            spots = probing.probe(foreign, groups[at])
            if spots is None:
                results.pop(at, None)
                unclear |= {(scope, member[0]) for scope, member in groups[at].places()}
            else:
                results[at] = spots
        if unclear:
            foreign = _marked_unclear(foreign, unclear)
        # What becomes a placeholder may change what stands around it.
        waiting = [at for at in results if unclear and groups[at].is_near(unclear)]
        changed = changed or bool(unclear)
    final = translate(foreign) if changed else base
    names = {maker: name for name, maker in final.makers.items()}
    ports: dict[_Port, list[str]] = {}
    for at, each in results.items():
        for port, lost in _spread(groups[at], each, names):
            ports[port] = list(dict.fromkeys((*ports.get(port, ()), *lost)))
    return final, ports


_Spot = tuple[str, Any, str]
"""Sub-graph and node's name, or nothing and its maker; and input."""


class _Probing:
    def __init__(
        self,
        entries: Mapping[str, TableEntry],
        translate: Callable[[ForeignWorkflow], TrialTranslation],
    ) -> None:
        self._entries = entries
        self._translate = translate
        self._left = _MOST_NODES

    def probe(self, foreign: ForeignWorkflow, group: SimilarNodes) -> dict[_Spot, list[str]] | None:
        """The inputs that depend on what a group lacks; None if more than inputs may."""
        probe = _Probe(self, _reduced(foreign, group.kept()), group)
        try:
            return probe.ports(self._entries[group.type])
        except _Undetermined:
            return None

    def traces(self, foreign: ForeignWorkflow) -> _Traces:
        self._left -= sum(len(graph.nodes) for graph in foreign_graphs(foreign))
        if self._left < 0:
            raise _Undetermined
        return _Traces(self._translate(foreign))


class _Undetermined(Exception):
    """What a value becomes can't be said by inputs alone, or takes too long to find."""


class _Probe:
    def __init__(self, probing: _Probing, foreign: ForeignWorkflow, group: SimilarNodes) -> None:
        self._probing = probing
        self._foreign = foreign
        self._group = group
        self._tried = group.tried()
        self._ports: dict[_Port, list[str]] = {}
        self._seen: set[str] = set()

    def ports(self, entry: TableEntry) -> dict[_Spot, list[str]]:
        """
        Raises:
            _Undetermined: More than values of inputs depends on what is lost.
        """
        lost = self._group.unreadable
        usual = self._traces({})
        values = {each.name: list(trial_values(each, lost, entry.code_texts)) for each in lost}
        deciding: list[tuple[dict[str, Any], _Traces]] = [({}, usual)]
        for each in lost:
            for value in values[each.name]:
                results = self._compared(usual, each.name, value)
                if results is not None and each.type in ("COMBO", "BOOLEAN"):
                    deciding.append(({each.name: value}, results))
        for fixed, traces in deciding:
            self._together(fixed, traces, values)
        choices = (each.name for each in lost if each.type == "COMBO")
        if any(name not in self._seen and not entry.is_idle(name) for name in choices):
            # Nothing that it could be is known.
            raise _Undetermined
        return {usual.spot(port): names for port, names in self._ports.items()}

    def _together(
        self, fixed: Mapping[str, Any], traces: _Traces, values: Mapping[str, Sequence[Any]]
    ) -> None:
        """Find what only several values together change.

        Args:
            fixed: A value that may let others count.
            traces: What is translated with that alone.
        """
        others = {name: each for name, each in values.items() if name not in fixed and each}
        for at in (0, 1):
            tried = {name: each[at % len(each)] for name, each in others.items()}
            if not tried or (len(tried) == 1 and not fixed):
                continue
            full = self._traces({**fixed, **tried})
            if full.is_refused(traces):
                continue
            new = traces.changed(full) - self._ports.keys()
            for name in tried if new else ():
                less = {other: value for other, value in tried.items() if other != name}
                for port in full.changed(self._traces({**fixed, **less})) & new:
                    self._note(port, name)
            for port in new - self._ports.keys():
                self._note(port, *tried)

    def _compared(self, usual: _Traces, name: str, value: Any) -> _Traces | None:
        """Note what another value changes; returns what it leads to, if that is anything."""
        other = self._traces({name: value})
        if other.is_refused(usual):
            return None  # nobody can give that here
        changed = usual.changed(other)
        for port in changed:
            self._note(port, name)
        if not changed and other.notes == usual.notes:
            return None
        self._seen.add(name)
        return other

    def _note(self, port: _Port, *names: str) -> None:
        known = self._ports.setdefault(port, [])
        known += [name for name in names if name not in known]
        self._seen |= set(names)

    def _traces(self, stand_ins: Mapping[str, Any]) -> _Traces:
        return self._probing.traces(
            _with_nodes(
                self._foreign,
                lambda scope, node: (
                    replace(node, trial_values=stand_ins if (scope, node.id) in self._tried else {})
                    if node.has_unreadable_values
                    else node
                ),
            )
        )


class _Traces:
    """What a translation says, apart by what it says it with.

    Attributes:
        literals: Values of inputs.
        structure: All else that a run depends on.
        notes: What is kept for the way back, and changes nothing here.
        placeholders: Types of nodes that can't be translated.
    """

    def __init__(self, trial: TrialTranslation) -> None:
        workflow = trial.workflow
        self._makers = trial.makers
        self.literals: dict[_Port, Any] = {}
        self.structure: list[Any] = []
        self.placeholders: list[str] = []
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
            if entry.type.startswith(PLACEHOLDER):
                self.placeholders.append(entry.type)
            links = {port: value for port, value in entry.inputs.items() if is_link(value)}
            written = (entry.type, entry.mode, entry.always, entry.version, links)
            self.structure.append((scope, name, written))
            self.literals |= {
                (scope, name, port): value
                for port, value in entry.inputs.items()
                if port not in links
            }

    def spot(self, port: _Port) -> _Spot:
        scope, name, of_node = port
        return scope, name if scope else self._makers.get(name, ((), 0)), of_node

    def is_refused(self, usual: _Traces) -> bool:
        """Whether less can be translated than with other values."""
        return len(self.placeholders) > len(usual.placeholders)

    def changed(self, other: _Traces) -> set[_Port]:
        """The inputs that differ.

        Raises:
            _Undetermined: More than these does.
        """
        if other.structure != self.structure:
            raise _Undetermined
        return {
            port
            for port in self.literals.keys() | other.literals.keys()
            if _is_other(self.literals.get(port), other.literals.get(port))
        }


def _is_other(value: Any, other: Any) -> bool:
    return type(value) is not type(other) or value != other


def foreign_graphs(foreign: ForeignWorkflow) -> Iterator[ForeignGraph]:
    """The graph of a workflow, then those of its blocks."""
    yield foreign.graph
    yield from (block.graph for block in foreign.blocks.values())


def _reduced(foreign: ForeignWorkflow, names: Collection[str]) -> ForeignWorkflow:
    """The workflow with some of its nodes alone, and the blocks that they are of."""
    nodes = {name: node for name, node in foreign.graph.nodes.items() if name in names}
    blocks: dict[str, Any] = {}
    waiting = [node.type for node in nodes.values()]
    while waiting:
        name = waiting.pop()
        if name in foreign.blocks and name not in blocks:
            blocks[name] = foreign.blocks[name]
            waiting += [node.type for node in blocks[name].graph.nodes.values()]
    ordered = {name: block for name, block in foreign.blocks.items() if name in blocks}
    return replace(foreign, graph=ForeignGraph(nodes), blocks=ordered)


def _with_nodes(
    foreign: ForeignWorkflow, change: Callable[[str, ForeignNode], ForeignNode]
) -> ForeignWorkflow:
    """A workflow of which each node, those of blocks as well, is another one."""

    def changed(scope: str, graph: ForeignGraph) -> ForeignGraph:
        nodes = {name: change(scope, node) for name, node in graph.nodes.items()}
        return replace(graph, nodes=nodes)

    blocks = {
        name: replace(block, graph=changed(name, block.graph))
        for name, block in foreign.blocks.items()
    }
    return replace(foreign, graph=changed("", foreign.graph), blocks=blocks)


def _marked_unclear(
    foreign: ForeignWorkflow, nodes: Collection[tuple[str, str]]
) -> ForeignWorkflow:
    return _with_nodes(
        foreign,
        lambda scope, node: (
            replace(node, is_undetermined=True) if (scope, node.id) in nodes else node
        ),
    )


def _spread(
    group: SimilarNodes, spots: Mapping[_Spot, list[str]], names: Mapping[Maker, str]
) -> Iterator[tuple[_Port, list[str]]]:
    """The inputs of all members, by what was found of the first."""
    for (scope, node, port), lost in spots.items():
        if scope:
            yield (scope, node, port), lost
            continue
        path, count = node
        for member in group.members if not group.scopes else group.members[:1]:
            there = path
            if not group.scopes and path:
                there = (member[group.members[0].index(path[0])], *path[1:])
            if (there, count) in names:
                yield ("", names[there, count], port), lost
