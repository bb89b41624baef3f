"""Check the inputs of a node call, including Python lists of outputs.

A list becomes nodes of the type `List`. Each takes a fixed number of items, so a longer list
becomes a list of such lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from nodegraph.core.bodies import SUBGRAPH_TYPE as SUBGRAPH
from nodegraph.core.hooks import Finding, finding_problem
from nodegraph.core.input_checker import DEEPEST
from nodegraph.core.links import Link, Value, is_live, is_too_large, read_literal
from nodegraph.core.literals import check_literal, describe
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.suggest import did_you_mean, port_hint
from nodegraph.core.suggestions import NodeTypeSuggestions, OpenInput
from nodegraph.core.types import ANY, TypeExpr, fit, list_of, named_type
from nodegraph.engine.live_values import FittedInput, fit_value, to_workflow_value
from nodegraph.errors import InvalidValue, InvalidWorkflow, Problem
from nodegraph.python.builder.outputs import BuiltNode, Out, Owner

_MOST = 8
"""Items of a node."""


class OutputList(Out[Any]):
    """Values and outputs as one list; its nodes are added when something is linked to it."""

    def __init__(self, owner: Owner, items: Sequence[Any]) -> None:
        super().__init__(owner, Link(""))
        self.items = items
        self._node: Any = None

    def with_values(self, items: Sequence[Any]) -> OutputList:
        """The same list with items as an input takes them."""
        return OutputList(self._owner, items)

    @property
    def _identity(self) -> tuple[object, ...]:
        return (id(self),)

    @property
    def _known_type(self) -> TypeExpr:
        type_of = self._owner.type_of
        types = {type_of(item) if isinstance(item, Out) else named_type(ANY) for item in self.items}
        expr = types.pop() if len(types) == 1 else named_type(ANY)
        return expr if expr.is_list else list_of(expr)

    @property
    def _shown(self) -> str:
        return "a list"

    @property
    def _link(self) -> Link:
        if self._node is None:
            left = _with_values_together(self.items)
            while len(left) > _MOST:
                left = [
                    self._add_list_node(left[at : at + _MOST]) for at in range(0, len(left), _MOST)
                ]
            self._node = self._add_list_node(left)
        return Link(str(self._node))

    def _add_list_node(self, items: Sequence[Any]) -> Any:
        """A node that makes a list of a few."""
        inputs = {f"item_{at}": item for at, item in enumerate(items, start=1)}
        return self._owner.node("List", **inputs)


def _with_values_together(items: Sequence[Any]) -> list[Any]:
    """The items, with those that stand beside each other and are no outputs as one list."""
    grouped: list[Any] = []
    for are_outputs, part in groupby(items, is_output):
        if are_outputs:
            grouped += part
        else:
            grouped.append([inner_item for item in part for inner_item in _items_of(item)])
    return grouped


def _items_of(value: Any) -> Sequence[Any]:
    """What a node `List` makes of a value."""
    return value if isinstance(value, (list, tuple)) else (value,)


def to_output_list(owner: Owner, value: Any) -> Any:
    """A list of which an item is an output as one output; what else is given as it is."""
    if not isinstance(value, (list, tuple)):
        return value
    return OutputList(owner, value) if any(map(is_output, value)) else value


def is_output(value: object) -> bool:
    """Whether it is a node, or an output of one."""
    return isinstance(value, (Out, BuiltNode))


def has_outputs(value: object) -> bool:
    """Whether lists or dictionaries have outputs in them, however deep."""
    left, visited = [value], set[int]()
    while left:
        part = left.pop()
        if is_output(part):
            return True
        # What holds itself is looked at once; that it does is told where values are checked.
        if isinstance(part, (dict, list, tuple)) and id(part) not in visited:
            visited.add(id(part))
            left.extend(part.values() if isinstance(part, dict) else part)
    return False


@dataclass
class CheckedInputs:
    """The inputs of a call, checked.

    Attributes:
        written: As the workflow has them, but for outputs that `link` has yet to name.
        inner_inputs: Inputs that an input of the subgraph leads to, by port: that one's name.
        depth: Levels of lists that the node is mapped over.
    """

    written: dict[str, Any] = field(default_factory=dict)
    inner_inputs: dict[str, str] = field(default_factory=dict)
    depth: int = 0

    def link(self) -> None:
        """Name the outputs, for which lists and calculations add nodes of their own."""
        for port, value in self.written.items():
            if isinstance(value, Out):
                self.written[port] = {"from": str(value)}


class InnerInput(Out[Any]):
    """An input of a subgraph, for the nodes in it."""

    def __init__(self, owner: Owner, name: str) -> None:
        super().__init__(owner, Link(name))
        self.name = name

    @property
    def _identity(self) -> tuple[object, ...]:
        return id(self._owner), self.name  # a node may be called so, too


def check_inputs(
    scope: Owner,
    node: str,
    spec: NodeSpec,
    values: Mapping[str, Any],
    *,
    is_new: bool = True,
) -> CheckedInputs:
    """Check what a node is given.

    Args:
        is_new: Inputs that have no default must be among it.
    Raises:
        InvalidWorkflow: Something of it is wrong; lists all.
    """
    return _CallCheck(scope, node, spec).run(values, is_new=is_new)


class _ScopeSuggestions(NodeTypeSuggestions):
    """Looks among the nodes of a graph or subgraph, too."""

    def __init__(self, scope: Owner) -> None:
        super().__init__(scope.catalog)
        self._scope = scope

    def _can_feed(self, needed: TypeExpr, node: str) -> bool | None:
        outputs = [
            is_free
            for expr, is_free in self._scope.available_outputs(node)
            if self._plainly(expr, needed)
        ]
        if outputs or self._scope.takes_values:
            return any(outputs) if outputs else None
        return True  # a subgraph's nodes can be given what is outside by one more input


class _CallCheck:
    def __init__(self, scope: Owner, node: str, spec: NodeSpec) -> None:
        self._scope = scope
        self._node = node
        self._spec = spec
        self._given = CheckedInputs()
        self._problems: list[Problem] = []

    def run(self, values: Mapping[str, Any], *, is_new: bool) -> CheckedInputs:
        known = self._spec.inputs_by_name
        for name, raw in values.items():
            value = to_output_list(self._scope, raw)
            port = known.get(name)
            if port is None:
                hint = port_hint(name, known) or "This type has no inputs."
                self._report(Finding(name, "has no such input", hint=hint, code="unknown-input"))
            elif isinstance(value, (Out, BuiltNode)):
                self._link(port, value)
            else:
                self._literal(port, value)
        if is_new and not self._problems:
            for port in self._spec.inputs:
                if port.required and port.name not in values:
                    self._missing(port)
        if self._problems:
            raise InvalidWorkflow(self._problems)
        return self._given

    def _report(self, finding: Finding) -> None:
        self._problems.append(finding_problem(finding, self._node, self._spec.type))

    def _missing(self, port: InputSpec) -> None:
        schema = port.json_schema
        hint = self._source_types(port) if schema is None else None
        wanted = port.type if schema is None else describe(schema)
        self._report(
            Finding(port.name, "is missing", expected=wanted, hint=hint, code="missing-input")
        )

    def _source_types(self, port: InputSpec) -> str | None:
        """Node types that give what an input takes, as a sentence; None if there are none."""
        types = self._suggestions.source_types(
            OpenInput(port.expr, f"{self._spec.type}.{port.name}")
        )
        return f"Add a node that outputs {port.type}, such as {types}." if types else None

    @property
    def _suggestions(self) -> NodeTypeSuggestions:
        return _ScopeSuggestions(self._scope)

    def _literal(self, port: InputSpec, value: Any) -> None:
        if has_outputs(value):
            self._report(_nested_output_finding(port))
            return
        try:
            written = to_workflow_value(value, port)
        except InvalidValue as error:
            self._report(_uncopyable_finding(port, error.problem))
            return
        if isinstance(written, Value):
            self._live(port, written)
            return
        literal = read_literal(written)
        if SUBGRAPH in port.expr.type_names():
            self._subgraphs(port, literal)
        for finding in check_literal(literal, port):
            self._report(self._output_needed(finding, port))
        self._given.written[port.name] = written

    def _live(self, port: InputSpec, live_value: Value) -> None:
        """Give a live value, as the input takes it."""
        fit_result = fit_value(live_value, port, self._scope.catalog)
        if not isinstance(fit_result.written, Value):
            self._literal(port, fit_result.written)
        elif fit_result.finding is not None:
            self._report(fit_result.finding)
        elif not self._scope.takes_values:
            self._report(_outside_subgraph(port, live_value))
        elif fit_result.depth > DEEPEST:
            self._report(_too_deep(port, fit_result.depth))
        else:
            self._given.depth = max(self._given.depth, fit_result.depth)
            self._given.written[port.name] = fit_result.written

    def _output_needed(self, finding: Finding, port: InputSpec) -> Finding:
        if finding.code != "link-needed":
            return finding
        return replace(
            finding,
            message=f"does not take a literal, only an output that carries {port.type}",
            hint=self._source_types(port),
        )

    def _subgraphs(self, port: InputSpec, literal: Any) -> None:
        blocks = self._scope.workflow.subgraphs
        for name in literal if isinstance(literal, list) else [literal]:
            if isinstance(name, str) and name not in blocks:
                self._report(
                    Finding(
                        port.name,
                        "does not name a subgraph of this graph",
                        given=name,
                        hint=did_you_mean(name, blocks) or "Create one: `graph.subgraph(name)`.",
                        code="unknown-subgraph",
                    )
                )

    def _link(self, port: InputSpec, value: Out[Any] | BuiltNode) -> None:
        shown = _shown(value)
        if value._owner is not self._scope:
            self._report(self._other_graph_finding(port, value))
        elif port.body is not None:
            names = ", ".join(self._scope.workflow.subgraphs)
            self._report(
                Finding(
                    port.name,
                    "takes the name of a subgraph, not a link",
                    given=shown,
                    expected=f"one of {names}" if names else None,
                    code="name-needed",
                )
            )
        elif not isinstance(value, Out):
            self._report(self._ambiguous(port, str(value), port.expr))
        elif not isinstance(value, OutputList):
            self._fit(port, value)
        elif self._are_items(port, value.items):
            self._fit(port, value.with_values(self._item_values(port, value.items)))

    def _other_graph_finding(self, port: InputSpec, value: Out[Any] | BuiltNode) -> Finding:
        return Finding(
            port.name,
            "is given a node of another graph, or of another subgraph",
            given=_shown(value),
            expected="a node that was added where this one is",
            code="unknown-node",
        )

    def _are_items(self, port: InputSpec, items: Sequence[Any]) -> bool:
        """Whether a list can be made of these; reports those of which it can't."""
        findings = [finding for item in items for finding in self._item_faults(port, item)]
        for finding in findings:
            self._report(finding)
        return not findings

    def _item_values(self, port: InputSpec, items: Sequence[Any]) -> list[Any]:
        """The items of a list, live values as the input takes them."""
        return [self._item(port, item).written.value if is_live(item) else item for item in items]

    def _item(self, port: InputSpec, item: Any) -> FittedInput:
        """A live value as it stands in a list for an input."""
        item_port = replace(port, type=str(_item_type(port)), json_schema=None)
        return fit_value(Value(item), item_port, self._scope.catalog)

    def _item_faults(self, port: InputSpec, item: Any) -> Iterator[Finding]:
        if not isinstance(item, (Out, BuiltNode)):
            if has_outputs(item):
                yield _nested_output_finding(port)
            elif is_too_large(item):
                yield from check_literal(item, replace(port, json_schema={}))
            elif is_live(item) and not self._scope.takes_values:
                yield _outside_subgraph(port, Value(item))
            elif is_live(item) and (finding := self._item(port, item).finding):
                yield finding
        elif item._owner is not self._scope:
            yield self._other_graph_finding(port, item)
        elif not isinstance(item, Out):
            yield self._ambiguous(port, str(item), _item_type(port))

    def _ambiguous(self, port: InputSpec, node: str, expr: TypeExpr) -> Finding:
        outputs = self._outputs(node)
        fitting = [name for name, output in outputs.items() if self._fits(output, expr)]
        shown = [f"`{node}.{name}`" for name in fitting or outputs]
        if not outputs:
            return Finding(
                port.name, f"is given `{node}`, which has no outputs", code="unknown-output"
            )
        return Finding(
            port.name,
            f"is given `{node}`, which has several outputs",
            expected=str(expr),
            hint=f"Write {' or '.join(shown)}.",
            code="ambiguous-output",
        )

    def _fits(self, output: Out[Any], expr: TypeExpr) -> bool:
        return fit(self._scope.type_of(output), expr, self._scope.catalog.types) is not None

    def _fitting(self, port: InputSpec, value: Out[Any]) -> str:
        """Which other outputs of the node would fit, as a sentence; empty if none does."""
        if isinstance(value, InnerInput) or value._known_type is not None:
            return ""
        node, outputs = value._link.node, self._outputs(value._link.node)
        names = [name for name, output in outputs.items() if self._fits(output, port.expr)]
        return "Write " + " or ".join(f"`{node}.{name}`" for name in names) + "." if names else ""

    def _outputs(self, node: str) -> dict[str, Out[Any]]:
        spec = self._scope.spec_of(node)
        names = spec.outputs_by_name if spec else ()
        return {name: Out(self._scope, Link(node, name)) for name in names}

    def _fit(self, port: InputSpec, value: Out[Any]) -> None:
        source = self._scope.type_of(value)
        type_fit = fit(source, port.expr, self._scope.catalog.types)
        if type_fit is None:
            hint = (
                self._fitting(port, value)
                or self._suggestions.converter_hint(source, port.expr, node=self._node)
                or self._source_types(port)
            )
            self._report(
                Finding(
                    port.name,
                    f"is given {value._shown}, which does not fit",
                    given=str(source),
                    expected=port.type,
                    hint=hint or None,
                    code="wrong-type",
                )
            )
        elif type_fit.map_depth > DEEPEST:
            self._report(_too_deep(port, type_fit.map_depth))
        else:
            self._given.depth = max(self._given.depth, type_fit.map_depth)
            if isinstance(value, InnerInput):
                self._given.inner_inputs[port.name] = value.name
            else:
                self._given.written[port.name] = value


