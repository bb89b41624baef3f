"""What node classes of ComfyUI see of the run around them, and the graphs that they return.

`RunPrompt` is the hidden input DYNPROMPT, `original_prompt` the hidden input PROMPT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nodegraph.core.links import Expand, Value, is_link, write_literal
from nodegraph.core.ports import BLOCKED, Blocked, RawLink, RunNode
from nodegraph.errors import InvalidValue
from nodegraph.interop.comfyui.packs.graph_utils import (
    CurrentNodeContext,
    ExecutingContext,
    ExecutionBlocker,
    ExpansionBuilder,
    ExpansionNode,
    add_graph_prefix,
    get_executing_context,
    is_prompt_link,
)

if TYPE_CHECKING:
    from nodegraph.core.spec import NodeSpec
    from nodegraph.interop.comfyui.entries import TableEntry
    from nodegraph.interop.comfyui.foreign_workflow import Source

NATIVE = "nodegraph."
"""Prefix of node types that are not the pack's, where a pack reads the graph of the run."""


def modules() -> dict[str, dict[str, Any]]:
    """Return the names that packs import, by module."""
    graph = {
        "ExecutionBlocker": ExecutionBlocker,
        "GraphBuilder": ExpansionBuilder,
        "Node": ExpansionNode,
        "add_graph_prefix": add_graph_prefix,
        "is_link": is_prompt_link,
    }
    return {
        "comfy_execution.graph_utils": graph,
        "comfy_execution.graph": {
            "DynamicPrompt": RunPrompt,
            "ExecutionBlocker": ExecutionBlocker,
            "is_link": is_prompt_link,
        },
        "comfy_execution.utils": {
            "CurrentNodeContext": CurrentNodeContext,
            "ExecutionContext": ExecutingContext,
            "get_executing_context": get_executing_context,
        },
    }


# The run around a node


@dataclass
class NodeIds:
    """Ids of nodes as a client of ComfyUI's API wrote them, and names in the run.

    Args:
        workflow: The workflow of the run.
    """

    workflow: Mapping[str, Any]
    ids: dict[str, str] = field(init=False)
    names: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        origins = (self.workflow.get("ui") or {}).get("comfyui") or {}
        known = origins.get("nodes") or {} if isinstance(origins, Mapping) else {}
        self.ids = {
            name: str(origin["id"])
            for name, origin in known.items()
            if isinstance(origin, Mapping) and "id" in origin
        }
        self.names = {node_id: name for name, node_id in self.ids.items()}

    def id_of(self, name: str) -> str:
        """Return the id of a node of the run: its name, if it did not come from ComfyUI."""
        return self.ids.get(name, name)

    def name_of(self, node_id: str) -> str:
        """Return the name of a node by its id."""
        return self.names.get(node_id, node_id)


@dataclass
class RunLinks:
    """Links to outputs of nodes of the run, as pairs of an id and a slot.

    Packs count outputs from 0, and the run knows them by name. Outputs of other node types than the
    pack's are counted in the order in which they are met: a pack has them from links alone.

    Args:
        ids: Ids of the nodes.
        outputs: Names of the outputs of the pack's own node types, by type.
        graph: Nodes of the run; None if the node does not read them.
    """

    ids: NodeIds
    outputs: Mapping[str, Sequence[str]]
    graph: Mapping[str, RunNode] | None = None
    _met: dict[str, list[str]] = field(default_factory=dict)

    def known_outputs(self, node: str) -> Sequence[str] | None:
        """Return the names of a node's outputs; None if its type is not the pack's."""
        run_node = self.graph.get(node) if self.graph is not None and node in self.graph else None
        return None if run_node is None else self.outputs.get(run_node.type)

    def link(self, source: RawLink[Any]) -> list[Any]:
        """Return a link as packs see it."""
        known = self.known_outputs(source.node)
        if known is not None and source.port in known:
            return [self.ids.id_of(source.node), list(known).index(source.port)]
        met = self._met.setdefault(source.node, [])
        if source.port not in met:
            met.append(source.port)
        return [self.ids.id_of(source.node), met.index(source.port)]

    def source(self, link: Sequence[Any]) -> RawLink[Any]:
        """Return the output of the run that a link of a pack names.

        Raises:
            InvalidValue: The pack cannot know the output.
        """
        name, slot = self.ids.name_of(str(link[0])), int(link[1])
        ports = self.known_outputs(name) or self._met.get(name, [])
        if not 0 <= slot < len(ports):
            raise InvalidValue(
                "an expansion is linked to an output that the node did not receive",
                given=f"output {slot} of node `{link[0]}`",
                expected="a link from a rawLink input or from DYNPROMPT",
            )
        return RawLink(name, ports[slot])

    def is_known(self, node_id: str) -> bool:
        """Whether an id is that of a node of the run."""
        name = self.ids.name_of(node_id)
        return name in self._met or (self.graph is not None and name in self.graph)


