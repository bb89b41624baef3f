"""Definitions of reusable blocks: their faults, and what they look like as a node type.

A node may also run a subgraph, as loops do: one of its inputs names it. It then has that one's
types and, besides its own, those inputs of it that it doesn't give itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from nodegraph.core.catalog import Catalog
from nodegraph.core.graph import topological_order
from nodegraph.core.links import is_link, parse_link, parse_target, read_literal
from nodegraph.core.literals import literal_schema
from nodegraph.core.parts import NodeEntry, Subgraph, SubgraphInput
from nodegraph.core.spec import InputSpec, NodeSpec, OutputSpec
from nodegraph.core.suggest import did_you_mean, port_hint
from nodegraph.core.types import (
    ANY,
    ANY_ITEM,
    MAX_LIST_DEPTH,
    TypeExpr,
    TypeTable,
    list_of,
    named_type,
    parse_type,
)
from nodegraph.core.workflow import Workflow
from nodegraph.errors import Problem

LARGEST = 100_000
"""Nodes of a workflow with its blocks inlined; blocks of blocks of blocks grow fast."""
DEEPEST = 32
"""Blocks within blocks."""


def inlinable_subgraphs(workflow: Workflow) -> Collection[str]:
    """The subgraphs that can be inlined: not recursive, and of bearable size in all."""
    return _inlining(workflow)[0]


def declared_type(port: SubgraphInput, types: TypeTable) -> TypeExpr | None:
    """The type that an input declares; None if it declares none, or one that isn't known."""
    try:
        expr = parse_type(port.type) if port.type else None
    except ValueError:
        return None
    return expr if expr and all(name in types for name in expr.type_names()) else None


def _inlining(workflow: Workflow) -> tuple[Collection[str], list[Problem]]:
    blocks = workflow.subgraphs
    order, cycles = topological_order(
        {
            name: [item.type for item in block.nodes.values() if item.type in blocks]
            for name, block in blocks.items()
        }
    )
    problems = [
        Problem(
            "recursive-subgraph",
            f"subgraph `{cycle[0]}` contains itself: " + " → ".join(cycle),
            hint="Remove one of these uses.",
        )
        for cycle in cycles
    ]
    size: dict[str, int] = {}
    depth: dict[str, int] = {}
    for name in order:
        inner = [item.type for item in blocks[name].nodes.values()]
        size[name] = sum(size.get(kind, 1) for kind in inner)
        depth[name] = 1 + max((depth.get(kind, 0) for kind in inner), default=0)
    used = [item.type for item in workflow.nodes.values()]
    deepest = max((depth.get(kind, 0) for kind in used), default=0)
    total = sum(size.get(kind, 1) for kind in used)
    if total > LARGEST and total > len(used):
        problems.append(
            Problem(
                "too-large",
                "with its subgraphs inlined, the workflow has too many nodes",
                expected=f"{LARGEST} at most",
            )
        )
        return (), problems
    if deepest > DEEPEST:
        problems.append(
            Problem(
                "too-deep",
                "subgraphs are nested too deeply",
                given=f"{deepest} levels",
                expected=f"{DEEPEST} at most",
            )
        )
        return (), problems
    return set(order), problems


def check_subgraphs(workflow: Workflow, catalog: Catalog) -> list[Problem]:
    """What is wrong with the subgraphs themselves, however they are used."""
    problems = _inlining(workflow)[1]
    for name, block in workflow.subgraphs.items():
        scope = _Scope(name, block, workflow, catalog)
        problems += scope.check_inputs()
        problems += scope.check_outputs()
    return problems


