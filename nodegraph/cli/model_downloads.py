"""`nodegraph models search`, `add` and `downloads`, and downloads of a workflow's models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import (
    StyledText,
    echo,
    echo_stderr,
    format_path,
    format_size,
    pluralize,
    print_json,
    print_table,
)
from nodegraph.cli.progress import bytes_progress
from nodegraph.cli.workflow_source import STDIN, workflow_document
from nodegraph.core.text_format import format_seconds, strip_control_characters
from nodegraph.errors import InvalidValue, NodegraphError

if TYPE_CHECKING:
    from nodegraph.models.remote.declared_models import DeclaredModel
    from nodegraph.models.remote.download_plans import DownloadPlan, DownloadStatus, SearchHit
    from nodegraph.models.remote.downloads import Downloads
    from nodegraph.models.remote.hubs import ModelHubs
    from nodegraph.models.starter_catalogue import CatalogueEntry
    from nodegraph.session.settings import Settings

_LINE_SECONDS = 5.0
_LOOK_SECONDS = 0.5

KindOption = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="KIND",
        help="Kind of the model, such as checkpoint, lora, vae or embedding: it decides on the "
        "folder  [default: as the source states it]",
    ),
]
FolderOption = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Models folder  [default: models in the home folder]"),
]


def search(
    common: CommonOptions,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORDS]...", help="Words of its name.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="Only models of this kind, such as checkpoint or lora."),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(metavar="FAMILY", help="Only models of this family, such as sd1 or sdxl."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE", help="huggingface or civitai; may be repeated."),
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", help="Most models of each source.", min=1, max=100)
    ] = 20,
    json: JsonOption = False,
) -> int:
    """Search Hugging Face and Civitai for models.

    The first column is what `nodegraph models add` takes.
    """
    hubs = open_hubs(common.settings())
    sources = source or ["huggingface", "civitai"]
    hits: list[SearchHit] = []
    problems: list[NodegraphError] = []
    for each in sources:
        try:
            hits += hubs.search(
                " ".join(words or ()), sources=[each], kind=kind, family=family, limit=limit
            )
        except InvalidValue:
            raise
        except NodegraphError as error:
            problems.append(error)
    if problems and len(problems) == len(sources):
        raise problems[0]
    if json:
        print_json(
            {"models": [asdict(hit) for hit in hits], "problems": [str(e) for e in problems]}
        )
        return 0
    if hits:
        names = ("model", "title", "kind", "base model", "size", "downloads", "license")
        heads: tuple[StyledText, ...] = tuple((name, "bold") for name in names)
        print_table([heads, *map(_hit_row, hits)])
    else:
        echo("No models.")
    for problem in problems:
        echo_stderr(f"warning: {problem}")
    return 0


def _hit_row(hit: SearchHit) -> tuple[StyledText, ...]:
    size = "" if hit.bytes is None else format_size(hit.bytes)
    license_text = f"{hit.license or ''}{' (gated)' if hit.is_gated else ''}"
    title = "" if hit.title == hit.reference else hit.title
    texts = (hit.reference, title, hit.kind, hit.base_model or "", size)
    return tuple(map(_clean, (*texts, str(hit.downloads), license_text)))


def _clean(text: str) -> str:
    """Text of a source, for a terminal."""
    return strip_control_characters(text)[:60]


def starter(
    common: CommonOptions,
    purpose: Annotated[
        str | None,
        typer.Option(metavar="WORD", help="Only models for this, such as image, video or audio."),
    ] = None,
    json: JsonOption = False,
) -> int:
    """List well-known models to start with, and which of them fit this machine.

    The first column is what `nodegraph models add` takes. Sizes are rounded; `add --dry-run`
    asks the source for the exact ones. The setting `model_catalogue` replaces the list.
    """
    from nodegraph.models.model_sources import KnownModels
    from nodegraph.models.starter_catalogue import installed_names, read_catalogue

    settings = common.settings()
    entries = read_catalogue(settings.model_catalogue)
    known = {
        model.name: (model.record.source, None)
        for model in KnownModels().list(settings.model_folders)
        if model.record is not None
    }
    installed = installed_names(entries, known)
    chosen = [each for each in entries.entries if purpose in (None, each.purpose)]
    if purpose is not None and not chosen:
        raise InvalidValue(
            "the catalogue has no models for this",
            given=purpose,
            expected=", ".join(dict.fromkeys(each.purpose for each in entries.entries)),
        )
    if json:
        documents = [
            {**asdict(each), "fits": each.fits, "installed": installed.get(each.id)}
            for each in chosen
        ]
        print_json({"models": documents})
        return 0
    names = ("model", "title", "for", "download", "memory", "license", "here")
    heads: tuple[StyledText, ...] = tuple((name, "bold") for name in names)
    print_table([heads, *(_starter_row(each, installed.get(each.id)) for each in chosen)])
    missing = [each for each in chosen if each.id not in installed]
    if missing:
        # One that fits, if there is one.
        first = next((each for each in missing if each.fits), missing[0])
        echo()
        echo("Get one: ", (f"nodegraph models add {_reference(first)}", "bold"))
    return 0


def _reference(entry: CatalogueEntry) -> str:
    """What `nodegraph models add` takes for it."""
    return f"{entry.source} --variant {entry.variant}" if entry.variant else entry.source


def _starter_row(entry: CatalogueEntry, name: str | None) -> tuple[StyledText, ...]:
    memory = "" if entry.memory is None else format_size(entry.memory)
    need: StyledText = memory if entry.fits else (f"{memory}, more than here", "yellow")
    return (
        _reference(entry),
        entry.title,
        entry.purpose,
        "" if entry.bytes is None else format_size(entry.bytes),
        need,
        f"{entry.license or ''}{' (gated)' if entry.is_gated else ''}",
        name or "",
    )


def add(
    common: CommonOptions,
    model: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="org/name or org/name/FILE at Hugging Face, civitai:ID, a hash, or an address.",
        ),
    ],
    variant: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Variant of the weights, such as fp16 or Q4_K_M."),
    ] = None,
    kind: KindOption = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the file or folder here.")
    ] = None,
    folder: FolderOption = None,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TOKEN",
            help="Access token of the source  [default: HF_TOKEN, or CIVITAI_TOKEN]",
        ),
    ] = None,
    allow_pickle: Annotated[
        bool,
        typer.Option(
            "--allow-pickle",
            help="Also take pickle files, which can run any code when they are opened.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show files, sizes and license; download nothing.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Download models from Hugging Face, Civitai or any address.

    Only one variant of the weights is downloaded. The model appears once it is complete and
    its digests are right. The same command continues a download that was interrupted.
    """
    from nodegraph.models.remote.download_plans import Wanted

    settings = common.settings()
    hubs = open_hubs(settings)
    wanted = Wanted(variant, kind, allow_pickle, token, name)
    plans = [hubs.resolve(each, wanted) for each in model]
    if not json:
        for plan in plans:
            print_plan(plan)
    if dry_run:
        if json:
            print_json({"plans": [plan_document(plan) for plan in plans]})
        return 0
    downloads = open_downloads(settings, hubs, folder)
    documents = []
    for plan in plans:
        path = fetch(downloads, plan, token, is_shown=not json)
        documents.append({"name": plan.name, "path": str(path), "source": plan.source})
        if not json:
            echo(f"{plan.name} is at {format_path(path)}.")
    if json:
        print_json({"added": documents})
    return 0


