"""Routes of models of other sites and programs: searches, downloads, links.

Only routes for the scope `models` contact other sites. Links need `admin`: they let clients use any
folder of the server, and show its paths.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.client import shapes
from nodegraph.client.shapes.schema import build_shape
from nodegraph.errors import NodegraphError
from nodegraph.models.model_library import changing_links, with_links, write_linked
from nodegraph.models.model_sources import FoundModel, model_files
from nodegraph.models.remote.declared_models import (
    DeclaredModel,
    declarations_of,
    plan_of_missing,
    wanted_kind,
)
from nodegraph.models.remote.download_plans import DownloadStatus, Wanted
from nodegraph.models.starter_catalogue import installed_names, read_catalogue
from nodegraph.server.access.caller import Caller
from nodegraph.server.http.dependencies import MayAdmin, MayModels, MayRead, TheServices
from nodegraph.server.http.errors import NotFound, Unprocessable
from nodegraph.server.http.problems import responses
from nodegraph.server.http.request_bodies import JsonRoute
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_requests import WorkflowWish, find_missing_models
from nodegraph.session.settings import read_linked_folders

router = APIRouter(prefix="/models", tags=["models"])


class StarterList(BaseModel):
    """The starter catalogue."""

    items: list[shapes.StarterModel]
    next: str | None = None


@router.get(
    "/starter", summary="List well-known models to start with", responses=responses(401, 403, 422)
)
async def list_starter_models(services: TheServices, caller: MayRead) -> StarterList:
    """Return the starter catalogue: models by purpose, with licenses, needs and settings.

    Sizes are rounded. The plan of a download has those of the source.
    """
    return StarterList(items=await services.run_in_thread(_starter, services))


def _starter(services: Services) -> list[shapes.StarterModel]:
    catalogue = read_catalogue(services.settings.model_catalogue)
    listed = services.listed_models()
    hashes = services.model_index.hashes(listed)
    digests = {name: each.sha256 for name, each in hashes.items()}
    known = {
        model.name: (model.record.source, digests.get(model.name))
        for model in listed
        if model.record is not None
    }
    installed = installed_names(catalogue, known)
    return [
        build_shape(
            shapes.StarterModel,
            entry,
            settings=build_shape(shapes.ModelSettings, entry.settings),
            installed=installed.get(entry.id),
        )
        for entry in catalogue.entries
    ]


missing_router = APIRouter(prefix="/models/missing", tags=["models"], route_class=JsonRoute)
_MOST_MISSING = 50


class MissingRequest(WorkflowWish):
    """A workflow."""


class MissingList(BaseModel):
    """Models that a workflow names and the server lacks."""

    items: list[shapes.MissingModel]
    next: str | None = None


@missing_router.post(
    "",
    summary="Find out where to get the models that a workflow lacks",
    responses=responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def list_missing_models(
    services: TheServices, caller: MayModels, request: MissingRequest
) -> MissingList:
    """Return the models that a workflow names and the server lacks, with sizes and licenses.

    Their sources are those that the workflow's file states; the server asks them. Start each
    download with its `source`, `name`, `kind` and `sha256`.
    """
    document, names = await find_missing_models(services, caller, request)
    items = await services.run_in_thread(_missing, services, document, names[:_MOST_MISSING])
    return MissingList(items=items)


def _missing(services: Services, document: Any, names: list[str]) -> list[shapes.MissingModel]:
    declared = declarations_of(document, names)
    listed = services.listed_models() if names else []
    hashes = services.model_index.hashes(listed)
    by_digest = {each.sha256: name for name, each in hashes.items()}
    items = []
    for name in names:
        model = declared.get(name)
        same = None if model is None else by_digest.get(model.sha256.lower())
        here = same or _alike(name, listed)
        if model is None:
            problem = "the workflow does not state where to get it"
            items.append(shapes.MissingModel(name, problem=problem, installed_as=here))
        else:
            items.append(_offered(services, name, model, here))
    return items


def _alike(name: str, listed: list[FoundModel]) -> str | None:
    """A model here with the same file name."""
    last = name.replace("\\", "/").rpartition("/")[2].casefold()
    names = [model.name for model in listed if model.name.rpartition("/")[2].casefold() == last]
    return names[0] if len(names) == 1 else None


def _offered(
    services: Services, name: str, model: DeclaredModel, here: str | None
) -> shapes.MissingModel:
    kind = wanted_kind(name, model)
    try:
        plan = plan_of_missing(services.model_downloads.hubs, name, model)
    except NodegraphError as error:
        reason = services.places.redact(str(error))
        return shapes.MissingModel(name, model.reference, kind, problem=reason, installed_as=here)
    (digest,) = [file.sha256 for file in plan.files] if len(plan.files) == 1 else [None]
    return shapes.MissingModel(
        name,
        plan.source,
        plan.kind,
        digest,
        plan.bytes,
        plan.license,
        plan.page,
        plan.is_gated,
        installed_as=here,
    )


links_router = APIRouter(prefix="/models/links", tags=["models"], route_class=JsonRoute)


class LinkedFolders(BaseModel):
    """Linked folders of models of other programs."""

    items: list[shapes.LinkedFolder]
    next: str | None = None


class LinkRequest(BaseModel):
    """A folder of models of another program."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(
        min_length=1,
        max_length=2_000,
        description="Folder of ComfyUI, A1111, InvokeAI or other models on the server's machine, "
        "or ComfyUI's file `extra_model_paths.yaml`.",
        examples=["/srv/ComfyUI"],
    )


