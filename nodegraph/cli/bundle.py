"""The commands of `nodegraph bundle`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import (
    FAILED,
    FINE,
    echo,
    echo_stderr,
    format_path,
    format_size,
    pluralize,
    print_json,
    print_table,
    print_warnings,
    warn,
)
from nodegraph.cli.progress import bytes_progress, progress_for
from nodegraph.cli.run_request import OutOption, RunRequest, SetOption, prepare_workflow
from nodegraph.cli.workflow_source import BUNDLE_SUFFIX, STDIN, open_workflow
from nodegraph.errors import InvalidValue, InvalidWorkflow

if TYPE_CHECKING:
    from nodegraph.core.workflow import Workflow
    from nodegraph.engine.result import RunResult
    from nodegraph.session.bundles.archive import BundleReader
    from nodegraph.session.bundles.bundle import Bundle
    from nodegraph.session.bundles.known_runs import KnownRun
    from nodegraph.session.bundles.preparation import BundlePreparation, PreparedRun, Trust
    from nodegraph.session.bundles.report import BundleReport
    from nodegraph.session.session import Session
    from nodegraph.session.settings import Settings

BundleArgument = Annotated[str, typer.Argument(metavar="BUNDLE", help=f"A file *{BUNDLE_SUFFIX}.")]
_Trust = Annotated[
    bool | None,
    typer.Option(
        "--trusted/--untrusted",
        help="Give packs that the bundle brings your rights, or run them in a sandbox  "
        "[default: ask]",
        show_default=False,
    ),
]


def create(
    common: CommonOptions,
    source: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW|RESULT", help="A workflow's file, or an output file of nodegraph."
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help=f"File to write  [default: SOURCE with the ending {BUNDLE_SUFFIX}]",
        ),
    ] = None,
    with_models: Annotated[
        bool, typer.Option("--with-models", help="Include the files of models, however large.")
    ] = False,
    run: Annotated[
        bool,
        typer.Option("--run", help="Run it now, so that the bundle states what a run gives."),
    ] = False,
    set_: SetOption = None,
    json: JsonOption = False,
) -> int:
    """Pack a workflow, or what made a result, into a bundle.

    It has the workflow, its input files, the code of your own packs, locks of installed ones, and
    a list of the models by digest. It also states what each node gave: by the result's manifest,
    by the last run of the workflow, or by a run now with --run. Share it only with people who may
    see all of that.
    """
    from nodegraph.session.bundles.archive import write_bundle
    from nodegraph.session.bundles.collection import collect_bundle
    from nodegraph.session.bundles.known_runs import run_of_result

    opened = open_workflow(source, common)
    target = _target(source, out)
    request = RunRequest(None, set_ or (), {})
    with (
        TemporaryDirectory(prefix="nodegraph-bundle-") as folder,
        common.session(inputs=opened.folder, outputs=Path(folder).resolve()) as session,
    ):
        print_warnings(session.registry.problems)
        workflow = prepare_workflow(session, opened.workflow, request)
        known = (
            run_of_result(
                session,
                workflow,
                _run(session, workflow, is_shown=not json),
                Path(folder).resolve(),
            )
            if run
            else _known_run(session, workflow, source, has_changes=bool(set_))
        )
        contents = collect_bundle(session, workflow, known, with_models=with_models)
        with bytes_progress("packing", is_shown=not json) as progress:
            size = write_bundle(
                target,
                contents.bundle,
                contents.workflow,
                contents.sources,
                *([] if progress is None else [progress]),
            )
    for note in contents.bundle.notes:
        warn(note)
    if json:
        print_json({"file": str(target), "bytes": size, **contents.bundle.to_document()})
        return FINE
    echo(f"Wrote {format_path(target)}: {format_size(size)}.")
    _print_contents(contents.bundle)
    if not contents.bundle.nodes:
        echo_stderr(
            "It states no results, so `bundle run --verify` has nothing to compare: use --run."
        )
    return FINE


def _target(source: str, out: str | None) -> Path:
    if out is not None:
        path = Path(out).expanduser()
        if not path.name.endswith(BUNDLE_SUFFIX):
            raise InvalidValue(
                "a bundle has another ending", given=path.name, expected=f"a name *{BUNDLE_SUFFIX}"
            )
        return path
    if source == STDIN:
        raise InvalidValue("the bundle of standard input needs a name", hint="Use --out FILE.")
    return Path(f"{Path(source).stem}{BUNDLE_SUFFIX}")


def _run(session: Session, workflow: Workflow, *, is_shown: bool) -> RunResult:
    from nodegraph.cli.runner import RunListeners, Runner
    from nodegraph.cli.variations import Variation
    from nodegraph.engine.options import RunOptions

    types = {name: node.type for name, node in workflow.nodes.items()}
    shown = progress_for(sys.stderr, types, quiet=not is_shown)
    options = RunOptions(values=False, previews=False)
    runner = Runner(session, options, RunListeners(shown))
    runs = runner.run_all([Variation(workflow)], keep_stdout_clean=True)
    if not runs:
        raise KeyboardInterrupt
    return runs[0][1]


def _known_run(
    session: Session, workflow: Workflow, source: str, *, has_changes: bool
) -> KnownRun | None:
    """What is known of a run: by the result's manifest, else by the last run of the workflow."""
    from nodegraph.session.bundles.known_runs import recorded_run, run_of_file

    known = None if has_changes or source == STDIN else run_of_file(Path(source))
    return recorded_run(session, workflow) if known is None else known


