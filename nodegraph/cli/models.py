"""The commands of `nodegraph models`, except those that ask other sites."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import (
    FAILED,
    StyledText,
    echo,
    format_path,
    format_size,
    pluralize,
    print_json,
    print_table,
    warn,
)
from nodegraph.core.text_format import strip_control_characters
from nodegraph.core.weight_files import HEADED, PICKLES, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue, ModelNotFound, NodegraphError

if TYPE_CHECKING:
    from nodegraph.models.model_hashes import ModelHashCache, ModelHashes
    from nodegraph.models.model_library import ModelRecord
    from nodegraph.models.model_sources import FoundModel
    from nodegraph.models.remote.hubs import ModelHubs
    from nodegraph.models.remote.manifests import RemoteModelFile
    from nodegraph.session.settings import Settings
    from nodegraph.weights.attached_models import RemoteStore


_MOST_LOOKED_AT = 50
"""Remote models whose headers and small files are fetched by one command."""

_JOBS = "(jobs)"
"""Stands for jobs where the names of saved workflows are listed; none can have this name."""

PushOption = Annotated[
    list[str] | None,
    typer.Option(
        "--push",
        metavar="NAME",
        help="Upload a model to `remote_models`, for machines that do not have it. Repeatable.",
    ),
]


def list_(
    common: CommonOptions,
    push: PushOption = None,
    duplicates: Annotated[
        bool,
        typer.Option("--duplicates", help="Only models with equal bytes; reads files once."),
    ] = False,
    unused: Annotated[
        bool,
        typer.Option("--unused", help="Only models that no saved workflow and no job names."),
    ] = False,
    json: JsonOption = False,
) -> int:
    """List the models, and where to put more.

    A model is a folder in the diffusers layout or a single .safetensors file. `LoadModel`
    takes the name that is shown. Parts of models have their own loader nodes, and may be
    .gguf files. Models of `remote_models` are identified by their headers, which are
    fetched for some new ones at a time. `nodegraph models` alone does the same.
    """
    if push:
        return _push(common.settings(), push, as_json=json)
    settings = common.settings()
    folders = settings.model_folders
    listed = _list_models(settings)
    names = [model.name for model in listed]
    if duplicates:
        listed = _equal_models(settings, listed)
    if unused:
        used = _used_models(settings, names)
        own = [model for model in listed if model.kind != "embedded" and model.remote_url is None]
        listed = [model for model in own if model.name not in used]
    if json:
        from nodegraph.families.registry import FAMILIES

        families = {family.name: family.title for family in FAMILIES.values()}
        documents = [_document(model) for model in listed]
        print_json({"models": documents, "folders": folders, "families": families})
    else:
        _print(listed, folders)
    return 0


def _list_models(settings: Settings) -> list[FoundModel]:
    from nodegraph.models.model_sources import list_models
    from nodegraph.session.weights import attach_remote_models
    from nodegraph.weights.attached_models import find_remote_store

    detach = attach_remote_models(settings)
    try:
        remote = find_remote_store(settings.remote_models_folder)
        if remote is not None:
            _check_remote(remote)
        return list_models(settings.environment().models)
    finally:
        detach()


def _equal_models(settings: Settings, models: Sequence[FoundModel]) -> list[FoundModel]:
    """The models with equal bytes, next to each other. Only files of equal sizes are read."""
    from nodegraph.models.model_hashes import ModelHashCache

    cache = ModelHashCache(settings.cache_folder)
    files = [each for each in models if each.kind == "checkpoint" and each.remote_url is None]
    sizes = Counter(model.bytes for model in files)
    equal: dict[str, list[FoundModel]] = {}
    for model in files:
        if sizes[model.bytes] > 1:
            equal.setdefault(_file_hashes(cache, model.path).sha256, []).append(model)
    return [model for group in equal.values() if len(group) > 1 for model in group]


def _used_models(settings: Settings, names: Sequence[str]) -> dict[str, list[str]]:
    """What names models: saved workflows, and `_JOBS` for the jobs of the server's queue.

    Args:
        names: Those of all models.
    """
    from nodegraph.models.remote.declared_models import ModelNames
    from nodegraph.server.settings import load_server_settings

    if (queue := load_server_settings(settings).queue) is not None:
        warn(f"the jobs in {queue} are not searched: the Models panel of its server does that")
    finder, uses = ModelNames(names), dict[str, list[str]]()
    for title, document in _workflow_documents(settings):
        for name in finder.find(document):
            if title not in uses.setdefault(name, []):
                uses[name].append(title)
    return uses


def _workflow_documents(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Saved workflows with their names, and the workflows and parameters of jobs as `_JOBS`."""
    from nodegraph.core.json_text import read_json

    for file in sorted((settings.data_folder / "workflows").glob("*.json")):
        try:
            yield file.stem, read_json(file.read_text("utf-8-sig"), name=file.stem)
        except (OSError, ValueError, NodegraphError):
            continue  # it names nothing that can be run
    queue = settings.data_folder / "queue.sqlite"
    if queue.is_file():
        for text in _job_texts(queue):
            yield _JOBS, read_json(text, name="a job")


