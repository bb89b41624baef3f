"""Routes of models and their downloads.

Only routes for admins contact other sites: searches, plans and downloads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from blake3 import blake3
from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.client import shapes
from nodegraph.client.shapes.schema import build_shape
from nodegraph.models.known_words import known_words
from nodegraph.models.model_library import (
    change_record,
    models_folder_of,
    move_model,
    read_facts,
    remove_model,
)
from nodegraph.models.model_sources import FoundModel
from nodegraph.models.remote.download_plans import DownloadStatus, Wanted
from nodegraph.server.access.caller import Caller
from nodegraph.server.http.dependencies import MayAdmin, MayRead, TheServices
from nodegraph.server.http.errors import NotFound
from nodegraph.server.http.file_responses import (
    THUMBNAIL_ANSWERS,
    ThumbnailSize,
    thumbnail_response,
)
from nodegraph.server.http.problems import responses
from nodegraph.server.http.request_bodies import JsonRoute
from nodegraph.server.http.responses import OpenFile
from nodegraph.server.root_path import public_path
from nodegraph.server.services import Services
from nodegraph.session.settings import read_linked_folders

router = APIRouter(prefix="/models", tags=["models"])

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
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
    header is fetched after the first request.
    """
    folders = services.settings.model_folders
    models = await services.run_in_thread(_listed, services)
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
    """Return the image that is stored next to the model.

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
    return await services.run_in_thread(_record, services, name, is_admin=caller.may("admin"))


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
    caller: MayAdmin,
    name: _ModelName,
    change: RecordChange,
) -> shapes.ModelRecord:
    """Change what people note about a model. It is kept in a file beside the model.

    Null or an empty list stands for what other places say, such as the model's header.
    """
    changes = change.model_dump(exclude_unset=True)
    await services.run_in_thread(_change_record, services, name, changes)
    services.hub.notify("models.changed")
    return await services.run_in_thread(_record, services, name, is_admin=True)


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
async def move_listed_model(services: TheServices, caller: MayAdmin, move: ModelMove) -> MovedModel:
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
async def remove_listed_model(services: TheServices, caller: MayAdmin, name: _ModelName) -> None:
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


def _record(services: Services, name: str, *, is_admin: bool) -> shapes.ModelRecord:
    """Return what is known about a model.

    Raises:
        NotFound: There is no such model.
    """
    record = shapes.ModelRecord(**asdict(read_facts(_listed_model(services, name).path)))
    # An address may contain a secret.
    is_shown = is_admin or "://" not in (record.source or "")
    return record if is_shown else replace(record, source=None)


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


class DownloadRequest(BaseModel):
    """A model to download."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(
        min_length=1,
        max_length=2_000,
        description="`org/name` or `org/name/FILE` of Hugging Face, `civitai:ID`, a hash, or an "
        "address.",
        examples=["civitai:128713"],
    )
    variant: str | None = Field(None, max_length=100, description="Such as `fp16`.")
    kind: str | None = Field(None, max_length=100, description="Such as `lora`.")
    name: str | None = Field(None, max_length=300, description="Name of the file or folder.")
    allow_pickle: bool = Field(False, description="Also accept pickle files.")

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.variant, self.kind, self.allow_pickle, name=self.name)


class OfferList(BaseModel):
    """Models of other sites."""

    items: list[shapes.OfferedModel]
    next: str | None = None


class DownloadList(BaseModel):
    """All downloads, the newest first."""

    items: list[shapes.ModelDownload]
    next: str | None = None


