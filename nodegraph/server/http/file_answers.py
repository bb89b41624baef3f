"""What the routes of artifacts and of uploads share: files, and small pictures of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Annotated, Any

from fastapi import Query, Request, Response

from nodegraph.client import shapes
from nodegraph.core.digests import Digest
from nodegraph.server.content.artifacts.thumbnails import LARGEST, MEDIA_TYPE, SMALLEST, Thumbnails
from nodegraph.server.http.etags import etag, is_known
from nodegraph.server.http.sending import FOREVER, OpenFile
from nodegraph.server.http.types import content_headers

BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
FILE_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": {"*/*": BINARY}},
    206: {"description": "The part that `Range` asks for.", "content": {"*/*": BINARY}},
    304: {"description": "The client has it already, as `If-None-Match` says."},
}
THUMBNAIL_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The picture.", "content": {MEDIA_TYPE: BINARY}},
    304: {"description": "The client has it already."},
}
ThumbnailSize = Annotated[
    int, Query(ge=SMALLEST, le=LARGEST, description="Pixels of the square that it fits into.")
]


async def texts_response(
    thumbnails: Thumbnails, name: str, opened: Callable[[], OpenFile]
) -> shapes.CarriedTexts:
    """The answer to a request for what a file carries; see `Thumbnails.texts`.

    Args:
        name: The file's, as whoever wrote it says.
    """
    return shapes.CarriedTexts(await thumbnails.texts(PurePath(name).suffix, opened))


async def thumbnail_response(
    request: Request,
    thumbnails: Thumbnails,
    digest: Digest,
    size: int,
    opened: Callable[[], OpenFile],
) -> Response:
    """The answer to a request for a small picture; see `Thumbnails.get`."""
    tag = f"{digest}-{size}"
    headers = {"ETag": etag(tag), "Cache-Control": FOREVER}
    if is_known(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    made = await thumbnails.get(digest, size, opened)
    return Response(made, headers={**headers, **content_headers(MEDIA_TYPE, f"{digest}.webp")})
