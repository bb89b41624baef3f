"""A workflow for a server, with what the command line was given for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.cli.connecting import open_client
from nodegraph.cli.functions import ExtraOptions, declared_options
from nodegraph.cli.opening import OpenedWorkflow, open_workflow
from nodegraph.cli.options import common_options
from nodegraph.cli.parameters import parameter_options
from nodegraph.cli.prepared import RunRequest, named_workflow, with_values
from nodegraph.cli.scan import option_names, scan
from nodegraph.core.links import is_link, parse_target, read_link, read_literal
from nodegraph.core.overrides import with_texts
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow, NodegraphError

if TYPE_CHECKING:
    from nodegraph.client import Client, NodeTypes

_HELP = {"-h", "--help"}
_SAVED = "--saved"


@dataclass(frozen=True)
class RemoteWorkflow:
    """A workflow and the node types of the server that is to run it."""

    opened: OpenedWorkflow
    types: NodeTypes


def remote_options(function: Callable[..., Any], arguments: Sequence[str]) -> ExtraOptions:
    """The parameters of the workflow that a command's arguments name, as the server has them.

    Args:
        function: The command's, whose first argument is the workflow.
    Raises:
        NodegraphError: The workflow can't be read, or the server not be asked.
    """
    declared = {**declared_options(function), **common_options()}
    scanned = scan(arguments, declared)
    name = named_workflow(scanned.positional, scanned.ambiguous)
    if name is None:
        return ExtraOptions()
    try:
        with open_client(scanned.values.get("server", [None])[-1]) as client:
            remote = _opened(client, name, is_saved=_SAVED in arguments)
    except NodegraphError:
        if _HELP & set(arguments):
            return ExtraOptions()
        raise
    workflow = remote.opened.workflow
    return ExtraOptions(
        parameter_options(workflow, remote.types, option_names(declared)), opened=remote
    )


def get_remote(client: Client, name: str, more: ExtraOptions, *, is_saved: bool) -> RemoteWorkflow:
    """The workflow of a command, which `remote_options` may have opened already.

    Raises:
        NodegraphError: It can't be read.
    """
    # Standard input can be read only once.
    opened = more.opened
    is_known = isinstance(opened, RemoteWorkflow) and opened.opened.name == name
    return opened if is_known else _opened(client, name, is_saved=is_saved)


def _opened(client: Client, name: str, *, is_saved: bool) -> RemoteWorkflow:
    if is_saved:
        document = dict(client.workflows.get(name))
        return RemoteWorkflow(
            OpenedWorkflow(Workflow.from_dict(document), name, None), client.node_types()
        )
    opened = open_workflow(name)
    return RemoteWorkflow(opened, client.node_types())


def apply_request(remote: RemoteWorkflow, request: RunRequest) -> tuple[Workflow, dict[str, Any]]:
    """The workflow with its inputs and modes set, and the values of its parameters apart.

    Raises:
        InvalidWorkflow: Lists all that is wrong with what was given.
    """
    own = RunRequest(request.targets, request.assignments, {}, request.modes)
    workflow, value_problems = with_values(remote.types, remote.opened.workflow, own)
    problems = list(value_problems)
    values: dict[str, Any] = {}
    try:
        filled = with_texts(workflow, remote.types, parameters=request.parameters)
        for name in request.parameters:
            node, port = parse_target(workflow.parameters[name].input)
            written = filled.nodes[node].inputs[port]
            if is_link(written):
                workflow = workflow.with_inputs({f"{node}.{port}": read_link(written)})
            else:
                values[name] = read_literal(written)
    except InvalidWorkflow as error:
        problems += error.problems
    if problems:
        raise InvalidWorkflow(problems)
    return workflow, values
