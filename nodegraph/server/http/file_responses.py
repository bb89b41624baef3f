"""Responses with files, their thumbnails and their embedded texts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import PurePath
from time import monotonic
from typing import Annotated, Any, TypeVar

from fastapi import Query, Request, Response

from nodegraph.client import shapes
from nodegraph.core.digests import Digest
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.artifacts.artifact_files import FileComing
from nodegraph.server.content.artifacts.thumbnails import LARGEST, MEDIA_TYPE, SMALLEST, Thumbnails
from nodegraph.server.http.media_types import content_headers
from nodegraph.server.http.responses import FOREVER, OpenFile, etag, is_not_modified

T = TypeVar("T")
PLACEHOLDER_HEADER = "X-Thumbnail-Instead"
"""Of the answer with a plain tile: why it is none of the file."""
_INSTEAD = "private, max-age=60"
"""It may be shown when it is asked for the next time, where there is less to do."""
_PATIENCE = 15.0
"""Seconds for a file to come that another server's worker has just written."""
BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
ANY_FILE: dict[str, Any] = {"application/octet-stream": BINARY, "*/*": BINARY}
"""A file of any type. Generators read the first type that they know, and none of them `*/*`."""
FILE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": ANY_FILE},
    206: {"description": "The part that `Range` requests.", "content": ANY_FILE},
    304: {"description": "The client has it already, as `If-None-Match` says."},
}
THUMBNAIL_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The image. If the file is too large to show, a plain image with a "
        f"header `{PLACEHOLDER_HEADER}` that gives the reason.",
        "content": {MEDIA_TYPE: BINARY},
    },
    304: {"description": "The client has it already."},
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
    """What is asked for, once a file has come that is on its way from another server.

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
    """The answer to a request for what a file carries; see `Thumbnails.texts`.

    Args:
        name: The file's, as whoever wrote it says.
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
    """The answer to a request for a small image; see `Thumbnails.get`.

    Args:
        cached: How long the client may keep it.
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
