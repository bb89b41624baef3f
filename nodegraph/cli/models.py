"""`nodegraph models`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import (
    StyledText,
    echo,
    format_path,
    format_size,
    pluralize,
    print_json,
    print_table,
    warn,
)
from nodegraph.errors import InvalidFile, InvalidValue

if TYPE_CHECKING:
    from nodegraph.models.model_sources import FoundModel
    from nodegraph.models.remote.manifests import RemoteModelFile
    from nodegraph.session.settings import Settings
    from nodegraph.weights.attached_models import RemoteStore


_MOST_LOOKED_AT = 50
"""Remote models whose headers and small files are fetched by one command."""

PushOption = Annotated[
    list[str] | None,
    typer.Option(
        "--push",
        metavar="NAME",
        help="Upload a model to `remote_models`, for machines that do not have it. Repeatable.",
    ),
]


def models(common: CommonOptions, push: PushOption = None, json: JsonOption = False) -> int:
    """List the models, and where to put more.

    A model is a folder in the diffusers layout or a single .safetensors file. `LoadModel`
    takes the name that is shown. Parts of models have their own loader nodes, and may be
    .gguf files. Models of `remote_models` are identified by their headers, which are
    fetched for some new ones at a time.
    """
    if push:
        return _push(common.settings(), push, as_json=json)
    settings = common.settings()
    folders = settings.model_folders
    listed = _list_models(settings)
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
    echo(f"Supported files: {supported()}. See docs/families.md for more.")
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
