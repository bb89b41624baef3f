"""A workflow with what the command line was given for it: values, parameters, targets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.functions import ExtraOptions, declared_options
from nodegraph.cli.opening import STDIN, OpenedWorkflow, open_workflow
from nodegraph.cli.options import CommonOptions, common_options
from nodegraph.cli.parameters import assignments, parameter_options
from nodegraph.cli.scan import option_names, scan
from nodegraph.core.overrides import with_texts
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue, InvalidWorkflow, NodegraphError, Problem

if TYPE_CHECKING:
    from nodegraph.core.catalog import Catalog
    from nodegraph.session.session import Session


@dataclass(frozen=True)
class RunRequest:
    """What is to be run, and with which values.

    Attributes:
        targets: Nodes to run; None for all sinks.
        assignments: As given with ``--set``.
        parameters: Texts of the workflow's named parameters.
        modes: Nodes that are muted or bypassed this time; see `modes_of`.
    """

    targets: Sequence[str] | None
    assignments: Sequence[str]
    parameters: dict[str, str]
    modes: Mapping[str, str] = field(default_factory=dict)


WorkflowArgument = Annotated[
    str,
    typer.Argument(metavar="WORKFLOW", help="A JSON file, a result by nodegraph, or - (stdin)."),
]
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
ToOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NODE", help="Run this node and what it needs; may be repeated."),
]
MuteOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NODE", help="Leave this node out, and what needs it; repeatable."),
]
BypassOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NODE", help="Hand its input on in its place; repeatable."),
]


def parse_modes(muted: Sequence[str] | None, bypassed: Sequence[str] | None) -> dict[str, str]:
    """What `--mute` and `--bypass` say.

    Raises:
        InvalidValue: A node stands in both.
    """
    for node in set(muted or ()) & set(bypassed or ()):
        raise InvalidValue(f"`{node}` can't be both muted and bypassed", hint="Choose one of them.")
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
        opened = open_workflow(name, common.pack_list)
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
