"""`nodegraph run`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.options import CommonOptions, ExtraOptions, JsonOption
from nodegraph.cli.output import echo_stderr, format_path, print_json, print_warnings, warn
from nodegraph.cli.progress import progress_for
from nodegraph.cli.run_request import (
    BypassOption,
    MetadataOption,
    MuteOption,
    NoPromptsOption,
    OutOption,
    RowsOption,
    RunRequest,
    SetOption,
    SidecarOption,
    ToOption,
    WorkflowArgument,
    file_options,
    get_opened,
    parameter_texts,
    parse_modes,
    prepare_workflow,
    workflow_options,
)
from nodegraph.cli.runner import EventLines, RunListeners, Runner, spans
from nodegraph.cli.variations import (
    Variation,
    by_row,
    exit_code,
    parse_seeds,
    print_errors,
    print_files,
    print_summary,
    runs_document,
    with_incremented_seeds,
    with_seeds,
)
from nodegraph.cli.workflow_source import is_bundle_name
from nodegraph.core.rows import read_rows
from nodegraph.core.workflow import Workflow
from nodegraph.engine.options import RunOptions
from nodegraph.errors import InvalidValue, InvalidWorkflow, ModelNotFound

if TYPE_CHECKING:
    from nodegraph.cli.runner import ClusterContext
    from nodegraph.cli.workflow_source import OpenedWorkflow
    from nodegraph.core.events import Listener
    from nodegraph.engine.result import RunResult
    from nodegraph.session.session import Session


_Repeat = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Run N times, with each seed increased by one each time.", min=1
    ),
]
_Seeds = Annotated[
    str | None,
    typer.Option(metavar="LIST", help="Run once for each of these seeds, such as 1,2,5-8."),
]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Do not run; show what would run, as `plan` does.")
]
_NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Compute everything again, and keep no results on disk.")
]
_Deadline = Annotated[
    float | None,
    typer.Option(metavar="SECONDS", help="Cancel each run that takes longer than this."),
]
_CheckMutation = Annotated[
    bool, typer.Option("--check-mutation", help="Fail nodes that change their inputs; slower.")
]
_Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Also compute on a Ray cluster: auto, HOST:PORT or ray://HOST:10001.",
    ),
]
_Trace = Annotated[
    str | None, typer.Option(metavar="FILE", help="Write a trace for Perfetto and Chrome.")
]
_Events = Annotated[bool, typer.Option("--events", help="Print events as lines of JSON.")]
_Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print only the paths of the files, and errors.")
]
_Get = Annotated[
    bool,
    typer.Option(
        "--get", help="Download missing models whose source the workflow's file states; ask no one."
    ),
]


def run(
    common: CommonOptions,
    more: ExtraOptions,
    workflow: WorkflowArgument,
    set_: SetOption = None,
    out: OutOption = None,
    to: ToOption = None,
    mute: MuteOption = None,
    bypass: BypassOption = None,
    repeat: _Repeat = None,
    seeds: _Seeds = None,
    rows: RowsOption = None,
    dry_run: _DryRun = False,
    no_cache: _NoCache = False,
    deadline: _Deadline = None,
    check_mutation: _CheckMutation = False,
    cluster: _Cluster = None,
    trace: _Trace = None,
    json: JsonOption = False,
    events: _Events = False,
    quiet: _Quiet = False,
    get: _Get = False,
    metadata: MetadataOption = None,
    no_prompts: NoPromptsOption = False,
    sidecar: SidecarOption = False,
) -> int:
    """Run a workflow.

    The workflow's named parameters are options too: `nodegraph run WORKFLOW --help` lists them.
    Ctrl-C stops the run at the next step. Finished results stay.
    """
    _check(json=json, events=events)
    if cluster is not None and no_cache:
        raise InvalidValue(
            "--cluster and --no-cache cannot be combined",
            hint="Remove one: results of other machines come from the cache.",
        )
    # Nothing in a terminal shows values, nor images of unfinished work.
    options = RunOptions(
        targets=to or None,
        deadline=deadline,
        check_mutation=check_mutation,
        values=False,
        previews=False,
        **file_options(metadata, no_prompts=no_prompts, sidecar=sidecar),
    )
    opened = get_opened(workflow, more)
    with _opened_session(common, opened, out, use_cache=not no_cache) as session:
        print_warnings(session.registry.problems)
        texts = parameter_texts(opened.workflow, more.values)
        modes = parse_modes(mute, bypass)
        request = RunRequest(options.targets, set_ or (), texts, modes)
        variations = _variations(session, opened, request, repeat, seeds, rows, get=get)
        if dry_run:
            return _show_plan(session, variations, options, json=json, events=events)
        shown = progress_for(sys.stderr, _types(opened.workflow), quiet=quiet or events)
        lines = EventLines() if events else None
        with ExitStack() as stack:
            others = _observers(stack, trace, quiet=quiet)
            helping = _cluster_context(cluster, session, common, request)
            runner = Runner(session, options, RunListeners(shown, lines, others), helping)
            runs = runner.run_all(variations, keep_stdout_clean=json or events)
    print_warnings(_store_problems(session))
    if json:
        print_json(runs_document(runs, len(variations)))
    else:
        print_errors(runs)
        _print_closing(runs, len(variations), quiet=quiet, events=events)
    return exit_code(runs, len(variations))


@contextmanager
def _opened_session(
    common: CommonOptions, opened: OpenedWorkflow, out: str | None, *, use_cache: bool
) -> Iterator[Session]:
    """The session of a run; that of a bundle has the bundle's files, models and packs."""
    outputs = Path(out).expanduser().absolute() if out else None
    if is_bundle_name(opened.name):
        from nodegraph.cli.bundle import open_bundle_session

        with open_bundle_session(common, Path(opened.name), outputs, use_cache=use_cache) as run:
            yield run.session
        return
    flags = {} if outputs is None else {"outputs": outputs}
    with common.session(inputs=opened.folder, use_cache=use_cache, **flags) as session:
        yield session


