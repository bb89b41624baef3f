"""A workflow with its blocks inlined: plain nodes, and the output that each link leads to.

A node `inner` of a block `up` is called ``up/inner``. Where a value was written is remembered: a
fault of one that was given to a block's input is told there, not at the inner node it gets to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodegraph.core.hooks import Finding
from nodegraph.core.links import Link, parse_link
from nodegraph.core.spec import NodeSpec, OutputSpec
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.types import TypeExpr
from nodegraph.core.workflow import Subgraph
from nodegraph.errors import Problem

_SUGGESTIONS = 100
"""Misspelt node names that are compared with all others; in a broken file of many thousand nodes
more would take minutes and help nobody."""


@dataclass(frozen=True, slots=True)
class Place:
    """An input of a node, for messages."""

    node: str
    node_type: str
    port: str


@dataclass(frozen=True, slots=True)
class Crossing:
    """A block's input that a value passes on its way in; its type is None if not declared."""

    place: Place
    expr: TypeExpr | None


@dataclass(frozen=True, slots=True)
class Given:
    """What an input is given.

    Attributes:
        link: Where the value comes from; None for a literal.
        literal: The value, if it isn't linked.
        is_broken: It is a malformed link, which is told of already.
        place: The block's input where it was written; None for the node itself.
        crossed: Inputs of blocks that it passes, outermost first.
    """

    link: Link | None = None
    literal: Any = None
    is_broken: bool = False
    place: Place | None = None
    crossed: tuple[Crossing, ...] = ()


@dataclass(slots=True)
class FlatNode:
    """A node of the workflow, or of a block in it.

    Attributes:
        spec: None if the type is unknown or can't be used, which is told of already.
        inputs: What it is given, by input.
        missing: Where a value for an input that has none should have been given, by input.
        origin: Subgraph and node there, for a node of a block.
        problems: What was found so far.
    """

    name: str
    type: str
    spec: NodeSpec | None
    always: bool = False
    inputs: dict[str, Given] = field(default_factory=dict)
    missing: Mapping[str, Place] = field(default_factory=dict)
    origin: tuple[str, str] | None = None
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Block:
    """A use of a subgraph."""

    node: FlatNode
    definition: Subgraph

    def inner(self, port: str) -> Link | None:
        """What an output stands for; None if the definition is at fault."""
        try:
            link = parse_link(self.definition.outputs[port])
        except ValueError:
            return None
        return Link(f"{self.node.name}/{link.node}", link.port)


@dataclass(frozen=True, slots=True)
class Output:
    """The output that a link leads to; no port if the node's type is unknown."""

    node: str
    port: OutputSpec | None


class Flat:
    """A workflow without blocks.

    Attributes:
        nodes, blocks: By their full names.
        in_file_order: Both, a block's nodes after it.
    """

    def __init__(self, in_file_order: Sequence[FlatNode], blocks: Mapping[str, Block]) -> None:
        self.nodes = {node.name: node for node in in_file_order if node.name not in blocks}
        self.blocks = blocks
        self.in_file_order = in_file_order
        self._known: dict[Link, Output | Finding | None] = {}
        self._suggestions = _SUGGESTIONS

    def output(self, link: Link) -> Output | Finding | None:
        """Where a link leads.

        Returns:
            The output; or what is wrong with the link, for an input yet to be named; or None if a
            subgraph's definition is at fault, which is told of there.
        """
        if link not in self._known:
            self._known[link] = self._output(link)
        return self._known[link]

    def _output(self, link: Link) -> Output | Finding | None:
        direct = True
        while (block := self.blocks.get(link.node)) is not None:
            port = _port(link, list(block.definition.outputs))
            if isinstance(port, Finding):
                return port if direct else None
            inner = block.inner(port)
            if inner is None:
                return None
            link, direct = inner, False
        node = self.nodes.get(link.node)
        if node is None:
            return self._unknown(link) if direct else None
        if node.spec is None:
            return Output(node.name, None)
        port = _port(link, list(node.spec.outputs_by_name))
        if isinstance(port, Finding):
            return port if direct else None
        return Output(node.name, node.spec.outputs_by_name[port])

    def outputs_of(self, name: str) -> list[str]:
        """Names of the outputs of a node or block."""
        if name in self.blocks:
            return list(self.blocks[name].definition.outputs)
        node = self.nodes.get(name)
        return list(node.spec.outputs_by_name) if node and node.spec else []

    def _unknown(self, link: Link) -> Finding:
        scope, slash, name = link.node.rpartition("/")
        hint = ""
        if self._suggestions:
            self._suggestions -= 1
            prefix = scope + slash
            names = [
                other[len(prefix) :]
                for other in (*self.nodes, *self.blocks)
                if other.startswith(prefix) and "/" not in other[len(prefix) :]
            ]
            hint = did_you_mean(name, names)
        return Finding(
            "",
            f"is linked to `{name}`, but there is no such node",
            hint=hint or None,
            code="unknown-node",
        )


def _port(link: Link, names: Sequence[str]) -> str | Finding:
    """The output that a link names, or means by naming none."""
    name = link.node.rpartition("/")[2]
    if link.port in names:
        return link.port
    if link.port:
        return Finding(
            "",
            f"is linked to `{name}.{link.port}`, but `{name}` has no such output",
            hint=did_you_mean(link.port, names) or f"`{name}` has no outputs at all.",
            code="unknown-output",
        )
    if len(names) == 1:
        return names[0]
    if not names:
        return Finding(
            "",
            f"is linked to `{name}`, which has no outputs",
            code="unknown-output",
            hint="Link a node that gives something.",
        )
    return Finding(
        "",
        f"is linked to `{name}`, which has several outputs",
        code="ambiguous-output",
        expected=" or ".join(f"`{name}.{port}`" for port in names),
    )
