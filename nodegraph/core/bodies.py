"""Subgraphs that nodes run, as loops do: checked like the rest of the workflow, and as values.

The body of a loop isn't inlined, as how often it runs isn't known. Before the run it is looked at
once, with a stand-in for what the loop will give it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from nodegraph.core.catalog import Catalog, ExtendedCatalog, KnowsCode
from nodegraph.core.digests import digest_value
from nodegraph.core.flat_workflow import FlatNode, FlatWorkflow, Output
from nodegraph.core.hooks import Finding, WrittenInputs
from nodegraph.core.links import Link, is_link, read_literal
from nodegraph.core.parts import NodeEntry
from nodegraph.core.spec import BodySpec, NodeSpec, OutputSpec
from nodegraph.core.subgraphs import DEEPEST, SpecResolver, substitute_any
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.types import TypeExpr, fit
from nodegraph.core.workflow import Workflow
from nodegraph.errors import NodegraphError, Problem

if TYPE_CHECKING:
    from nodegraph.core.ports import Subgraph

SUBGRAPH_TYPE = "Subgraph"
"""The port type of inputs that name a subgraph."""
_PLACEHOLDER_NODE = "{given}"
"""Type and name of the stand-in; no node of a file can have this name and that type."""


class CheckedBody(Protocol):
    """A workflow that was looked at: a body with its stand-in."""

    @property
    def flat(self) -> FlatWorkflow:
        """Its nodes with blocks inlined."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with it."""

    def type_of(self, output: Output) -> TypeExpr:
        """What an output gives."""


Inspect = Callable[[Workflow, Catalog, "Bodies"], CheckedBody]


_Types = Mapping[str, TypeExpr]