def _job_texts(queue: Path) -> Iterator[str]:
    """JSON texts of the workflows and requests of a queue's jobs.

    Raises:
        InvalidFile: It cannot be read.
    """
    import sqlite3
    from contextlib import closing

    try:
        with closing(sqlite3.connect(f"{queue.as_uri()}?mode=ro", uri=True)) as database:
            for table in ("workflows", "requests"):
                query = f"SELECT content FROM {table}"  # noqa: S608 - our own names
                yield from (text for (text,) in database.execute(query))
    except sqlite3.Error as error:
        raise InvalidFile(f"cannot read the jobs in {queue}: {error}") from error


def _check_remote(remote: RemoteStore) -> None:
    try:
        remote.refresh(_MOST_LOOKED_AT)
    except InvalidFile as error:
        warn(str(error))  # what lies here is listed all the same


def _push(settings: Settings, names: Sequence[str], *, as_json: bool) -> int:
    from nodegraph.models.model_sources import find_path
    from nodegraph.models.remote.manifests import push_model
    from nodegraph.store.remote.object_storage import open_storage

    if not settings.remote_models:
        raise InvalidValue(
            "no location for remote models is set",
            hint="The setting `remote_models` names one, such as s3://bucket/models.",
        )
    remote, documents = open_storage(settings.remote_models), []
    for model in names:
        path = find_path(model, settings.model_folders)
        name = _remote_name(path, settings.model_folders)
        brought: list[RemoteModelFile] = []
        without: list[str] = []

        def report_file(
            file: RemoteModelFile, is_new: bool, brought: list[RemoteModelFile] = brought
        ) -> None:
            if is_new:
                brought.append(file)
            if not as_json:
                echo(f"  {file.path}  {format_size(file.bytes)}{'' if is_new else '  (is there)'}")

        manifest = push_model(name, path, remote, report_file, without.append)
        size = sum(file.bytes for file in manifest.files)
        new = sum(file.bytes for file in brought)
        documents.append({"name": name, "bytes": size, "brought": new, "left_out": without})
        if not as_json:
            for file in without:
                echo(f"  {file}  (left out: not a safetensors or GGUF file, and not needed by one)")
            echo(f"{name} is at {remote.url}: {format_size(size)}, {format_size(new)} of it new.")
    if as_json:
        print_json({"pushed": documents, "place": remote.url})
    return 0


def _remote_name(path: Path, folders: Sequence[Path]) -> str:
    """What a model is called wherever it is fetched: as here, below its folder of models."""
    for folder in folders:
        if path.is_relative_to(folder):
            return path.relative_to(folder).as_posix()
    return path.name


def _document(model: FoundModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "family": model.family,
        "kind": model.kind,
        "bytes": model.bytes,
        "path": str(model.path) if model.remote_url is None else None,
        "place": model.remote_url,
        "problem": model.problem,
        "part": model.part,
        "node": model.node,
    }