class _Scope:
    """One subgraph, for checking what its inputs and outputs lead to."""

    def __init__(self, name: str, block: Subgraph, workflow: Workflow, catalog: Catalog) -> None:
        self._name = name
        self._block = block
        self._workflow = workflow
        self._catalog = catalog

    def _problem(self, code: str, port: str, message: str, hint: str = "") -> Problem:
        return Problem(code, f"subgraph `{self._name}`, {port}: {message}", hint=hint or None)

    def check_inputs(self) -> list[Problem]:
        problems: list[Problem] = []
        taken: dict[str, str] = {}
        for name, port in self._block.inputs.items():
            problems += self._type_problems(f"input `{name}`", port.type)
            for target in port.to:
                problems += self._target_problems(f"input `{name}`", target)
                first = taken.setdefault(target, name)
                if first != name:
                    problems.append(
                        self._problem(
                            "doubly-fed",
                            f"input `{name}`",
                            f"is linked to `{target}`, which input `{first}` is already linked to",
                        )
                    )
        return problems

    def _type_problems(self, port: str, text: str) -> list[Problem]:
        if not text:
            return []
        types = self._catalog.types
        try:
            unknown = [name for name in parse_type(text).type_names() if name not in types]
        except ValueError as error:
            return [self._problem("bad-type", port, str(error))]
        return [
            self._problem(
                "bad-type",
                port,
                f"there is no port type `{name}`",
                did_you_mean(name, types.names()),
            )
            for name in unknown
        ]

    def _target_problems(self, port: str, target: str) -> list[Problem]:
        try:
            node, inner = parse_target(target)
        except ValueError:
            return [
                self._problem(
                    "bad-target",
                    port,
                    f"is linked to `{target}`",
                    "Write `node.input`, an input of a node of the subgraph.",
                )
            ]
        if node not in self._block.nodes:
            return [self._no_node(port, node)]
        names = input_names(self._block.nodes[node], self._workflow, self._catalog)
        if names is None or inner in names:
            return []
        return [
            self._problem(
                "unknown-input",
                port,
                f"is linked to `{target}`, but `{node}` has no such input",
                did_you_mean(inner, names),
            )
        ]

    def check_outputs(self) -> list[Problem]:
        return [
            problem
            for name, text in self._block.outputs.items()
            for problem in self._source_problems(f"output `{name}`", text)
        ]

    def _source_problems(self, port: str, text: str) -> list[Problem]:
        try:
            link = parse_link(text)
        except ValueError as error:
            return [self._problem("bad-link", port, f"cannot be read: {error}")]
        if link.node not in self._block.nodes:
            return [self._no_node(port, link.node)]
        names = output_names(self._block.nodes[link.node], self._workflow, self._catalog)
        if names is None or link.port in names or (not link.port and len(names) == 1):
            return []
        if not link.port:
            choices = " or ".join(f"`{link.node}.{name}`" for name in names)
            return [
                self._problem(
                    "ambiguous-output",
                    port,
                    f"`{link.node}` does not have exactly one output",
                    f"Write {choices}." if names else "It has none.",
                )
            ]
        return [
            self._problem(
                "unknown-output",
                port,
                f"`{link.node}` has no output `{link.port}`",
                port_hint(link.port, names),
            )
        ]

    def _no_node(self, port: str, node: str) -> Problem:
        return self._problem(
            "unknown-node",
            port,
            f"there is no node `{node}` in it",
            did_you_mean(node, self._block.nodes),
        )


def input_names(entry: NodeEntry, workflow: Workflow, catalog: Catalog) -> Collection[str] | None:
    """Inputs of a node by its type, a subgraph or a node type; None if that is unknown."""
    block = workflow.subgraphs.get(entry.type)
    if block is not None:
        return block.inputs
    spec = catalog.spec(entry.type)
    if spec is None:
        return None
    known = {*spec.inputs_by_name}
    if spec.takes_more:
        return {*known, *entry.inputs}
    if spec.body is not None and spec.body.body is not None and spec.body.body.passes_on:
        body = workflow.subgraphs.get(body_name(spec, entry.inputs))
        if body is None:
            return None
        known |= {*body.inputs}
    if entry.version is not None and entry.version != spec.version:
        # Inputs of another version go by other names; its migration knows them.
        return {*known, *entry.inputs}
    return known


def output_names(entry: NodeEntry, workflow: Workflow, catalog: Catalog) -> Collection[str] | None:
    """Outputs of a node by its type, a subgraph or a node type; None if that is unknown."""
    block = workflow.subgraphs.get(entry.type)
    if block is not None:
        return block.outputs
    spec = catalog.spec(entry.type)
    return None if spec is None else spec.outputs_by_name


def body_name(spec: NodeSpec, inputs: Mapping[str, Any]) -> str:
    """The subgraph that a node runs, as its inputs say in the file; empty if they don't."""
    written = inputs.get(spec.body.name) if spec.body else None
    name = None if is_link(written) else read_literal(written)
    return name if isinstance(name, str) else ""