def _item_type(port: InputSpec) -> TypeExpr:
    """What an item of a list is taken as that is given to an input."""
    return port.expr.item if port.expr.is_list else port.expr


def _shown(value: Out[Any] | BuiltNode) -> str:
    return value._shown if isinstance(value, Out) else f"`{value}`"


def _too_deep(port: InputSpec, levels: int) -> Finding:
    return Finding(
        port.name,
        "would map this node over too many levels of lists",
        given=f"{levels} levels",
        expected=f"{DEEPEST} at most",
        code="too-deep",
    )


def _outside_subgraph(port: InputSpec, live_value: Value) -> Finding:
    return Finding(
        port.name,
        "is given a live value in a subgraph, whose definition holds none",
        given=live_value.text,
        expected="an input of the subgraph, or an output of a node in it",
        hint=f'Write `{port.name}=block.input("{port.name}")`, and pass the value where the '
        "subgraph is used.",
        code="value-in-subgraph",
    )


def _uncopyable_finding(port: InputSpec, problem: Problem) -> Finding:
    return Finding(
        port.name, problem.message, problem.given, problem.expected, problem.hint, "uncopied-value"
    )


def _nested_output_finding(port: InputSpec) -> Finding:
    return Finding(
        port.name,
        "is given outputs in lists within lists, or in a dictionary",
        expected="an output, or a plain list of outputs",
        hint="Lists of lists come from nodes that output lists, such as nodes mapped over a list.",
        code="buried-output",
    )
