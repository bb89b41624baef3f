"""`nodegraph plan`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.options import CommonOptions, ExtraOptions, JsonOption
from nodegraph.cli.output import (
    BAD_INPUT,
    FINE,
    StyledText,
    echo,
    format_seconds,
    print_json,
    print_problems,
    print_table,
    print_warnings,
)
from nodegraph.cli.output import format_size as size
from nodegraph.cli.run_request import (
    BypassOption,
    MetadataOption,
    MuteOption,
    NoPromptsOption,
    OutOption,
    RunRequest,
    SetOption,
    SidecarOption,
    WorkflowArgument,
    file_options,
    get_opened,
    parameter_texts,
    parse_modes,
    with_values,
    workflow_options,
)
from nodegraph.core.workflow import Workflow
from nodegraph.engine.options import RunOptions
from nodegraph.errors import Problem

if TYPE_CHECKING:
    from nodegraph.engine.planning.plan import Plan
    from nodegraph.models.remote.download_plans import DownloadPlan
    from nodegraph.session.session import Session
    from nodegraph.session.settings import Settings

    FindDownloads = Callable[[Sequence[str]], list[DownloadPlan]]

_SHORT = {
    "parts": "the weights are loaded in parts{slower}. The results are the same.",
    "small": "the computation is done in tiles or one by one, and the weights are loaded in "
    "parts{slower}. The results may differ slightly. A smaller image or batch needs less "
    "memory.",
    "none": "it will probably run out of memory. A smaller image or batch, a half-precision "
    "dtype, weights stored in fewer bits, or closing other programs may help.",
}
_STYLES = {"hit": "green", "run": "yellow", "lazy": "cyan", "skip": "dim"}


def plan(
    common: CommonOptions,
    more: ExtraOptions,
    workflow: WorkflowArgument,
    set_: SetOption = None,
    out: OutOption = None,
    to: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="Plan this node and what it needs; may be repeated."),
    ] = None,
    mute: MuteOption = None,
    bypass: BypassOption = None,
    metadata: MetadataOption = None,
    no_prompts: NoPromptsOption = False,
    sidecar: SidecarOption = False,
    get: Annotated[
        bool,
        typer.Option(
            "--get", help="Show what `run --get` downloads: ask the sources for size and license."
        ),
    ] = False,
    json: JsonOption = False,
) -> int:
    """Show what a run would do, without running anything.

    For each node: whether its result is cached or the node runs, and how long that takes.
    Then the peak memory, the weights to load, and what is missing. The workflow's named
    parameters are options, as for `run`.
    """
    opened = get_opened(workflow, more)
    with common.session(inputs=opened.folder, **output_flags(out)) as session:
        if not json:
            print_warnings(session.registry.problems)
        texts = parameter_texts(opened.workflow, more.values)
        request = RunRequest(to or None, set_ or (), texts, parse_modes(mute, bypass))
        ready, problems = with_values(session.registry, opened.workflow, request)
        downloads = partial(_downloads, session.settings, opened.name) if get else None
        options = RunOptions(
            targets=request.targets,
            **file_options(metadata, no_prompts=no_prompts, sidecar=sidecar),
        )
        return show_plan(session, ready, options, json=json, problems=problems, downloads=downloads)


def _downloads(settings: Settings, workflow: str, names: Sequence[str]) -> list[DownloadPlan]:
    """The downloads of missing models, as far as the workflow's file states their sources."""
    from nodegraph.cli.model_downloads import missing_with_sources, open_hubs
    from nodegraph.models.remote.declared_models import plans_of_missing

    return plans_of_missing(open_hubs(settings), missing_with_sources(workflow, names))


def more_options(common: CommonOptions, arguments: Sequence[str]) -> ExtraOptions:
    """The parameters of the workflow that the arguments name.

    Raises:
        NodegraphError: The workflow can't be read.
    """
    return workflow_options(plan, common, arguments)


def output_flags(out: str | None) -> dict[str, Any]:
    """The setting that ``--out`` stands for."""
    from pathlib import Path

    return {"outputs": Path(out).expanduser().absolute()} if out else {}


def show_plan(
    session: Session,
    workflow: Workflow,
    options: RunOptions,
    *,
    json: bool,
    problems: Sequence[Problem] = (),
    downloads: FindDownloads | None = None,
) -> int:
    """Print what a run of a workflow would do; returns the exit code.

    Args:
        options: Targets of the run, and what its files carry.
        problems: What is known to be wrong beside what is wrong with the workflow itself.
        downloads: Returns the downloads of missing models, by asking their sources.
    Raises:
        NodegraphError: A source cannot be reached.
    """
    plan = session.plan(workflow, targets=options.targets, problems=problems, files=options)
    print_warnings(session.problems)
    brought = downloads(plan.missing.models) if downloads and plan.missing.models else []
    document = {"valid": not plan.problems, **plan.as_dict()}
    if downloads is not None:
        from nodegraph.cli.model_downloads import plan_document, print_plan

        document["downloads"] = [plan_document(each) for each in brought]
    if json:
        print_json(document)
    else:
        _print(plan)
        for each in brought:
            print_plan(each)
    return BAD_INPUT if plan.problems else FINE


def _print(plan: Plan) -> None:
    from nodegraph.engine.planning.plan import HEADS, row, total_lines

    if plan.nodes:
        rows: list[list[StyledText]] = [[(head, "bold") for head in HEADS]]
        for node in plan.nodes.values():
            *cells, verdict = row(node)
            rows.append([*cells, (verdict, _STYLES[node.status])])
        print_table(rows)
        echo()
        for line in total_lines(plan.totals):
            echo(line)
        _print_memory(plan)
    if plan.problems:
        echo(("This cannot run:", "red"))
        for title, names in (("models", plan.missing.models), ("packs", plan.missing.packs)):
            if names:
                echo(f"  missing {title}: {', '.join(names)}")
        print_problems(plan.problems)


def _print_memory(plan: Plan) -> None:
    """What has no room as it is, what becomes of it, and what would help."""
    for node in plan.nodes.values():
        if node.status not in ("run", "lazy") or node.fit not in _SHORT:
            continue
        weights, room = node.weights or 0, plan.totals.room.get(node.device, 0)
        need = f"{size(weights)} of weights and {size(node.memory or 0)} for the computation"
        slower = ""
        if node.transfer_seconds:
            slower = f", which takes at least {format_seconds(node.transfer_seconds)}"
        becomes = _SHORT[node.fit].format(slower=slower)
        echo(
            (node.name, "yellow"),
            f": {need} do not fit into the {size(room)} of {node.device}: {becomes}",
        )
