"""Check one node's inputs against its type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nodegraph.core.bodies import SUBGRAPH_TYPE as SUBGRAPH
from nodegraph.core.bodies import Bodies
from nodegraph.core.catalog import Catalog
from nodegraph.core.flat_workflow import FlatNode, FlatWorkflow, InputLocation, InputValue, Output
from nodegraph.core.graph import LinkSource
from nodegraph.core.hooks import Finding, OutputFacts, finding_problem
from nodegraph.core.links import Link
from nodegraph.core.literals import check_literal, convert_literal, describe, literal_schema
from nodegraph.core.spec import InputSpec, NodeSpec, OutputSpec
from nodegraph.core.suggest import nearest, port_hint, port_synonym
from nodegraph.core.suggestions import LinkSuggestions, OpenInput
from nodegraph.core.types import Fit, TypeExpr, fit
from nodegraph.errors import Problem

DEEPEST = 8
"""Levels of lists that a node may be mapped over."""


@dataclass(slots=True)
class Inputs:
    """A node's inputs, checked.

    Attributes:
        literals: Of inputs that aren't linked, converted, defaults included.
        links: Of linked inputs.
        map_depth: Levels of list that the node is mapped over.
        problems: Everything wrong with them.
        is_complete: False if something is wrong, or if what was told elsewhere keeps an input
            from being known.
    """

    literals: dict[str, Any] = field(default_factory=dict)
    links: dict[str, LinkSource] = field(default_factory=dict)
    map_depth: int = 0
    problems: list[Problem] = field(default_factory=list)
    is_complete: bool = True


class InputChecker:
    """Checks nodes one after the other, each after those that it is linked to.

    Args:
        facts: What is known of outputs by node, as far as nodes have been checked.
    """

    def __init__(
        self, flat: FlatWorkflow, catalog: Catalog, bodies: Bodies, facts: Mapping[str, OutputFacts]
    ) -> None:
        self.flat = flat
        self.facts = facts
        self.bodies = bodies
        self.mends = LinkSuggestions(flat, catalog)
        self._types = catalog.types
        self._depths: dict[str, int] = {}
        self._fits: dict[tuple[TypeExpr, TypeExpr], Fit | None] = {}

    def check(self, node: FlatNode, spec: NodeSpec) -> Inputs:
        """A node's inputs against its spec."""
        inputs = _NodeCheck(self, node, spec).run()
        self._depths[node.name] = inputs.map_depth
        return inputs

    def type_of(self, node: str, port: OutputSpec) -> TypeExpr:
        """What an output gives: a list for each level that its node is mapped over."""
        return port.mapped(self._depths.get(node, 0))

    def fit(self, node: str, port: OutputSpec, target: TypeExpr) -> Fit | None:
        """How an output fits an input."""
        key = (self.type_of(node, port), target)
        if key not in self._fits:
            self._fits[key] = fit(*key, self._types)
        return self._fits[key]