class RunPrompt:
    """The nodes of the run before a node: the hidden input DYNPROMPT.

    Node types of the pack have their class names, all others `NATIVE` before theirs. An expansion
    may contain both.

    Args:
        links: Links of the run; with a graph.
        pack: Prefix of the pack's node types.
        names: Names of inputs by port, by node type of the pack.
        original: The hidden input PROMPT.
    """

    def __init__(
        self,
        links: RunLinks,
        pack: str,
        names: Mapping[str, Mapping[str, str]],
        original: Mapping[str, Any],
    ) -> None:
        assert links.graph is not None
        self._links = links
        self._graph = links.graph
        self._own = f"{pack}:"
        self._names = names
        self.original_prompt = original

    def _name(self, node_id: str) -> str:
        return self._links.ids.name_of(node_id)

    def has_node(self, node_id: str) -> bool:
        """Whether there is such a node before the one that asks."""
        return self._name(node_id) in self._graph

    def get_node(self, node_id: str) -> dict[str, Any]:
        """Return a node as a prompt has it.

        Raises:
            KeyError: There is none before the one that asks.
        """
        node = self._graph[self._name(node_id)]
        names = self._names.get(node.type, {})
        inputs = {
            names.get(port, port): self._links.link(value) if isinstance(value, RawLink) else value
            for port, value in node.inputs.items()
            if value is not None
        }
        is_own = node.type.startswith(self._own)
        class_type = node.type.removeprefix(self._own) if is_own else NATIVE + node.type
        return {"class_type": class_type, "inputs": inputs}

    def all_node_ids(self) -> set[str]:
        """Return the ids of all nodes before the one that asks, and its own."""
        return {self._links.ids.id_of(name) for name in self._graph}

    def get_parent_node_id(self, node_id: str) -> str | None:
        """Return the node that returned the graph that a node is in."""
        parent = self._graph[self._name(node_id)].parent
        return None if parent is None else self._links.ids.id_of(parent)

    def get_display_node_id(self, node_id: str) -> str:
        """Return the node of the workflow that stands for a node."""
        return self._links.ids.id_of(self._graph[self._name(node_id)].origin)

    def get_real_node_id(self, node_id: str) -> str:
        """Return the node of the workflow that a node came from."""
        return self._links.ids.id_of(self._name(node_id).partition("/")[0])

    def get_original_prompt(self) -> Mapping[str, Any]:
        """Return the prompt of the run."""
        return self.original_prompt


def original_prompt(
    workflow: Mapping[str, Any],
    pack: str,
    outputs: Mapping[str, Sequence[str]],
    names: Mapping[str, Mapping[str, str]],
) -> dict[str, Any]:
    """Return the hidden input PROMPT.

    It is what a client of ComfyUI's API sent. For other runs, it is the workflow in that form; node
    types that are not the pack's have `NATIVE` before their names, and link slots of 0.
    """
    sent = (workflow.get("metadata") or {}).get("prompt")
    if isinstance(sent, Mapping):
        return dict(sent)
    nodes: dict[str, Any] = {}
    ids, own = NodeIds(workflow), f"{pack}:"
    entries: Mapping[str, Any] = workflow.get("nodes") or {}
    for name, entry in entries.items():
        node_type = str(entry.get("type", ""))
        called = names.get(node_type, {})
        inputs: dict[str, Any] = {}
        for port, written in dict(entry.get("inputs") or {}).items():
            value: Any = written
            if is_link(written):
                source, _, output = str(written["from"]).partition(".")
                known = list(outputs.get(str((entries.get(source) or {}).get("type")), ()))
                value = [ids.id_of(source), known.index(output) if output in known else 0]
            inputs[called.get(port, port)] = value
        class_type = (
            node_type.removeprefix(own) if node_type.startswith(own) else NATIVE + node_type
        )
        nodes[ids.id_of(name)] = {
            "class_type": class_type,
            "inputs": inputs,
            "_meta": {"title": entry.get("label") or name},
        }
    return nodes