def _print(models: Sequence[FoundModel], folders: Sequence[Path]) -> None:
    from nodegraph.families.identification import supported

    if models:
        heads: tuple[StyledText, ...] = tuple(
            (head, "bold") for head in ("name", "family", "kind", "size", "where")
        )
        print_table([heads, *(_row(model) for model in models)])
    else:
        echo("No models.")
    for model in models:
        if model.problem:
            echo()
            echo((model.name, "bold"), ": ", (model.problem, "yellow"))
        elif model.part:
            echo()
            echo((model.name, "bold"), f": {model.part}. {model.node} takes it.")
    new = sum(not model.is_looked_at for model in models)
    if new:
        echo()
        echo(f"Only the name of {pluralize(new, 'remote model')} is known yet: list them again.")
    echo()
    echo(f"Supported models: {supported()}. See docs/families.md for more.")
    echo("Download models with `nodegraph models add`, which `nodegraph models search` finds.")
    echo("Put models into one of these folders, or use another one with --models:")
    for folder in folders:
        echo(f"  {format_path(folder)}{'' if folder.is_dir() else '  (does not exist yet)'}")


def _row(model: FoundModel) -> tuple[StyledText, ...]:
    if not model.is_looked_at:
        return model.name, "", model.kind, "", model.remote_url or ""
    other: StyledText = ("unusable", "yellow") if model.problem else "several"
    family: StyledText = model.family or other
    location = "comes with nodegraph" if model.kind == "embedded" else format_path(model.path)
    return model.name, family, model.kind, format_size(model.bytes), model.remote_url or location


_NamesArgument = Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of models.")]


def info(
    common: CommonOptions,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of a model here, or what `add` takes.")
    ],
    hashes: Annotated[
        bool, typer.Option("--hashes", help="Read the files, and show their hashes.")
    ] = False,
    updates: Annotated[
        bool, typer.Option("--updates", help="Ask its source for a newer version.")
    ] = False,
    lookup: Annotated[
        bool,
        typer.Option("--lookup", help="Look its hash up at Civitai, and keep what is known there."),
    ] = False,
    json: JsonOption = False,
) -> int:
    """Show what is known about a model, here or at its source.

    The facts come from its download, from files that other programs keep beside it, and from
    its header. The hashes are those by which A1111 and Civitai know a file.
    """
    from nodegraph.models.model_library import model_weights, read_facts
    from nodegraph.models.model_sources import describe_model, find_path

    settings = common.settings()
    try:
        path = find_path(name, settings.model_folders)
    except ModelNotFound:
        if "/" not in name and ":" not in name:
            raise
        return _remote_info(settings, name, as_json=json)
    local_name = _remote_name(path, settings.model_folders)
    model = describe_model(local_name, path, "diffusers" if path.is_dir() else "checkpoint")
    if lookup:
        own, _ = _own_model(settings, name)
        _open_hubs(settings).look_up(own, settings.cache_folder)
    record = read_facts(path)
    facts = {key: value for key, value in asdict(record).items() if value}
    newer = _newer(settings, record) if updates else None
    digests = _hashes(settings, model_weights(path)) if hashes else []
    if json:
        answer = {"newer": newer} if updates else {}
        print_json({**_document(model), "facts": facts, "hashes": digests, **answer})
        return 0
    echo((local_name, "bold"), f"  {format_size(model.bytes)}  {format_path(path)}")
    what = model.problem or model.part or f"a whole model of {model.family}"
    echo(f"  {what}" + (f". {model.node} takes it." if model.node else ""))
    for label, value in facts.items():
        if label not in ("sha256", "added", "has_thumbnail"):
            text = ", ".join(value) if isinstance(value, tuple) else str(value)
            echo(f"  {label.replace('_', ' ')}: {strip_control_characters(text)}")
    for digest in digests:
        names = ("sha256", "autov2", "autov3")
        listed = ", ".join(f"{each} {digest[each]}" for each in names if digest[each])
        echo(f"  {Path(str(digest['path'])).name}: {listed}")
    if updates:
        echo(f"  newer version: {newer or 'none is known'}")
    return 0