# Showing


def show(common: CommonOptions, bundle: BundleArgument, json: JsonOption = False) -> int:
    """Show what is in a bundle.

    Nothing in it runs.
    """
    from nodegraph.session.bundles.archive import opened_bundle

    with opened_bundle(Path(bundle)) as reader:
        if json:
            print_json({**reader.bundle.to_document(), "bytes": reader.bytes})
            return FINE
        echo((reader.bundle.title or Path(bundle).name, "bold"), f": {format_size(reader.bytes)}")
        _print_contents(reader.bundle)
        for note in reader.bundle.notes:
            echo(("  note: ", "yellow"), note)
    return FINE


def _print_contents(bundle: Bundle) -> None:
    from nodegraph.session.bundles.preparation import describe_bundle

    for line in describe_bundle(bundle):
        echo(f"  {line}")


def unpack(
    common: CommonOptions,
    bundle: BundleArgument,
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="A new folder  [default: the bundle's name]"
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Unpack a bundle into a folder.

    Files get the names that the workflow uses. Nothing in it runs.
    """
    from nodegraph.session.bundles.archive import opened_bundle

    path = Path(bundle)
    folder = Path(out).expanduser() if out else Path(path.name.removesuffix(BUNDLE_SUFFIX))
    with (
        opened_bundle(path) as reader,
        bytes_progress("unpacking", is_shown=not json) as progress,
    ):
        reader.extract_all(folder, *([] if progress is None else [progress]))
        count = len(reader.bundle.members())
        how = _how_to_run(reader.bundle, folder)
    if json:
        print_json({"folder": str(folder), "files": count})
    else:
        echo(f"Unpacked {pluralize(count, 'file')} and the workflow into {format_path(folder)}.")
        echo("Run it: ", (how, "cyan"))
    return FINE


def _how_to_run(bundle: Bundle, folder: Path) -> str:
    """The command that runs an unpacked bundle with what it holds, as a shell takes it."""
    from shlex import quote

    from nodegraph.session.bundles.bundle import INPUTS, MODELS, PACKS, WORKFLOW

    words = ["nodegraph", "run", format_path(folder / WORKFLOW)]
    if any(model.included for model in bundle.models):
        words += ["--models", format_path(folder / MODELS)]
    for pack in bundle.packs:
        if pack.files:
            name = f"{pack.name}.py" if pack.is_file else pack.name
            words += ["--pack", format_path(folder / PACKS / name)]
    inputs = f"NODEGRAPH_INPUTS={quote(format_path(folder / INPUTS))} " if bundle.inputs else ""
    return inputs + " ".join(map(quote, words))


# Running


@dataclass(frozen=True, slots=True)
class BundleSession:
    """A session in which a bundle can run."""

    session: Session
    run: PreparedRun
    reader: BundleReader


@contextmanager
def open_bundle_session(
    common: CommonOptions,
    path: Path,
    outputs: Path | None,
    *,
    trusted: bool | None = None,
    get: bool = False,
    use_cache: bool = True,
) -> Iterator[BundleSession]:
    """A session with the files, models and packs of a bundle, in a temporary home folder.

    Args:
        outputs: Folder that the run writes to; None for that of the settings.
        trusted: Whether packs that the bundle brings have the user's rights; None asks.
        get: Download missing models with known sources without asking.
    Raises:
        NodegraphError: The bundle is refused, models are missing, or a pack may not run.
    """
    from nodegraph.session.bundles.archive import opened_bundle
    from nodegraph.session.bundles.preparation import BundlePreparation
    from nodegraph.session.replay.recorded_files import stored_digests
    from nodegraph.session.session import Session

    settings = common.settings()
    with ExitStack() as stack:
        reader = stack.enter_context(opened_bundle(path))
        temporary = TemporaryDirectory(prefix="nodegraph-bundle-", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(temporary)).resolve()
        with stored_digests(settings.store_folder):
            preparation = BundlePreparation(reader, folder / "first", settings, common.packs)
            trust = _trust(preparation, trusted)
            target = outputs or settings.environment().outputs
            try:
                run = preparation.prepare(trust, target)
            except InvalidWorkflow as error:
                if not _get_missing(settings, reader.bundle, error, get=get):
                    raise
                again = BundlePreparation(reader, folder / "second", settings, common.packs)
                run = again.prepare(trust, target)
        for note in run.notes:
            warn(note)
        session = stack.enter_context(Session(run.settings, packs=run.packs, use_cache=use_cache))
        print_warnings(session.registry.problems)
        yield BundleSession(session, run, reader)


def _trust(preparation: BundlePreparation, trusted: bool | None) -> Trust:
    """Rights of the packs that a bundle brings, as the user decides."""
    from nodegraph.session.bundles.preparation import describe_pack

    if trusted is not None:
        return "full" if trusted else "sandbox"
    packs = preparation.packs_to_trust()
    if not packs or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return "none"
    echo_stderr("The bundle brings code that is not on this machine:")
    for pack in packs:
        echo_stderr("  ", describe_pack(pack))
    return "sandbox" if typer.confirm("Run it in a sandbox?", err=True) else "none"


def _get_missing(settings: Settings, bundle: Bundle, error: InvalidWorkflow, *, get: bool) -> bool:
    """Download missing models whose source the bundle states; whether some have come."""
    from nodegraph.cli.model_downloads import get_declared
    from nodegraph.models.remote.declared_models import DeclaredModel

    names = {problem.given for problem in error.problems}
    missing = {
        model.name: DeclaredModel(model.name, model.source)
        for model in bundle.models
        if model.source and model.name in names
    }
    return get_declared(settings, missing, "bundle", get=get)


def run(
    common: CommonOptions,
    bundle: BundleArgument,
    out: OutOption = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Compare the outputs with those that the bundle states, and write a report.",
        ),
    ] = False,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Where the report goes: FILE.md and FILE.html  [default: reproducibility in the "
            "folder of outputs]",
        ),
    ] = None,
    trusted: _Trust = None,
    get: Annotated[
        bool,
        typer.Option("--get", help="Download missing models whose source is known; ask no one."),
    ] = False,
    json: JsonOption = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only the result, and errors.")
    ] = False,
) -> int:
    """Run a bundle; with --verify, compare its outputs with those it states.

    It runs in a temporary home folder. Models are found by their content in your models folders,
    also under other names. Code that the bundle brings does not run before you decide.
    """
    from nodegraph.session.bundles.report import bundle_report

    path = Path(bundle)
    outputs = Path(out).expanduser().absolute() if out else None
    with open_bundle_session(common, path, outputs, trusted=trusted, get=get) as opened:
        if verify and not opened.reader.bundle.nodes:
            raise InvalidValue(
                "the bundle states no outputs to compare with",
                hint="Make it from a result, or with `nodegraph bundle create --run`.",
            )
        problems = opened.session.check(opened.run.workflow)
        if problems:
            raise InvalidWorkflow(problems)
        result = _run(opened.session, opened.run.workflow, is_shown=not (json or quiet))
        made = (opened.reader, opened.session, opened.run.workflow, result, opened.run.notes)
        checked = bundle_report(*made) if verify else None
    for error in result.errors:
        echo_stderr(("error: ", "red"), str(error))
    files = [file.path for file in result.files]
    if checked is not None:
        base = Path(report) if report else opened.session.environment.outputs / "reproducibility"
        files += checked.write(base)
    if json:
        extra = {} if checked is None else {"report": checked.to_document()}
        print_json({"status": result.status, "files": [str(file) for file in files], **extra})
    else:
        if checked is not None:
            _print_report(checked)
        for file in files:
            echo(f"  {format_path(file)}" if not quiet else format_path(file))
    return FINE if result.is_ok and (checked is None or checked.is_reproduced) else FAILED


def _print_report(checked: BundleReport) -> None:
    style = "green" if checked.is_reproduced else "red"
    echo((checked.summary, style))
    differing = [node for node in checked.nodes if node.verdict in ("differs", "missing")]
    if differing:
        print_table([(node.name, node.type, node.verdict) for node in differing], indent=2)
        echo(f"  first: {checked.first}: {checked.cause}")
    for each in checked.results:
        echo(f"  {each.name}: {each.verdict}{f', {each.text}' if each.text else ''}")