def open_hubs(settings: Settings) -> ModelHubs:
    """The sources; who sits at the command line may name any public host."""
    from nodegraph.models.remote.guarded_http import HostRules
    from nodegraph.models.remote.hubs import ModelHubs

    return ModelHubs(HostRules.parse(settings.download_hosts).with_any_host())


def open_downloads(settings: Settings, hubs: ModelHubs, folder: str | None) -> Downloads:
    """The downloads into a models folder, by default the one under home.

    Raises:
        InvalidValue: Models are not searched in that folder.
    """
    from nodegraph.models.remote.downloads import Downloads

    chosen = settings.own_models if folder is None else Path(folder).expanduser().absolute()
    linked = set(settings.model_folders[len(settings.models) + 1 :])
    known = [each for each in settings.model_folders if each not in linked]
    if chosen not in (each.absolute() for each in known):
        raise InvalidValue(
            "this is none of the models folders",
            given=str(chosen),
            expected=", ".join(map(str, known)),
            hint="Add it to the setting `models`, or use --models DIR, too.",
        )
    return Downloads(chosen, hubs)


def print_plan(plan: DownloadPlan) -> None:
    """Show what a download brings."""
    size = "size unknown" if plan.bytes is None else format_size(plan.bytes)
    cached = ", in the cache of huggingface_hub: it is linked" if plan.is_cached else ""
    echo((_clean(plan.title or plan.source), "bold"), f"  {plan.name}  ({size}{cached})")
    details = {
        "license": f"{plan.license or 'not stated'}{', gated' if plan.is_gated else ''}",
        "base model": plan.base_model,
        "trigger words": ", ".join(plan.trigger_words),
        "page": plan.page,
    }
    for label, text in details.items():
        if text:
            echo(f"  {label}: {strip_control_characters(text)}")
    if len(plan.files) > 1:
        print_table(
            [
                (file.path, "" if file.bytes is None else format_size(file.bytes))
                for file in plan.files
            ],
            indent=2,
        )