def _hashes(settings: Settings, files: Iterable[Path]) -> list[dict[str, str | None]]:
    """Hashes of files, computed where they are not kept.

    Raises:
        InvalidFile: A file cannot be read.
    """
    from nodegraph.models.model_hashes import ModelHashCache

    cache = ModelHashCache(settings.cache_folder)
    documents: list[dict[str, str | None]] = []
    for path in files:
        known = _file_hashes(cache, path)
        short = {"autov2": known.autov2, "autov3": known.autov3[:12] or None}
        documents.append({"path": str(path), "sha256": known.sha256, **short})
    return documents


def _file_hashes(cache: ModelHashCache, path: Path) -> ModelHashes:
    """Hashes of a file, computed if they are not kept.

    Raises:
        InvalidFile: It cannot be read.
    """
    try:
        return cache.hashes(path)
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error


def _open_hubs(settings: Settings) -> ModelHubs:
    from nodegraph.cli.model_downloads import open_hubs

    return open_hubs(settings)


def _newer(settings: Settings, record: ModelRecord) -> str | None:
    """Reference of a newer version; None if there is none, or the source is not known."""
    if record.source is None:
        return None
    return _open_hubs(settings).find_update(record.source, record.sha256)


def _remote_info(settings: Settings, reference: str, *, as_json: bool) -> int:
    from nodegraph.cli.model_downloads import open_hubs, plan_document, print_plan

    plan = open_hubs(settings).resolve(reference)
    if as_json:
        print_json(plan_document(plan))
    else:
        print_plan(plan)
    return 0


