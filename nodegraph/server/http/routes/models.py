"""Routes of the models on the server.

Only routes for the scope `models` contact other sites.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from blake3 import blake3
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.client import shapes
from nodegraph.client.shapes.schema import build_shape
from nodegraph.errors import NodegraphError
from nodegraph.models.known_words import known_words
from nodegraph.models.model_hashes import ModelHashes
from nodegraph.models.model_library import (
    ModelRecord,
    change_image,
    change_record,
    header_image,
    model_image,
    models_folder_of,
    move_model,
    read_facts,
    remove_model,
    verify_model,
)
from nodegraph.models.model_sources import FoundModel
from nodegraph.models.remote.declared_models import ModelNames
from nodegraph.models.starter_catalogue import StarterCatalogue, SuitableSettings, read_catalogue
from nodegraph.server.content.uploads.kinds import UploadRules, recognise
from nodegraph.server.http.dependencies import MayModels, MayRead, TheServices
from nodegraph.server.http.errors import NotFound, Unprocessable
from nodegraph.server.http.file_responses import (
    BINARY,
    THUMBNAIL_ANSWERS,
    ThumbnailSize,
    thumbnail_response,
)
from nodegraph.server.http.problems import responses
from nodegraph.server.http.request_bodies import JsonRoute
from nodegraph.server.http.responses import OpenFile
from nodegraph.server.root_path import public_path
from nodegraph.server.services import Services
from nodegraph.server.workflows.model_watch import duplicates
from nodegraph.session.settings import read_linked_folders

router = APIRouter(prefix="/models", tags=["models"])

_LARGEST = 32 << 20
"""Largest size in bytes of a model's image; larger files are ignored."""


class ModelList(BaseModel):
    """All models of the server."""

    items: list[shapes.Model]
    next: str | None = None
    folders: list[str] = Field(description="Folders for more models, shown only to admins.")


@router.get("", summary="List the models", responses=responses(401, 403))
async def list_models(services: TheServices, caller: MayRead) -> ModelList:
    """Return the models in the models folders, the remote models and the embedded model, by name.

    Models are identified by their headers, which are read again when files change. No weights are
    read, and no pickle is opened. A remote model may first be identified by its name alone: its
    header is fetched after the first request. The server computes hashes and finds the last uses
    after the first request, and sends `models.changed`.
    """
    folders = services.settings.model_folders
    models = await services.run_in_thread(_listed, services, is_open=caller.may("models"))
    services.model_index.request_update()
    shown = [str(folder) for folder in folders] if caller.may("admin") else []
    return ModelList(items=models, folders=shown)


@router.get(
    "/thumbnail",
    summary="Get a thumbnail of a model",
    response_class=Response,
    responses={**THUMBNAIL_ANSWERS, **responses(401, 403, 404, 410, 422)},
)
async def get_model_thumbnail(
    request: Request,
    services: TheServices,
    caller: MayRead,
    name: Annotated[str, Query(max_length=1_000, description="Name of the model.")],
    size: ThumbnailSize = 256,
) -> Response:
    """Return the image that is stored next to the model, or in its header (`modelspec.thumbnail`).

    For a file `x.safetensors` it is `x.png`, `x.preview.png` or similar. In a folder it is
    `preview.png` or `thumbnail.png`. JPEG and WebP are supported, too.
    """
    digest, data = await services.run_in_thread(_picture, services, name)
    return await thumbnail_response(
        request,
        caller,
        services.artifacts.thumbnails,
        digest,
        size,
        lambda: OpenFile(BytesIO(data), len(data), digest),
    )


record_router = APIRouter(prefix="/models/record", tags=["models"], route_class=JsonRoute)
_ModelName = Annotated[str, Query(max_length=1_000, description="Name of the model.")]
_Word = Annotated[str, Field(min_length=1, max_length=300)]


@record_router.get(
    "", summary="Get what is known about a model", responses=responses(401, 403, 404, 422)
)
async def get_model_record(
    services: TheServices, caller: MayRead, name: _ModelName
) -> shapes.ModelRecord:
    """Return the source, license, trigger words and notes of a model, as far as they are known.

    They come from its download, from files beside it (`.civitai.info` and `.json` of other
    programs) and from its header.
    """
    return await services.run_in_thread(_record, services, name, is_open=caller.may("models"))


