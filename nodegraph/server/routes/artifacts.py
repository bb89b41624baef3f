"""What jobs gave: the files themselves, and small pictures of them."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.server.artifacts import Artifact
from nodegraph.server.artifacts.artifacts import LARGEST_PAGE
from nodegraph.server.artifacts.thumbnails import LARGEST, MEDIA_TYPE, SMALLEST
from nodegraph.server.dependencies import MayRead, TheServices
from nodegraph.server.files.etags import etag, is_known
from nodegraph.server.files.sending import FOREVER, file_response
from nodegraph.server.files.types import content_headers
from nodegraph.server.problems import responses

router = APIRouter(prefix="/artifacts", tags=["artifacts"])

_DIGEST = "a5f0c2e6" * 8
Digest = Annotated[str, Path(description="blake3 of the bytes.", examples=[_DIGEST])]
_FILE: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"*/*": _FILE}},
    206: {"description": "The part that `Range` asks for.", "content": {"*/*": _FILE}},
    304: {"description": "The client has it already, as `If-None-Match` says."},
}
_THUMBNAIL: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture.", "content": {MEDIA_TYPE: _FILE}},
    304: {"description": "The client has it already."},
}


class ArtifactEntry(BaseModel):
    """A file that a job gave."""

    model_config = ConfigDict(extra="forbid")

    digest: str = Field(description="blake3 of the bytes.", examples=[_DIGEST])
    name: str = Field(examples=["apple_00001.png"])
    media_type: str = Field(examples=["image/png"])
    size: int = Field(description="Bytes.", examples=[48_213])
    kind: str = Field(description="What it is to people.", examples=["image"])
    node: str = Field(description="That wrote it.", examples=["save"])
    job: str = Field(examples=["job_01hzy3m7q8r9s0t1v2w3x4y5z6"])
    created: float = Field(description="Unix time at which the job ended.", examples=[1.76e9])
    href: str = Field(examples=[f"/api/v1/artifacts/{_DIGEST}"])
    thumbnail: str | None = Field(description="None if it is no picture.")


class ArtifactList(BaseModel):
    """Some artifacts, the newest first."""

    items: list[ArtifactEntry]
    next: str | None = Field(description="Cursor of the next page; none if this is the last.")


@router.get("", summary="List what jobs gave", responses=responses(401, 403, 422))
async def list_artifacts(
    services: TheServices,
    caller: MayRead,
    job: Annotated[str | None, Query(max_length=100, description="Only its own.")] = None,
    kind: Annotated[str | None, Query(max_length=100, description="Such as `image`.")] = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> ArtifactList:
    """Files of jobs that the caller may see, the newest first."""
    page = await services.off_loop(
        services.artifacts.page, caller.only_client, job=job, kind=kind, limit=limit, cursor=cursor
    )
    items = [artifact_entry(item) for item in page.artifacts]
    return ArtifactList(items=items, next=page.next)


@router.get(
    "/{digest}",
    summary="Get a file that a job gave",
    response_class=Response,
    responses={**_BYTES, **responses(401, 403, 404, 410, 416)},
)
async def get_artifact(
    request: Request,
    services: TheServices,
    caller: MayRead,
    digest: Digest,
    download: Annotated[
        Literal["true", "false"], Query(description="Have a browser save it in any case.")
    ] = "false",
) -> Response:
    """The file, as long as it holds what the job wrote.

    It is named by its content, so it never changes: it may be kept for good. What a browser could
    run, such as SVG and HTML, comes as an attachment and in a sandbox.
    """
    artifact = await services.off_loop(services.artifacts.find, digest, caller.only_client)
    headers = content_headers(
        artifact.media_type, PurePath(artifact.path).name, is_saved=download == "true"
    )
    opened = await services.off_loop(services.artifacts.open, artifact)
    return file_response(request, opened, headers)


@router.get(
    "/{digest}/thumbnail",
    summary="Get a small picture of a picture",
    response_class=Response,
    responses={**_THUMBNAIL, **responses(401, 403, 404, 410, 422)},
)
async def get_artifact_thumbnail(
    request: Request,
    services: TheServices,
    caller: MayRead,
    digest: Digest,
    size: Annotated[
        int,
        Query(ge=SMALLEST, le=LARGEST, description="Pixels of the square that it fits into."),
    ] = 256,
) -> Response:
    """The picture, upright, as WebP; of an animation the first one."""
    artifact = await services.off_loop(services.artifacts.find, digest, caller.only_client)
    tag = f"{digest}-{size}"
    headers = {"ETag": etag(tag), "Cache-Control": FOREVER}
    if is_known(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    made = await services.artifacts.thumbnails.get(
        digest, size, lambda: services.artifacts.open(artifact)
    )
    return Response(made, headers={**headers, **content_headers(MEDIA_TYPE, f"{digest}.webp")})


def artifact_entry(artifact: Artifact) -> ArtifactEntry:
    """An artifact as it is listed."""
    href = f"/api/v1/artifacts/{artifact.digest}"
    is_picture = artifact.media_type.startswith("image/")
    return ArtifactEntry(
        digest=artifact.digest,
        name=PurePath(artifact.path).name,
        media_type=artifact.media_type,
        size=artifact.size,
        kind=artifact.kind,
        node=artifact.node,
        job=artifact.job,
        created=artifact.at,
        href=href,
        thumbnail=f"{href}/thumbnail" if is_picture else None,
    )
