"""Analyze a whole workflow: targets, every problem, and the nodes ready to run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from nodegraph.core.bodies import Bodies
from nodegraph.core.catalog import Catalog
from nodegraph.core.context import Environment
from nodegraph.core.declarations import check_parameters, check_requirements
from nodegraph.core.file_access import path_problems
from nodegraph.core.flat_workflow import FlatNode, FlatWorkflow, Output
from nodegraph.core.flatten import flatten
from nodegraph.core.graph import GraphNode, topological_order
from nodegraph.core.hooks import (
    Finding,
    HookInputs,
    OutputFacts,
    deferred_validations,
    family_problems,
    hook_findings,
    keep_validations,
    output_facts,
    settle_validations,
)
from nodegraph.core.input_checker import InputChecker, Inputs
from nodegraph.core.links import Link, parse_link
from nodegraph.core.spec import NodeSpec
from nodegraph.core.subgraphs import check_subgraphs
from nodegraph.core.suggest import did_you_mean, port_hint
from nodegraph.core.suggestions import NodeTypeSuggestions
from nodegraph.core.types import TypeExpr
from nodegraph.core.workflow import Workflow
from nodegraph.errors import Problem

_SHOWN = 3


def find_targets(
    flat: FlatWorkflow, catalog: Catalog, targets: Sequence[str] | None
) -> tuple[tuple[str, ...], list[Problem]]:
    """Names of the nodes to compute, and what is wrong with the wish.

    Args:
        targets: ``node``, ``node.port`` or a block, which stands for its outputs and sinks; None
            for all sinks of the workflow.
    """
    if targets is None:
        sinks = [name for name, node in flat.nodes.items() if node.spec and node.spec.output]
        # A node of unknown type may well be the sink.
        is_clear = all(node.spec is not None for node in flat.nodes.values())
        return tuple(sinks), [_no_sink(flat, catalog)] if not sinks and is_clear else []
    names: dict[str, None] = {}
    problems = []
    for target in targets:
        resolved = _target(flat, target)
        if isinstance(resolved, Problem):
            problems.append(resolved)
        else:
            names.update(dict.fromkeys(resolved))
    return tuple(names), problems


def _no_sink(flat: FlatWorkflow, catalog: Catalog) -> Problem:
    out = [
        node.name
        for node in flat.in_file_order
        if (node.name in flat.excluded or node.name in flat.bypassed)
        and (node.spec is None or node.spec.output)
    ]
    if out:
        cause = flat.excluded.get(out[0], out[0])
        return Problem(
            "no-output",
            "every node that writes a result is muted, bypassed or left out, so there is nothing "
            "to run",
            given=", ".join(out[:_SHOWN]) + (", …" if len(out) > _SHOWN else ""),
            hint=f"Remove the `mode` of `{cause}`.",
        )
    sinks = NodeTypeSuggestions(catalog).sinks(*_last_output(flat))
    return Problem(
        "no-output",
        "no node of the workflow writes a result, so there is nothing to run",
        hint=f"Add a node such as {sinks}, or choose the node to run."
        if sinks
        else "Choose the node to run.",
    )


def _last_output(flat: FlatWorkflow) -> tuple[str, TypeExpr | None]:
    """The last output of a workflow that no node takes, with its node type, and what it gives."""
    links = (each.link for node in flat.nodes.values() for each in node.inputs.values())
    outputs = (flat.output(link) for link in links if link)
    taken = {output.node for output in outputs if isinstance(output, Output)}
    for node in reversed(flat.in_file_order):
        if node.spec and node.spec.outputs and node.name not in taken:
            port = node.spec.outputs[0]
            return f"{node.spec.type}.{port.name}", port.expr
    return "", None


def _target(flat: FlatWorkflow, text: str) -> list[str] | Problem:
    try:
        link = parse_link(text)
    except ValueError:
        return Problem(
            "bad-target",
            f"the target `{text}` does not name a node or an output",
            expected="`node` or `node.port`",
        )
    absent = _excluded_problem(flat, text, link.node)
    if absent is not None:
        return absent
    if link.node not in flat.nodes and link.node not in flat.blocks:
        if link.node in flat.bypassed:
            return _bypass_targets(flat, text, link)
        return Problem(
            "bad-target",
            f"the target `{text}`: there is no node `{link.node}`",
            hint=did_you_mean(link.node, [*flat.named_nodes(), *flat.blocks]) or None,
        )
    if link.port:
        return _output(flat, text, link)
    return [link.node] if link.node in flat.nodes else _block(flat, link.node)


def _output(flat: FlatWorkflow, text: str, link: Link) -> list[str] | Problem:
    output = flat.output(link)
    if isinstance(output, Finding):
        names = flat.outputs_of(link.node)
        hint = port_hint(link.port, names) or f"`{link.node}` has no outputs."
        return Problem("bad-target", f"the target `{text}`: there is no such output", hint=hint)
    if output is not None and output.node in flat.excluded:
        return _muted_problem(text, flat.excluded[output.node], is_itself=False)
    return [output.node] if output else []


def _excluded_problem(flat: FlatWorkflow, text: str, name: str) -> Problem | None:
    """Why a target isn't run at all, if it or a block around it is left out."""
    parts = name.split("/")
    for end in range(len(parts), 0, -1):
        outer = "/".join(parts[:end])
        if outer in flat.excluded:
            cause = flat.excluded[outer]
            return _muted_problem(text, cause, is_itself=cause == name)
        if outer in flat.bypassed and end < len(parts):
            return Problem(
                "bad-target",
                f"the target `{text}` is not run, because `{outer}` around it is bypassed",
                hint=f"Remove the `mode` of `{outer}`.",
            )
    return None