class _NodeCheck:
    def __init__(self, checker: InputChecker, node: FlatNode, spec: NodeSpec) -> None:
        self._checker = checker
        self._node = node
        self._spec = spec
        self._found = Inputs()

    def run(self) -> Inputs:
        meant = self._unknown_inputs()
        for port in self._spec.inputs:
            input_value = self._node.inputs.get(port.name)
            if input_value is None:
                self._check_missing(port, is_reported=port.name in meant)
            elif input_value.is_broken:
                self._found.is_complete = False
            elif input_value.link is not None:
                self._linked(port, input_value, input_value.link)
            else:
                self._literal(port, input_value)
        return self._found

    def _report(self, finding: Finding, location: InputLocation | None) -> None:
        """Tell of a fault at an input of this node, or at a block's where the value was written."""
        self._found.is_complete = False
        node, kind = (
            (location.node, location.node_type) if location else (self._node.name, self._node.type)
        )
        if location:
            finding = replace(finding, port=location.port)
        self._found.problems.append(finding_problem(finding, node, kind))

    def _unknown_inputs(self) -> set[str]:
        """Tell of inputs that the type doesn't have; returns those that were probably meant."""
        known, inputs = self._spec.inputs_by_name, self._node.inputs
        meant: set[str] = set()
        if not self._is_body_known():
            return meant
        for name in dict.fromkeys((*inputs, *self._node.unread)):
            if name not in known:
                free = [port for port in known if port not in inputs]
                meant.add(port_synonym(name, free) or nearest(name, free) or "")
                hint = port_hint(name, known) or "This type has no inputs."
                self._report(
                    Finding(name, "has no such input", hint=hint, code="unknown-input"), None
                )
        return meant

    def _is_body_known(self) -> bool:
        """Whether all inputs are known: not where they are those of a subgraph that there isn't."""
        port = self._spec.body
        if port is None or port.body is None or not port.body.passes_on:
            return True
        body_input = self._node.inputs.get(port.name)
        return (
            body_input is not None
            and isinstance(body_input.literal, str)
            and body_input.literal in self._checker.bodies
        )

    def _check_missing(self, port: InputSpec, *, is_reported: bool) -> None:
        is_unread = port.name in self._node.unread
        if not (port.required or is_unread or port.name in self._node.required):
            # A subgraph's own defaults stand inside it.
            if not port.passed_on:
                self._found.literals[port.name] = convert_literal(port.default, port)
        elif is_reported:
            self._found.is_complete = False
        else:
            location = self._node.missing.get(port.name)
            hint = self._link_hint(port, location, "Link it:") if port.json_schema is None else None
            hint = self._parameter_hint(port, location) or hint
            wanted = port.type if port.json_schema is None else describe(port.json_schema)
            message, code = "is missing", "missing-input"
            if is_unread:
                message, code = "could not be read from the imported file", "values-not-read"
                hint = hint or self._unread_hint(port, location)
            finding = Finding(port.name, message, expected=wanted, hint=hint, code=code)
            self._report(finding, location)

    def _parameter_hint(self, port: InputSpec, location: InputLocation | None) -> str:
        """How an input is given that a parameter names; empty if none does."""
        blocks = self._checker.flat.blocks
        node = blocks[location.node].node if location and location.node in blocks else self._node
        name = node.parameters.get(location.port if location else port.name)
        return f"Set the parameter `{name}`, or a value in the workflow." if name else ""

    def _unread_hint(self, port: InputSpec, at: InputLocation | None) -> str:
        """How an input is given that couldn't be read; inside a sub-graph no run gives it."""
        blocks = self._checker.flat.blocks
        node = blocks[at.node].node if at and at.node in blocks else self._node
        name = at.port if at else port.name
        theirs = self._node.unread_as.get(port.name, "")
        shown = "what the other program shows" + (f" for `{theirs}`" if theirs else "")
        if node.origin is None:
            return f"Set it to {shown}."
        subgraph, inner = node.origin
        return (
            f"Set `{name}` of `{inner}` to {shown}, inside the sub-graph `{subgraph}`: open that "
            "in the editor, or write it into the file, at "
            f"`subgraphs.{subgraph}.nodes.{inner}.inputs`. Or add an input to the sub-graph, and "
            f"link it to `{inner}.{name}`."
        )

    def _link_hint(self, port: InputSpec, location: InputLocation | None, verb: str) -> str:
        return self._source_hint(port.name, port.expr, location, verb)

    def _source_hint(
        self, port: str, target: TypeExpr, location: InputLocation | None, verb: str
    ) -> str:
        """Which output to link to an input: one of the workflow, or of which node types."""
        return self._present_hint(target, location, verb) or self._absent_hint(port, target)

    def _present_hint(self, target: TypeExpr, location: InputLocation | None, verb: str) -> str:
        """Which outputs of the workflow to link to an input; empty if none fits."""
        at = location.node if location else self._node.name
        sources = self._checker.mends.sources_for(self._node.name, at, target)
        return f"{verb} {sources}." if sources else ""

    def _absent_hint(self, port: str, target: TypeExpr) -> str:
        """Which node types to add for an input."""
        types = self._checker.mends.source_types(self._open_input(port, target))
        return f"Add a node that outputs {target}" + (f", such as {types}." if types else ".")

    def _open_input(self, port: str, target: TypeExpr) -> OpenInput:
        return OpenInput(target, f"{self._spec.type}.{port}", self._family())

    def _family(self) -> str | None:
        """The model family of what is linked to the node; None if none is known."""
        for input_value in self._node.inputs.values():
            output = self._checker.flat.output(input_value.link) if input_value.link else None
            if isinstance(output, Output) and output.port is not None:
                facts = self._checker.facts.get(output.node, {}).get(output.port.name, {})
                if family := facts.get("family"):
                    return str(family)
        return None

    def _literal(self, port: InputSpec, input_value: InputValue) -> None:
        findings, location = self._literal_findings(port, input_value)
        if not findings:
            value = convert_literal(input_value.literal, port)
            if SUBGRAPH in port.expr.type_names():
                findings = list(self._body_findings(port, value))
                value = self._subgraphs(value)
            self._found.literals[port.name] = value
        for finding in findings:
            hint = finding.hint
            if finding.code == "link-needed":
                hint = self._intended_link(input_value) or self._link_hint(port, location, "Write")
            self._report(replace(finding, hint=hint), location)

    def _body_findings(self, port: InputSpec, value: Any) -> Iterator[Finding]:
        """Names of no subgraph, and subgraphs that the node can't run."""
        bodies = self._checker.bodies
        for name in value if isinstance(value, list) else [value]:
            if isinstance(name, str) and name not in bodies:
                yield Finding(
                    port.name,
                    "does not name a subgraph of this workflow",
                    given=name,
                    hint=bodies.hint(name),
                    code="unknown-subgraph",
                )
            elif isinstance(name, str) and port.body is not None:
                yield from bodies.findings(port.name, port.body, self._spec, name)

    def _subgraphs(self, value: Any) -> Any:
        """Names of subgraphs as the subgraphs themselves."""
        if isinstance(value, list):
            return [self._subgraphs(item) for item in value]
        is_name = isinstance(value, str) and value in self._checker.bodies
        return self._checker.bodies.value(value) if is_name else value

    def _literal_findings(
        self, port: InputSpec, input_value: InputValue
    ) -> tuple[list[Finding], InputLocation | None]:
        """Faults of a literal at the first input that it passes and that refuses it."""
        for crossing in input_value.crossed:
            schema = literal_schema(crossing.expr) if crossing.expr else None
            if schema is not None:
                outer = replace(port, json_schema=schema)
                if findings := check_literal(input_value.literal, outer):
                    return findings, crossing.location
        return check_literal(input_value.literal, port), input_value.location

    def _intended_link(self, input_value: InputValue) -> str | None:
        """A literal that looks like a link which was written without ``from``."""
        text = input_value.literal
        scope = self._node.name.rpartition("/")[0]
        if not isinstance(text, str) or not text:
            return None
        name = text.partition(".")[0]
        full = f"{scope}/{name}" if scope and input_value.location is None else name
        is_node = full in self._checker.flat.nodes or full in self._checker.flat.blocks
        return f'Write {{"from": "{text}"}}.' if is_node else None

    def _linked(self, port: InputSpec, input_value: InputValue, link: Link) -> None:
        output = self._checker.flat.output(link)
        if port.body is not None:
            names = self._checker.bodies.names()
            finding = Finding(
                port.name,
                "takes the name of a subgraph, not a link",
                given=f"a link to `{link}`",
                expected="one of " + ", ".join(names) if names else None,
                code="name-needed",
            )
            self._report(finding, input_value.location)
        elif isinstance(output, Finding):
            self._broken_link(port, input_value, link, output)
        elif output is None or output.port is None:
            self._found.is_complete = False
        else:
            self._fit(port, input_value, link, output.node, output.port)

    def _broken_link(
        self, port: InputSpec, input_value: InputValue, link: Link, finding: Finding
    ) -> None:
        if finding.code == "ambiguous-output":
            fitting = self._checker.mends.port_of(link, port.expr)
            finding = replace(finding, hint=f"Write {fitting}." if fitting else None)
        asker = input_value.location.node if input_value.location else self._node.name
        finding = self._checker.flat.with_hint(finding, link, asker)
        self._report(replace(finding, port=port.name), input_value.location)

    def _fit(
        self, port: InputSpec, input_value: InputValue, link: Link, node: str, output: OutputSpec
    ) -> None:
        for crossing in input_value.crossed:
            if crossing.expr and self._checker.fit(node, output, crossing.expr) is None:
                self._mismatch(port.name, crossing.expr, link, node, output, crossing.location)
                return
        fitted = self._checker.fit(node, output, port.expr)
        if fitted is None:
            # A block's input that declares a type is not to blame for what it leads to.
            location = (
                None if any(item.expr for item in input_value.crossed) else input_value.location
            )
            self._mismatch(port.name, port.expr, link, node, output, location)
        elif fitted.map_depth > DEEPEST:
            self._report(_too_deep(port.name, fitted.map_depth), None)
        elif port.raw_link:
            self._found.links[port.name] = LinkSource(node, output.name)
        else:
            self._found.links[port.name] = LinkSource(node, output.name, fitted)
            self._found.map_depth = max(self._found.map_depth, fitted.map_depth)

    def _mismatch(
        self,
        port: str,
        target: TypeExpr,
        link: Link,
        node: str,
        output: OutputSpec,
        location: InputLocation | None,
    ) -> None:
        name = link.node.rpartition("/")[2]
        finding = Finding(
            port,
            f"is linked to `{name}.{link.port or output.name}`, which does not fit",
            given=str(self._checker.type_of(node, output)),
            expected=str(target),
            hint=self._mismatch_hint(port, target, link, output, location),
            code="wrong-type",
        )
        self._report(finding, location)

    def _mismatch_hint(
        self, port: str, target: TypeExpr, link: Link, output: OutputSpec, at: InputLocation | None
    ) -> str:
        suggestions, wanted = self._checker.mends, self._open_input(port, target)
        return (
            suggestions.mismatch_hint(link, output.expr, self._node.name, wanted)
            or self._present_hint(target, at, "Link it:")
            or suggestions.detour_hint(link, wanted)
            or self._absent_hint(port, target)
        )


def _too_deep(port: str, levels: int) -> Finding:
    return Finding(
        port,
        "would map this node over too many levels of lists",
        given=f"{levels} levels",
        expected=f"{DEEPEST} at most",
        code="too-deep",
    )
