"""Middleware that gives each request an id, a log line and metrics."""

from __future__ import annotations

import logging
import os
import re
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nodegraph.server.access.caller import KEY, RequestNotes
from nodegraph.server.access.gate import STATUSES
from nodegraph.server.operations.logs import CURRENT, CurrentRequest
from nodegraph.server.operations.metrics.metrics import RequestMetrics

_LOG = logging.getLogger("nodegraph.server.requests")
_ID = b"x-request-id"
_GOOD_ID = re.compile(rb"[0-9A-Za-z._-]{1,64}")
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that programs ask for all the time; a line for each would hide the others."""
_STREAM = b"text/event-stream"
_LONGEST = 200


class InstrumentationMiddleware:
    """An application whose requests are numbered, logged and measured; the outermost layer.

    Args:
        app: What answers them.
        figures: Are told of each.
        api: What routes' templates below it begin with.
    """

    def __init__(self, app: ASGIApp, figures: RequestMetrics, api: str) -> None:
        self._app = app
        self._figures = figures
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = CurrentRequest(_id_of(scope), scope)
        watched = _ResponseRecorder(send, request.id)
        before = CURRENT.set(request)
        start = perf_counter()
        self._figures.request_started()
        try:
            await self._app(scope, receive, watched.send)
        finally:
            self._ended(scope, watched, perf_counter() - start)
            CURRENT.reset(before)

    def _ended(self, scope: Scope, watched: _ResponseRecorder, seconds: float) -> None:
        method = scope.get("method", "WEBSOCKET")
        is_stream = watched.is_stream or scope["type"] == "websocket"
        route = _template(scope, self._api)
        self._figures.request_finished(
            method, route, watched.status, None if is_stream else seconds
        )
        if watched.status in STATUSES:
            notes: RequestNotes = scope.get(KEY) or RequestNotes()
            code = "" if notes.refusal is None else notes.refusal.problem.code
            self._figures.request_refused(watched.status, code)
            return  # the gate has a line for it that tells why
        _log(scope, method, watched, seconds)


def _log(scope: Scope, method: str, watched: _ResponseRecorder, seconds: float) -> None:
    path, status = scope["path"], watched.status
    level = logging.DEBUG if path in _QUIET and status < 400 else logging.INFO
    if not _LOG.isEnabledFor(level):
        return
    # What a client wrote stays in one line.
    shown = ascii(path[:_LONGEST])[1:-1]
    client = scope.get("client")
    fields = {
        "event": "request",
        "method": method,
        "path": shown,
        "status": status,
        "seconds": round(seconds, 6),
        "bytes": watched.bytes,
        "address": client[0] if client else "",
    }
    text = "%s %s %s in %.1f ms"
    _LOG.log(level, text, method, shown, status or "gone", seconds * 1e3, extra={"fields": fields})


class _ResponseRecorder:
    """An answer on its way out.

    Attributes:
        status: 0 as long as there is none; 101 for a websocket that was accepted.
        bytes: Of its body so far.
        is_stream: Whether it lasts as long as its client likes.
    """

    __slots__ = ("_id", "_send", "bytes", "is_stream", "status")

    def __init__(self, send: Send, id: str) -> None:
        self._send = send
        self._id = id
        self.status = 0
        self.bytes = 0
        self.is_stream = False

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        kind = message["type"]
        if kind == "http.response.body":
            self.bytes += len(message.get("body", b""))
        elif kind in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            self.is_stream = any(
                name == b"content-type" and value.startswith(_STREAM) for name, value in headers
            )
            message = {**message, "headers": [*headers, (_ID, self._id.encode())]}
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close" and not self.status:
            self.status = 403
        await self._send(message)


def _id_of(scope: Scope) -> str:
    """The id that a client or proxy has given, if it is one that can stand in a log; a new one."""
    for name, value in scope["headers"]:
        if name == _ID and _GOOD_ID.fullmatch(value):
            return str(value, "ascii")
    return os.urandom(8).hex()


def _template(scope: Scope, api: str) -> str | None:
    """The route's path, with its parameters by name; None if there was none."""
    route = getattr(scope.get("route"), "path", None)
    if not isinstance(route, str):
        return None
    # Whether a route knows what its router is below depends on the framework's version.
    is_inner = scope["path"].startswith(f"{api}/") and not route.startswith(f"{api}/")
    return f"{api}{route}" if is_inner else route
