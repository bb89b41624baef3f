"""The application: routes, errors and the gate before them, from its first request to its last."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from importlib import import_module
from types import FrameType
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from nodegraph.server.access.gate import Gate
from nodegraph.server.http import openapi
from nodegraph.server.http.problems import add_handlers
from nodegraph.server.http.responses import AsciiJsonResponse
from nodegraph.server.http.routes.monitoring import Readiness
from nodegraph.server.operations.cleanup import Cleanup
from nodegraph.server.operations.instrumentation import InstrumentationMiddleware
from nodegraph.server.root_path import RootPathMiddleware
from nodegraph.server.services import Services, cancel_and_wait

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
API = "/api/v1"
ROUTES = (
    *("jobs", "events", "workflow_operations", "workflows", "templates", "apps"),
    *("artifacts", "uploads", "inputs", "node_types", "models", "model_downloads", "system"),
)
"""Modules of `nodegraph.server.http.routes` whose routers go below `API`."""
OPEN_ROUTES = ("monitoring", "login", "editor")
"""Modules whose routers lie at the root: for probes, monitoring and people."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the services and look after what they keep; then close them."""
    services: Services = app.state.services
    await services.open()
    upkeep = asyncio.create_task(Cleanup(services).run(), name="upkeep")
    try:
        with _signals_forwarded(services.begin_shutdown):
            yield
    finally:
        await cancel_and_wait(upkeep)
        await services.close()


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
        for router in _routers(name):
            made.include_router(router, prefix=API)
    for name in OPEN_ROUTES:
        for router in _routers(name):
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
        return RootPathMiddleware(
            InstrumentationMiddleware(gate, services.metrics.requests, API),
            services.server.root_path,
        )

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi.describe(self)
        return self.openapi_schema


def _routers(name: str) -> list[APIRouter]:
    """All of a module, its `router` first."""
    module = import_module(f"nodegraph.server.http.routes.{name}")
    routers = [value for value in vars(module).values() if isinstance(value, APIRouter)]
    return sorted(routers, key=lambda router: router is not module.router)