def _prepared(
    session: Session, opened: OpenedWorkflow, request: RunRequest, *, get: bool
) -> Workflow:
    """The workflow, ready to run; missing models with a known source may be downloaded.

    Raises:
        InvalidWorkflow: See `prepare_workflow`.
        NodegraphError: A download fails.
    """
    try:
        return prepare_workflow(session, opened.workflow, request)
    except InvalidWorkflow as error:
        missing = (each.given for each in error.problems if each.code == ModelNotFound.code)
        names = [name for name in missing if name]
        if not names:
            raise
        from nodegraph.cli.model_downloads import get_missing

        if not get_missing(session.settings, opened.name, names, get=get):
            raise
    return prepare_workflow(session, opened.workflow, request)


def _cluster_context(
    cluster: str | None, session: Session, common: CommonOptions, request: RunRequest
) -> ClusterContext | None:
    """What has a cluster compute along, if that is wanted."""
    if cluster is None:
        return None
    from nodegraph.cli.runner import cluster_context

    return cluster_context(cluster, session, common.packs, request)


def more_options(common: CommonOptions, arguments: Sequence[str]) -> ExtraOptions:
    """The parameters of the workflow that the arguments name.

    Raises:
        NodegraphError: The workflow can't be read.
    """
    return workflow_options(run, common, arguments)


def _check(*, json: bool, events: bool) -> None:
    if json and events:
        raise InvalidValue("--json and --events both write to stdout", hint="Choose one of them.")


def _show_plan(
    session: Session,
    variations: Sequence[Variation],
    options: RunOptions,
    *,
    json: bool,
    events: bool,
) -> int:
    if events:
        raise InvalidValue("--dry-run and --events cannot be combined", hint="Remove one.")
    if len(variations) > 1:
        raise InvalidValue(
            "--dry-run shows one run only",
            hint="Remove --dry-run, or the option for several.",
        )
    from nodegraph.cli.plan import show_plan

    return show_plan(session, variations[0].workflow, options, json=json)


def _observers(
    stack: ExitStack, trace: str | None, *, quiet: bool
) -> list[Callable[[str], Listener]]:
    """Who else watches the runs, until the stack is closed."""
    factories = [stack.enter_context(spans())]
    if trace is not None:
        factories.append(stack.enter_context(_trace(Path(trace), quiet=quiet)))
    return [make for make in factories if make is not None]


@contextmanager
def _trace(path: Path, *, quiet: bool) -> Iterator[Callable[[str], Listener]]:
    from nodegraph.observe.trace import Trace

    written = Trace(path)
    try:
        yield written.run
    finally:
        try:
            written.close()
        except OSError as error:
            warn(f"the trace {format_path(path)} is incomplete: {error.strerror or error}")
        else:
            if not quiet:
                echo_stderr(
                    f"Trace written to {format_path(path)}; https://ui.perfetto.dev shows it."
                )


def _store_problems(session: Session) -> list[str]:
    """What kept results from being kept; known once the session is closed."""
    store = session.store
    problem = None if store is None else store.problem
    trouble = [f"not every result was read from disk or stored there: {problem}"] if problem else []
    return [*session.problems, *trouble]


def _variations(
    session: Session,
    opened: OpenedWorkflow,
    request: RunRequest,
    repeat: int | None,
    seeds: str | None,
    rows: str | None,
    *,
    get: bool,
) -> list[Variation]:
    if sum(option is not None for option in (repeat, seeds, rows)) > 1:
        raise InvalidValue(
            "--repeat, --seeds and --rows cannot be combined", hint="Choose one of them."
        )

    def prepare(values: RunRequest) -> Workflow:
        return _prepared(session, opened, values, get=get)

    if rows is not None:
        ready = by_row(request, opened.workflow, read_rows(Path(rows)), prepare)
        return [Variation(each, row=number) for number, each in enumerate(ready, 1)]
    if seeds is not None:
        return with_seeds(prepare(request), session.registry, parse_seeds(seeds))
    if repeat is not None and repeat > 1:
        return with_incremented_seeds(prepare(request), session.registry, repeat)
    return [Variation(prepare(request))]


def _types(workflow: Workflow) -> dict[str, str]:
    return {name: node.type for name, node in workflow.nodes.items()}


def _print_closing(
    runs: Sequence[tuple[Variation, RunResult]], planned: int, *, quiet: bool, events: bool
) -> None:
    # Beside events, stdout has no room for people.
    with redirect_stdout(sys.stderr if events else sys.stdout):
        if quiet:
            print_files(runs)
        else:
            print_summary(runs, planned)