class RecordChange(BaseModel):
    """What people note about a model. Omitted fields stay unchanged."""

    model_config = ConfigDict(extra="forbid")

    notes: str | None = Field(None, max_length=300)
    tags: list[_Word] | None = Field(None, max_length=50)
    stars: int | None = Field(None, ge=0, le=5)
    trigger_words: list[_Word] | None = Field(None, max_length=50)


@record_router.patch(
    "",
    summary="Change the notes, tags and stars of a model",
    responses=responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def change_model_record(
    services: TheServices,
    caller: MayModels,
    name: _ModelName,
    change: RecordChange,
) -> shapes.ModelRecord:
    """Change what people note about a model. It is kept in a file beside the model.

    Null or an empty list stands for what other places say, such as the model's header.
    """
    changes = change.model_dump(exclude_unset=True)
    await services.run_in_thread(_change_record, services, name, changes)
    services.hub.notify("models.changed")
    return await services.run_in_thread(_record, services, name, is_open=True)


def _change_record(services: Services, name: str, changes: Mapping[str, object]) -> None:
    path, _ = _own_model(services, name)
    change_record(path, changes)


class ModelMove(BaseModel):
    """A new name of a model."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=1_000, examples=["loras/ink.safetensors"])
    new: str = Field(max_length=400, examples=["loras/drawing/ink.safetensors"])


class MovedModel(BaseModel):
    """A model that was moved."""

    name: str = Field(description="Its name now.")


@record_router.post(
    "/move",
    summary="Move a model to another name",
    responses=responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def move_listed_model(
    services: TheServices, caller: MayModels, move: ModelMove
) -> MovedModel:
    """Move a model to another name in its models folder, with its notes and its image."""
    name = await services.run_in_thread(_moved, services, move)
    services.hub.notify("models.changed")
    return MovedModel(name=name)


def _moved(services: Services, move: ModelMove) -> str:
    path, folder = _own_model(services, move.name)
    return move_model(path, folder, move.new).relative_to(folder).as_posix()


@record_router.delete(
    "",
    summary="Remove a model from the disk",
    status_code=204,
    responses=responses(401, 403, 404, 422, 503),
)
async def remove_listed_model(services: TheServices, caller: MayModels, name: _ModelName) -> None:
    """Remove a model from the disk, with the notes and the image beside it."""
    await services.run_in_thread(lambda: remove_model(_own_model(services, name)[0]))
    services.hub.notify("models.changed")


def _own_model(services: Services, name: str) -> tuple[Path, Path]:
    """Return the path of a model that may be changed, and its models folder.

    Raises:
        NotFound: There is no such model.
        InvalidValue: It is not in a models folder of nodegraph.
    """
    settings = services.settings
    path = _listed_model(services, name).path
    linked = read_linked_folders(settings.linked_models)
    return path, models_folder_of(path, settings.model_folders, linked)


def _listed_model(services: Services, name: str) -> FoundModel:
    """Return a model by its name in the list.

    Raises:
        NotFound: There is no such model.
    """
    known = {model.name: model for model in services.listed_models()}
    if name not in known:
        raise NotFound("there is no such model", given=ascii(name[:80]))
    return known[name]


def _record(services: Services, name: str, *, is_open: bool) -> shapes.ModelRecord:
    """Return what is known about a model.

    Raises:
        NotFound: There is no such model.
    """
    record = read_facts(_listed_model(services, name).path)
    source = _shown_source(record.source, is_open=is_open)
    return build_shape(shapes.ModelRecord, record, source=source)


def _shown_source(source: str | None, *, is_open: bool) -> str | None:
    # An address may contain a secret.
    return source if is_open or "://" not in (source or "") else None


picture_router = APIRouter(prefix="/models/picture", tags=["models"])
_PICTURE_BODY = {"requestBody": {"required": True, "content": {"application/octet-stream": BINARY}}}
_PICTURE_ENDINGS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}


@picture_router.put(
    "",
    summary="Set the image of a model",
    status_code=204,
    responses=responses(401, 403, 404, 413, 415, 422, 503),
    openapi_extra=_PICTURE_BODY,
)
async def change_model_picture(
    request: Request, services: TheServices, caller: MayModels, name: _ModelName
) -> None:
    """Set the image of a model: a PNG, JPEG or WebP file as the body. It is kept beside it."""
    data = await request.body()
    await services.run_in_thread(_change_picture, services, name, data)
    services.hub.notify("models.changed")


def _change_picture(services: Services, name: str, data: bytes) -> None:
    path, _ = _own_model(services, name)
    rules = UploadRules(frozenset(_PICTURE_ENDINGS), pixels=services.server.limits.pixels)  # type: ignore[arg-type]
    kind = recognise(BytesIO(data), len(data), rules)
    change_image(path, data, _PICTURE_ENDINGS[kind.type])


@picture_router.delete(
    "",
    summary="Remove the image of a model",
    status_code=204,
    responses=responses(401, 403, 404, 422, 503),
)
async def remove_model_picture(services: TheServices, caller: MayModels, name: _ModelName) -> None:
    """Remove the image of a model, if there is one."""
    await services.run_in_thread(lambda: change_image(_own_model(services, name)[0], None, ""))
    services.hub.notify("models.changed")


class VerifiedFiles(BaseModel):
    """Result of the check of a model."""

    files: list[shapes.VerifiedFile]


@router.post(
    "/verify",
    summary="Compare a model with the digests of its source",
    responses=responses(401, 403, 404, 422),
)
async def check_model(services: TheServices, caller: MayModels, name: _ModelName) -> VerifiedFiles:
    """Read all files of a model. This takes as long as the disk needs."""
    return VerifiedFiles(files=await services.run_in_thread(_verified, services, name))


def _verified(services: Services, name: str) -> list[shapes.VerifiedFile]:
    model = _listed_model(services, name)
    if model.remote_url is not None:
        raise Unprocessable("a remote model is checked when it is fetched", given=ascii(name[:80]))
    return [
        build_shape(
            shapes.VerifiedFile,
            each,
            problem=each.problem and services.places.redact(each.problem),
        )
        for each in verify_model(model.path)
    ]


@router.get(
    "/uses",
    summary="Find out what names a model",
    responses=responses(401, 403, 404, 422, 503),
)
async def get_model_uses(
    services: TheServices, caller: MayModels, name: _ModelName
) -> shapes.ModelUses:
    """Return the saved workflows and the number of jobs that name a model, of all clients."""
    return await services.run_in_thread(_uses, services, name)


def _uses(services: Services, name: str) -> shapes.ModelUses:
    _listed_model(services, name)
    names = [model.name for model in services.listed_models()]
    finder = ModelNames(names)
    saved = []
    for workflow in services.workflows.names():
        try:
            document = services.workflows.get(workflow).document
        except NodegraphError:
            continue  # it is gone by now, or no workflow
        if name in finder.find(document):
            saved.append(workflow)
    jobs = services.model_index.jobs_naming(name, names)
    return shapes.ModelUses(tuple(saved), jobs.jobs, jobs.last or None)


@router.post(
    "/lookup",
    summary="Look a model up at Civitai by its hash",
    responses=responses(401, 403, 404, 422, 503),
)
async def lookup_model(
    services: TheServices, caller: MayModels, name: _ModelName
) -> shapes.ModelRecord:
    """Ask Civitai for the file's hash, and keep what it knows. What people wrote stays.

    The hash is computed first if it is not known yet.
    """
    await services.run_in_thread(_look_up, services, name)
    services.hub.notify("models.changed")
    return await services.run_in_thread(_record, services, name, is_open=True)


def _look_up(services: Services, name: str) -> None:
    path, _ = _own_model(services, name)
    services.model_downloads.hubs.look_up(path, services.settings.cache_folder)


@router.get(
    "/update",
    summary="Ask the source of a model for a newer version",
    responses=responses(401, 403, 404, 422, 503),
)
async def get_model_update(
    services: TheServices, caller: MayModels, name: _ModelName
) -> shapes.ModelUpdate:
    """Return the reference of a newer version, as far as the model's source is known."""
    return await services.run_in_thread(_update, services, name)


def _update(services: Services, name: str) -> shapes.ModelUpdate:
    record = read_facts(_listed_model(services, name).path)
    if record.source is None:
        return shapes.ModelUpdate(page=record.page)
    newer = services.model_downloads.hubs.find_update(record.source, record.sha256)
    return shapes.ModelUpdate(newer, record.page)


class ModelWords(BaseModel):
    """Words that a model's text encoder knows."""

    words: list[str] = Field(description="Words, the most common first; empty if none are known.")


@router.get(
    "/words",
    summary="List the words that a model's text encoder knows",
    responses=responses(401, 403, 404, 422),
)
async def get_model_words(
    services: TheServices,
    caller: MayRead,
    name: Annotated[str, Query(max_length=1_000, description="Name of the model.")],
) -> ModelWords:
    """Return the whole words of the tokenizer's vocabulary; no weights are read."""
    return ModelWords(words=await services.run_in_thread(_words, services, name))


def _words(services: Services, name: str) -> list[str]:
    """Return the words that a model knows.

    Raises:
        NotFound: There is no such model.
    """
    folders = services.environment.models
    model = services.models.get(name, folders)
    if model is None:
        raise NotFound("there is no such model", given=ascii(name[:80]))
    return list(known_words(model, folders))


def _picture(services: Services, name: str) -> tuple[str, bytes]:
    """Return the digest and the bytes of a model's image.

    Raises:
        NotFound: There is no such model, or it has no image.
    """
    known = {model.name: model for model in services.listed_models()}
    data = _read_picture(known[name].path) if name in known else None
    if data is None:
        raise NotFound("there is no image of this model", given=ascii(name[:80]))
    return blake3(data).hexdigest(), data


def _listed(services: Services, *, is_open: bool) -> list[shapes.Model]:
    models = services.listed_models()
    hashes = services.model_index.hashes(models)
    equal = duplicates(hashes)
    catalogue = _catalogue(services)
    used = services.model_index.last_uses()
    items = []
    for model in models:
        record, known = model.record or ModelRecord(), hashes.get(model.name)
        suits = catalogue.suits(model, record.source, known and known.sha256)
        entry = _entry(model, record, known, suits, used.get(model.name), is_open=is_open)
        items.append(replace(entry, duplicates=equal.get(model.name, ())))
    return items


def _catalogue(services: Services) -> StarterCatalogue:
    """The starter catalogue, or an empty one: its file must not take the models away."""
    try:
        return read_catalogue(services.settings.model_catalogue)
    except NodegraphError:
        return StarterCatalogue()  # the route of the catalogue says what is wrong


def _entry(
    model: FoundModel,
    record: ModelRecord,
    hashes: ModelHashes | None,
    suits: SuitableSettings | None,
    used: float | None,
    *,
    is_open: bool,
) -> shapes.Model:
    # Paths of this machine are not shown to clients.
    problem = model.problem and model.problem.replace(str(model.path), model.name)
    return build_shape(
        shapes.Model,
        model,
        problem=problem,
        thumbnail=_thumbnail(model, record),
        is_remote=model.remote_url is not None,
        trigger_words=record.trigger_words,
        title=record.title,
        source=_shown_source(record.source, is_open=is_open),
        license=record.license,
        base_model=record.base_model,
        notes=record.notes,
        tags=record.tags,
        stars=record.stars,
        added=record.added,
        used=used,
        sha256=hashes and hashes.sha256,
        autov2=hashes and hashes.autov2,
        autov3=(hashes and hashes.autov3[:12]) or None,
        suits=None if suits is None else build_shape(shapes.ModelSettings, suits),
    )


def _thumbnail(model: FoundModel, record: ModelRecord) -> str | None:
    if model_image(model.path) is None and not record.has_thumbnail:
        return None
    return public_path(f"/api/v1/models/thumbnail?name={quote(model.name, safe='')}")


def _read_picture(model: Path) -> bytes | None:
    """Return the bytes of a model's image; None if there is no readable image."""
    picture = model_image(model)
    if picture is None:
        return header_image(model)
    try:
        if picture.stat().st_size > _LARGEST:
            return None
        return picture.read_bytes()
    except OSError:
        return None
