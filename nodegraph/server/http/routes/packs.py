"""What packs bring into the editor: pages for its frames.

For the editor alone, and so not part of the API's description.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from nodegraph.server.content.frames import FRAMES, frame_path, policy
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.errors import NotFound
from nodegraph.server.http.etags import etag, is_not_modified
from nodegraph.server.http.sending import FOREVER

frames_router = APIRouter(include_in_schema=False, prefix=FRAMES)


@frames_router.get("/{pack}/{kind}/{name}/{digest}")
async def get_frame(
    request: Request,
    services: TheServices,
    caller: MayRead,
    pack: Annotated[str, Path(max_length=200)],
    kind: Annotated[str, Path(max_length=20)],
    name: Annotated[str, Path(max_length=64)],
    digest: Annotated[str, Path(max_length=64)],
) -> Response:
    """The page of a script that a pack declares, as it is now. What it was before is gone."""
    # Looked up among what packs declare: no part of the address is ever a file's name.
    pages = (await services.node_types.current()).frames.by_path
    document = pages.get(frame_path(pack, kind, name, digest))
    if document is None:
        raise NotFound(
            "no pack brings this page",
            given=ascii(f"{pack}/{kind}/{name}"[:80]),
            hint="Load the node types again: the pack may have been edited.",
        )
    headers = {
        "ETag": etag(digest),
        "Cache-Control": FOREVER,
        "Content-Security-Policy": policy(),
        # Of the two this is what older browsers go by.
        "X-Frame-Options": "SAMEORIGIN",
    }
    if is_not_modified(request.headers.get("if-none-match"), digest):
        return Response(status_code=304, headers=headers)
    return Response(document.body, headers=headers, media_type="text/html; charset=utf-8")