def blocked_of(blocker: ExecutionBlocker) -> Any:
    """Return a blocker as a native value."""
    return Blocked(str(blocker.message)) if blocker.message is not None else BLOCKED


# Expansions


class Expansions:
    """Turns the graphs that a pack's nodes return into native ones.

    Args:
        table: ComfyUI's node types by name: those that are native here, and the pack's own.
    """

    def __init__(self, table: Mapping[str, TableEntry]) -> None:
        self._table = table

    def expand(
        self,
        graph: Mapping[str, Any],
        results: Sequence[Any],
        ports: Sequence[str],
        links: RunLinks,
        find: Callable[[list[str]], Iterable[NodeSpec]],
    ) -> Expand:
        """Return a native expansion.

        Args:
            graph: Nodes as a prompt has them, by id.
            results: A value or a link for each output, native already if it is a value.
            ports: Names of the outputs.
            links: Links to nodes of the run.
            find: Returns the node types of other packs by the names of their classes.
        Raises:
            InvalidValue: A node of the graph has no native form.
        """
        types = {str(node.get("class_type")) for node in graph.values()}
        unknown = sorted(name for name in types - set(self._table) if not name.startswith(NATIVE))
        table = {**self._table, **_entries_of(find(unknown))} if unknown else self._table
        return _Expanding(graph, table, links).expand(results, ports)


def _entries_of(specs: Iterable[NodeSpec]) -> dict[str, TableEntry]:
    from nodegraph.interop.comfyui.importer import entries_by_type
    from nodegraph.interop.comfyui.packs.import_entries import pack_entries

    return dict(entries_by_type(pack_entries(specs)))


