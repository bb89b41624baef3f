"""Routes of the login with a browser: the user enters a token once, and then a cookie is used.

They are for browsers and are not part of the API's description. Requests from pages of other sites
are refused before they reach these routes: see `nodegraph.server.access.origins`.
"""

from __future__ import annotations

import logging
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from nodegraph.server.access.authentication import cookie, safe_redirect_target
from nodegraph.server.access.caller import request_notes
from nodegraph.server.access.head import LOGIN, LOGOUT, Head
from nodegraph.server.content.pages import known_page, login_page
from nodegraph.server.http.dependencies import TheServices
from nodegraph.server.http.errors import Refused, UnsupportedType
from nodegraph.server.root_path import public_path

router = APIRouter(include_in_schema=False)

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
