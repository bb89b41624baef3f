"""A native workflow with its sub-graphs' nodes in the places of their uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nodegraph.compat.comfyui.naming import Names
from nodegraph.core.links import Link, is_link, parse_link, parse_target, read_link, write_input
from nodegraph.core.subgraphs import expandable
from nodegraph.core.workflow import NodeEntry, Subgraph, Workflow


def inlined(workflow: Workflow) -> Workflow:
    """The same workflow without uses of sub-graphs that can be inlined.

    Definitions stay, for nodes that name one in an input.
    """
    return replace(workflow, nodes=_Inlining(workflow).nodes)


class _Inlining:
    def __init__(self, workflow: Workflow) -> None:
        self._blocks = {name: workflow.subgraphs[name] for name in expandable(workflow)}
        self._names = Names(set(workflow.nodes))
        self._outputs: dict[tuple[str, str], Link] = {}
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
            if block is None:
                self._found[names[name]] = placed
            else:
                self._use(names[name], placed, block)

    def _use(self, name: str, entry: NodeEntry, block: Subgraph) -> None:
        names = {inner: self._names.free(f"{name}_{inner}") for inner in block.nodes}
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
        while (link.node, link.port) in self._outputs or link.node not in self._found:
            only = [key for key in self._outputs if key[0] == link.node]
            key = (link.node, link.port) if link.port else next(iter(only), ("", ""))
            if key not in self._outputs:
                return written  # to nothing, which is told where it is checked
            link = self._outputs[key]
        return write_input(link)


def _renamed(written: Any, names: Mapping[str, str]) -> Any:
    if not is_link(written):
        return written
    link = read_link(written)
    return write_input(Link(names.get(link.node, link.node), link.port))
