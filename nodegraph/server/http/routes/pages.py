"""Pages for people: the login, the editor and its assets, and pages in which scripts of packs run.

They are for browsers and are not part of the API's description. A user enters a token once, and
then a cookie is used. Clients that are not logged in are redirected to the login before they reach
the other routes; requests from pages of other sites are refused: see
`nodegraph.server.access.origins`.
"""

from __future__ import annotations

import logging
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from nodegraph.server.access.authentication import cookie, safe_redirect_target
from nodegraph.server.access.caller import request_notes
from nodegraph.server.access.gate import PAGE_POLICY, WORKER_POLICY
from nodegraph.server.access.head import APP_ICONS, ICONS, LOGIN, LOGOUT, MANIFEST, WORKER, Head
from nodegraph.server.access.origins import EDITOR, GENERATE
from nodegraph.server.content.frames import FRAMES, frame_path, policy
from nodegraph.server.content.pages import EditorFile, known_page, login_page, no_editor_page
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.errors import NotFound, Refused, UnsupportedType
from nodegraph.server.http.responses import (
    FOREVER,
    coded_tag,
    content_coding,
    etag,
    is_not_modified,
)
from nodegraph.server.root_path import public_path

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


@router.get(WORKER)
@router.get(MANIFEST)
@router.get(APP_ICONS[0])
@router.get(APP_ICONS[1])
@router.get(APP_ICONS[2])
async def get_app_file(request: Request, services: TheServices) -> Response:
    """Return a file that makes an app of the editor, or that opens it without the server.

    They need no login: browsers fetch the manifest without one, and none holds any data.
    """
    name = request.url.path.rpartition("/")[2]
    file = await services.run_in_thread(services.editor.app_file, name)
    if file is None:
        raise NotFound("the editor is not built with this file", given=ascii(name))
    answer = _answer(request, file, _REVALIDATED)
    if f"/{name}" == WORKER:
        answer.headers["Content-Security-Policy"] = WORKER_POLICY
    return answer


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
    coding = content_coding(request.headers.get("accept-encoding")) if file.coded else None
    tag = coded_tag(file.digest, coding)
    headers = {"ETag": etag(tag), "Cache-Control": cached, "Vary": "Accept-Encoding"}
    if file.is_page:
        # Said here, as an answer without a body has no type by which the policy could be chosen:
        # a browser takes what comes with it for the page that it has kept.
        headers["Content-Security-Policy"] = PAGE_POLICY
    if is_not_modified(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    if coding is not None:
        headers["Content-Encoding"] = coding
    body = file.body if coding is None else file.coded[coding]
    return Response(body, headers={**headers, "Content-Type": file.media_type})


# The login.

_LOG = logging.getLogger(__name__)
_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 10


@router.get(LOGIN)
async def login_form(
    request: Request, next: Annotated[str, Query(max_length=8_000)] = ""
) -> Response:
    """Return the login page, or a page with the name of the current user."""
    caller = request_notes(request.scope).caller
    return login_page(safe_redirect_target(next)) if caller is None else known_page(caller)


@router.post(LOGIN)
async def log_in(request: Request, services: TheServices) -> Response:
    """Start a session if the token is valid."""
    fields = await _fields(request)
    target, head = safe_redirect_target(fields.get("next", "")), Head(request.scope)
    try:
        caller = services.access.authenticate_token(fields.get("token", "").strip(), head.remote)
    except Refused as error:
        request_notes(request.scope).refusal = error
        answer = login_page(target, problem=str(error), status=error.status)
        answer.headers.update(error.headers)
        return answer
    sessions = services.access.sessions
    _LOG.info("%s logged in", caller.name)
    response = RedirectResponse(target, 303)
    response.headers["Set-Cookie"] = cookie(head, sessions.begin(caller), sessions.lifetime)
    return response


@router.post(LOGOUT)
async def log_out(request: Request, services: TheServices) -> Response:
    """End the session."""
    caller = request_notes(request.scope).caller
    if caller is not None and caller.session:
        services.access.sessions.end(caller.session)
    response = RedirectResponse(public_path(LOGIN), 303)
    response.headers["Set-Cookie"] = cookie(Head(request.scope), "", 0)
    return response


async def _fields(request: Request) -> dict[str, str]:
    """Return the first value of each form field."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise UnsupportedType("the token must be sent in a form", given=kind[:80], expected=_FORM)
    try:
        fields = parse_qs((await request.body()).decode("ascii"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Refused("the form cannot be read") from None
    return {name: values[0] for name, values in fields.items()}
