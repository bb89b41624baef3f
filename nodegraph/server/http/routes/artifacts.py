"""Routes of artifacts: files of jobs, and their thumbnails."""

from __future__ import annotations

from functools import partial
from pathlib import PurePath
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from nodegraph.client import shapes
from nodegraph.client.shapes.jobs import DIGEST
from nodegraph.server.content.artifacts import ArtifactFilter
from nodegraph.server.content.artifacts.artifacts import LARGEST_PAGE
from nodegraph.server.content.artifacts.catalogue import parse_search
from nodegraph.server.http.dependencies import MayRead, MayRun, TheServices
from nodegraph.server.http.file_responses import (
    FILE_ANSWERS,
    THUMBNAIL_ANSWERS,
    ThumbnailSize,
    retry_until_shared,
    texts_response,
    thumbnail_response,
)
from nodegraph.server.http.media_types import content_headers
from nodegraph.server.http.problems import responses
from nodegraph.server.http.responses import file_response
from nodegraph.server.workflows.job_entries import artifact_entry

router = APIRouter(prefix="/artifacts", tags=["artifacts"])

Digest = Annotated[str, Path(description="blake3 of the bytes.", examples=[DIGEST])]


class ArtifactList(BaseModel):
    """A page of artifacts, the newest first."""

    items: list[shapes.Artifact]
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


@router.get("", summary="List the output files of jobs", responses=responses(401, 403, 422))
async def list_artifacts(
    services: TheServices,
    caller: MayRead,
    job: Annotated[
        str | None, Query(max_length=100, description="Only the files of this job.")
    ] = None,
    kind: Annotated[
        str | None, Query(max_length=100, description="Kind of file, such as `image`.")
    ] = None,
    text: Annotated[
        str,
        Query(
            max_length=256,
            description="Words that must all occur in the file's name, its node's name, or the "
            "name, tags, texts and parameters of its job.",
        ),
    ] = "",
    created_after: Annotated[
        float | None, Query(allow_inf_nan=False, description="Unix time, included.")
    ] = None,
    created_before: Annotated[
        float | None, Query(allow_inf_nan=False, description="Unix time, not included.")
    ] = None,
    distinct: Annotated[
        Literal["true", "false"],
        Query(description="Only the newest of several files with the same bytes."),
    ] = "false",
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> ArtifactList:
    """Return the files of the jobs that the caller may see, the newest first.

    A file is listed as soon as it is written, even if its job fails later.
    """
    words = parse_search(text)
    times = (created_after, created_before)
    which = ArtifactFilter(
        caller.only_client, job, kind, words, *times, distinct=distinct == "true"
    )
    page = await services.read_queue(services.artifacts.page, which, limit=limit, cursor=cursor)
    items = [artifact_entry(item) for item in page.artifacts]
    return ArtifactList(items=items, next=page.next)


@router.get(
    "/{digest}",
    summary="Get an output file of a job",
    response_class=Response,
    responses={**FILE_ANSWERS, **responses(401, 403, 404, 410, 416)},
)
async def get_artifact(
    request: Request,
    services: TheServices,
    caller: MayRead,
    digest: Digest,
    download: Annotated[
        Literal["true", "false"], Query(description="Make a browser always save the file.")
    ] = "false",
) -> Response:
    """Return the file, as long as it still contains what the job wrote.

    The address contains a digest of the content, so clients may cache the file forever. Types that
    a browser could run, such as SVG and HTML, are sent as an attachment and in a sandbox.
    """
    artifact = await services.read_queue(services.artifacts.find, digest, caller.only_client)
    headers = content_headers(
        artifact.media_type, PurePath(artifact.path).name, is_saved=download == "true"
    )
    opened = await retry_until_shared(
        lambda: services.run_file_task(services.artifacts.open, artifact)
    )
    return file_response(request, opened, headers)


@router.get(
    "/{digest}/thumbnail",
    summary="Get a thumbnail of a file",
    response_class=Response,
    responses={**THUMBNAIL_ANSWERS, **responses(401, 403, 404, 410, 422)},
)
async def get_artifact_thumbnail(
    request: Request,
    services: TheServices,
    caller: MayRead,
    digest: Digest,
    size: ThumbnailSize = 256,
) -> Response:
    """Return a small WebP: the upright image, or the first frame of an animation or a video.

    Audio is shown as a waveform. Meshes, points, molecules and plots are drawn. The thumbnail is
    made at the first request and kept.
    """
    artifact = await services.read_queue(services.artifacts.find, digest, caller.only_client)
    opened = partial(services.artifacts.open, artifact)
    return await retry_until_shared(
        lambda: thumbnail_response(
            request, caller, services.artifacts.thumbnails, digest, size, opened
        )
    )


@router.get(
    "/{digest}/texts",
    summary="Get the texts in a file's metadata",
    responses=responses(401, 403, 404, 410, 413, 422),
)
async def get_artifact_texts(
    services: TheServices, caller: MayRead, digest: Digest
) -> shapes.CarriedTexts:
    """Return the texts in a file's metadata, such as the workflow that made it.

    Supported files are images, videos, audio, shapes, molecules, plots and latents.
    """
    artifact = await services.read_queue(services.artifacts.find, digest, caller.only_client)
    opened = partial(services.artifacts.open, artifact)
    return await retry_until_shared(
        lambda: texts_response(caller, services.artifacts.thumbnails, artifact.path, opened)
    )


@router.delete(
    "/{digest}",
    summary="Delete an output file of a job",
    status_code=204,
    responses=responses(401, 403, 404, 409, 503),
)
async def delete_artifact(
    services: TheServices,
    caller: MayRun,
    digest: Digest,
    job: Annotated[
        str | None, Query(max_length=100, description="Only from this job; otherwise from all.")
    ] = None,
) -> None:
    """Remove a file from the lists of ended jobs. It is deleted if no other job lists it."""
    artifacts = await services.read_queue(
        services.artifacts.find_all, digest, caller.only_client, job
    )
    # Before the file goes: what a job lists must be there, and not the other way round.
    for lister in dict.fromkeys(artifact.job for artifact in artifacts):
        await services.queue_reads.changed(services.queue.forget_file(lister, digest))
    await services.run_file_task(services.artifacts.delete, artifacts)
    services.hub.notify("artifacts.deleted")
