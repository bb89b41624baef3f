"""The editor's page and assets, and the pages in which scripts of packs run.

They are for browsers and are not part of the API's description. Clients that are not logged in
are redirected to the login before they reach these routes.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from nodegraph.server.access.gate import PAGE_POLICY
from nodegraph.server.access.head import ICONS
from nodegraph.server.access.origins import EDITOR, GENERATE
from nodegraph.server.content.frames import FRAMES, frame_path, policy
from nodegraph.server.content.pages import EditorFile, no_editor_page
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.errors import NotFound
from nodegraph.server.http.responses import FOREVER, etag, is_not_modified, takes_gzip

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
    """Return the page of a script that a pack declares. Only its current version exists."""
    # Looked up among what packs declare: no part of the address is ever a file's name.
    pages = (await services.node_types.current()).frames.by_path
    document = pages.get(frame_path(pack, kind, name, digest))
    if document is None:
        raise NotFound(
            "no pack provides this page",
            given=ascii(f"{pack}/{kind}/{name}"[:80]),
            hint="Reload the node types: the pack may have been edited.",
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


router = APIRouter(include_in_schema=False)

_REVALIDATED = "no-cache"
"""The browser checks for a change at each request; only a changed file is sent."""


@router.get(EDITOR)
@router.get(GENERATE)
async def get_editor(request: Request, services: TheServices, caller: MayRead) -> Response:
    """Return the editor's page. It contains no data: it requests all that it shows.

    Its address says which view it shows first: see editor/src/store/address.ts.
    """
    page = await services.run_in_thread(services.editor.page)
    if page is None:
        return no_editor_page()
    answer = _answer(request, page, _REVALIDATED)
    # Without a referrer at all, a browser would say that what the page sends comes from nowhere.
    answer.headers["Referrer-Policy"] = "same-origin"
    return answer


@router.get(ICONS[0])
@router.get(ICONS[1])
async def get_icon(request: Request, services: TheServices) -> Response:
    """Return the icon of all pages, the login page included."""
    icon = await services.run_in_thread(services.editor.icon)
    if icon is None:
        raise NotFound("the editor is not built, so there is no icon")
    return _answer(request, icon, _REVALIDATED)


@router.get("/assets/{name}")
async def get_asset(
    request: Request,
    services: TheServices,
    caller: MayRead,
    name: Annotated[str, Path(max_length=200)],
) -> Response:
    """Return a file that the page loads. Its name changes with its content: cache it forever."""
    asset = await services.run_in_thread(services.editor.asset, name)
    if asset is None:
        raise NotFound(
            "the editor has no such file",
            given=ascii(name[:80]),
            hint="Reload the page: the server may have been updated.",
        )
    return _answer(request, asset, FOREVER)


def _answer(request: Request, file: EditorFile, cached: str) -> Response:
    is_packed = file.packed is not None and takes_gzip(request.headers.get("accept-encoding"))
    tag = f"{file.digest}-gzip" if is_packed else file.digest
    headers = {"ETag": etag(tag), "Cache-Control": cached, "Vary": "Accept-Encoding"}
    if file.is_page:
        # Said here, as an answer without a body has no type by which the policy could be chosen:
        # a browser takes what comes with it for the page that it has kept.
        headers["Content-Security-Policy"] = PAGE_POLICY
    if is_not_modified(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    if is_packed:
        headers["Content-Encoding"] = "gzip"
    body = file.packed if is_packed else file.body
    return Response(body, headers={**headers, "Content-Type": file.media_type})