def verify(
    common: CommonOptions,
    name: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Names of models; all of these folders if none."),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Read models and compare them with the digests of their sources.

    Of models without such a digest, the header is checked. Equal files are named. The exit
    code is 1 if one is damaged.
    """
    from nodegraph.models.model_library import verify_model
    from nodegraph.models.model_sources import find_path, model_files

    folders = common.settings().model_folders
    if name:
        paths = [find_path(each, folders) for each in name]
    else:
        paths = [path for folder in folders for path in model_files(folder)]
    documents, damaged = [], 0
    equal: dict[str, list[str]] = {}
    for path in paths:
        shown = _remote_name(path, folders)
        for result in verify_model(path):
            damaged += result.problem is not None
            documents.append({"name": shown, **asdict(result)})
            part = f"/{result.path}" if path.is_dir() else ""
            if file_suffix(Path(result.path)) in HEADED | PICKLES:
                equal.setdefault(result.sha256, []).append(f"{shown}{part}")
            if json:
                continue
            state: StyledText = ("unchanged", "green") if result.expected else "readable"
            if result.problem:
                state = (result.problem, "red")
            echo(f"{shown}{part}: ", state)
    duplicates = [names for digest, names in equal.items() if digest and len(names) > 1]
    if json:
        print_json({"files": documents, "damaged": damaged, "duplicates": duplicates})
    elif not documents:
        echo("No models.")
    for names in [] if json else duplicates:
        echo(("equal: ", "yellow"), ", ".join(names))
    return FAILED if damaged else 0


def move(
    common: CommonOptions,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a model.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="New name, with its folder.")],
    json: JsonOption = False,
) -> int:
    """Move a model to another name in its folder, with its notes and its image."""
    from nodegraph.models.model_library import move_model

    settings = common.settings()
    path, folder = _own_model(settings, name)
    target = move_model(path, folder, new)
    if json:
        print_json({"name": target.relative_to(folder).as_posix(), "path": str(target)})
    else:
        echo(f"{name} is now {target.relative_to(folder).as_posix()}.")
    return 0


def remove(
    common: CommonOptions,
    name: _NamesArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> int:
    """Remove models from the disk, with the notes and images beside them.

    Saved workflows that name a model are shown first.
    """
    from nodegraph.models.model_library import model_weights, remove_model

    settings = common.settings()
    if json and not yes:
        raise InvalidValue("this removes files and must be confirmed", hint="Add --yes.")
    paths = list(dict.fromkeys(_own_model(settings, each)[0] for each in name))
    uses = _uses_of(settings, paths)
    for path in paths:
        if not json:
            size = sum(each.stat().st_size for each in model_weights(path))
            echo(f"{_remote_name(path, settings.model_folders)}  {format_size(size)}")
            if saved := [each for each in uses[path] if each != _JOBS]:
                echo(("  saved workflows that use it: ", "yellow"), ", ".join(saved))
    if not yes and not _confirm(f"Remove {pluralize(len(paths), 'model')} from the disk?"):
        echo("Nothing is removed.")
        return 0
    freed = sum(map(remove_model, paths))
    if json:
        named = {str(path): uses[path] for path in paths if uses[path]}
        print_json({"removed": [str(path) for path in paths], "bytes": freed, "uses": named})
    else:
        echo(f"Removed {pluralize(len(paths), 'model')}, {format_size(freed)}.")
    return 0


def _uses_of(settings: Settings, paths: Sequence[Path]) -> dict[Path, list[str]]:
    """What names models: saved workflows, and jobs."""
    from nodegraph.models.model_sources import model_files

    folders = settings.model_folders
    names = [
        path.relative_to(folder).as_posix() for folder in folders for path in model_files(folder)
    ]
    uses = _used_models(settings, names)
    return {path: uses.get(_remote_name(path, folders), []) for path in paths}


def _confirm(question: str) -> bool:
    if not sys.stdin.isatty():
        raise InvalidValue("this removes files and must be confirmed", hint="Add --yes.")
    return typer.confirm(question)


def _own_model(settings: Settings, name: str) -> tuple[Path, Path]:
    """A model that may be changed, and its models folder.

    Raises:
        ModelNotFound: There is none of that name.
        InvalidValue: It is no model, or not in a models folder of nodegraph.
    """
    from nodegraph.models.model_library import models_folder_of
    from nodegraph.models.model_sources import find_path, model_files
    from nodegraph.session.settings import read_linked_folders

    folders, linked = settings.model_folders, read_linked_folders(settings.linked_models)
    path = find_path(name, folders)
    folder = models_folder_of(path, folders, linked)
    if path not in model_files(folder):
        # A folder of many models, for example.
        raise InvalidValue(
            f"{format_path(path)} is not a model", given=name, expected="a name that is listed"
        )
    return path, folder


def link(
    common: CommonOptions,
    folder: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[DIR]...",
            help="Folder of ComfyUI, A1111, InvokeAI or other models, or extra_model_paths.yaml.",
        ),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Do not use these folders any more.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Use the models of ComfyUI, A1111 or InvokeAI where they are.

    Nothing is copied, and the folders are only read. Without a folder, the linked ones are
    listed.
    """
    from nodegraph.models.model_library import changing_links, linkable_folders, write_linked
    from nodegraph.session.settings import read_linked_folders

    settings = common.settings()
    with changing_links(settings.linked_models) if folder else nullcontext():
        linked = list(read_linked_folders(settings.linked_models))
        for each in folder or ():
            path = Path(each).expanduser().absolute()
            is_gone = remove and (path in linked or not path.exists())
            for candidate in [path] if is_gone else linkable_folders(path):
                if remove:
                    linked = [known for known in linked if known != candidate]
                elif candidate not in settings.model_folders and candidate not in linked:
                    linked.append(candidate)
        if folder:
            write_linked(settings.linked_models, linked)
    if json:
        print_json({"linked": linked})
        return 0
    echo("Linked folders of models:" if linked else "No linked folders of models.")
    for known_folder in linked:
        echo(f"  {format_path(known_folder)}{'' if known_folder.is_dir() else '  (is missing)'}")
    return 0
