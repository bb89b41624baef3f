"""Graph fragments of expanding nodes, and nodes that stand for values in memory.

A node for a value in memory gives that one value, known before anything runs. It has its own node
type, which declares the value's type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nodegraph.core.analysis import Analysis, analyse, needed_by
from nodegraph.core.annotations import type_of_value
from nodegraph.core.catalog import ExtendedCatalog
from nodegraph.core.context import Environment
from nodegraph.core.copies import container_copy
from nodegraph.core.digests import is_tensor
from nodegraph.core.flat_workflow import VALUE, Output
from nodegraph.core.graph import CheckedGraph, GraphNode, LinkSource
from nodegraph.core.hooks import Facts
from nodegraph.core.links import Expand, OutputSource, Value, is_live, parse_link, unwrap_live
from nodegraph.core.ports import Blocked, RawLink
from nodegraph.core.spec import HookName, HookRef, NodeSpec, OutputSpec
from nodegraph.core.summary import summarize
from nodegraph.core.types import ANY, TypeExpr, named_type
from nodegraph.core.values import Recipe
from nodegraph.core.workflow import Workflow
from nodegraph.engine.product import Product
from nodegraph.errors import InvalidValue, InvalidWorkflow
from nodegraph.packs.registry import Registry
from nodegraph.store.entries import UNLOADED

OUTPUT = "value"
"""Name of their output."""


class ValueNodes:
    """The nodes that stand for the values of one workflow.

    Attributes:
        values: By the node's name, which is its type's, too.
    """

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self._specs: dict[str, NodeSpec] = {}
        self._facts: dict[str, Facts] = {}

    def link(self, name: str, value: Value, expr: TypeExpr, facts: Facts) -> dict[str, str]:
        """Have a node of a name give a value; returns a link to it, as a file writes it.

        Args:
            expr: The type of what it gives.
            facts: What is known of the value.
        """
        self.values[name] = value
        self._specs[name] = _value_type(name, expr, facts)
        self._facts[name] = facts
        return {"from": f"{name}.{OUTPUT}"}

    def catalog(self, registry: Registry) -> ExtendedCatalog:
        """The node types of a registry, and those of these nodes."""
        return _WithValues(registry, self._specs, self._facts)


class _WithValues(ExtendedCatalog):
    """The node types of a registry, and those that stand for values."""

    def __init__(
        self, registry: Registry, specs: Mapping[str, NodeSpec], facts: Mapping[str, Facts]
    ) -> None:
        super().__init__(registry, specs)
        self._registry = registry
        self._facts = facts

    def hook(self, node_type: str, name: HookName) -> Callable[..., Any] | None:
        facts = self._facts.get(node_type)
        if facts is None:
            return super().hook(node_type, name)
        return (lambda inputs: {OUTPUT: facts}) if name == "infer" else None

    def pack_versions(self) -> Mapping[str, str]:
        return self._registry.pack_versions()


def _value_type(name: str, expr: TypeExpr, facts: Facts) -> NodeSpec:
    hooks: dict[HookName, HookRef] = {"infer": HookRef(module="", name="")} if facts else {}
    outputs = (OutputSpec(name=OUTPUT, type=str(expr)),)
    return NodeSpec(type=name, category=VALUE, outputs=outputs, hooks=hooks)


def value_facts(value: Any) -> Facts:
    """What is known of a value, as the node types that give such ones tell of it.

    Of a list it is what holds for each of its items.
    """
    if isinstance(value, (list, tuple)):
        each = [value_facts(item) for item in value]
        first = each[0] if each else {}
        return {
            name: fact
            for name, fact in first.items()
            if all(other.get(name) == fact for other in each)
        }
    if is_tensor(value) and value.ndim in (3, 4):
        shape = tuple(value.shape)
        facts: dict[str, Any] = {"width": shape[2], "height": shape[1], "batch": shape[0]}
        return {**facts, "channels": shape[3]} if len(shape) == 4 else facts
    kind = type_of_value(value)
    if kind == "Latent":
        size = {"width": value.width, "height": value.height, "batch": value.batch_size}
        facts = {**size, "frames": value.frames, "format": value.format}
    elif kind == "Video":
        _, height, width, channels = value.frames.shape
        facts = {"width": width, "height": height, "frames": len(value.frames)}
        facts["channels"] = channels
    elif isinstance(value, Recipe) or kind == "Conditioning":
        facts = {"family": value.family}
    else:
        facts = {}
    return {name: fact for name, fact in facts.items() if fact is not None}


class Carried(Value):
    """What a step of an expansion gave, for the next one, or what a link into the run leads to.

    Attributes:
        source: The inner node that gave it, if it is just one output of one node.
        expr: Its type.
    """

    __slots__ = ("expr", "product", "source")

    def __init__(self, product: Product, source: LinkSource | None, expr: TypeExpr) -> None:
        super().__init__(None)
        self.product = product
        self.source = source
        self.expr = expr

    @property
    def value(self) -> Any:
        if not self.product.is_intact:
            self.product.invalidate()
        return container_copy(self.product.value)

    @property
    def is_blocked(self) -> bool:
        return self.product.is_blocked


@dataclass(frozen=True, slots=True)
class InnerOutput:
    """An inner output, or one of the run around it, that stands for an output of the fragment.

    Attributes:
        source: The inner node and its port; None if it is left out, as something is muted.
        expr: The type of what it gives.
        text: As the fragment names it.
        is_outer: Whether it is one of the run around the fragment.
    """

    source: LinkSource | None
    expr: TypeExpr
    text: str
    is_outer: bool = False


FragmentOutput = InnerOutput | Value | list["FragmentOutput"]
"""An output of a fragment, its links followed."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A fragment, checked.

    Attributes:
        graph: Its nodes, by their names in the run.
        values: Those that stand for live values.
        outputs: Its outputs.
        outer: Outputs of the run around it that it is linked to.
    """

    graph: CheckedGraph
    values: Mapping[str, Value]
    outputs: Mapping[str, FragmentOutput]
    outer: tuple[RawLink[Any], ...] = ()


def build_fragment(
    expansion: Expand,
    prefix: str,
    step: int,
    registry: Registry,
    environment: Environment,
    type_of: Callable[[RawLink[Any]], TypeExpr],
) -> Fragment:
    """Check a fragment, and find the nodes that it needs to run.

    Args:
        prefix: Of its nodes' names in the run.
        step: Keeps the nodes that stand for values apart from those of other steps.
        type_of: The type of an output of the run around it; raises if it can't be linked to.
    Raises:
        NodegraphError: It is invalid.
    """
    _check_outputs(expansion)
    outer: dict[RawLink[Any], None] = {}
    stand_ins = ValueNodes()
    nodes = _nodes_with_links(expansion, step, stand_ins, outer, type_of)
    values = stand_ins.values
    document = {
        "format": "nodegraph/1",
        "nodes": {**{name: {"type": name} for name in values}, **nodes},
        "subgraphs": expansion.subgraphs,
    }
    catalog = stand_ins.catalog(registry)
    analysis = analyse(Workflow.from_dict(document), catalog, environment, targets=())
    if analysis.problems:
        raise InvalidWorkflow(analysis.problems)
    ends = {
        port: _ends(analysis, port, port_value, type_of)
        for port, port_value in expansion.outputs.items()
    }
    targets: dict[str, None] = {}
    for end in (end for port_value in ends.values() for end in _leaves(port_value)):
        if end.is_outer and end.source is not None:
            outer[RawLink(end.source.node, end.source.port)] = None
        elif end.source is not None:
            targets[end.source.node] = None
    targets.update(
        dict.fromkeys(
            name for name, node in analysis.flat.nodes.items() if node.spec and node.spec.output
        )
    )
    fragment = _moved(analysis.nodes, tuple(targets), values, ends, prefix)
    return replace(fragment, outer=tuple(outer))


def _check_outputs(expansion: Expand) -> None:
    """Refuse outputs that name no node of the expansion."""
    for port, ending in expansion.outputs.items():
        for output in _texts(ending):
            if output.partition(".")[0] not in expansion.nodes:
                raise InvalidValue(
                    f"the expansion's output `{port}` does not name a node of the expansion",
                    given=output,
                )


def _nodes_with_links(
    expansion: Expand,
    step: int,
    stand_ins: ValueNodes,
    outer: dict[RawLink[Any], None],
    type_of: Callable[[RawLink[Any]], TypeExpr],
) -> dict[str, Any]:
    """The nodes of an expansion, whose values are links to nodes of `stand_ins`.

    Args:
        outer: Receives the links to the run around it.
    """
    names: dict[object, str] = {}
    nodes: dict[str, Any] = {}
    for name, item in expansion.nodes.items():
        inputs = dict(item.get("inputs", {}))
        for port, port_value in inputs.items():
            if not is_live(port_value):
                continue
            link = raw_link(port_value)
            key = id(port_value) if link is None else link
            stand_in = names.setdefault(key, f"__value_{step}_{len(names)}__")
            if link is not None:
                outer[link] = None
                source = LinkSource(link.node, link.port)
                value: Value = Carried(_NOT_YET, source, type_of(link))
            elif isinstance(port_value, Value):
                value = port_value
            else:
                value = Value(unwrap_live(port_value))
            expr = value.expr if isinstance(value, Carried) else named_type(ANY)
            # The output of a step may lie on disk: its type is not read from it.
            inputs[port] = stand_ins.link(stand_in, value, expr, {})
        nodes[name] = {**item, "inputs": inputs}
    return nodes


_NOT_YET = Product(UNLOADED, "", 0)


def raw_link(written: Any) -> RawLink[Any] | None:
    """The link that an input or an output of a fragment is, wrapped in a `Value` or not."""
    value = written.value if type(written) is Value else written
    return value if isinstance(value, RawLink) else None


def _texts(ending: OutputSource) -> Iterator[str]:
    if isinstance(ending, str):
        yield ending
    elif isinstance(ending, Sequence):
        for item in ending:
            yield from _texts(item)


def _leaves(ends: FragmentOutput) -> Iterator[InnerOutput]:
    if isinstance(ends, InnerOutput):
        yield ends
    elif isinstance(ends, list):
        for item in ends:
            yield from _leaves(item)


def _ends(
    analysis: Analysis,
    port: str,
    ending: OutputSource,
    type_of: Callable[[RawLink[Any]], TypeExpr],
) -> FragmentOutput:
    link = raw_link(ending)
    if link is not None:
        return InnerOutput(LinkSource(link.node, link.port), type_of(link), str(link), True)
    if isinstance(ending, (Value, RawLink)):  # the latter is seen above
        return ending  # type: ignore[return-value]
    if type(ending) is Blocked:
        return Value(ending)
    if not isinstance(ending, Sequence):
        raise InvalidValue(
            f"the expansion's output `{port}` is neither an output nor a value",
            given=summarize(ending),
            expected="a text such as blur.image, a Value, a RawLink, or a list of these",
            hint="Wrap values in `Value`.",
        )
    if not isinstance(ending, str):
        return [_ends(analysis, port, item, type_of) for item in ending]
    flat = analysis.flat
    try:
        output = flat.output(parse_link(ending))
    except ValueError:
        output = None
    if not isinstance(output, Output) or output.port is None:
        name = ending.partition(".")[0]
        there = [f"{name}.{known}" for known in flat.outputs_of(name)]
        raise InvalidValue(
            f"the expansion's output `{port}` does not name an output of its node",
            given=ending,
            expected=" or ".join(there) or "none",
        )
    expr = output.port.expr
    if output.node in flat.excluded:
        return InnerOutput(None, expr, ending)
    expr = output.port.mapped(analysis.nodes[output.node].map_depth)
    return InnerOutput(LinkSource(output.node, output.port.name), expr, ending)


def _moved(
    nodes: Mapping[str, GraphNode],
    targets: tuple[str, ...],
    values: Mapping[str, Value],
    ends: Mapping[str, FragmentOutput],
    prefix: str,
) -> Fragment:
    """The needed nodes under their names in the run, linked to what an earlier step gave."""
    carried = {
        name: value.source
        for name, value in values.items()
        if isinstance(value, Carried) and value.source is not None
    }

    def source(link: LinkSource) -> LinkSource:
        origin = carried.get(link.node)
        if origin is not None:
            return LinkSource(origin.node, origin.port, link.fit)
        return replace(link, node=prefix + link.node)

    def end(output_end: FragmentOutput) -> FragmentOutput:
        if isinstance(output_end, list):
            return [end(item) for item in output_end]
        if isinstance(output_end, Value) or output_end.source is None or output_end.is_outer:
            return output_end
        return replace(output_end, source=source(output_end.source))

    needed = needed_by(nodes, targets)
    moved = {
        prefix + name: replace(
            item,
            name=prefix + name,
            links={port: source(original) for port, original in item.links.items()},
        )
        for name, item in nodes.items()
        if name in needed and name not in carried
    }
    graph = CheckedGraph(moved, tuple(prefix + name for name in targets))
    live = {prefix + name: value for name, value in values.items() if prefix + name in moved}
    return Fragment(graph, live, {port: end(original) for port, original in ends.items()})