class _Expanding:
    """One expansion."""

    def __init__(
        self, graph: Mapping[str, Any], table: Mapping[str, TableEntry], links: RunLinks
    ) -> None:
        self._graph = graph
        self._links = links
        self._outer: list[Any] = []
        self._table = _with_native(table, graph, links)

    def expand(self, results: Sequence[Any], ports: Sequence[str]) -> Expand:
        from nodegraph.interop.comfyui.foreign_workflow import ForeignGraph, ForeignNode
        from nodegraph.interop.comfyui.graph_builder import GraphBuilder
        from nodegraph.interop.comfyui.import_walk import GraphScope, ImportWalk
        from nodegraph.interop.comfyui.subgraph_import import SubgraphBuilder
        from nodegraph.interop.comfyui.translating import MadeOutput, Signal

        nodes = {
            str(name): ForeignNode(
                str(name),
                str(node.get("class_type")),
                {key: self._value(value) for key, value in node.get("inputs", {}).items()},
            )
            for name, node in self._graph.items()
        }
        ends = [
            self._source(result) if is_prompt_link(result) and result[0] in nodes else None
            for result in results
        ]
        builder = GraphBuilder()
        scope = GraphScope(
            incoming=[Signal(MadeOutput(_OUTER, str(at))) for at in range(len(self._outer))]
        )
        blocks = SubgraphBuilder({}, self._table, set())
        walk = ImportWalk(ForeignGraph(nodes), self._table, blocks, builder, scope)
        walk.run(*ends)
        for outcome in walk.outcomes:
            if outcome.is_placeholder:
                raise InvalidValue(
                    f"an expansion needs a node `{outcome.type}`, which cannot be used here: "
                    f"{outcome.untranslated_reason}"
                )
        outputs: dict[str, Any] = {}
        for port, end, result in zip(ports, ends, results, strict=True):
            if end is not None:
                signal = walk.signal(end)
                outputs[port] = BLOCKED if signal is None else self._ending(signal.content)
            elif is_prompt_link(result) and self._links.is_known(result[0]):
                outputs[port] = self._links.source(result)
            else:
                outputs[port] = result if isinstance(result, Blocked) else Value(result)
        return Expand(self._entries(builder), outputs)

    def _value(self, value: Any) -> Any:
        from nodegraph.interop.comfyui.foreign_workflow import BLOCK, Source

        if is_prompt_link(value) and value[0] in self._graph:
            return self._source(value)
        if is_prompt_link(value) and self._links.is_known(value[0]):
            self._outer.append(self._links.source(value))
        elif value is None or isinstance(value, (str, int, float, bool)):
            return value
        else:
            self._outer.append(Value(value))
        return Source(BLOCK, len(self._outer) - 1)

    def _source(self, link: Any) -> Source:
        """The output that a link of the graph names.

        Raises:
            InvalidValue: Its node has fewer outputs. The output would count as blocked, and what
                depends on it would be skipped without a word.
        """
        from nodegraph.interop.comfyui.foreign_workflow import Source

        name, output = link[0], int(link[1])
        node_type = str(self._graph[name].get("class_type"))
        entry = self._table.get(node_type)
        known = entry.signature.outputs if entry and not node_type.startswith(NATIVE) else ()
        if known and not 0 <= output < len(known):
            raise InvalidValue(
                f"an expansion links to an output that its node `{name}` ({node_type}) lacks",
                given=str(output),
                expected=f"a number from 0 to {len(known) - 1}",
            )
        return Source(name, output)

    def _entries(self, builder: Any) -> dict[str, dict[str, Any]]:
        """The nodes that were made, as an `Expand` takes them."""
        from nodegraph.interop.comfyui.literal_tags import strip_tags
        from nodegraph.interop.comfyui.translating import MadeOutput

        entries: dict[str, dict[str, Any]] = {}
        for name, node in builder.nodes.items():
            if node.mode == "mute":
                continue
            inputs = {
                port: self._ending(value, is_input=True)
                if isinstance(value, MadeOutput)
                else write_literal(strip_tags(value))
                for port, value in node.inputs.items()
            }
            entries[name] = {"type": node.type, "inputs": inputs}
            shown = self._graph.get(str(node.origin.get("id")), {}).get("override_display_id")
            if shown is not None:
                entries[name]["origin"] = self._links.ids.name_of(str(shown))
        return entries

    def _ending(self, content: Any, *, is_input: bool = False) -> Any:
        from nodegraph.interop.comfyui.translating import MadeOutput

        if not isinstance(content, MadeOutput):
            return Value(content)
        if content.node == _OUTER:
            return self._outer[int(content.port)]
        text = f"{content.node}.{content.port}" if content.port else content.node
        return {"from": text} if is_input else text


_OUTER = "@outer"
"""Node that stands for what an expansion takes from outside."""


def _with_native(
    table: Mapping[str, TableEntry], graph: Mapping[str, Any], links: RunLinks
) -> Mapping[str, TableEntry]:
    """The table, with entries for native node types that a pack copied from the run."""
    types = {str(node.get("class_type")) for node in graph.values()}
    copied = [node_type for node_type in types if node_type.startswith(NATIVE)]
    if not copied or links.graph is None:
        return table
    from nodegraph.interop.comfyui.entries import InputSignature, Signature, TableEntry

    more: dict[str, TableEntry] = {}
    for node_type in copied:
        native = node_type.removeprefix(NATIVE)
        of_type = [name for name, node in links.graph.items() if node.type == native]
        ports = max((links._met.get(name, []) for name in of_type), key=len, default=[])
        names = {key for node in graph.values() for key in node.get("inputs", {})}
        signature = Signature(
            node_type,
            tuple(InputSignature(name, "*", is_optional=True) for name in sorted(names)),
            tuple((port, "*") for port in ports),
        )
        more[node_type] = TableEntry(signature, _Copy(native, ports), native)
    return {**table, **more}


@dataclass(frozen=True)
class _Copy:
    """Translation of a node that is native already."""

    native: str
    ports: Sequence[str]

    def __call__(self, node: Any) -> None:
        from nodegraph.interop.comfyui.translating import MadeOutput

        name = node.add(self.native, **node.inputs)
        for port in self.ports:
            node.give(port, MadeOutput(name, port))
