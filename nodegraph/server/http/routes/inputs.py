"""The files of the inputs folder, which the operator put there for workflows to read."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from nodegraph.client import shapes
from nodegraph.client.shapes.telling import build_shape
from nodegraph.server.content.inputs import InputFile, media_type_of, newest_inputs, open_input
from nodegraph.server.http.dependencies import MayRead, MayRun, TheServices
from nodegraph.server.http.file_answers import (
    FILE_ANSWERS,
    THUMBNAIL_ANSWERS,
    ThumbnailSize,
    thumbnail_response,
)
from nodegraph.server.http.problems import responses
from nodegraph.server.http.sending import file_response
from nodegraph.server.http.types import content_headers
from nodegraph.server.root_path import public_path

router = APIRouter(prefix="/inputs", tags=["inputs"])

_CHANGING = "private, no-cache"
"""Of files that somebody may change: the client asks each time whether that was so."""
InputPath = Annotated[
    str, Query(max_length=1_000, description="The file's, as the list has it.", examples=["a.png"])
]


class InputList(BaseModel):
    """The newest files of the inputs folder, the newest first."""

    items: list[shapes.InputFile] = Field(description="Only those who may run are told.")
    next: str | None = None


@router.get("", summary="List the files of the inputs folder", responses=responses(401, 403))
async def list_inputs(services: TheServices, caller: MayRead) -> InputList:
    """The newest 1,000 files below the inputs folder. Hidden ones and links are left out."""
    if not caller.may("run"):
        return InputList(items=[])
    files = await services.run_in_thread(newest_inputs, services.environment)
    return InputList(items=[_entry(file) for file in files])


@router.get(
    "/file",
    summary="Get a file of the inputs folder",
    response_class=Response,
    responses={**FILE_ANSWERS, **responses(401, 403, 404, 416, 422)},
)
async def get_input(
    request: Request, services: TheServices, caller: MayRun, path: InputPath
) -> Response:
    """The file, as it is now."""
    opened = await services.run_in_thread(open_input, services.environment, path)
    headers = content_headers(media_type_of(path), PurePosixPath(path).name)
    return file_response(request, opened, headers, cached=_CHANGING)


@router.get(
    "/thumbnail",
    summary="Get a small picture of a file of the inputs folder",
    response_class=Response,
    responses={**THUMBNAIL_ANSWERS, **responses(401, 403, 404, 422)},
)
async def get_input_thumbnail(
    request: Request,
    services: TheServices,
    caller: MayRun,
    path: InputPath,
    size: ThumbnailSize = 256,
) -> Response:
    """The picture, upright, as WebP; of other files as for artifacts."""
    opened = await services.run_in_thread(open_input, services.environment, path)
    opened.file.close()
    return await thumbnail_response(
        request,
        caller,
        services.artifacts.thumbnails,
        opened.digest,
        size,
        lambda: open_input(services.environment, path),
        cached=_CHANGING,
    )


def _entry(file: InputFile) -> shapes.InputFile:
    href = public_path(f"/api/v1/inputs/file?path={quote(file.path, safe='')}")
    return build_shape(shapes.InputFile, file, href=href)
