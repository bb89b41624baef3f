"""A saved workflow seen as an app: what it takes and gives, in JSON Schema too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from nodegraph.client.shapes import AppOutput
from nodegraph.core.catalog import Catalog
from nodegraph.core.json_schema import DIALECT
from nodegraph.core.links import is_link, parse_target, read_literal
from nodegraph.core.literals import check_literal
from nodegraph.core.overrides import input_spec
from nodegraph.core.parts import Parameter
from nodegraph.core.spec import InputSpec
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow, Problem
from nodegraph.server.content.saved import SavedWorkflow
from nodegraph.server.http.problems import responses
from nodegraph.server.root_path import public_path

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


@dataclass(frozen=True, slots=True)
class AppParameter:
    """A named parameter of a workflow.

    Attributes:
        label: For people.
        node, input: What it feeds.
        port: What that takes.
        has_value: Whether the workflow itself gives it a value or a link.
        default: What it has if nothing is given; None if that is a link, or nothing.
    """

    name: str
    label: str
    help: str
    node: str
    port: InputSpec
    has_value: bool
    default: Any

    @property
    def is_required(self) -> bool:
        """Whether the app can't run without it."""
        return self.port.required and not self.has_value

    @property
    def is_file(self) -> bool:
        """Whether it names a file, which can be brought along; models lie on the server."""
        return self.port.widget.startswith("file") and not self.port.is_model_file


@dataclass(frozen=True, slots=True)
class App:
    """A saved workflow as an app.

    Attributes:
        title: For people; its name if it has none.
        problems: Why it, or a parameter, can't be used.
    """

    name: str
    title: str
    description: str
    version: int
    digest: str
    parameters: tuple[AppParameter, ...]
    outputs: tuple[AppOutput, ...]
    problems: tuple[Problem, ...]

    def parameter(self, name: str) -> AppParameter | None:
        """The parameter of a name; None if there is none."""
        return next((each for each in self.parameters if each.name == name), None)


def build_app(saved: SavedWorkflow, catalog: Catalog) -> App:
    """A saved workflow as an app.

    Raises:
        InvalidFile, InvalidWorkflow: Its file was changed by hand, and can't be read.
    """
    workflow = Workflow.from_dict(saved.document)
    parameters: list[AppParameter] = []
    problems: list[Problem] = []
    for name, declared in workflow.parameters.items():
        try:
            parameters.append(_parameter(workflow, name, declared, catalog))
        except InvalidWorkflow as error:
            problems += error.problems
    return App(
        name=saved.name,
        title=workflow.title or saved.name,
        description=workflow.description,
        version=saved.version.number,
        digest=saved.version.digest,
        parameters=tuple(parameters),
        outputs=_outputs(workflow, catalog),
        problems=tuple(problems),
    )


def _parameter(
    workflow: Workflow, name: str, declared: Parameter, catalog: Catalog
) -> AppParameter:
    port = input_spec(workflow, declared.input, catalog)
    node, target = parse_target(declared.input)
    entry = workflow.nodes[node]
    if port is None:
        fault = Problem("unknown-node-type", "there is no such node type", node, entry.type)
        raise InvalidWorkflow([fault])
    if port.json_schema is None:
        fault = Problem(
            *("link-needed", f"the parameter `{name}` feeds an input that only takes a link"),
            *(node, entry.type, port.name),
        )
        raise InvalidWorkflow([fault])
    written = entry.inputs.get(target)
    is_given = target in entry.inputs
    return AppParameter(
        name=name,
        label=declared.label or name.replace("_", " ").capitalize(),
        help=declared.help or port.help,
        node=node,
        port=port,
        has_value=is_given,
        default=None if is_link(written) else read_literal(written) if is_given else port.default,
    )


def _outputs(workflow: Workflow, catalog: Catalog) -> tuple[AppOutput, ...]:
    outputs = []
    for name, entry in workflow.nodes.items():
        spec = catalog.spec(entry.type)
        if spec is not None and spec.output and entry.mode is None:
            outputs.append(AppOutput(name, entry.label or name, entry.type))
    return tuple(outputs)


def app_path(name: str) -> str:
    """Where an app is."""
    return public_path(_own_path(name))


def _own_path(name: str) -> str:
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
    schema: dict[str, Any] = dict(port.json_schema or {})
    if has_files and parameter.is_file:
        schema = {"type": "string", "format": "binary"}
    elif port.nullable:
        schema = {"anyOf": [schema, {"type": "null"}]}
    schema["title"] = parameter.label
    about = [parameter.help]
    if parameter.is_file and not has_files:
        about.append("The `value` of an upload, or a path below the server's folder of inputs.")
    text = " ".join(part for part in about if part)
    if text:
        schema["description"] = text
    if not parameter.is_required and not check_literal(parameter.default, port):
        schema["default"] = parameter.default
    return schema


def app_paths(apps: Iterable[App]) -> dict[str, Any]:
    """The apps' entries in the API's description, by path."""
    return {_own_path(app.name): {"post": _operation(app)} for app in apps}


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