def _muted_problem(text: str, cause: str, *, is_itself: bool) -> Problem:
    reason = "is muted" if is_itself else f"is left out because `{cause}` is muted"
    return Problem(
        "bad-target",
        f"the target `{text}` {reason}",
        hint=f"Remove the `mode` of `{cause}`, or choose another node.",
    )


def _bypass_targets(flat: FlatWorkflow, text: str, link: Link) -> list[str] | Problem:
    """What stands for the outputs of a bypassed node."""
    ports = [link.port] if link.port else flat.outputs_of(link.node)
    outputs = [flat.output(Link(link.node, port)) for port in ports]
    names = [item.node for item in outputs if isinstance(item, Output)]
    there = [name for name in names if name not in flat.excluded]
    if there:
        return list(dict.fromkeys(there))
    if names:
        return _muted_problem(text, flat.excluded[names[0]], is_itself=False)
    return Problem(
        "bad-target",
        f"the target `{text}` is bypassed, and no input can replace its output",
        hint=f"Remove the `mode` of `{link.node}`, or choose another node.",
    )


def _block(flat: FlatWorkflow, name: str) -> list[str]:
    outputs = [flat.output(Link(name, port)) for port in flat.outputs_of(name)]
    sources = [
        output.node
        for output in outputs
        if isinstance(output, Output) and output.node not in flat.excluded
    ]
    sinks = [
        inner
        for inner, node in flat.nodes.items()
        if inner.startswith(f"{name}/") and node.spec and node.spec.output
    ]
    return sources + sinks


def needed_by(nodes: Mapping[str, GraphNode], targets: Iterable[str]) -> set[str]:
    """The targets and every node that they depend on."""
    needed = set(targets)
    waiting = list(needed)
    while waiting:
        for source in nodes[waiting.pop()].links.values():
            if source.node not in needed:
                needed.add(source.node)
                waiting.append(source.node)
    return needed