@router.get(
    "/search",
    summary="Search other sites for models",
    responses=responses(401, 403, 422),
)
async def search_models(
    services: TheServices,
    caller: MayAdmin,
    text: Annotated[str, Query(max_length=200, description="Words of its name.")] = "",
    kind: Annotated[str | None, Query(max_length=100, description="Such as `lora`.")] = None,
    family: Annotated[str | None, Query(max_length=100, description="Such as `sdxl`.")] = None,
    source: Annotated[
        str | None,
        Query(max_length=100, description="`huggingface` or `civitai`; default: both."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Most models of each source.")] = 20,
) -> OfferList:
    """Search Hugging Face and Civitai. The server contacts these sites."""
    sources = ("huggingface", "civitai") if source is None else (source,)
    search = partial(
        services.model_downloads.hubs.search,
        text,
        sources=sources,
        kind=kind,
        family=family,
        limit=limit,
    )
    hits = await services.run_in_thread(search)
    return OfferList(items=[build_shape(shapes.OfferedModel, hit) for hit in hits])


downloads_router = APIRouter(prefix="/models/downloads", tags=["models"], route_class=JsonRoute)
_DownloadId = Annotated[str, PathParameter(max_length=64, description="Id of the download.")]


@downloads_router.get("", summary="List the downloads of models", responses=responses(401, 403))
async def list_downloads(services: TheServices, caller: MayRead) -> DownloadList:
    """Return the downloads with their progress, also those of the command line."""
    listed = await services.run_in_thread(services.model_downloads.read_all)
    return DownloadList(items=[_download(services, status, caller) for status in listed])


@downloads_router.post(
    "/plan",
    summary="Plan a download of a model",
    responses=responses(400, 401, 403, 413, 415, 422, 503),
)
async def plan_download(
    services: TheServices, caller: MayAdmin, request: DownloadRequest
) -> shapes.DownloadOffer:
    """Return which files a download would bring, with sizes and license. Downloads nothing."""
    plan = await services.run_in_thread(
        services.model_downloads.resolve, request.source, request.wanted
    )
    files = tuple(build_shape(shapes.DownloadFile, file) for file in plan.files)
    return build_shape(shapes.DownloadOffer, plan, files=files)


@downloads_router.post(
    "",
    summary="Download a model",
    status_code=202,
    responses=responses(400, 401, 403, 413, 415, 422, 503),
)
async def start_download(
    services: TheServices, caller: MayAdmin, request: DownloadRequest
) -> shapes.ModelDownload:
    """Start a download into the server's models folder, or continue that of the same model.

    The model appears when it is complete and its digests are right. The download continues after a
    restart of the server. Websocket notices `models.download` report its progress.
    """
    status = await services.run_in_thread(
        services.model_downloads.start, request.source, request.wanted
    )
    return _download(services, status, caller)


@downloads_router.post(
    "/{id}/pause",
    summary="Pause a download of a model",
    responses=responses(401, 403, 404, 422, 503),
)
async def pause_download(
    services: TheServices, caller: MayAdmin, id: _DownloadId
) -> shapes.ModelDownload:
    """Stop a download for now. What has been downloaded stays."""
    await services.run_in_thread(_known_download, services, id)
    status = await services.run_in_thread(services.model_downloads.pause, id)
    return _download(services, status, caller)


@downloads_router.post(
    "/{id}/resume",
    summary="Continue a download of a model",
    responses=responses(401, 403, 404, 422, 503),
)
async def resume_download(
    services: TheServices, caller: MayAdmin, id: _DownloadId
) -> shapes.ModelDownload:
    """Continue a paused or failed download where it was."""
    await services.run_in_thread(_known_download, services, id)
    status = await services.run_in_thread(services.model_downloads.resume, id)
    return _download(services, status, caller)


@downloads_router.delete(
    "/{id}",
    summary="Cancel a download of a model",
    status_code=204,
    responses=responses(401, 403, 404, 422, 503),
)
async def cancel_download(services: TheServices, caller: MayAdmin, id: _DownloadId) -> None:
    """Stop a download and remove its parts. Of a finished one, only the record is removed."""
    await services.run_in_thread(_known_download, services, id)
    await services.run_in_thread(services.model_downloads.cancel, id)


def _known_download(services: Services, id_: str) -> None:
    """Check that there is a download.

    Raises:
        NotFound: There is none of this id.
    """
    if id_ not in (status.id for status in services.model_downloads.read_all()):
        raise NotFound("there is no such download", given=ascii(id_[:80]))


def _download(services: Services, status: DownloadStatus, caller: Caller) -> shapes.ModelDownload:
    plan = status.plan
    return shapes.ModelDownload(
        id=status.id,
        name=plan.name,
        # An address may contain a secret.
        source=plan.source if caller.may("admin") else "",
        state=status.state,
        bytes=plan.bytes,
        done=status.done,
        speed=status.speed,
        seconds_left=status.seconds_left,
        error=None if status.error is None else services.places.redact(status.error),
        created=status.created,
    )


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


def _listed(services: Services) -> list[shapes.Model]:
    return [_entry(model) for model in services.listed_models()]


def _entry(model: FoundModel) -> shapes.Model:
    # Paths of this machine are not shown to clients.
    problem = model.problem and model.problem.replace(str(model.path), model.name)
    is_remote = model.remote_url is not None
    return build_shape(
        shapes.Model, model, problem=problem, thumbnail=_thumbnail(model), is_remote=is_remote
    )


def _thumbnail(model: FoundModel) -> str | None:
    if _picture_of(model.path) is None:
        return None
    return public_path(f"/api/v1/models/thumbnail?name={quote(model.name, safe='')}")


def _picture_of(model: Path) -> Path | None:
    """Return the image in a model's folder or next to its file; None if there is none."""
    if model.is_dir():
        stems = [model / "preview", model / "thumbnail"]
    else:
        stems = [model.with_suffix(".preview"), model.with_suffix("")]
    # Not `with_suffix`, which would take a part of the name off: v1.5 is no suffix.
    places = (stem.with_name(f"{stem.name}{suffix}") for stem in stems for suffix in _SUFFIXES)
    return next((path for path in places if path.is_file()), None)


def _read_picture(model: Path) -> bytes | None:
    """Return the bytes of a model's image; None if there is no readable image."""
    picture = _picture_of(model)
    try:
        if picture is None or picture.stat().st_size > _LARGEST:
            return None
        return picture.read_bytes()
    except OSError:
        return None
