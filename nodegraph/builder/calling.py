"""Node types called outside any graph: they compute at once, through the session of the process."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import Enum
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

from nodegraph.builder.builtin_functions import BuiltinFunctions
from nodegraph.builder.catalogs import INSTALLED
from nodegraph.builder.makers import callable_names, called
from nodegraph.builder.outputs import BuiltNode, Out, UnknownName
from nodegraph.core.facts import finding_problem
from nodegraph.core.hooks import Finding
from nodegraph.core.links import plain_number, read_literal, write_literal
from nodegraph.core.literals import check_literal
from nodegraph.core.node import node
from nodegraph.core.ports import PORT_ATTRIBUTE, Expand, Value
from nodegraph.core.spec import NodeSpec
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.summary import summarize
from nodegraph.core.types import ANY, TypeExpr
from nodegraph.core.value_types import described, is_of_type
from nodegraph.errors import InvalidValue, InvalidWorkflow, NodeFailed, NodegraphError, Problem
from nodegraph.images.returned import (
    PICTURE_TYPES,
    PictureType,
    advice,
    is_array,
    is_picture,
    taken_as,
)
from nodegraph.session.scripts import run


class CalledOutputs(NamedTuple):
    """What a called node gave."""

    outputs: list[Any]


_PLAIN = (str, int, float, bool, type(None))
_FORMS = (list, tuple, dict, PurePath, Enum)
"""Of other values."""


class CalledNodes(BuiltinFunctions):
    """Node types as functions: ``nodes.InvertImage(image=picture)`` is the inverted picture.

    Values are kept by their content as those of graphs are, so that a second call with equal
    inputs has its answer at once. A node type with several outputs gives a named tuple of them,
    one without the files that it wrote.
    """

    if not TYPE_CHECKING:  # there the stubs say which types there are

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            return called(_call, INSTALLED.registry, name)

    def __dir__(self) -> Sequence[str]:
        return callable_names(INSTALLED.registry)

    def __repr__(self) -> str:
        return "<node types as functions>"


nodes = CalledNodes()
"""Those of the installed packs."""


def _call(node_type: str, name: Any = None, /, **inputs: Any) -> Any:
    spec = INSTALLED.registry.spec(node_type)
    if spec is None:  # its pack has changed since it was found by its name
        raise UnknownName(f"there is no node type `{node_type}` any more")
    known = spec.inputs_by_name
    inputs = {
        port: _taken(value, known[port].expr) if port in known else value
        for port, value in inputs.items()
    }
    _check(spec, name, inputs)
    said = _said(spec)
    given = {port: _given(value) for port, value in inputs.items()}
    ports = [port.name for port in spec.outputs]
    caller = _caller(said, {"type": node_type, "inputs": given}, ports)
    document = {"format": "nodegraph/1", "nodes": {said: {"type": "Call"}}}
    try:
        result = run(document, nodes=[caller], targets=[said], progress=False)
    except NodegraphError as error:
        raise _as_called(error, said) from None
    if not ports:
        return [file.path for file in result.files]
    values = result.outputs[f"{said}.outputs"]
    return values[0] if len(ports) == 1 else _tuple_of(node_type, tuple(ports), values)


def _said(spec: NodeSpec) -> str:
    """What the node that computes is called: as its function, as far as nodes may be."""
    return spec.type.translate({ord("."): "_", ord("/"): "_"})


def _as_called(error: NodegraphError, said: str) -> NodegraphError:
    """The error as of a function: with its name, and none of the nodes that lie between."""
    found = error
    if isinstance(error, NodeFailed) and isinstance(error.__cause__, NodegraphError):
        found = error.__cause__
    if isinstance(found, InvalidWorkflow):
        return InvalidWorkflow([_without_caller(each, said) for each in found.problems])
    found.problem = _without_caller(error.problem, said)
    found.args = (str(found.problem),)
    return found


def _without_caller(problem: Problem, said: str) -> Problem:
    """A problem of the node, which is named within the one that called it, as by its own name."""
    inner = f"{said}/{said}"
    found = replace(problem, message=problem.message.replace(inner, said))
    if not found.node:
        return found
    node = found.node.replace(inner, said, 1)
    return replace(found, node=node, node_type=None if node == said else found.node_type)


def _check(spec: NodeSpec, name: Any, inputs: Mapping[str, Any]) -> None:
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
    for port_name, value in inputs.items():
        findings += _findings(spec, port_name, value)
    if findings:
        raise InvalidWorkflow([finding_problem(each, spec.type, "") for each in findings])


def _findings(spec: NodeSpec, name: str, value: Any) -> list[Finding]:
    port = spec.inputs_by_name.get(name)
    if port is None:
        hint = did_you_mean(name, spec.inputs_by_name) or "This type has no inputs."
        return [Finding(name, "has no such input", hint=hint, code="unknown-input")]
    if isinstance(value, (Out, BuiltNode)):
        return [
            Finding(
                name,
                "is given an output of a graph, which has no value yet",
                given=repr(value),
                hint=f"Add the node to the graph: `graph.{spec.type}({name}={value})`.",
                code="no-value",
            )
        ]
    if _is_literal(value):
        return check_literal(read_literal(_given(value)), port)
    return _unfit(name, port.expr, value)


def _taken(value: Any, expr: TypeExpr) -> Any:
    """A value as the node takes it: a picture of Pillow or an array of bytes as what it can only
    mean, as where a function returns one."""
    if expr.is_list and isinstance(value, (list, tuple)):
        return [_taken(item, expr.item) for item in value]
    kinds = _picture_types(expr)
    if len(kinds) != 1 or expr.is_list:
        return value
    found = taken_as(value, kinds[0])
    return value if found is None else found


def _picture_types(expr: TypeExpr) -> list[PictureType]:
    return [kind for kind in PICTURE_TYPES if kind in expr.named()]


def _unfit(port: str, expr: TypeExpr, value: Any) -> list[Finding]:
    """What a value is told of that no node could make sense of."""
    hint: str | None
    kinds = _picture_types(expr)
    if expr.is_list and isinstance(value, (list, tuple)):
        findings = (_unfit(port, expr.item, item) for item in value)
        return next(filter(None, findings), [])
    if isinstance(value, (list, tuple)) and expr.kind == "name" and expr.name != ANY:
        hint = "Call it for each of them."
    elif kinds and (is_array(value) or is_picture(value)):
        hint = "Write `torch.from_numpy(array)`, of float32 in 0..1."
    elif _may_fit(value, expr):
        return []
    else:
        hint = advice(value, kinds[0], "Write") if len(kinds) == 1 else None
    given = summarize(value)
    return [Finding(port, "is given what doesn't fit", given, described(expr), hint or None)]


def _may_fit(value: Any, expr: TypeExpr) -> bool:
    """Whether a value is of a type, may be made so, or is to be judged by the node alone."""
    if expr.kind == "union":
        return any(_may_fit(value, member) for member in expr.members)
    if expr.kind != "name" or isinstance(value, _FORMS):
        return True
    is_number = getattr(value, "ndim", None) == 0
    return is_number or hasattr(type(value), PORT_ATTRIBUTE) or is_of_type(value, expr)


def _given(value: Any) -> Any:
    return write_literal(value) if _is_literal(value) else Value(value)


def _is_literal(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_literal, value))
    if isinstance(value, dict):
        return all(map(_is_literal, value.values()))
    return isinstance(plain_number(value), _PLAIN)


def _caller(said: str, calling: Mapping[str, Any], ports: Sequence[str]) -> Callable[..., Any]:
    """A node that hands live values to another, which no workflow file could."""

    @node(id="Call", deterministic=False, output=not ports)
    def call() -> CalledOutputs:
        outputs = [f"{said}.{port}" for port in ports]
        return Expand({said: calling}, {"outputs": outputs})

    return call


def _tuple_of(node_type: str, ports: tuple[str, ...], values: Iterable[Any]) -> Any:
    return _tuple_type(node_type, ports)(*values)


@cache
def _tuple_type(node_type: str, ports: tuple[str, ...]) -> Any:
    made: Any = namedtuple  # type checkers want names that are written out
    found = made(node_type.rpartition(":")[2], ports, rename=True)
    # It is an attribute of no module, by which a pickle would name it.
    found.__reduce__ = lambda self: (_tuple_of, (node_type, ports, tuple(self)))
    return found
