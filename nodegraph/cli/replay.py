"""`nodegraph replay`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import (
    BAD_INPUT,
    FAILED,
    FINE,
    echo,
    echo_stderr,
    format_path,
    format_seconds,
    pluralize,
    print_json,
    print_problems,
    print_warnings,
    problems_document,
)
from nodegraph.cli.run_request import OutOption, RunRequest, SetOption, with_values
from nodegraph.engine.options import RunOptions
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.cli.variations import Variation
    from nodegraph.core.workflow import Workflow
    from nodegraph.engine.result import RunResult
    from nodegraph.errors import Problem
    from nodegraph.session.replay.replay import LackingModel, Replay, ResultFile
    from nodegraph.session.replay.verification import Verification
    from nodegraph.session.settings import Settings

_VERDICTS = {
    "identical": ("identical: every byte is the same", "green"),
    "same-content": ("same content: every value is the same, and the file's texts differ", "green"),
    "differs": ("differs", "red"),
}


def replay(
    common: CommonOptions,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file that nodegraph saved.")],
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Compute it without earlier results, and compare it with FILE bit for bit.",
        ),
    ] = False,
    set_: SetOption = None,
    out: OutOption = None,
    inputs: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Search input files here  [default: inputs, or FILE's folder]"
        ),
    ] = None,
    get: Annotated[
        bool, typer.Option("--get", help="Download missing models whose source is known.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Do not run; show what would run, and what is missing."),
    ] = False,
    json: JsonOption = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only the verdict or the paths, and errors.")
    ] = False,
) -> int:
    """Make a file again from the file alone, and check that it is the same.

    Models and input files are found by their content, also under other names. Only the
    node that wrote FILE runs, with the nodes that it needs. With --verify the exit code is 0 if
    the content is the same and 1 if it differs; the first node that differs is named with the
    cause. It is 2 if something is missing.
    """
    from nodegraph.session.replay.replay import check_prompts, read_result

    if verify and dry_run:
        raise InvalidValue("--verify and --dry-run cannot be combined", hint="Remove one.")
    folder = None if inputs is None else Path(inputs).expanduser().absolute()
    if folder is not None and not folder.is_dir():
        raise InvalidValue(f"--inputs: there is no folder {folder}")
    request = _ReplayRequest(
        read_result(Path(file)),
        set_ or (),
        folder,
        None if out is None else Path(out).expanduser().absolute(),
        is_verified=verify,
        is_planned=dry_run,
        json=json,
        quiet=quiet,
    )
    check_prompts(request.file, request.assignments)
    code = _replay(common, request, get=get)
    if code is None:  # models were downloaded, so all are searched again
        code = _replay(common, request, get=False)
    return BAD_INPUT if code is None else code


@dataclass(frozen=True)
class _ReplayRequest:
    """The options of the command."""

    file: ResultFile
    assignments: Sequence[str]
    inputs: Path | None
    outputs: Path | None
    is_verified: bool
    is_planned: bool
    json: bool
    quiet: bool


def _announce(path: Path) -> None:
    echo_stderr(f"Looking for a file by its digest: reading {format_path(path)}")


def _replay(common: CommonOptions, request: _ReplayRequest, *, get: bool) -> int | None:
    """Exit code; None if missing models were downloaded."""
    from nodegraph.session.replay.replay import check_same_workflow, open_replay

    settings = common.settings()
    with open_replay(
        request.file,
        settings,
        packs=common.packs,
        inputs=request.inputs,
        outputs=request.outputs,
        verify=request.is_verified,
        on_read=_announce,
    ) as opened:
        session = opened.session
        print_warnings([*session.registry.problems, *opened.warnings()])
        values = RunRequest(opened.targets, request.assignments, {})
        workflow, wrong = with_values(session.registry, opened.file.workflow, values)
        problems = [*wrong, *opened.problems(workflow)]
        if problems:
            lacking = opened.lacking_models(problems)
            if get and _download(settings, lacking):
                return None
            _print_lacking(opened, lacking, problems, json=request.json)
            return BAD_INPUT
        if request.is_verified:
            check_same_workflow(opened.file, workflow)
        if request.is_planned:
            from nodegraph.cli.plan import show_plan

            return show_plan(
                session, workflow, RunOptions(targets=opened.targets), json=request.json
            )
        runs = _run(opened, workflow, request)
        print_warnings(session.problems)
        if request.is_verified and runs and runs[0][1].is_ok:
            return _verify(opened, workflow, runs[0][1], request)
    return _finish(runs, request)


def _run(
    opened: Replay, workflow: Workflow, request: _ReplayRequest
) -> list[tuple[Variation, RunResult]]:
    from nodegraph.cli.progress import progress_for
    from nodegraph.cli.runner import RunListeners, Runner
    from nodegraph.cli.variations import Variation

    types = {name: node.type for name, node in workflow.nodes.items()}
    listeners = RunListeners(progress_for(sys.stderr, types, quiet=request.quiet))
    options = RunOptions(targets=opened.targets, values=False, previews=False)
    runner = Runner(opened.session, options, listeners, None)
    return runner.run_all([Variation(workflow)], keep_stdout_clean=request.json)


def _finish(runs: Sequence[tuple[Variation, RunResult]], request: _ReplayRequest) -> int:
    from nodegraph.cli.variations import (
        exit_code,
        print_errors,
        print_files,
        print_summary,
        runs_document,
    )

    if request.json:
        print_json(runs_document(runs, 1))
    else:
        print_errors(runs)
        if request.quiet:
            print_files(runs)
        else:
            print_summary(runs, 1)
    code = exit_code(runs, 1)
    # 1 says that a verified file differs, which is not known of one that could not be made.
    return BAD_INPUT if request.is_verified and code == FAILED else code


def _verify(opened: Replay, workflow: Workflow, result: RunResult, request: _ReplayRequest) -> int:
    verification = opened.verify(workflow, result)
    # Without --out it lies in a temporary folder.
    kept = None if request.outputs is None else verification.written
    if request.json:
        document = {"file": str(opened.file.path), **verification.as_dict()}
        print_json({**document, "written": None if kept is None else str(kept)})
    else:
        _print_verification(opened, verification, result, quiet=request.quiet)
        if kept is not None and not request.quiet:
            echo("  written: ", format_path(kept))
    return FAILED if verification.verdict == "differs" else FINE


def _print_verification(
    opened: Replay, verification: Verification, result: RunResult, *, quiet: bool
) -> None:
    text, color = _VERDICTS[verification.verdict]
    count = f" ({pluralize(len(result.nodes), 'node')}, {format_seconds(result.seconds)})"
    echo(f"{format_path(opened.file.path)}: ", (text, color), "" if quiet else count)
    if quiet:
        return
    difference = verification.difference
    if difference is not None:
        ports = f": {', '.join(difference.ports)}" if difference.ports else ""
        node = f"`{difference.node}` ({difference.node_type}){ports}"
        echo("  first node that differs: ", (node, "bold"))
    reasons = verification.changes if difference is None else difference.reasons
    for reason in reasons:
        echo("  because" if difference is not None else "  changed", f": {reason.text}")
        if reason.hint:
            echo("    ", (reason.hint, "cyan"))
    if verification.content is not None and verification.content.text:
        echo("  ", verification.content.text)
    if verification.verdict == "same-content" and verification.texts:
        echo(f"  texts that differ: {', '.join(verification.texts)}")
    for note in verification.notes:
        echo("  ", (note, "dim"))


def _print_lacking(
    opened: Replay, lacking: Sequence[LackingModel], problems: Sequence[Problem], *, json: bool
) -> None:
    from nodegraph.session.node_types import pack_finder

    packs, inputs = opened.lacking_packs(), opened.lacking_inputs()
    if json:
        missing = {
            "models": [each.as_dict() for each in lacking],
            "packs": packs,
            "inputs": [{"name": each.name, "digest": each.digest} for each in inputs],
        }
        print_json({**problems_document(problems), "missing": missing})
        return
    for model in lacking:
        kinds = f" ({', '.join(model.kinds)})" if model.kinds else ""
        echo_stderr(("missing model: ", "yellow"), f"{model.name}{kinds}")
        for name, digest in model.files.items():
            echo_stderr(f"  {name}, blake3 {digest}")
        if model.source is not None:
            reference = model.source.reference
            how = "asks Civitai" if reference in model.files.values() else "from the workflow"
            echo_stderr("  ", (f"nodegraph models add {reference}", "cyan"), f"  ({how})")
    finder = pack_finder(opened.session.settings)
    for name, version in packs.items():
        echo_stderr(("missing pack: ", "yellow"), f"{name} {version}".rstrip())
        command = None if finder is None else finder.pack_command(name)
        if command is not None:
            echo_stderr("  ", (command, "cyan"))
    for each in inputs:
        echo_stderr(("missing input file: ", "yellow"), f"{each.name}, blake3 {each.digest}")
    if any(model.source is not None for model in lacking):
        echo_stderr("--get downloads the models whose source is known.")
    print_problems(problems)


def _download(settings: Settings, lacking: Sequence[LackingModel]) -> bool:
    """Download missing models with a known source; whether there were any.

    Raises:
        NodegraphError: A source cannot be reached, or a download fails.
    """
    from nodegraph.cli.model_downloads import fetch, open_downloads, open_hubs, print_plan
    from nodegraph.models.remote.declared_models import plans_of_missing

    known = {model.name: model.source for model in lacking if model.source is not None}
    if not known:
        return False
    hubs = open_hubs(settings)
    plans = plans_of_missing(hubs, known)
    downloads = open_downloads(settings, hubs, None)
    with redirect_stdout(sys.stderr):
        for plan in plans:
            print_plan(plan)
            fetch(downloads, plan, None, is_shown=True)
    return True