def plan_document(plan: DownloadPlan) -> dict[str, Any]:
    """A plan, for JSON output."""
    return {**plan.to_document(), "bytes": plan.bytes}


def fetch(downloads: Downloads, plan: DownloadPlan, token: str | None, *, is_shown: bool) -> Path:
    """Carry out a download with its progress, or follow the process that does.

    Raises:
        InvalidValue: Another variant or version of the model is there.
        NodegraphError: It fails, or is stopped.
    """
    from nodegraph.models.model_library import read_facts
    from nodegraph.models.remote.downloads import AlreadyRunning

    path = downloads.folder / plan.name
    if path.exists() and (facts := read_facts(path)).source == plan.source:
        if _is_other(plan, facts.sha256):
            raise InvalidValue(
                f"{plan.name} is another variant or version of this model",
                given=plan.source,
                hint=f"Remove it first with `nodegraph models remove {plan.name}`, or choose "
                "another name with --name.",
            )
        return path  # it was downloaded before
    status = downloads.add(plan)
    with _progress(plan, is_shown=is_shown) as show:
        try:
            return downloads.run(status.id, show, token=token)
        except AlreadyRunning:
            echo_stderr("Another process downloads it already: this one waits for it.")
        except KeyboardInterrupt:
            echo_stderr("Paused: the same command continues it.")
            raise
        while True:
            status = downloads.get(status.id)
            show(status)
            if status.state == "finished":
                return path
            if status.state not in ("running", "waiting"):
                raise InvalidValue(
                    f"the other process has stopped the download: it is {status.state}",
                    hint=status.error or "Run the command again to continue it.",
                )
            sleep(_LOOK_SECONDS)


def _is_other(plan: DownloadPlan, digests: Mapping[str, str]) -> bool:
    """Whether a model has other files than a plan, as far as both know their digests."""
    planned = {file.path: file.sha256 for file in plan.files if file.sha256 is not None}
    if not (planned and digests):
        return False
    if not plan.is_folder:
        return set(planned.values()) != set(digests.values())
    return any(digests.get(path) != digest for path, digest in planned.items())


@contextmanager
def _progress(plan: DownloadPlan, *, is_shown: bool) -> Iterator[Callable[[DownloadStatus], None]]:
    """A bar on a terminal; elsewhere a line on stderr now and then."""
    if not is_shown:
        yield lambda status: None
        return
    if sys.stderr.isatty():
        with bytes_progress(plan.name[-40:], is_shown=True) as bar:
            assert bar is not None
            yield lambda status: bar(status.done, plan.bytes or status.done)
        return
    last = monotonic()

    def line(status: DownloadStatus) -> None:
        nonlocal last
        if monotonic() - last >= _LINE_SECONDS:
            last = monotonic()
            echo_stderr(f"  {progress_text(status)}")

    yield line


def progress_text(status: DownloadStatus) -> str:
    """How far a download is, in words."""
    total = status.plan.bytes
    parts = [format_size(status.done) + ("" if total is None else f" of {format_size(total)}")]
    if status.speed:
        parts.append(f"{format_size(status.speed)}/s")
    if status.seconds_left is not None:
        parts.append(f"{format_seconds(status.seconds_left)} left")
    return ", ".join(parts)


