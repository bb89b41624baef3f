"""Paths of ComfyUI's protocol: each route is declared once, below `/comfyui`.

ComfyUI has each route at its own path and under `/api`. `ComfyPaths` sends all forms of a path to
the declared one: `/comfyui/prompt` and `/comfyui/api/prompt` always, `/prompt` and `/api/prompt`
if the server has the setting `comfyui`. With this setting the page at `/` is ComfyUI's, too, and
the server's own pages are below `/editor`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from nodegraph.server.http.problems import register_error_form
from nodegraph.server.http.request_bodies import read_document
from nodegraph.server.root_path import OWN, RootPathMiddleware, root_path

PREFIX = "/comfyui"
EDITOR = "/editor"
"""Root of the server's own pages where those at `/` are ComfyUI's."""
_LARGE = 64 << 10
"""Bytes of JSON that take more than a millisecond to read."""
_API = "/api"
_OURS = "/api/v1"
"""Of nodegraph's own API, which stays where it is."""
_KEPT = OWN - {
    *("api", "assets", "favicon.ico", "sw.js", "manifest.webmanifest"),
    *("icon-192.png", "icon-512.png", "icon-maskable-512.png"),
}
"""First parts of the server's own paths where all others are ComfyUI's."""
SENT_PATH = "nodegraph.sent_path"
"""In a request's scope: the path as it was sent, which tells the slashes within its parts."""


def comfyui_router() -> APIRouter:
    """Return a router for routes at their ComfyUI paths without `/api`, such as ``/prompt``."""
    return APIRouter(prefix=PREFIX, include_in_schema=False)


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}/")


def declared_path(path: str, is_main: bool) -> str | None:
    """Return the path below `PREFIX` of a path in any of its forms; None if it is not ComfyUI's.

    Args:
        path: Path of a request, decoded.
        is_main: Whether the server also has ComfyUI's paths outside `PREFIX`.
    """
    if _is_below(path, PREFIX):
        own = path.removeprefix(PREFIX)
    elif not is_main or not path.startswith("/") or _is_below(path, _OURS):
        return None  # `OPTIONS *` has no path at all
    elif path.split("/", 2)[1] in _KEPT:
        return None
    else:
        own = path
    return PREFIX + (own.removeprefix(_API) if _is_below(own, _API) else own)


async def json_body(request: Request) -> Any:
    """Return the body of a request as JSON, whatever its type is called; None if it is empty.

    Raises:
        InvalidJson: It is no JSON.
    """
    data = await request.body()
    if len(data) > _LARGE:
        return await asyncio.to_thread(read_document, data)
    return read_document(data) if data.strip() else None


class ComfyPaths:
    """An application that gets requests for ComfyUI's paths at the declared ones.

    Args:
        app: The application.
        is_main: As in `declared_path`.
    """

    def __init__(self, app: ASGIApp, is_main: bool) -> None:
        self._app = app
        self._is_main = is_main

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            if self._is_main and _is_below(scope["path"], EDITOR):
                # As if a proxy offered the server there: all links in answers lead there as well.
                own = RootPathMiddleware(self._app, f"{root_path()}{EDITOR}", prefix=EDITOR)
                await own(scope, receive, send)
                return
            path = declared_path(scope["path"], self._is_main)
            if path is not None:
                # Names of files are one escaped segment (`workflows%2Fa.json`): the path that is
                # checked and routed is the decoded one.
                raw = scope.get("raw_path") or scope["path"].encode()
                scope = {**scope, "path": path, "raw_path": quote(path).encode(), SENT_PATH: raw}
        await self._app(scope, receive, send)


def prompt_error(
    kind: str, message: str, details: str = "", extra: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the answer to a prompt that is refused as a whole."""
    error = {"type": kind, "message": message, "details": details, "extra_info": extra or {}}
    return {"error": error, "node_errors": {}}


def _error_form(
    status: int, code: str, text: str, problems: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    details = "\n".join(_details(problem) for problem in problems) or text
    return prompt_error(code, text, details)


def _details(problem: Mapping[str, Any]) -> str:
    parts = [problem.get("message"), problem.get("given") and f"given: {problem['given']}"]
    parts += [problem.get("expected") and f"expected: {problem['expected']}", problem.get("hint")]
    return "; ".join(str(part) for part in parts if part)


def _jobs_error_form(
    status: int, code: str, text: str, problems: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    return {"error": text}


# The first prefix that matches counts.
register_error_form(f"{PREFIX}/jobs", _jobs_error_form)
register_error_form(PREFIX, _error_form)
