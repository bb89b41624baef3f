"""`nodegraph why`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.options import CommonOptions, ExtraOptions, JsonOption
from nodegraph.cli.output import FINE, echo, format_seconds, format_time, print_json, print_warnings
from nodegraph.cli.plan import output_flags
from nodegraph.cli.run_request import (
    OutOption,
    RunRequest,
    SetOption,
    WorkflowArgument,
    get_opened,
    parameter_texts,
    prepare_workflow,
    workflow_options,
)

if TYPE_CHECKING:
    from nodegraph.engine.planning.why import NodeWhy, Origin

_TITLES = {
    "hit": "uses an earlier result",
    "run": "would run",
    "lazy": "may run",
    "skip": "would not run",
}


def why(
    common: CommonOptions,
    more: ExtraOptions,
    workflow: WorkflowArgument,
    node: Annotated[
        str | None,
        typer.Argument(metavar="NODE", help="Only this node [default: all nodes that would run]"),
    ] = None,
    set_: SetOption = None,
    out: OutOption = None,
    json: JsonOption = False,
) -> int:
    """Show why nodes would run, or which earlier run their results come from.

    Compare each node with the last run that had a node of that name, otherwise with the most
    similar result of the same node type. The comparison covers inputs, earlier results, code and
    numerics. Nothing runs. The workflow's named parameters are options, as for
    `run`.
    """
    opened = get_opened(workflow, more)
    with common.session(inputs=opened.folder, **output_flags(out)) as session:
        if not json:
            print_warnings(session.registry.problems)
        targets = [node] if node is not None else None
        texts = parameter_texts(opened.workflow, more.values)
        request = RunRequest(targets, set_ or (), texts)
        ready = prepare_workflow(session, opened.workflow, request)
        reasons = session.why(ready, node=node)
        print_warnings(session.problems)
    if json:
        print_json({"nodes": [item.as_dict() for item in reasons]})
    elif not reasons:
        echo("Nothing would run: every result exists already.")
    else:
        for item in reasons:
            _print(item)
    return FINE


def more_options(common: CommonOptions, arguments: Sequence[str]) -> ExtraOptions:
    """The parameters of the workflow that the arguments name.

    Raises:
        NodegraphError: The workflow can't be read.
    """
    return workflow_options(why, common, arguments)


def _print(item: NodeWhy) -> None:
    node = item.plan
    title = _TITLES[node.status]
    if node.status == "run" and not node.certain and not node.is_new:
        title = "may run"
    reasons = list(item.reasons)
    if item.origin is not None and (node.status == "hit" or item.differences):
        reasons.append(_of(item.origin, is_answer=node.status == "hit"))
    if not reasons and node.status == "hit":
        reasons = ["its result is in memory"]
    colon = ":" if reasons else ""
    echo((node.name, "bold"), f" ({node.type}) {title}{colon}")
    for reason in reasons:
        echo("  ", reason)


def _of(origin: Origin, *, is_answer: bool) -> str:
    took = f"took {format_seconds(origin.seconds)}"
    run = f"run {origin.run}" if origin.run else "a run"
    if is_answer:
        return f"from {run}, {format_time(origin.created)}; {took} then"
    return f"(compared with {run}, {format_time(origin.created)})"
