"""A workflow with its command-line values: parameters, inputs, targets, and modes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from inspect import Parameter as Argument
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, cast

import typer

from nodegraph.cli.argument_scan import option_names, option_spellings, scan
from nodegraph.cli.options import CommonOptions, ExtraOptions, common_options, declared_options
from nodegraph.cli.workflow_source import STDIN, OpenedWorkflow, open_workflow
from nodegraph.core.context import METADATA_AMOUNTS
from nodegraph.core.declarations import input_spec, with_texts
from nodegraph.core.links import is_link, parse_target, read_literal
from nodegraph.core.literals import format_value
from nodegraph.core.parts import Parameter
from nodegraph.core.spec import InputSpec
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue, InvalidWorkflow, NodegraphError, Problem

if TYPE_CHECKING:
    from nodegraph.core.catalog import Catalog
    from nodegraph.core.context import MetadataAmount
    from nodegraph.session.session import Session

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
            message = f"--set {text} does not assign a value"
            parsed.problems.append(Problem("bad-assignment", message, expected="node.input=value"))
        elif target in workflow.parameters:
            parsed.parameters[target] = value
        else:
            parsed.inputs[target] = value
    return parsed


@dataclass(frozen=True)
class RunRequest:
    """What is to be run, and with which values.

    Attributes:
        targets: Nodes to run; None for all sinks.
        assignments: As given with ``--set``.
        parameters: Texts of the workflow's named parameters.
        modes: Nodes that are muted or bypassed this time; see `parse_modes`.
    """

    targets: Sequence[str] | None
    assignments: Sequence[str]
    parameters: dict[str, str]
    modes: Mapping[str, str] = field(default_factory=dict)


WorkflowArgument = Annotated[
    str,
    typer.Argument(
        metavar="WORKFLOW", help="A JSON file, an output file of nodegraph, or - for stdin."
    ),
]


def file_options(metadata: str | None, *, no_prompts: bool, sidecar: bool) -> FileOptions:
    """Options of a run that say what its files carry; what is not given stays out.

    Raises:
        InvalidValue: There is no such amount of metadata.
    """
    options: FileOptions = {}
    if metadata is not None:
        if metadata not in METADATA_AMOUNTS:
            raise InvalidValue(
                "this is not an amount of metadata",
                given=metadata,
                expected=", ".join(METADATA_AMOUNTS),
            )
        options["metadata"] = cast("MetadataAmount", metadata)
    if no_prompts:
        options["metadata_prompts"] = False
    if sidecar:
        options["sidecar"] = True
    return options


class FileOptions(TypedDict, total=False):
    """What the files of a run carry; see `core.context.Environment`."""

    metadata: MetadataAmount
    metadata_prompts: bool
    sidecar: bool


SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NODE.INPUT=VALUE", help="Give an input a value; may be repeated."
    ),
]
OutOption = Annotated[
    str | None,
    typer.Option("--out", "-o", metavar="DIR", help="Write files here  [default: output]"),
]
MetadataOption = Annotated[
    str | None,
    typer.Option(
        metavar="AMOUNT",
        help="What files carry to be made again: none, minimal (digests and versions), or full.",
    ),
]
NoPromptsOption = Annotated[
    bool, typer.Option("--no-prompts", help="Leave the prompts out of the files.")
]
SidecarOption = Annotated[
    bool,
    typer.Option("--sidecar", help="Also write the manifest of each file as FILE.json next to it."),
]
ToOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NODE", help="Run this node and what it needs; may be repeated."),
]
MuteOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NODE", help="Skip this node and the nodes that need it; repeatable."),
]
BypassOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NODE", help="Pass the input of this node on as its output; repeatable."),
]


RowsOption = Annotated[
    str | None,
    typer.Option(
        "--rows",
        metavar="FILE",
        help="Run once for each row of a CSV or JSONL file. Columns are parameters, or inputs.",
    ),
]


def parse_modes(muted: Sequence[str] | None, bypassed: Sequence[str] | None) -> dict[str, str]:
    """What `--mute` and `--bypass` say.

    Raises:
        InvalidValue: A node stands in both.
    """
    for node in set(muted or ()) & set(bypassed or ()):
        raise InvalidValue(
            f"`{node}` cannot be both muted and bypassed", hint="Choose one of them."
        )
    return dict.fromkeys(muted or (), "mute") | dict.fromkeys(bypassed or (), "bypass")


def workflow_options(
    function: Callable[..., Any], common: CommonOptions, arguments: Sequence[str]
) -> ExtraOptions:
    """The parameters of the workflow that a command's arguments name.

    Args:
        function: The command's, whose first argument is the workflow.
    Raises:
        NodegraphError: The workflow can't be read.
    """
    declared = {**declared_options(function), **common_options()}
    scanned = scan(arguments, declared)
    name = named_workflow(scanned.positional, scanned.ambiguous)
    if name is None:
        return ExtraOptions()
    lists = {key: scanned.values.get(key) for key in ("pack", "models")}
    single = {key: scanned.values.get(key, [None])[-1] for key in ("home", "device")}
    common = common.merged({**lists, **single})
    try:
        opened = open_workflow(name, common)
    except NodegraphError:
        if {"-h", "--help"} & set(arguments):
            return ExtraOptions()
        raise
    if not opened.workflow.parameters:
        return ExtraOptions(opened=opened)
    catalog = common.session().registry
    options = parameter_options(opened.workflow, catalog, option_names(declared))
    return ExtraOptions(options, opened=opened)


def named_workflow(positional: Sequence[str], doubtful: Sequence[str]) -> str | None:
    """The workflow among a command's arguments, as far as one can tell; None if there is none."""
    if positional:
        return positional[0]
    # After an unknown flag the workflow looks like the flag's value.
    return next((text for text in doubtful if text == STDIN or Path(text).is_file()), None)


def get_opened(name: str, more: ExtraOptions) -> OpenedWorkflow:
    """The workflow of a command, which `workflow_options` may have opened already.

    Raises:
        NodegraphError: It can't be read.
    """
    # Standard input can be read only once.
    opened = more.opened
    return (
        opened
        if isinstance(opened, OpenedWorkflow) and opened.name == name
        else open_workflow(name)
    )


def with_values(
    catalog: Catalog, workflow: Workflow, request: RunRequest
) -> tuple[Workflow, tuple[Problem, ...]]:
    """The workflow with its values set as far as they can be, and what is wrong with them."""
    parsed = assignments(workflow, request.assignments)
    problems = tuple(parsed.problems)
    try:
        workflow = workflow.with_modes(request.modes)
    except InvalidWorkflow as error:
        problems += tuple(error.problems)
    try:
        workflow = with_texts(
            workflow,
            catalog,
            parameters={**request.parameters, **parsed.parameters},
            inputs=parsed.inputs,
        )
    except InvalidWorkflow as error:
        problems += tuple(error.problems)
    return workflow, problems


def prepare_workflow(session: Session, workflow: Workflow, request: RunRequest) -> Workflow:
    """The workflow with its values set, ready to run.

    Raises:
        InvalidWorkflow: Lists all that is wrong with the values and with the workflow.
    """
    workflow, value_problems = with_values(session.registry, workflow, request)
    problems = [*value_problems, *session.check(workflow, targets=request.targets)]
    if problems:
        raise InvalidWorkflow(problems)
    return workflow
