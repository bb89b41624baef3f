"""A workflow with its blocks inlined: plain nodes, and the output that each link resolves to.

A node `inner` of a block `up` is called ``up/inner``. Where a value was written is remembered: a
fault of one that was given to a block's input is told there, not at the inner node it gets to.
Links to a bypassed node lead on to what stands for its output. Muted and bypassed blocks are not
inlined.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from nodegraph.core.hooks import Finding
from nodegraph.core.links import Link, parse_link
from nodegraph.core.parts import Mode, Subgraph
from nodegraph.core.spec import NodeSpec, OutputSpec
from nodegraph.core.suggest import did_you_mean, port_hint
from nodegraph.core.types import ANY, TypeExpr, TypeTable, is_assignable, named_type
from nodegraph.errors import Problem

_SUGGESTIONS = 100
"""Misspelt node names that are compared with all others; in a broken file of many thousand nodes
more would take minutes and help nobody."""


NOTHING_TO_PASS = "nothing-to-pass"  # noqa: S105 - no password
"""Code of the finding that a bypassed node has no input that could stand for an output."""


class InputLocation(NamedTuple):
    """An input of a node, for messages."""

    node: str
    node_type: str
    port: str


class CrossedInput(NamedTuple):
    """A block's input that a value passes on its way in; its type is None if not declared."""

    location: InputLocation
    expr: TypeExpr | None


@dataclass(frozen=True, slots=True)
class InputValue:
    """What an input is given.

    Attributes:
        link: Where the value comes from; None for a literal.
        literal: The value, if it isn't linked.
        is_broken: It is a malformed link, which is reported already.
        location: The block's input where it was written; None for the node itself.
        crossed: Inputs of blocks that it passes, outermost first.
        fallback: What the input would be given without it, which counts if it is left out.
    """

    link: Link | None = None
    literal: Any = None
    is_broken: bool = False
    location: InputLocation | None = None
    crossed: tuple[CrossedInput, ...] = ()
    fallback: InputValue | None = None