class Bodies:
    """The subgraphs of a workflow, for nodes that run them.

    Args:
        inspect: Looks at a workflow; is handed these bodies too, as bodies may run bodies.
    """

    def __init__(self, workflow: Workflow, catalog: Catalog, inspect: Inspect) -> None:
        self.specs = SpecResolver(workflow, catalog)
        self._workflow = workflow
        self._catalog = catalog
        self._inspect = inspect
        self._outputs: dict[str, _Types] = {}
        self._faults: dict[str, tuple[str, tuple[Problem, ...]]] = {}
        self._values: dict[str, Subgraph] = {}
        self._reached: dict[str, _Reachable] = {}
        self._level = 0

    def __contains__(self, name: str) -> bool:
        return name in self._workflow.subgraphs

    def names(self) -> list[str]:
        """The subgraphs that there are."""
        return list(self._workflow.subgraphs)

    @cached_property
    def written_inputs(self) -> WrittenInputs:
        """What the whole workflow's nodes are given, for hooks of any node in it."""
        return {name: self._written(entry) for name, entry in self._workflow.nodes.items()}

    def _written(self, entry: NodeEntry) -> Mapping[str, str | int | float | bool | None]:
        spec = self.specs.resolve(entry)
        ports = () if spec is None else spec.inputs_by_name
        plain = {
            port: value if isinstance(value, (str, int, float, bool)) else None
            for port, value in entry.inputs.items()
        }
        return {**dict.fromkeys(ports), **plain}

    def hint(self, name: str) -> str:
        """What to write instead of the name of a subgraph that there isn't."""
        suggestion = did_you_mean(name, self._workflow.subgraphs)
        return suggestion or "This workflow has no subgraphs."

    def extended_spec(self, node: FlatNode, spec: NodeSpec, name: str) -> NodeSpec:
        """A node's type as it is where it runs a subgraph.

        What is wrong inside the subgraph is wrong with every node that runs it.
        """
        body = spec.body.body if spec.body else None
        if body is None or name not in self:
            return spec
        outputs = self._outputs_of(name, node)
        node.body = name
        node.problems += self._faults_at(name, node)
        output_types = {
            own: outputs[port]
            for port, several in body.outputs.items()
            if port in outputs
            for own in several
        }
        specs = self._specs_of(self._find_reachable(name))
        return replace(
            self.specs.with_body(spec, name),
            outputs=tuple(
                _output_with_type(port, output_types.get(port.name)) for port in spec.outputs
            ),
            # Whoever runs a sink is one, and whoever runs what differs by device does too.
            output=spec.output or any(item.output for item in specs),
            numerics=spec.numerics or any(item.numerics for item in specs),
        )

    def _outputs_of(self, name: str, node: FlatNode) -> _Types:
        """The types that a subgraph's outputs give, as far as they are known."""
        if name not in self._outputs:
            # While they aren't known: of one that runs itself.
            self._outputs[name] = {}
            spec = self.specs.subgraph(name)
            if spec is not None:
                self._level += 1
                self._outputs[name] = self._inspected(name, spec, node)
                self._level -= 1
        return self._outputs[name]

    def _faults_at(self, name: str, node: FlatNode) -> Iterator[Problem]:
        """What is wrong inside a subgraph, in the words of one of the nodes that run it."""
        first, problems = self._faults.get(name, ("", ()))
        for problem in problems:
            node_name = problem.node or ""
            yield replace(problem, node=node.name + node_name.removeprefix(first))

    def _inspected(self, name: str, spec: NodeSpec, node: FlatNode) -> _Types:
        if self._level > DEEPEST:
            too_deep = Problem(
                "too-deep",
                "loops are nested too deeply",
                node.name,
                node.type,
                expected=f"{DEEPEST} levels at most",
            )
            self._faults[name] = node.name, (too_deep,)
            return {}
        ports = tuple(OutputSpec(name=port.name, type=port.type) for port in spec.inputs)
        inputs = {port.name: {"from": f"{_PLACEHOLDER_NODE}.{port.name}"} for port in spec.inputs}
        nodes = {
            _PLACEHOLDER_NODE: NodeEntry(type=_PLACEHOLDER_NODE),
            node.name: NodeEntry(type=name, inputs=inputs),
        }
        catalog = ExtendedCatalog(
            self._catalog, {_PLACEHOLDER_NODE: NodeSpec(type=_PLACEHOLDER_NODE, outputs=ports)}
        )
        analysis = self._inspect(replace(self._workflow, nodes=nodes), catalog, self)
        self._faults[name] = node.name, analysis.problems
        outputs = {}
        for port in spec.outputs:
            output = analysis.flat.output(Link(node.name, port.name))
            if isinstance(output, Output) and output.port is not None:
                outputs[port.name] = analysis.type_of(output)
        return outputs

    def findings(self, port: str, body: BodySpec, spec: NodeSpec, name: str) -> Iterator[Finding]:
        """Why a node can't run a subgraph.

        Args:
            port: The input that names it.
            spec: The node's type.
        """
        inner = self.specs.subgraph(name)
        if inner is None:
            return  # reported at its definition
        for wanted, own in body.inputs.items():
            if own and wanted not in inner.inputs_by_name:
                yield _missing_port_finding(port, name, "input", wanted, inner.inputs_by_name)
        for wanted in body.outputs:
            if wanted not in inner.outputs_by_name:
                yield _missing_port_finding(port, name, "output", wanted, inner.outputs_by_name)
        own_inputs = {port.name for port in spec.inputs if not port.passed_on}
        for clash in inner.inputs_by_name:
            if body.passes_on and clash not in body.inputs and clash in own_inputs:
                yield Finding(
                    port,
                    f"the subgraph `{name}` has an input `{clash}`, and the node itself has an "
                    "input of that name",
                    hint="Rename the subgraph's input.",
                    code="wrong-body",
                )
        yield from self._loop_carried_findings(port, body, inner, name)

    def _loop_carried_findings(
        self, port: str, body: BodySpec, inner: NodeSpec, name: str
    ) -> Iterator[Finding]:
        """What goes round: an output whose value is given to the input of the same name next."""
        outputs = self._outputs.get(name, {})
        for carried, own in body.inputs.items():
            there = inner.inputs_by_name.get(carried)
            if not own or there is None or carried not in outputs or not body.outputs.get(carried):
                continue
            fitted = fit(outputs[carried], there.expr, self._catalog.types)
            if fitted is None or fitted.map_depth:
                yield Finding(
                    port,
                    f"the subgraph `{name}` passes its output `{carried}` to its input of that "
                    "name, but their types differ",
                    given=str(outputs[carried]),
                    expected=there.type,
                    code="wrong-body",
                )

    # As values

    def value(self, name: str) -> Subgraph:
        """A subgraph that there is, as what a node is given that runs it."""
        from nodegraph.core.ports import Subgraph

        if name not in self._values:
            reached = self._find_reachable(name)
            spec = self.specs.subgraph(name)
            self._values[name] = Subgraph(
                name,
                {other: _plain(self._workflow.subgraphs[other]) for other in reached.subgraphs},
                self._code(reached.types),
                any(item.output for item in self._specs_of(reached)),
                {port.name: port.type for port in spec.inputs} if spec else {},
                {port.name: port.type for port in spec.outputs} if spec else {},
            )
        return self._values[name]

    def _specs_of(self, reached: _Reachable) -> list[NodeSpec]:
        return [spec for kind in reached.types if (spec := self._catalog.spec(kind))]

    def _code(self, types: tuple[str, ...]) -> str:
        """Digest of the code behind node types, so that a result is kept for that code only."""
        catalog = self._catalog
        if not isinstance(catalog, KnowsCode):
            return ""
        digests = {}
        for kind in types:
            try:
                digests[kind] = catalog.code_digest(kind)
            except NodegraphError:  # reported when the node is to run
                digests[kind] = ""
        return digest_value(digests)

    def _find_reachable(self, name: str) -> _Reachable:
        if name not in self._reached:
            self._reached[name] = self._search(name)
        return self._reached[name]

    def _search(self, name: str) -> _Reachable:
        """Everything that a subgraph uses, at any depth, as a block or as a body."""
        subgraphs = {name: None}
        types: set[str] = set()
        waiting = [name]
        while waiting:
            block = self._workflow.subgraphs[waiting.pop()]
            used: list[str] = []
            for port in block.inputs.values():
                used += self._subgraph_names([port.default])
            for entry in block.nodes.values():
                if entry.type in self:
                    used += [entry.type, *self._subgraph_names(entry.inputs.values())]
                    continue
                spec = self._catalog.spec(entry.type)
                if spec is not None:
                    ports = [
                        port.name for port in spec.inputs if SUBGRAPH_TYPE in port.expr.type_names()
                    ]
                    used += self._subgraph_names(entry.inputs.get(port) for port in ports)
                if spec is not None and entry.mode is None:
                    types.add(entry.type)
            new = [other for other in used if other not in subgraphs]
            subgraphs.update(dict.fromkeys(new))
            waiting += dict.fromkeys(new)
        return _Reachable(tuple(sorted(subgraphs)), tuple(sorted(types)))

    def _subgraph_names(self, written: Any) -> Iterator[str]:
        """The subgraphs that some inputs may name."""
        for item in written:
            literal = None if is_link(item) else read_literal(item)
            if isinstance(literal, str) and literal in self:
                yield literal


