"""The API's description: OpenAPI 3.1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from nodegraph.core.version import VERSION
from nodegraph.errors import NodegraphError
from nodegraph.server.access.head import PUBLIC
from nodegraph.server.content.apps import App, build_app
from nodegraph.server.content.apps.app import app_paths
from nodegraph.server.content.saved import LARGEST_PAGE, SavedWorkflows
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.problems import ProblemDetails, responses
from nodegraph.server.http.responses import json_response
from nodegraph.server.root_path import root_path
from nodegraph.server.workflows.node_types import DeclaredTypes

PATH = "/openapi.json"
_ABOUT = """Jobs, workflows and results of a nodegraph server.

Errors are `application/problem+json`. Lists are split into pages: `next` is the `cursor` of the
next page. Times are Unix times in seconds. Clients on other machines must send a token.
"""
_SCHEMAS = "#/components/schemas/"
_SPARSE = {"Finding", "ProblemDetails"}
"""Schemas of errors, which omit fields that are null."""
_OF_GATE = ("400", "401", "403", "414", "421", "429")
"""Statuses of requests that never reach a route."""
_REFUSALS = {str(status): answer for status, answer in responses(*map(int, _OF_GATE), 422).items()}

router = APIRouter(tags=["system"])


@router.get(
    PATH, summary="Get this description", response_class=JSONResponse, responses=responses(401, 403)
)
async def get_description(request: Request, services: TheServices, caller: MayRead) -> Response:
    """Return the OpenAPI 3.1 description, with an entry for each app."""
    document = await services.run_in_thread(request.app.openapi)
    types = services.node_types.now
    apps = await services.run_in_thread(_app_paths, services.workflows, types)
    description = {**document, "paths": {**document["paths"], **apps}}
    if root_path():
        description["servers"] = [{"url": root_path()}]
    return json_response(description)


def _app_paths(workflows: SavedWorkflows, types: DeclaredTypes) -> dict[str, Any]:
    return app_paths(_apps(workflows, types))


def _apps(workflows: SavedWorkflows, types: DeclaredTypes) -> Iterator[App]:
    for entry in workflows.page(limit=LARGEST_PAGE).entries:
        # One may be gone by now, or damaged; the others are still described.
        with suppress(NodegraphError):
            yield build_app(workflows.get(entry.name), types)


def operation_name(route: APIRoute) -> str:
    """Return the name of an operation in generated clients: its function's name."""
    return route.name


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description of an application's own routes."""
    document = get_openapi(
        title="nodegraph",
        version=VERSION,
        openapi_version="3.1.0",
        description=_ABOUT,
        routes=app.routes,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    own = ProblemDetails.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
    schemas |= {**own.pop("$defs", {}), "ProblemDetails": own}
    document = _called_by_titles(document)
    components = document["components"]
    schemas = components["schemas"]
    # Neither the framework's errors nor fields that are kept back are answered here.
    for name in ("HTTPValidationError", "ValidationError", "HookRef"):
        schemas.pop(name, None)
    _omit_defaults(schemas, _reached(_request_bodies(document), schemas) | _SPARSE)
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token from `nodegraph token add`.",
        }
    }
    document["security"] = [{"token": []}, {}]
    for path, operation in _operations(document):
        operation_responses = operation["responses"]
        if "422" in operation_responses:
            operation_responses["422"] = _REFUSALS["422"]
        operation_responses |= {
            status: _REFUSALS[status] for status in _OF_GATE if status not in operation_responses
        }
        if path in PUBLIC:
            operation["security"] = []
    return document


def _request_bodies(document: dict[str, Any]) -> list[Any]:
    return [operation.get("requestBody") for _, operation in _operations(document)]


def _reached(part: Any, schemas: dict[str, Any]) -> set[str]:
    """Return the names of the schemas that a part refers to, directly or indirectly."""
    names: set[str] = set()
    waiting = [part]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
            reference = part.get("$ref")
            if isinstance(reference, str):
                name = reference.removeprefix(_SCHEMAS)
                if name not in names:
                    names.add(name)
                    waiting.append(schemas[name])
    return names


def _omit_defaults(schemas: dict[str, Any], names: set[str]) -> None:
    """State defaults in the descriptions of fields instead of as `default`.

    openapi-typescript makes a field with a `default` a required one, which is right for answers
    alone.
    """
    for name in names:
        for field in schemas[name].get("properties", {}).values():
            default = field.pop("default", None)
            if default not in (None, "", [], {}):
                text = f"Default: `{json.dumps(default)}`."
                field["description"] = f"{field.get('description', '')} {text}".lstrip()


def _called_by_titles(document: dict[str, Any]) -> dict[str, Any]:
    """Return the description with schemas named by their titles, not by their classes.

    Generated clients use these names.
    """
    schemas = document["components"]["schemas"]
    titles = {name: schema.get("title", name) for name, schema in schemas.items()}

    def renamed(part: Any) -> Any:
        if isinstance(part, list):
            return [renamed(each) for each in part]
        if not isinstance(part, dict):
            return part
        renamed_part = {name: renamed(each) for name, each in part.items()}
        reference = renamed_part.get("$ref")
        if isinstance(reference, str):
            renamed_part["$ref"] = _SCHEMAS + titles[reference.removeprefix(_SCHEMAS)]
        return renamed_part

    document["components"]["schemas"] = {titles[name]: each for name, each in schemas.items()}
    renamed_document: dict[str, Any] = renamed(document)
    return renamed_document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for operation in item.values():
            yield path, operation