class SpecResolver:
    """What the nodes of a workflow declare; what is found once is remembered."""

    def __init__(self, workflow: Workflow, catalog: Catalog) -> None:
        self._workflow = workflow
        self._catalog = catalog
        self._subgraphs: dict[str, NodeSpec | None] = {}
        self._expandable: Collection[str] | None = None

    def resolve(self, entry: NodeEntry, level: int = 0) -> NodeSpec | None:
        """What a node's type declares, be it a subgraph or a node type; None if it is unknown."""
        if entry.type in self._workflow.subgraphs:
            return self.subgraph(entry.type, level)
        spec = self._catalog.spec(entry.type)
        if spec is not None and spec.takes_more:
            return with_more_inputs(spec, entry.inputs)
        return spec and self.with_body(spec, body_name(spec, entry.inputs), level)

    def subgraph(self, name: str, level: int = 0) -> NodeSpec | None:
        """A subgraph as a node type; None if there is no such one, or it can't be used."""
        if self._expandable is None:
            self._expandable = inlinable_subgraphs(self._workflow)
        block = self._workflow.subgraphs.get(name)
        if block is None or name not in self._expandable or level > DEEPEST:
            return None
        if name not in self._subgraphs:
            # Of one that runs itself in a loop, for as long as it isn't known.
            self._subgraphs[name] = None
            self._subgraphs[name] = self._subgraph(name, block, level)
        return self._subgraphs[name]

    def _subgraph(self, name: str, block: Subgraph, level: int) -> NodeSpec:
        targets = [target for port in block.inputs.values() for target in port.to]
        named = {text.partition(".")[0] for text in (*targets, *block.outputs.values())}
        specs = {
            node: self.resolve(entry, level + 1)
            for node, entry in block.nodes.items()
            if node in named
        }
        types = self._catalog.types
        inputs = [_input(port, block.inputs[port], block, specs, types) for port in block.inputs]
        outputs = [_output(port, text, specs) for port, text in block.outputs.items()]
        return NodeSpec(type=name, label=name, inputs=tuple(inputs), outputs=tuple(outputs))

    def with_body(self, spec: NodeSpec, name: str, level: int = 0) -> NodeSpec:
        """A node type as it is where it runs a subgraph: with that one's types and inputs."""
        body = spec.body.body if spec.body else None
        inner = self.subgraph(name, level + 1) if body and name else None
        if body is None or inner is None:
            return spec
        taken = {own: inner.inputs_by_name.get(port) for port, own in body.inputs.items() if own}
        inputs = [_of_body(port, taken.get(port.name)) for port in spec.inputs]
        if body.passes_on:
            known = {*spec.inputs_by_name, *body.inputs}
            # What a loop passes on is a value: its function cannot evaluate an input later.
            inputs += [
                replace(port, passed_on=True, lazy=False)
                for port in inner.inputs
                if port.name not in known
            ]
        return replace(spec, inputs=tuple(inputs))


def with_more_inputs(spec: NodeSpec, names: Iterable[str]) -> NodeSpec:
    """Return a node type that takes undeclared inputs with those that a node has."""
    more = [name for name in dict.fromkeys(names) if name not in spec.inputs_by_name]
    if not more:
        return spec
    expr = f"list[{ANY}]" if any(port.expr.is_list for port in spec.inputs) else ANY_ITEM
    ports = [
        InputSpec(name=name, type=expr, required=False, nullable=True, json_schema={})
        for name in more
    ]
    return replace(spec, inputs=(*spec.inputs, *ports))


def _of_body(port: InputSpec, inner: InputSpec | None) -> InputSpec:
    """A node's input whose values go to an input of the subgraph that it runs."""
    if inner is None:
        return port
    expr = substitute_any(port.expr, inner.expr)
    schema = inner.json_schema if expr == inner.expr else literal_schema(expr)
    return replace(port, type=str(expr), json_schema=schema)


def substitute_any(expr: TypeExpr, inner: TypeExpr) -> TypeExpr:
    """A type in which `Any` stands for another type.

    It stays as it is where that would be too many lists, as loops within loops give them.
    """
    filled = _substitute_any(expr, inner)
    return expr if str(filled).count("list[") > MAX_LIST_DEPTH else filled


def _substitute_any(expr: TypeExpr, inner: TypeExpr) -> TypeExpr:
    if expr == named_type(ANY):
        return inner
    return list_of(_substitute_any(expr.item, inner)) if expr.is_list else expr


