"""Routes of the inputs folder, whose files the operator provides for workflows."""

from __future__ import annotations

import heapq
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from nodegraph.client import shapes
from nodegraph.client.shapes.schema import build_shape
from nodegraph.core.context import Environment
from nodegraph.core.digests import digest_bytes
from nodegraph.core.file_access import is_readable
from nodegraph.media.images.input_files import MEDIA_TYPES
from nodegraph.server.content.files.safe_files import ConfinedFolder
from nodegraph.server.http.dependencies import MayRead, MayRun, TheServices
from nodegraph.server.http.errors import NotFound
from nodegraph.server.http.file_responses import (
    FILE_ANSWERS,
    THUMBNAIL_ANSWERS,
    ThumbnailSize,
    thumbnail_response,
)
from nodegraph.server.http.media_types import ANY, SUFFIXES, content_headers
from nodegraph.server.http.problems import responses
from nodegraph.server.http.responses import OpenFile, file_response
from nodegraph.server.root_path import public_path

_MOST = 1_000
"""Largest number of listed files."""
_MOST_LOOKED_AT = 100_000
_TYPES = {
    **{suffix: kind for kind, suffix in SUFFIXES.items()},
    **MEDIA_TYPES,
    ".mov": "video/quicktime",
    ".m4v": "video/mp4",
    ".txt": "text/plain",
    ".sft": "application/vnd.safetensors",
}


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of the inputs folder.

    Attributes:
        path: Path below the folder, with ``/``. Use it as the value of a file input of a workflow.
        size: Size in bytes.
        modified: Unix time of the last change.
    """

    path: str
    size: int
    modified: float

    @property
    def media_type(self) -> str:
        """Media type, by the suffix of the file."""
        return media_type_of(self.path)


def media_type_of(path: str) -> str:
    """Return the media type of a file, by its suffix."""
    return _TYPES.get(PurePosixPath(path).suffix.lower(), ANY)


def newest_inputs(environment: Environment) -> list[InputFile]:
    """Return the newest files below the inputs folder, the newest first.

    Hidden files and files that workflows may not read are left out. Links are not followed.
    """
    files = _files(environment)
    return heapq.nlargest(_MOST, files, key=lambda file: (file.modified, file.path))


def _files(environment: Environment) -> Iterator[InputFile]:
    root, looked = str(environment.inputs), 0
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if not is_readable(folder, environment):
            folders.clear()
            continue
        for name in names:
            looked += 1
            if looked > _MOST_LOOKED_AT:
                return
            file = None if name.startswith(".") else _file(root, Path(folder, name))
            if file is not None:
                yield file


def _file(root: str, path: Path) -> InputFile | None:
    try:
        status = path.lstat()
        name = path.relative_to(root).as_posix()
        name.encode()  # A name that is not valid text cannot be used in a workflow.
    except (OSError, UnicodeEncodeError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return InputFile(name, status.st_size, status.st_mtime)


def open_input(environment: Environment, path: str) -> OpenFile:
    """Open a file of the inputs folder; its digest changes with the file's size and time.

    Raises:
        NotFound: There is no such file, or it may not be read.
    """
    parts = path.split("/")
    is_hidden = any(part.startswith(".") for part in parts)
    try:
        if is_hidden or not is_readable(str(environment.inputs.joinpath(*parts)), environment):
            raise FileNotFoundError(path)
        file = ConfinedFolder(environment.inputs).open(*parts)
    except (OSError, ValueError):
        raise NotFound(
            "there is no such file in the inputs folder", given=ascii(path[:80])
        ) from None
    status = os.fstat(file.fileno())
    state = f"{path}\n{status.st_size}\n{status.st_mtime_ns}\n{status.st_ino}"
    return OpenFile(file, status.st_size, digest_bytes(state.encode()))


router = APIRouter(prefix="/inputs", tags=["inputs"])

_CHANGING = "private, no-cache"
"""For files that can change: the client checks for a change at each request."""
InputPath = Annotated[
    str,
    Query(max_length=1_000, description="Path of the file, as in the list.", examples=["a.png"]),
]


class InputList(BaseModel):
    """Newest files of the inputs folder, the newest first."""

    items: list[shapes.InputFile] = Field(description="Shown only to clients that may run jobs.")
    next: str | None = None


@router.get("", summary="List the files of the inputs folder", responses=responses(401, 403))
async def list_inputs(services: TheServices, caller: MayRead) -> InputList:
    """Return the newest 1,000 files below the inputs folder, without hidden files and links."""
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
    """Return the current content of the file."""
    opened = await services.run_in_thread(open_input, services.environment, path)
    headers = content_headers(media_type_of(path), PurePosixPath(path).name)
    return file_response(request, opened, headers, cached=_CHANGING)


@router.get(
    "/thumbnail",
    summary="Get a thumbnail of a file of the inputs folder",
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
    """Return a small WebP of the upright image. Other files are shown as for artifacts."""
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
