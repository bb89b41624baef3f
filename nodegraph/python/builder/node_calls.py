"""Call node types as functions outside a graph, through the process's shared session."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from nodegraph.core.annotations import describe_type
from nodegraph.core.hooks import Finding, finding_problem
from nodegraph.core.links import Value, read_literal
from nodegraph.core.literals import check_literal
from nodegraph.core.parts import NodeEntry
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.suggest import port_hint
from nodegraph.core.summary import summarize
from nodegraph.core.workflow import Workflow
from nodegraph.engine.live_values import fit_value, to_workflow_value
from nodegraph.errors import InvalidValue, InvalidWorkflow, NodeFailed, NodegraphError, Problem
from nodegraph.python.builder.builtin_functions import BuiltinFunctions
from nodegraph.python.builder.outputs import BuiltNode, Out, UnknownName
from nodegraph.python.builder.scope import INSTALLED, callable_names, find_node_method
from nodegraph.session.scripts import run


class CalledNodes(BuiltinFunctions):
    """Node types as functions: ``nodes.InvertImage(image=picture)`` is the inverted image.

    Values are kept by their content as those of graphs are, so that a second call with equal
    inputs has its answer at once. A node type with several outputs gives a named tuple of them,
    one without the files that it wrote.
    """

    if not TYPE_CHECKING:  # there the stubs say which types there are

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            return find_node_method(_call, INSTALLED.registry, name)

    def __dir__(self) -> Sequence[str]:
        return callable_names(INSTALLED.registry)

    def __repr__(self) -> str:
        return "<node types as functions>"


nodes = CalledNodes()
"""Those of the installed packs."""


def _call(node_type: str, name: Any = None, /, **inputs: Any) -> Any:
    spec = INSTALLED.registry.spec(node_type)
    if spec is None:  # its pack has changed since it was found by its name
        raise UnknownName(f"there is no longer a node type `{node_type}`")
    node_name = _name_of_node(spec)
    node_inputs = _inputs_of_node(spec, name, inputs)
    workflow = Workflow(nodes={node_name: NodeEntry(type=node_type, inputs=node_inputs)})
    try:
        result = run(workflow, targets=[node_name], progress=False)
    except NodegraphError as error:
        raise _function_error(error, node_name) from None
    ports = [port.name for port in spec.outputs]
    if not ports:
        return [file.path for file in result.files]
    values = [result.outputs[f"{node_name}.{port}"] for port in ports]
    return values[0] if len(ports) == 1 else _tuple_of(node_type, tuple(ports), values)


def _name_of_node(spec: NodeSpec) -> str:
    """What the node that computes is called: as its function, as far as nodes may be."""
    return spec.type.translate({ord("."): "_", ord("/"): "_"})


def _function_error(error: NodegraphError, node_name: str) -> NodegraphError:
    """The error as of a function: with its name alone, and as the node raised it."""
    reported = error
    if isinstance(error, NodeFailed) and isinstance(error.__cause__, NodegraphError):
        reported = error.__cause__
    if isinstance(reported, InvalidWorkflow):
        return InvalidWorkflow([_without_type(each, node_name) for each in reported.problems])
    reported.problem = _without_type(error.problem, node_name)
    reported.args = (str(reported.problem),)
    return reported


def _without_type(problem: Problem, node_name: str) -> Problem:
    """A problem, without the node's type where that is its name."""
    return replace(problem, node_type=None) if problem.node == node_name else problem


def _inputs_of_node(spec: NodeSpec, name: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What the node is given, as a workflow holds it.

    Raises:
        InvalidValue, InvalidWorkflow: Something is wrong with it.
    """
    if name is not None:
        raise InvalidValue(
            f"inputs of `{spec.type}` are given by name",
            given=type(name).__name__,
            expected=", ".join(f"{port}=…" for port in spec.inputs_by_name),
        )
    missing = [port for port in spec.inputs if port.required and port.name not in inputs]
    findings = [
        Finding(port.name, "is missing", expected=port.type, code="missing-input")
        for port in missing
    ]
    by_port = {}
    for port_name, value in inputs.items():
        written, wrong = _to_literal(spec, port_name, value)
        by_port[port_name] = written
        findings += wrong
    if findings:
        raise InvalidWorkflow([finding_problem(each, spec.type, "") for each in findings])
    return by_port


def _to_literal(spec: NodeSpec, name: str, value: Any) -> tuple[Any, list[Finding]]:
    """An input as a workflow holds it, and what is wrong with it."""
    port = spec.inputs_by_name.get(name)
    if port is None:
        hint = port_hint(name, spec.inputs_by_name) or "This type has no inputs."
        return None, [Finding(name, "has no such input", hint=hint, code="unknown-input")]
    if isinstance(value, (Out, BuiltNode)):
        finding = Finding(
            name,
            "is given an output of a graph, which has no value yet",
            given=repr(value),
            hint=f"Add the node to the graph: `graph.{spec.type}({name}={value})`.",
            code="no-value",
        )
        return None, [finding]
    written = to_workflow_value(value, port)
    if isinstance(written, Value):
        fit_result = fit_value(written, port, INSTALLED.registry)
        if fit_result.finding is not None:
            return None, [fit_result.finding]
        if fit_result.depth:
            return None, [_mapped(port, written)]
        written = fit_result.written
        if isinstance(written, Value):
            return written, []
    return written, check_literal(read_literal(written), port)


def _mapped(port: InputSpec, live_value: Value) -> Finding:
    return Finding(
        port.name,
        "is given a value that does not fit",
        summarize(live_value.value),
        describe_type(port.expr),
        "Call it for each item.",
        "wrong-type",
    )


def _tuple_of(node_type: str, ports: tuple[str, ...], values: Iterable[Any]) -> Any:
    return _tuple_type(node_type, ports)(*values)


@cache
def _tuple_type(node_type: str, ports: tuple[str, ...]) -> Any:
    made: Any = namedtuple  # type checkers want names that are written out
    tuple_class = made(node_type.rpartition(":")[2], ports, rename=True)
    # It is an attribute of no module, by which a pickle would name it.
    tuple_class.__reduce__ = lambda self: (_tuple_of, (node_type, ports, tuple(self)))
    return tuple_class