def downloads(
    common: CommonOptions,
    download: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DOWNLOAD]...", help="Id, name or source; all if not given."),
    ] = None,
    pause: Annotated[bool, typer.Option("--pause", help="Pause them; their parts stay.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Continue them here.")] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Stop them, and remove their parts.")
    ] = False,
    folder: FolderOption = None,
    json: JsonOption = False,
) -> int:
    """List, pause, continue or cancel downloads, also those of a running server."""
    if pause + resume + cancel > 1:
        raise InvalidValue("only one of --pause, --resume and --cancel can be used")
    settings = common.settings()
    opened = open_downloads(settings, open_hubs(settings), folder)
    chosen = [opened.get(each) for each in download] if download else opened.read_all()
    if pause or resume or cancel:
        chosen = [each for each in chosen if download or each.state != "finished"]
        for status in chosen:
            _change(opened, status, pause=pause, cancel=cancel, is_shown=not json)
        known = {status.id: status for status in opened.read_all()}
        chosen = [
            known.get(status.id, replace(status, state="cancelled", speed=0.0)) for status in chosen
        ]
    _print_downloads(chosen, as_json=json)
    return 0


def _change(
    opened: Downloads, status: DownloadStatus, *, pause: bool, cancel: bool, is_shown: bool
) -> None:
    if pause:
        opened.pause(status.id)
    elif cancel:
        opened.cancel(status.id)
    else:
        fetch(opened, status.plan, None, is_shown=is_shown)


def _print_downloads(listed: Sequence[DownloadStatus], *, as_json: bool) -> None:
    if as_json:
        print_json({"downloads": [status_document(status) for status in listed]})
        return
    if not listed:
        echo("No downloads.")
        return
    heads: tuple[StyledText, ...] = tuple(
        (name, "bold") for name in ("id", "model", "state", "progress")
    )
    rows = [(each.id, each.plan.name, each.state, progress_text(each)) for each in listed]
    print_table([heads, *rows])
    for status in listed:
        if status.error:
            echo()
            echo((status.plan.name, "bold"), ": ", (status.error, "yellow"))


def status_document(status: DownloadStatus) -> dict[str, Any]:
    """A download, for JSON output."""
    return {
        "id": status.id,
        "name": status.plan.name,
        "source": status.plan.source,
        "state": status.state,
        "bytes": status.plan.bytes,
        "done": status.done,
        "speed": status.speed,
        "seconds_left": status.seconds_left,
        "license": status.plan.license,
        "error": status.error,
        "created": status.created,
    }


def missing_with_sources(workflow: str, names: Sequence[str]) -> dict[str, DeclaredModel]:
    """Of missing models, those whose source the workflow's file states, by their names.

    Args:
        workflow: The file's name, as the command got it.
    """
    if workflow == STDIN:
        return {}
    from nodegraph.models.remote.declared_models import declarations_of

    return declarations_of(workflow_document(workflow), names)


def get_missing(settings: Settings, workflow: str, names: Sequence[str], *, get: bool) -> bool:
    """Download the missing models of a workflow, if that is wanted; whether some have come.

    Args:
        get: Do not ask.
    Raises:
        NodegraphError: A download fails.
    """
    return get_declared(settings, missing_with_sources(workflow, names), "workflow", get=get)


def get_declared(
    settings: Settings, missing: Mapping[str, DeclaredModel], origin: str, *, get: bool
) -> bool:
    """Download missing models with known sources, if that is wanted; whether some have come.

    Args:
        missing: Models by the names that they get.
        origin: What states the sources: ``workflow`` or ``bundle``.
        get: Do not ask.
    Raises:
        NodegraphError: A download fails.
    """
    if not missing:
        return False
    is_interactive = sys.stdin.isatty() and sys.stderr.isatty()
    if not get and not is_interactive:
        echo_stderr(
            f"The {origin} states the source of {pluralize(len(missing), 'missing model')}: "
            "--get downloads it."
        )
        return False
    from nodegraph.models.remote.declared_models import plans_of_missing

    hubs = open_hubs(settings)
    plans = plans_of_missing(hubs, missing)
    with redirect_stdout(sys.stderr):
        for plan in plans:
            print_plan(plan)
    if not get and not typer.confirm("Download these models?", err=True):
        return False
    downloads = open_downloads(settings, hubs, None)
    for plan in plans:
        fetch(downloads, plan, None, is_shown=True)
    return True
