"""Inputs given as text, as a command line does: ``--seed 3`` and ``--set node.input=value``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nodegraph.core.catalog import Catalog
from nodegraph.core.links import is_link, parse_target, read_link
from nodegraph.core.literals import parse_literal
from nodegraph.core.spec import InputSpec
from nodegraph.core.subgraphs import node_spec
from nodegraph.core.suggest import port_hint
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue, InvalidWorkflow, Problem


def input_spec(workflow: Workflow, target: str, catalog: Catalog) -> InputSpec | None:
    """What the input ``node.input`` of a workflow takes; None if its node's type is unknown.

    Raises:
        InvalidWorkflow: There is no such node or input.
    """
    problem = workflow.target_problem(target)
    if problem is not None:
        raise InvalidWorkflow([problem])
    node, port = parse_target(target)
    entry = workflow.nodes[node]
    spec = node_spec(entry, workflow, catalog)
    if spec is None:
        return None
    if port in spec.inputs_by_name:
        return spec.inputs_by_name[port]
    hint = port_hint(port, spec.inputs_by_name) or None
    raise InvalidWorkflow(
        [Problem("unknown-input", "has no such input", node, entry.type, port, hint=hint)]
    )


def with_texts(
    workflow: Workflow,
    catalog: Catalog,
    *,
    parameters: Mapping[str, str] | None = None,
    inputs: Mapping[str, str] | None = None,
) -> Workflow:
    """A copy with inputs given as text, each read as its input's type.

    Args:
        parameters: Texts by parameter.
        inputs: Texts by ``node.input``; they win where a parameter sets the same. A text such as
            ``{"from": "node.port"}`` links.
    Raises:
        InvalidWorkflow: Names that lead nowhere, texts that don't fit; all of them.
    """
    parameter_texts = parameters or {}
    problems = [
        problem for name in parameter_texts if (problem := workflow.parameter_problem(name))
    ]
    texts = {
        workflow.parameters[name].input: text
        for name, text in parameter_texts.items()
        if name in workflow.parameters
    }
    texts.update(inputs or {})
    values = {target: _read(workflow, target, text, catalog) for target, text in texts.items()}
    for value in values.values():
        if isinstance(value, _Refused):
            problems += value.problems
    if problems:
        raise InvalidWorkflow(problems)
    return workflow.with_inputs(values)


@dataclass(frozen=True)
class _Refused:
    problems: Sequence[Problem]


def _read(workflow: Workflow, target: str, text: str, catalog: Catalog) -> Any:
    """The value, or the link, that a text means; or why it is refused."""
    try:
        port = input_spec(workflow, target, catalog)
        value = _json_or_text(text)
        if is_link(value):
            return read_link(value)
        return value if port is None else parse_literal(text, port)
    except InvalidValue as error:
        node, _ = parse_target(target)
        return _Refused([replace(error.problem, node=node, node_type=workflow.nodes[node].type)])
    except InvalidWorkflow as error:
        return _Refused(error.problems)
    except ValueError as error:
        return _Refused(
            [Problem("bad-link", f"`{target}` is given a link that can't be read: {error}")]
        )


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
