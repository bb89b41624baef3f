"""Responses with files, their thumbnails and their embedded texts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import PurePath
from time import monotonic
from typing import Annotated, Any, TypeVar

from fastapi import Query, Request, Response

from nodegraph.client import shapes
from nodegraph.client.shapes.schema import build_shape
from nodegraph.core.digests import Digest
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.artifacts.artifact_files import FileComing
from nodegraph.server.content.artifacts.thumbnails import LARGEST, MEDIA_TYPE, SMALLEST, Thumbnails
from nodegraph.server.content.uploads import Upload
from nodegraph.server.http.media_types import content_headers
from nodegraph.server.http.responses import FOREVER, OpenFile, etag, is_not_modified
from nodegraph.server.root_path import public_path

T = TypeVar("T")
PLACEHOLDER_HEADER = "X-Thumbnail-Instead"
"""Header of a placeholder image, with the reason why the file is not shown."""
_INSTEAD = "private, max-age=60"
"""Caching of a placeholder: a later request may succeed when there is less to do."""
_PATIENCE = 15.0
"""Seconds to wait for a file that another server's worker has just written."""
BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
ANY_FILE: dict[str, Any] = {"application/octet-stream": BINARY, "*/*": BINARY}
"""A file of any type. Generators read the first type that they know; none knows `*/*`."""
FILE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": ANY_FILE},
    206: {"description": "The part that `Range` requests.", "content": ANY_FILE},
    304: {"description": "The client already has it, according to `If-None-Match`."},
}
THUMBNAIL_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The image. If the file is too large to show, a plain image with a "
        f"header `{PLACEHOLDER_HEADER}` that gives the reason.",
        "content": {MEDIA_TYPE: BINARY},
    },
    304: {"description": "The client already has it."},
}
ThumbnailSize = Annotated[
    int,
    Query(
        ge=SMALLEST,
        le=LARGEST,
        description="Side of the square that the image fits into, in pixels.",
    ),
]


async def retry_until_shared(ask: Callable[[], Awaitable[T]]) -> T:
    """Repeat a request until its file has arrived from another server.

    Raises:
        FileComing: It takes too long.
    """
    end, delay = monotonic() + _PATIENCE, 0.05
    while True:
        try:
            return await ask()
        except FileComing:
            if monotonic() > end:
                raise
        await asyncio.sleep(delay)
        delay = min(2 * delay, 1.0)


async def texts_response(
    caller: Caller, thumbnails: Thumbnails, name: str, opened: Callable[[], OpenFile]
) -> shapes.CarriedTexts:
    """Answer a request for the texts in a file's metadata; see `Thumbnails.texts`.

    Args:
        name: Name of the file, as its writer gave it.
    """
    suffix = PurePath(name).suffix
    return shapes.CarriedTexts(await thumbnails.texts(suffix, opened, caller.name))


async def thumbnail_response(
    request: Request,
    caller: Caller,
    thumbnails: Thumbnails,
    digest: Digest,
    size: int,
    opened: Callable[[], OpenFile],
    *,
    cached: str = FOREVER,
) -> Response:
    """Answer a request for a thumbnail; see `Thumbnails.get`.

    Args:
        cached: `Cache-Control` header of the answer.
    """
    tag = f"{digest}-{size}"
    headers = {"ETag": etag(tag), "Cache-Control": cached}
    if is_not_modified(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    made = await thumbnails.get(digest, size, opened, caller.name)
    if made.problem is not None:
        headers = {"Cache-Control": _INSTEAD, PLACEHOLDER_HEADER: ascii(made.problem.message)[1:-1]}
    about = content_headers(MEDIA_TYPE, f"{digest}.webp")
    return Response(made.data, headers={**headers, **about})


def upload_entry(upload: Upload) -> shapes.Upload:
    """Return an upload as an entry of a list."""
    href = public_path(f"/api/v1/uploads/{upload.digest}")
    return build_shape(shapes.Upload, upload, value=upload.reference, href=href)


def upload_response(response: Response, upload: Upload, *, is_new: bool) -> shapes.Upload:
    """Answer that a file is an upload now, or was one before."""
    entry = upload_entry(upload)
    response.headers["Location"] = entry.href
    response.status_code = 201 if is_new else 200
    return entry
