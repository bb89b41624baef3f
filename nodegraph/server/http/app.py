"""The application: routes, errors and the gate before them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from nodegraph.server.access.gate import Gate
from nodegraph.server.http import openapi
from nodegraph.server.http.problems import add_handlers
from nodegraph.server.lifespan import lifespan
from nodegraph.server.operations.observing import Observed
from nodegraph.server.operations.readiness import Readiness
from nodegraph.server.services import Services

API = "/api/v1"

ROUTES = (
    *("jobs", "queue", "events", "socket"),
    *("checks", "workflows", "templates", "apps"),
    *("artifacts", "uploads", "node_types", "models", "sources"),
    *("system", "settings"),
)
"""Modules of `nodegraph.server.http.routes`, each with a `router` that goes below `API`."""

OPEN_ROUTES = ("health", "metrics", "login", "editor")
"""Modules whose routers lie at the root: for probes, monitoring and people."""


def create_app(services: Services) -> FastAPI:
    """The server's application; its lifespan opens and closes the services."""
    app = _Application(
        title="nodegraph",
        lifespan=lifespan,
        generate_unique_id_function=openapi.operation_name,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    app.state.services = services
    app.state.readiness = Readiness(services)
    for name in ROUTES:
        app.include_router(_router(name), prefix=API)
    for name in OPEN_ROUTES:
        app.include_router(_router(name))
    app.include_router(openapi.router)
    add_handlers(app)
    return app


class _Application(FastAPI):
    """An application with the gate before everything, what answers unforeseen errors included.

    What is refused there is noted as well.
    """

    def build_middleware_stack(self) -> ASGIApp:
        services: Services = self.state.services
        gate = Gate(super().build_middleware_stack(), services.server, services.access)
        return Observed(gate, services.metrics.requests, API)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = openapi.describe(self)
        return self.openapi_schema


def _router(name: str) -> APIRouter:
    module = import_module(f"nodegraph.server.http.routes.{name}")
    router: APIRouter = module.router
    return router