@dataclass(frozen=True)
class Analysis:
    """A workflow, checked.

    Attributes:
        flat: Its nodes with blocks inlined.
        nodes: Those nodes that nothing is wrong with, in topological order.
        targets: Names of the nodes that are to be computed.
        problems: Everything that keeps the targets from being computed, in the order of the file.
        warnings: What doesn't, but is worth knowing: deprecated types, what packs warn of, nodes
            that no target needs.
    """

    flat: FlatWorkflow
    nodes: Mapping[str, GraphNode]
    targets: tuple[str, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def analyse(
    workflow: Workflow,
    catalog: Catalog,
    environment: Environment,
    *,
    targets: Sequence[str] | None = None,
) -> Analysis:
    """Check a workflow and find what is needed to run it.

    Args:
        environment: Handed to the packs' own checks.
        targets: What is to be computed, as ``node`` or ``node.port``. Of nodes that they don't need
            nothing is a problem; if not given, all sinks are, and everything is.
    """
    bodies = Bodies(workflow, catalog, partial(_check_nodes, environment))
    with deferred_validations() as pending:
        looked = _check_nodes(environment, workflow, catalog, bodies)
    flat, nodes = looked.flat, looked.nodes
    names, target_problems = find_targets(flat, catalog, targets)
    problems = [
        *check_requirements(workflow, catalog),
        *check_parameters(workflow, catalog),
        *check_subgraphs(workflow, catalog),
        *(looked.problems if not targets else looked.problems_of(all_needed(flat, names))),
        *target_problems,
    ]
    if pending and targets:
        keep_validations(pending, all_needed(flat, names))
    awaited, more = settle_validations(pending)
    problems += awaited
    warnings = [*_deprecated(flat), *more]
    warnings += [warning for node in flat.in_file_order for warning in node.warnings]
    if not problems:
        warnings += _unused(flat, nodes, names)
    return Analysis(flat, nodes, names, tuple(dict.fromkeys(problems)), tuple(warnings))


@dataclass(frozen=True)
class _CheckedNodes:
    """A workflow's nodes, checked; also for a subgraph that a node runs."""

    flat: FlatWorkflow
    nodes: Mapping[str, GraphNode]
    cycles: tuple[Problem, ...]
    checker: InputChecker

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (*self.cycles, *_distinct_problems(self.flat.in_file_order, self.flat))

    def problems_of(self, names: Collection[str]) -> tuple[Problem, ...]:
        """Those of some nodes."""
        nodes = [node for node in self.flat.in_file_order if node.name in names]
        cycles = (problem for problem in self.cycles if problem.node in names)
        return (*cycles, *_distinct_problems(nodes, self.flat))

    def type_of(self, output: Output) -> TypeExpr:
        """What an output gives: a list for each level that its node is mapped over."""
        assert output.port is not None
        return self.checker.type_of(output.node, output.port)


def _check_nodes(
    environment: Environment, workflow: Workflow, catalog: Catalog, bodies: Bodies
) -> _CheckedNodes:
    flat = flatten(workflow, catalog, bodies)
    order, cycles = topological_order(_needs(flat))
    facts: dict[str, OutputFacts] = {}
    checker = InputChecker(flat, catalog, bodies, facts)
    nodes = _Pass(flat, catalog, environment, checker, facts).run(order)
    return _CheckedNodes(flat, nodes, tuple(_cycle(flat, cycle) for cycle in cycles), checker)


def _deprecated(flat: FlatWorkflow) -> list[Problem]:
    return [
        Problem(
            "deprecated", "its type is deprecated", node.name, node.type, hint=node.spec.deprecated
        )
        for node in flat.nodes.values()
        if node.spec is not None and node.spec.deprecated
    ]


def _unused(
    flat: FlatWorkflow, nodes: Mapping[str, GraphNode], targets: Sequence[str]
) -> list[Problem]:
    needed = needed_by(nodes, [*targets, *_needed_by_disabled(flat, nodes)])
    return [
        Problem(
            "unused",
            "no node that runs needs it, so it does not run",
            name,
            node.spec.type,
        )
        for name, node in nodes.items()
        if name not in needed
    ]


def _needed_by_disabled(flat: FlatWorkflow, nodes: Mapping[str, GraphNode]) -> Iterable[str]:
    """What only nodes that are kept from running need; the author knows that it won't run."""
    for node in flat.in_file_order:
        if node.name in flat.excluded or node.name in flat.bypassed:
            for input_value in node.inputs.values():
                output = flat.output(input_value.link) if input_value.link else None
                if isinstance(output, Output) and output.node in nodes:
                    yield output.node


def _needs(flat: FlatWorkflow) -> dict[str, list[str]]:
    return {
        name: [
            output.node
            for input_value in node.inputs.values()
            if input_value.link is not None
            and isinstance(output := flat.output(input_value.link), Output)
        ]
        for name, node in flat.nodes.items()
    }


def _cycle(flat: FlatWorkflow, cycle: Sequence[str]) -> Problem:
    return Problem(
        "cycle",
        "depends on its own result: " + " → ".join(cycle),
        cycle[0],
        flat.nodes[cycle[0]].type,
        hint="Remove one of these links.",
    )


def all_needed(flat: FlatWorkflow, targets: Iterable[str]) -> set[str]:
    """The targets and all that they depend on, faulty nodes and the blocks around them included."""
    needs = _needs(flat)
    needed = set(targets)
    waiting = list(needed)
    while waiting:
        for name in needs.get(waiting.pop(), ()):
            if name not in needed:
                needed.add(name)
                waiting.append(name)
    blocks = {name.rsplit("/", up)[0] for name in needed for up in range(1, name.count("/") + 1)}
    return needed | blocks


def _distinct_problems(nodes: Iterable[FlatNode], flat: FlatWorkflow) -> Iterable[Problem]:
    """The problems of nodes; a fault of a subgraph's node is reported at its first use only."""
    reported = set()
    for node in nodes:
        if node.name in flat.excluded:
            continue
        for problem in node.problems:
            location = _place_in_subgraph(node, problem)
            if location is not None:
                fault = (location, problem.code, problem.port, problem.message, problem.given)
                if fault in reported:
                    continue
                reported.add(fault)
            yield problem


def _place_in_subgraph(node: FlatNode, problem: Problem) -> tuple[str, str] | None:
    """The subgraph and the node there that a fault is of, if it is of one."""
    if problem.node == node.name:
        return node.origin
    if node.body is not None and problem.node is not None:
        return node.body, problem.node.removeprefix(f"{node.name}/")
    return None


class _Pass:
    """One pass over the nodes, each after those that it needs; problems are left at the nodes."""

    def __init__(
        self,
        flat: FlatWorkflow,
        catalog: Catalog,
        environment: Environment,
        checker: InputChecker,
        facts: dict[str, OutputFacts],
    ) -> None:
        self._flat = flat
        self._catalog = catalog
        self._environment = environment
        self._checker = checker
        self._facts = facts

    def run(self, order: Sequence[str]) -> dict[str, GraphNode]:
        """The nodes that nothing is wrong with."""
        ready = {}
        for name in order:
            graph_node = self._node(self._flat.nodes[name])
            if graph_node is not None:
                ready[name] = graph_node
        ordered = set(order)
        for name, node in self._flat.nodes.items():
            # Members of cycles: their inputs are checked too, but their facts can't be known.
            if name not in ordered:
                self._inputs(node)
        return ready

    def _inputs(self, node: FlatNode) -> Inputs | None:
        """Its inputs, or None if what is wrong with it leaves them unknown."""
        if node.spec is None:
            return None
        inputs = self._checker.check(node, node.spec)
        node.problems += inputs.problems
        return inputs if inputs.is_complete else None

    def _node(self, node: FlatNode) -> GraphNode | None:
        inputs = self._inputs(node)
        if inputs is None or node.spec is None:
            return None
        facts = self._node_facts(node, node.spec, inputs)
        self._facts[node.name] = facts
        return GraphNode(
            node.name,
            node.spec,
            inputs.literals,
            inputs.links,
            inputs.map_depth,
            facts,
            node.always,
        )

    def _node_facts(self, node: FlatNode, spec: NodeSpec, inputs: Inputs) -> OutputFacts:
        """Facts of its outputs; none if they can't be trusted, so that one fault shows once."""
        linked = {
            port: self._facts.get(source.node, {}).get(source.port, {})
            for port, source in inputs.links.items()
        }
        problems = list(path_problems(node.name, spec, inputs.literals, self._environment))
        if problems:
            node.problems += problems
            return {}  # and no hook looks at such a file
        # Gone through for hooks alone, and once for all of them.
        nodes = self._checker.bodies.written_inputs if "validate" in spec.hooks else {}
        types = self._linked_types(inputs) if "validate" in spec.hooks else {}
        known = HookInputs(inputs.literals, linked, self._environment, nodes, types)
        problems = family_problems(node.name, spec, inputs.links, known)
        wrong, node.warnings = hook_findings(node.name, spec, known, self._catalog)
        problems += wrong
        facts, more = output_facts(node.name, spec, known, self._catalog)
        node.problems += problems + more
        return {} if problems or more else facts

    def _linked_types(self, inputs: Inputs) -> dict[str, str]:
        """Types of what inputs are linked to, by input."""
        types: dict[str, str] = {}
        for port, source in inputs.links.items():
            spec = self._flat.nodes[source.node].spec
            output = spec.outputs_by_name.get(source.port) if spec else None
            if output is not None:
                types[port] = str(self._checker.type_of(source.node, output))
        return types


def check_workflow(
    workflow: Workflow,
    catalog: Catalog,
    environment: Environment,
    *,
    targets: Sequence[str] | None = None,
) -> list[Problem]:
    """Everything that keeps a workflow from running, in the order of the file.

    Args:
        environment: Handed to the packs' own checks.
        targets: What is to be computed, as ``node`` or ``node.port``; see `analyse`.
    """
    return list(analyse(workflow, catalog, environment, targets=targets).problems)


def workflow_warnings(
    workflow: Workflow, catalog: Catalog, environment: Environment
) -> list[Problem]:
    """What doesn't keep a workflow from running but is worth knowing.

    Deprecated node types and, in a valid workflow, nodes that no output needs. `analyse` gives
    both, warnings and problems, at the price of one.
    """
    return list(analyse(workflow, catalog, environment).warnings)
