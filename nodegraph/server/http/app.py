"""The application: routes, errors and the gate before them, from its first request to its last."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from importlib import import_module
from time import perf_counter
from types import FrameType
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nodegraph.server.access.caller import KEY, RequestNotes
from nodegraph.server.access.gate import STATUSES, Gate
from nodegraph.server.http import openapi
from nodegraph.server.http.problems import add_handlers
from nodegraph.server.http.responses import AsciiJsonResponse
from nodegraph.server.http.routes.monitoring import Readiness
from nodegraph.server.operations.cleanup import Cleanup
from nodegraph.server.operations.logs import CURRENT, CurrentRequest
from nodegraph.server.operations.metrics.metrics import RequestMetrics
from nodegraph.server.operations.webhooks import WebhookSender
from nodegraph.server.protocols.comfyui.paths import ComfyPaths
from nodegraph.server.root_path import RootPathMiddleware
from nodegraph.server.services import Services, cancel_and_wait
from nodegraph.server.workflows.schedules import Timetable

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


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
API = "/api/v1"
ROUTES = (
    *("jobs", "events", "workflow_operations", "workflow_comparison", "workflows"),
    *("templates", "apps"),
    *("artifacts", "credentials", "lineage", "uploads", "inputs", "prompt_lists"),
    *("node_types", "node_type_examples"),
    *("models", "model_downloads", "packs", "system", "schedules"),
)
"""Modules of `nodegraph.server.http.routes` whose routers go below `API`."""
OPEN_ROUTES = ("monitoring", "pages")
"""Modules whose routers lie at the root: for probes, monitoring and people."""
PROTOCOLS: tuple[str, ...] = (
    *("comfyui.prompts", "comfyui.files", "comfyui.socket"),
    *("comfyui.node_info", "comfyui.front_end"),
    *("a1111", "a1111_lists", "openai_images", "mcp_server"),
)
"""Modules of `nodegraph.server.protocols`. Their routers name their own paths, and are not in the
description of this API: each protocol has a description elsewhere."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the services and do what goes on beside requests; then close them."""
    services: Services = app.state.services
    await services.open()
    try:
        async with background_tasks(services):
            with _signals_forwarded(services.begin_shutdown):
                yield
    finally:
        await services.close()


@asynccontextmanager
async def background_tasks(services: Services) -> AsyncIterator[None]:
    """Inside, an open server does what no request asks for: cleanup, webhooks, timed jobs."""
    tasks = [
        asyncio.create_task(each.run(), name=f"nodegraph-{type(each).__name__}")
        for each in (Cleanup(services), WebhookSender(services), Timetable(services))
    ]
    try:
        yield
    finally:
        for task in tasks:
            await cancel_and_wait(task)


@contextmanager
def _signals_forwarded(stop: Callable[[], None]) -> Iterator[None]:
    """Inside, a signal that ends the process is heard before the web server acts on it.

    That server waits for answers that are on their way; one that follows a job would never end.
    """
    if threading.current_thread() is not threading.main_thread():  # as tests run it
        yield
        return
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)
        if callable(before[number]):
            before[number](number, frame)

    heard = [number for number in _SIGNALS if callable(before[number])]
    for number in heard:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in heard:
            if signal.getsignal(number) is handle:
                signal.signal(number, before[number])


def create_app(services: Services) -> FastAPI:
    """The server's application; its lifespan opens and closes the services."""
    app = _Application(
        title="nodegraph",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.services = services
    app.state.readiness = Readiness(services)
    app.router.routes.extend(_routes())
    add_handlers(app)
    return app


@cache
def _routes() -> tuple[BaseRoute, ...]:
    """The same for every application: what they take and give is worked out once in a process."""
    made = APIRouter(
        generate_unique_id_function=openapi.operation_name,
        default_response_class=AsciiJsonResponse,
    )
    for name in ROUTES:
        for router in _routers(f"http.routes.{name}"):
            made.include_router(router, prefix=API)
    for name in PROTOCOLS:
        for router in _routers(f"protocols.{name}"):
            made.include_router(router, include_in_schema=False)
    for name in OPEN_ROUTES:
        for router in _routers(f"http.routes.{name}"):
            made.include_router(router)
    made.include_router(openapi.router)
    return tuple(made.routes)


class _Application(FastAPI):
    """An application with the gate before everything, what answers unforeseen errors included.

    What is refused there is noted as well.
    """

    def build_middleware_stack(self) -> ASGIApp:
        services: Services = self.state.services
        gate = Gate(super().build_middleware_stack(), services.server, services.access)
        measured = InstrumentationMiddleware(gate, services.metrics.requests, API)
        server = services.server
        return RootPathMiddleware(ComfyPaths(measured, server.comfyui), server.root_path)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi.describe(self)
        return self.openapi_schema


def _routers(name: str) -> list[APIRouter]:
    """All of a module, its `router` first."""
    module = import_module(f"nodegraph.server.{name}")
    routers = [value for value in vars(module).values() if isinstance(value, APIRouter)]
    return sorted(routers, key=lambda router: router is not module.router)