class _Reachable(NamedTuple):
    """What a subgraph uses at any depth: subgraphs, itself included, and node types."""

    subgraphs: tuple[str, ...]
    types: tuple[str, ...]


def _output_with_type(port: OutputSpec, inner: TypeExpr | None) -> OutputSpec:
    if inner is None:
        return port
    return replace(port, type=str(substitute_any(port.expr, inner)))


def _missing_port_finding(
    port: str, name: str, kind: str, wanted: str, there: Mapping[str, Any]
) -> Finding:
    hint = did_you_mean(wanted, there)
    return Finding(
        port,
        f"the subgraph `{name}` has no {kind} `{wanted}`",
        hint=f"{hint} " * bool(hint) + f"Add an {kind} of that name to it.",
        code="wrong-body",
    )


def _plain(block: Any) -> dict[str, Any]:
    """A subgraph's definition as in a file, without what doesn't change what it does."""
    inputs = {}
    for name, port in block.inputs.items():
        inputs[name] = {"type": port.type, "to": list(port.to)}
        if port.has_default:
            inputs[name]["default"] = port.default
    nodes = {name: _plain_entry(entry) for name, entry in block.nodes.items()}
    return {"inputs": inputs, "outputs": dict(block.outputs), "nodes": nodes}


def _plain_entry(entry: NodeEntry) -> dict[str, Any]:
    plain: dict[str, Any] = {"type": entry.type, "inputs": dict(sorted(entry.inputs.items()))}
    if entry.version is not None:
        plain["version"] = entry.version
    if entry.always:
        plain["always"] = True
    if entry.mode is not None:
        plain["mode"] = entry.mode
    return plain
