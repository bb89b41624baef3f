"""A native workflow with its sub-graphs' nodes in the places of their uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nodegraph.core.catalog import Catalog
from nodegraph.core.flat import bypass_input
from nodegraph.core.links import Link, is_link, parse_link, parse_target, read_link, write_input
from nodegraph.core.parts import NodeEntry, Subgraph
from nodegraph.core.subgraphs import inlinable_subgraphs, node_spec
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.naming import Names


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