@links_router.get(
    "", summary="List the linked folders of other programs", responses=responses(401, 403)
)
async def list_links(services: TheServices, caller: MayAdmin) -> LinkedFolders:
    """Return the folders of other programs whose models are used where they are."""
    return LinkedFolders(items=await services.run_in_thread(_links, services))


@links_router.post(
    "",
    summary="Use the models of another program",
    responses=responses(400, 401, 403, 413, 415, 422, 503),
)
async def add_link(services: TheServices, caller: MayAdmin, request: LinkRequest) -> LinkedFolders:
    """Use the models of ComfyUI, A1111 or InvokeAI where they are. Nothing is copied or changed."""
    await services.run_in_thread(_add_link, services, request.path)
    return await _changed_links(services)


@links_router.delete(
    "",
    summary="Do not use a linked folder any more",
    status_code=204,
    responses=responses(401, 403, 404, 422, 503),
)
async def delete_link(
    services: TheServices,
    caller: MayAdmin,
    folder: Annotated[str, Query(max_length=2_000, description="A folder that is listed.")],
) -> None:
    """End the use of a linked folder. Its files stay."""
    await services.run_in_thread(_remove_link, services, folder)
    await _changed_links(services)


def _add_link(services: Services, path: str) -> None:
    if not Path(path).is_absolute():
        raise Unprocessable("the path is not absolute", given=ascii(path[:80]))
    settings = services.settings
    with changing_links(settings.linked_models):
        linked = read_linked_folders(settings.linked_models)
        write_linked(settings.linked_models, with_links(linked, Path(path), settings.model_folders))


def _remove_link(services: Services, folder: str) -> None:
    file = services.settings.linked_models
    with changing_links(file):
        linked = read_linked_folders(file)
        if Path(folder) not in linked:
            raise NotFound("this folder is not linked", given=ascii(folder[:80]))
        write_linked(file, [each for each in linked if each != Path(folder)])


async def _changed_links(services: Services) -> LinkedFolders:
    services.change_model_folders()
    services.hub.notify("models.changed")
    return LinkedFolders(items=await services.run_in_thread(_links, services))


def _links(services: Services) -> list[shapes.LinkedFolder]:
    return [
        shapes.LinkedFolder(str(folder), folder.is_dir(), sum(1 for _ in model_files(folder)))
        for folder in read_linked_folders(services.settings.linked_models)
    ]


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
    sha256: str | None = Field(
        None, max_length=80, description="Digest that its one file must have."
    )

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
    caller: MayModels,
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
    services: TheServices, caller: MayModels, request: DownloadRequest
) -> shapes.DownloadOffer:
    """Return which files a download would bring, with sizes and license. Downloads nothing."""
    plan = await services.run_in_thread(
        services.model_downloads.resolve, request.source, request.wanted, request.sha256
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
    services: TheServices, caller: MayModels, request: DownloadRequest
) -> shapes.ModelDownload:
    """Start a download into the server's models folder, or continue that of the same model.

    The model appears when it is complete and its digests are right. The download continues after a
    restart of the server. Websocket notices `models.download` report its progress.
    """
    status = await services.run_in_thread(
        services.model_downloads.start, request.source, request.wanted, request.sha256
    )
    return _download(services, status, caller)


@downloads_router.post(
    "/{id}/pause",
    summary="Pause a download of a model",
    responses=responses(401, 403, 404, 422, 503),
)
async def pause_download(
    services: TheServices, caller: MayModels, id: _DownloadId
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
    services: TheServices, caller: MayModels, id: _DownloadId
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
async def cancel_download(services: TheServices, caller: MayModels, id: _DownloadId) -> None:
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
        source=plan.source if caller.may("models") else "",
        state=status.state,
        bytes=plan.bytes,
        done=status.done,
        speed=status.speed,
        seconds_left=status.seconds_left,
        error=None if status.error is None else services.places.redact(status.error),
        created=status.created,
    )
