"""A workflow's named parameters as options of `nodegraph run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from inspect import Parameter as Argument
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.scan import option_spellings
from nodegraph.core.links import is_link, parse_target, read_literal
from nodegraph.core.literals import format_value
from nodegraph.core.overrides import input_spec
from nodegraph.core.parts import Parameter
from nodegraph.core.spec import InputSpec
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow, Problem

if TYPE_CHECKING:
    from nodegraph.core.catalog import Catalog

PANEL = "Parameters of the workflow"

_PREFIX = "parameter_"
_MOST_CHOICES = 4


def parameter_options(workflow: Workflow, catalog: Catalog, taken: Set[str]) -> list[Argument]:
    """An option for each parameter that can be written as one.

    Args:
        taken: Options that `run` has itself; see `option_spellings`.
    """
    spellings = option_spellings(workflow, taken)
    options = []
    for at, (name, parameter) in enumerate(workflow.parameters.items()):
        if spellings[name]:
            port = _port(workflow, parameter, catalog)
            options.append(_option(at, spellings[name], port, _help(workflow, parameter, port)))
    return options


def _option(at: int, names: Sequence[str], port: InputSpec | None, about: str) -> Argument:
    is_flag = port is not None and port.type == "bool"
    written = [f"--{name}/--no-{name}" if is_flag else f"--{name}" for name in names]
    option = typer.Option(*written, metavar=_metavar(port), help=about, rich_help_panel=PANEL)
    kind = Annotated[bool | None, option] if is_flag else Annotated[str | None, option]
    return Argument(f"{_PREFIX}{at}", Argument.KEYWORD_ONLY, default=None, annotation=kind)


def _port(workflow: Workflow, parameter: Parameter, catalog: Catalog) -> InputSpec | None:
    try:
        return input_spec(workflow, parameter.input, catalog)
    except InvalidWorkflow:
        return None  # checking the workflow tells of it


def _metavar(port: InputSpec | None) -> str:
    schema: Mapping[str, Any] = (port.json_schema if port else None) or {}
    choices = schema.get("enum")
    if choices:
        shown = "|".join(map(str, choices[:_MOST_CHOICES]))
        return shown if len(choices) <= _MOST_CHOICES else f"{shown}|..."
    words = {"integer": "INT", "number": "FLOAT", "string": "TEXT"}
    return words.get(schema.get("type", ""), "JSON") if schema else "TEXT"


def _help(workflow: Workflow, parameter: Parameter, port: InputSpec | None) -> str:
    about = parameter.help or (port.help if port else "") or parameter.label
    now = _current_text(workflow, parameter, port)
    return " ".join(part for part in (about, f"[{parameter.input}{now}]") if part)


def _current_text(workflow: Workflow, parameter: Parameter, port: InputSpec | None) -> str:
    """What the input gets if the option isn't given."""
    value = current_value(workflow, parameter)
    if not value and port is not None and not port.required:
        value = format_value(port.default)
    return f"; default {value}" if value else ""


def current_value(workflow: Workflow, parameter: Parameter) -> str:
    """What the workflow gives the input of a parameter, as text; empty if nothing."""
    try:
        node, name = parse_target(parameter.input)
        written = workflow.nodes[node].inputs[name]
    except (ValueError, KeyError):
        return ""
    return f"from {written['from']}" if is_link(written) else format_value(read_literal(written))


def parameter_texts(workflow: Workflow, values: Mapping[str, Any]) -> dict[str, str]:
    """What was given for the options, by the workflow's parameter."""
    names = list(workflow.parameters)
    return {
        names[int(option.removeprefix(_PREFIX))]: _text(value)
        for option, value in values.items()
        if value is not None
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass
class Assignments:
    """What ``--set`` sets: parameters by name, inputs by ``node.input``; and what sets nothing."""

    parameters: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def assignments(workflow: Workflow, texts: Sequence[str]) -> Assignments:
    """Read what was given for ``--set``."""
    parsed = Assignments()
    for text in texts:
        target, equals, value = text.partition("=")
        if not equals:
            message = f"--set {text} assigns nothing"
            parsed.problems.append(Problem("bad-assignment", message, expected="node.input=value"))
        elif target in workflow.parameters:
            parsed.parameters[target] = value
        else:
            parsed.inputs[target] = value
    return parsed
