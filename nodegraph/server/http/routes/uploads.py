"""Routes of uploads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import PurePath
from typing import Annotated, Any, BinaryIO

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field

from nodegraph.client import shapes
from nodegraph.core.text_format import format_size
from nodegraph.server.content.uploads.uploads import LARGEST_PAGE
from nodegraph.server.http.dependencies import MayRead, MayRun, TheServices
from nodegraph.server.http.errors import TooLarge, Unprocessable
from nodegraph.server.http.file_responses import (
    BINARY,
    FILE_ANSWERS,
    THUMBNAIL_ANSWERS,
    ThumbnailSize,
    retry_until_shared,
    texts_response,
    thumbnail_response,
    upload_entry,
    upload_response,
)
from nodegraph.server.http.media_types import SUFFIXES, content_headers
from nodegraph.server.http.problems import responses
from nodegraph.server.http.request_bodies import BadForm, PartBegins, PartEnds, form_events, is_form
from nodegraph.server.http.responses import file_response

router = APIRouter(prefix="/uploads", tags=["uploads"])

_DIGEST = "9d3c1b70" * 8
Digest = Annotated[str, Path(description="blake3 of the bytes.", examples=[_DIGEST])]
_CHUNK = 1 << 20
_FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"file": {"type": "string", "format": "binary"}},
    "required": ["file"],
    "additionalProperties": False,
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _FORM},
            # Stands for any other type: generators leave out a body of a type they do not know.
            "application/octet-stream": BINARY,
        },
    }
}


class UploadList(BaseModel):
    """A page of uploads, the newest first."""

    items: list[shapes.Upload]
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


@router.post(
    "",
    summary="Upload a file",
    status_code=201,
    responses={
        200: {"model": shapes.Upload, "description": "The client has already uploaded it."},
        **responses(400, 401, 403, 413, 415, 422),
    },
    openapi_extra=_BODY,
)
async def upload_file(
    request: Request,
    response: Response,
    services: TheServices,
    caller: MayRun,
    name: Annotated[
        str, Query(max_length=1000, description="Name of the file, if the body is the file itself.")
    ] = "",
) -> shapes.Upload:
    """Upload an image or a workflow: as a form with a `file`, or as the request body.

    The bytes determine the file type. Use the upload's `value` for it in submitted workflows.
    Uploads that no job has needed for a long time are deleted.
    """
    _check_length(request, services.uploads.rules.bytes)
    chunks: AsyncIterator[bytes] = request.stream()
    if is_form(request.headers.get("content-type", "")):
        name, chunks = await _file_of(request)
    upload, is_new = await services.uploads.receive(chunks, name, caller.name)
    return upload_response(response, upload, is_new=is_new)


@router.post(
    "/artifacts/{digest}",
    summary="Use an output file of a job as an upload",
    status_code=201,
    responses={
        200: {"model": shapes.Upload, "description": "It is already an upload of the client."},
        **responses(401, 403, 404, 410, 413, 415, 422),
    },
)
async def upload_artifact(
    response: Response, services: TheServices, caller: MayRun, digest: Digest
) -> shapes.Upload:
    """Copy an output file to the uploads, so that workflows can read it even without its job.

    The client does not have to download and upload the file.
    """
    artifact = await services.read_queue(services.artifacts.find, digest, caller.only_client)
    opened = await retry_until_shared(
        lambda: services.run_file_task(services.artifacts.open, artifact)
    )
    name = PurePath(artifact.path).name
    upload, is_new = await services.uploads.receive(_chunks(opened.file), name, caller.name)
    return upload_response(response, upload, is_new=is_new)


@router.get("", summary="List uploads", responses=responses(401, 403, 422))
async def list_uploads(
    services: TheServices,
    caller: MayRead,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> UploadList:
    """Return the uploads of the caller, the newest first."""
    page = await services.run_file_task(
        services.uploads.page, caller.only_client, limit=limit, cursor=cursor
    )
    return UploadList(items=[upload_entry(item) for item in page.uploads], next=page.next)


@router.get(
    "/{digest}",
    summary="Get an upload",
    response_class=Response,
    responses={**FILE_ANSWERS, **responses(401, 403, 404, 410, 416)},
)
async def get_upload(
    request: Request, services: TheServices, caller: MayRead, digest: Digest
) -> Response:
    """Return the file as it was uploaded."""
    upload = await services.run_file_task(services.uploads.find, digest, caller.only_client)
    opened = await services.run_file_task(services.uploads.open, upload)
    return file_response(request, opened, content_headers(upload.media_type, upload.name))


@router.get(
    "/{digest}/thumbnail",
    summary="Get a thumbnail of an upload",
    response_class=Response,
    responses={**THUMBNAIL_ANSWERS, **responses(401, 403, 404, 410, 422)},
)
async def get_upload_thumbnail(
    request: Request,
    services: TheServices,
    caller: MayRead,
    digest: Digest,
    size: ThumbnailSize = 256,
) -> Response:
    """Return a small WebP of the upright image. Other files are shown as for artifacts."""
    upload = await services.run_file_task(services.uploads.find, digest, caller.only_client)
    thumbnails = services.artifacts.thumbnails
    return await thumbnail_response(
        request, caller, thumbnails, digest, size, lambda: services.uploads.open(upload)
    )


@router.get(
    "/{digest}/texts",
    summary="Get the texts in an upload's metadata",
    responses=responses(401, 403, 404, 410, 413, 422),
)
async def get_upload_texts(
    services: TheServices, caller: MayRead, digest: Digest
) -> shapes.CarriedTexts:
    """Return the texts in a file's metadata, such as the workflow that made it."""
    upload = await services.run_file_task(services.uploads.find, digest, caller.only_client)
    return await texts_response(
        caller,
        services.artifacts.thumbnails,
        f"file{SUFFIXES.get(upload.media_type, PurePath(upload.name).suffix)}",
        lambda: services.uploads.open(upload),
    )


@router.delete(
    "/{digest}",
    summary="Delete an upload",
    status_code=204,
    responses=responses(401, 403, 404),
)
async def delete_upload(services: TheServices, caller: MayRun, digest: Digest) -> None:
    """Delete an uploaded file. Waiting jobs can no longer read it."""
    await services.run_file_task(services.uploads.delete, digest, caller.only_client)


def _check_length(request: Request, most: int) -> None:
    """Refuse a request with a too large `Content-Length` before its body is read."""
    length = request.headers.get("content-length", "")
    # A form has a few more bytes than its file.
    if length.isdecimal() and int(length[:18]) > most + (64 << 10):
        raise TooLarge("the file is too large", expected=f"at most {format_size(most)}")


async def _file_of(request: Request) -> tuple[str, AsyncIterator[bytes]]:
    """Return the name of the single file in a form, and its bytes as a stream."""
    events = form_events(request.stream(), request.headers["content-type"], parts=1)
    first = await anext(events, None)
    if not isinstance(first, PartBegins) or first.filename is None or first.name != "file":
        raise Unprocessable(
            "the form does not contain a file",
            given=first.name[:80] if isinstance(first, PartBegins) else None,
            expected="one part named `file`, with a file name",
        )

    async def chunks() -> AsyncIterator[bytes]:
        is_complete = False
        async for event in events:
            if isinstance(event, bytes):
                yield event
            elif isinstance(event, PartEnds):
                is_complete = True
        if not is_complete:
            raise BadForm("the form ends before the end of its file")

    return first.filename, chunks()


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    with file:
        while data := await run_sync(file.read, _CHUNK):
            yield data
