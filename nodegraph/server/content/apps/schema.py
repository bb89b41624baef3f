"""What an app takes and gives, as JSON Schema and as an entry of the API's description."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from nodegraph.core.json_schema import DIALECT
from nodegraph.core.literals import check_literal
from nodegraph.server.content.apps.app import App, AppParameter
from nodegraph.server.http.problems import responses

_JSON = "application/json"
_ANSWER = {"schema": {"$ref": "#/components/schemas/AppAnswer"}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
REFUSALS = (400, 401, 403, 404, 406, 413, 415, 422, 429, 503)
"""Statuses of what a run of an app is refused with."""
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=30` waits up to so many seconds for the app to finish.",
    "schema": {"type": "string"},
    "example": "wait=5",
}


def app_path(name: str) -> str:
    """Where an app is."""
    return f"/api/v1/apps/{quote(name, safe='')}"


def parameters_schema(app: App, *, has_files: bool = False) -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of the values that an app takes.

    Args:
        has_files: Whether a file itself may stand where otherwise its upload is named.
    """
    properties = {each.name: _property(each, has_files) for each in app.parameters}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    required = [each.name for each in app.parameters if each.is_required]
    if required:
        schema["required"] = required
    return {**schema, "additionalProperties": False}


def whole_schema(app: App) -> dict[str, Any]:
    """The same as a document of its own."""
    return {"$schema": DIALECT, "title": app.title, **parameters_schema(app)}


def _property(parameter: AppParameter, has_files: bool) -> dict[str, Any]:
    port = parameter.port
    found: dict[str, Any] = dict(port.json_schema or {})
    if has_files and parameter.is_file:
        found = {"type": "string", "format": "binary"}
    elif port.nullable:
        found = {"anyOf": [found, {"type": "null"}]}
    found["title"] = parameter.label
    about = [parameter.help]
    if parameter.is_file and not has_files:
        about.append("The `value` of an upload, or a path below the server's folder of inputs.")
    text = " ".join(part for part in about if part)
    if text:
        found["description"] = text
    if not parameter.is_required and not check_literal(parameter.default, port):
        found["default"] = parameter.default
    return found


def app_paths(apps: Iterable[App]) -> dict[str, Any]:
    """The apps' entries in the API's description, by path."""
    return {app_path(app.name): {"post": _operation(app)} for app in apps}


def _operation(app: App) -> dict[str, Any]:
    as_json = {_JSON: {"schema": parameters_schema(app)}}
    as_form = {"multipart/form-data": {"schema": parameters_schema(app, has_files=True)}}
    return {
        "tags": ["apps"],
        "summary": app.title,
        "description": app.description,
        "operationId": f"run_app_{re.sub(r'[^0-9A-Za-z]+', '_', app.name)}_{app.digest[:8]}",
        "parameters": [_PREFER],
        "requestBody": {
            "required": any(each.is_required for each in app.parameters),
            "content": {**as_json, **as_form},
        },
        "responses": {
            "200": {
                "description": "It has finished in time: what it gave.",
                "content": {_JSON: _ANSWER, "image/*": _BINARY},
            },
            "202": {"description": "The job, which goes on.", "content": {_JSON: _ANSWER}},
            **{str(status): about for status, about in responses(*REFUSALS).items()},
        },
    }