def subgraph_spec(name: str, workflow: Workflow, catalog: Catalog) -> NodeSpec | None:
    """A subgraph as a node type: what palettes show and forms ask for.

    Returns:
        None if there is no such subgraph, or it can't be used.
    """
    return SpecResolver(workflow, catalog).subgraph(name)


def node_spec(entry: NodeEntry, workflow: Workflow, catalog: Catalog) -> NodeSpec | None:
    """What a node's type declares, be it a subgraph or a node type; None if it is unknown."""
    return SpecResolver(workflow, catalog).resolve(entry)


def _input(
    name: str,
    port: SubgraphInput,
    block: Subgraph,
    specs: dict[str, NodeSpec | None],
    types: TypeTable,
) -> InputSpec:
    fed = [fed_input for target in port.to if (fed_input := _target_input(target, block, specs))]
    inner, _ = fed[0] if fed else (InputSpec(name=name, type="Any"), True)
    expr = declared_type(port, types)
    is_given = port.has_default or all(not needed for _, needed in fed)
    return replace(
        inner,
        name=name,
        body=None,
        type=str(expr or inner.type),
        json_schema=inner.json_schema if expr in (None, inner.expr) else literal_schema(expr),
        required=not is_given,
        default=read_literal(port.default) if port.has_default else inner.default,
        help=port.help or inner.help,
    )


def _target_input(
    target: str, block: Subgraph, specs: dict[str, NodeSpec | None]
) -> tuple[InputSpec, bool] | None:
    """The inner input that a target names, and whether it needs a value from outside."""
    node, _, port = target.partition(".")
    spec = specs.get(node)
    inner = spec.inputs_by_name.get(port) if spec else None
    if inner is None:
        return None
    return inner, inner.required and port not in block.nodes[node].inputs


def _output(name: str, text: str, specs: dict[str, NodeSpec | None]) -> OutputSpec:
    node, _, port = text.partition(".")
    spec = specs.get(node)
    if spec is None:
        return OutputSpec(name=name, type="Any")
    first = spec.outputs[0] if len(spec.outputs) == 1 else None
    inner = spec.outputs_by_name.get(port) if port else first
    return OutputSpec(name=name, type=inner.type if inner else "Any")


def with_changed_seeds(
    workflow: Workflow, catalog: Catalog, change: Callable[[int], int]
) -> tuple[Workflow, dict[str, int]]:
    """A workflow with other seeds, and these seeds by ``node.input``.

    Seeds are literals or defaults. Those inside of subgraphs are called ``subgraph/node.input``.

    Args:
        change: Gives a seed for the one that is there.
    """
    # Only what holds inputs is copied: the rest is shared with the workflow.
    blocks = {
        name: replace(block, nodes=_copied(block.nodes))
        for name, block in workflow.subgraphs.items()
    }
    varied = replace(workflow, nodes=_copied(workflow.nodes), subgraphs=blocks)
    seeds = {}
    for name, node, port, seed in _find_seeds(varied, catalog):
        node.inputs[port] = seeds[f"{name}.{port}"] = change(seed)
    return varied, seeds


def _copied(nodes: dict[str, NodeEntry]) -> dict[str, NodeEntry]:
    return {name: replace(node) for name, node in nodes.items()}


def _find_seeds(workflow: Workflow, catalog: Catalog) -> Iterator[tuple[str, NodeEntry, str, int]]:
    for name, node in workflow.nodes.items():
        for port, seed in _seeds(node, workflow, catalog):
            yield name, node, port, seed
    for block_name, block in workflow.subgraphs.items():
        fed = {target for outer in block.inputs.values() for target in outer.to}
        for name, node in block.nodes.items():
            for port, seed in _seeds(node, workflow, catalog):
                if f"{name}.{port}" not in fed:
                    yield f"{block_name}/{name}", node, port, seed


def _seeds(node: NodeEntry, workflow: Workflow, catalog: Catalog) -> Iterator[tuple[str, int]]:
    spec = node_spec(node, workflow, catalog)
    for port in spec.inputs if spec else ():
        if port.widget == "seed":
            written = node.inputs.get(port.name, port.default)
            value = None if is_link(written) else read_literal(written)
            if isinstance(value, int):
                yield port.name, value