@dataclass(slots=True)
class FlatNode:
    """A node of the workflow, or of a block in it.

    Attributes:
        spec: None if the type is unknown or can't be used, which is reported already.
        inputs: What it is given, by input.
        missing: Where a value for an input that has none should have been given, by input.
        origin: Subgraph and node there, for a node of a block.
        body: The subgraph that it runs, for a loop.
        mode: How it is kept from running, if it is.
        parameters: Of the workflow, by the input that each is for: its name.
        required: Inputs that must be given, as parameters say, though there is a default.
        unread: Inputs that must be given, as their values in the file it was imported from
            couldn't be read.
        unread_as: What the program calls these that the file is of, as far as that is known.
        problems: What was found so far.
        warnings: What keeps nothing from running.
    """

    name: str
    type: str
    spec: NodeSpec | None
    always: bool = False
    inputs: dict[str, InputValue] = field(default_factory=dict)
    missing: Mapping[str, InputLocation] = field(default_factory=dict)
    origin: tuple[str, str] | None = None
    body: str | None = None
    mode: Mode | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    required: Collection[str] = ()
    unread: Collection[str] = ()
    unread_as: Mapping[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    @property
    def is_value(self) -> bool:
        """Whether it stands for a live value: no workflow names it."""
        return self.spec is not None and self.spec.category == VALUE


VALUE = "(value)"
"""Category of the types of nodes that stand for live values."""


def value_name(node: str, port: str) -> str:
    """The name of the node that stands for the live value of an input."""
    return f"{{{port} of {node}}}"


def is_value_name(name: str) -> bool:
    """Whether a node is called so."""
    return name.startswith("{") and name.rstrip("′").endswith("}")


@dataclass(frozen=True, slots=True)
class Block:
    """A use of a subgraph."""

    node: FlatNode
    definition: Subgraph

    def inner_link(self, port: str) -> Link | None:
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


class FlatWorkflow:
    """A workflow without blocks.

    Attributes:
        nodes, blocks: By their full names.
        bypassed: Nodes and blocks that others stand for.
        left_out: Those that are muted or depend on such, by name: the muted one.
        in_file_order: All of them, a block's nodes after it.
    """

    def __init__(
        self, in_file_order: Sequence[FlatNode], blocks: Mapping[str, Block], types: TypeTable
    ) -> None:
        of_mode: dict[Mode | None, dict[str, FlatNode]] = {None: {}, "mute": {}, "bypass": {}}
        for node in in_file_order:
            if node.name not in blocks:
                of_mode[node.mode][node.name] = node
        self.nodes = of_mode[None]
        self.bypassed: Mapping[str, FlatNode] = of_mode["bypass"]
        self.excluded = {name: name for name in of_mode["mute"]}
        self.blocks = blocks
        self.in_file_order = in_file_order
        self._out = of_mode["mute"]
        self._types = types
        self._known: dict[Link, Output | Finding | None] = {}
        self._inner: dict[Link, Output | Finding | None] = {}
        self._suggestions = _SUGGESTIONS

    def exclude(self, name: str, cause: str) -> None:
        """Take out a node that depends on a muted one."""
        self._out[name] = self.nodes.pop(name)
        self.excluded[name] = cause

    def output(self, link: Link) -> Output | Finding | None:
        """Where a link leads.

        Returns:
            The output; or what is wrong with the link, for an input yet to be named; or None if a
            subgraph's definition is at fault, which is reported there.
        """
        if link not in self._known:
            self._known[link] = self._output(link)
        return self._known[link]

    def _output(self, link: Link) -> Output | Finding | None:
        """Follow a link through blocks and bypassed nodes; what is passed is known from then on."""
        passed: dict[Link, None] = {}
        while True:
            if passed and link in self._inner:
                resolved = self._inner[link]
                break
            if link in passed:
                resolved = _circle([*passed], link)
                break
            step = self._step(link)
            if not isinstance(step, Link):
                # What is wrong further in is reported there.
                is_told = isinstance(step, Finding) and step.code not in REPORTED_AT_OUTERMOST
                resolved = None if passed and is_told else step
                break
            passed[link] = None
            link = step
        self._inner.update(dict.fromkeys([*passed][1:], resolved))
        return resolved

    def _step(self, link: Link) -> Link | Output | Finding | None:
        """What a link names, or the link that stands for it."""
        block = self.blocks.get(link.node)
        if block is not None:
            port = _port(link, list(block.definition.outputs))
            return port if isinstance(port, Finding) else block.inner_link(port)
        if link.node in self.bypassed:
            return self._bypass_link(self.bypassed[link.node], link)
        node = self.nodes.get(link.node) or self._out.get(link.node)
        if node is None:
            return self._unknown(link)
        if node.spec is None:
            return Output(node.name, None)
        port = _port(link, list(node.spec.outputs_by_name))
        if isinstance(port, Finding):
            return port
        return Output(node.name, node.spec.outputs_by_name[port])

    def _bypass_link(self, node: FlatNode, link: Link) -> Link | Finding | None:
        """What stands for an output of a bypassed node: its first linked input that fits."""
        if node.spec is None:
            return None  # of unknown type, or a subgraph that can't be used
        name = _port(link, list(node.spec.outputs_by_name))
        if isinstance(name, Finding):
            return name
        wanted = node.spec.outputs_by_name[name].expr
        linked = {
            port.name: port.expr
            for port in node.spec.inputs
            if (input_value := node.inputs.get(port.name))
            and (input_value.link or input_value.is_broken)
        }
        passing = bypass_input(wanted, linked, self._types)
        if passing is not None:
            return node.inputs[passing].link
        shown = node.name.rpartition("/")[2]
        return Finding(
            "",
            f"is linked to `{shown}.{name}`, but `{shown}` is bypassed, and none of its linked "
            "inputs can replace that output",
            expected=f"a linked input of type {wanted}",
            hint=f"Link such an input of `{shown}`, or remove its `mode`.",
            code=NOTHING_TO_PASS,
        )

    def named_nodes(self) -> list[str]:
        """Names of the nodes that a workflow may name."""
        return [name for name, node in self.nodes.items() if not node.is_value]

    def outputs_of(self, name: str) -> list[str]:
        """Names of the outputs of a node or block."""
        if name in self.blocks:
            return list(self.blocks[name].definition.outputs)
        node = self.nodes.get(name) or self._out.get(name) or self.bypassed.get(name)
        return list(node.spec.outputs_by_name) if node and node.spec else []

    def with_hint(self, finding: Finding, link: Link, asker: str) -> Finding:
        """What is wrong with a link, with the name that one to no node may mean.

        Args:
            asker: The node or block that has the link, which can't be meant.
        """
        scope, slash, name = link.node.rpartition("/")
        if finding.code != UNKNOWN_NODE or not self._suggestions:
            return finding
        self._suggestions -= 1
        prefix = scope + slash
        names = [
            other[len(prefix) :]
            for other in (*self.named_nodes(), *self.blocks, *self.bypassed)
            if other.startswith(prefix) and "/" not in other[len(prefix) :] and other != asker
            if self._may_have_outputs(other)
        ]
        return replace(finding, hint=did_you_mean(name, names) or None)

    def _may_have_outputs(self, name: str) -> bool:
        """Whether a node has outputs, as far as its type is known: others can't be linked."""
        if self.outputs_of(name):
            return True
        node = self.nodes.get(name) or self.bypassed.get(name)
        return node is not None and node.spec is None

    @staticmethod
    def _unknown(link: Link) -> Finding:
        name = link.node.rpartition("/")[2]
        return Finding("", f"is linked to `{name}`, but there is no such node", code=UNKNOWN_NODE)


UNKNOWN_NODE = "unknown-node"
REPORTED_AT_OUTERMOST = (NOTHING_TO_PASS, "cycle")
"""Codes of findings that are told where the link is written, however far in the reason lies."""


def bypass_input(wanted: TypeExpr, linked: Mapping[str, TypeExpr], types: TypeTable) -> str | None:
    """The input of a bypassed node that stands for an output: the first linked one that fits.

    Args:
        wanted: The output's type.
        linked: Types of the inputs that are linked, in order.
    """

    def is_narrower(expr: TypeExpr, wanted: TypeExpr) -> bool:
        return expr != named_type(ANY) and is_assignable(expr, wanted, types)

    for rank in (_is_same, is_narrower, _may_be_any):
        for name, expr in linked.items():
            if rank(expr, wanted):
                return name
    return None


def _is_same(expr: TypeExpr, wanted: TypeExpr) -> bool:
    return expr == wanted


def _may_be_any(expr: TypeExpr, wanted: TypeExpr) -> bool:
    return expr == named_type(ANY)


def _circle(passed: Sequence[Link], link: Link) -> Finding:
    names = [item.node for item in passed[passed.index(link) :]]
    return Finding(
        "",
        "is linked to bypassed nodes that form a cycle: " + " → ".join([*names, names[0]]),
        hint="Remove one of these links.",
        code="cycle",
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
            hint=port_hint(link.port, names) or f"`{name}` has no outputs.",
            code="unknown-output",
        )
    if len(names) == 1:
        return names[0]
    if not names:
        return Finding(
            "",
            f"is linked to `{name}`, which has no outputs",
            code="unknown-output",
            hint="Link a node that has an output.",
        )
    return Finding(
        "",
        f"is linked to `{name}`, which has several outputs",
        code="ambiguous-output",
        expected=" or ".join(f"`{name}.{port}`" for port in names),
    )
