"""An app: a saved workflow's parameters and outputs, and the values a request gives."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, quote

from fastapi import Request

from nodegraph.client.shapes import AppOutput
from nodegraph.core.catalog import Catalog
from nodegraph.core.declarations import input_spec
from nodegraph.core.json_schema import DIALECT
from nodegraph.core.links import is_link, parse_target, read_literal
from nodegraph.core.literals import check_literal, parse_literal
from nodegraph.core.parts import Parameter
from nodegraph.core.spec import InputSpec
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.text_format import format_size
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue, InvalidWorkflow, Problem
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.saved import SavedWorkflow
from nodegraph.server.http.errors import TooLarge, UnsupportedType
from nodegraph.server.http.problems import responses
from nodegraph.server.http.request_bodies import (
    FORM,
    BadForm,
    FormEvent,
    PartBegins,
    PartEnds,
    form_events,
    is_form,
    read_document,
)
from nodegraph.server.root_path import public_path
from nodegraph.server.services import Services

_URLENCODED = "application/x-www-form-urlencoded"
_JSON = "application/json"
_LONGEST_TEXT = 1 << 20
"""Bytes of one field."""
_MOST_FIELDS = 1000


def parse_values(app: App, texts: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The values that the texts of a form stand for.

    A field that was left empty isn't given, unless its parameter is a text that isn't empty
    otherwise.

    Args:
        texts: By field, in the order in which they came.
    Raises:
        InvalidWorkflow: No such parameter, or not such a value; lists all.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, entered in texts.items():
        parameter = app.parameter(name)
        if parameter is None:
            problems.append(_unknown(name, app))
            continue
        try:
            # A field for a file in which none was chosen comes empty beside one that names it.
            filled = [text for text in entered if text != ""]
            if filled or not _means_absent(parameter):
                values[name] = _value(parameter, filled or [""])
        except InvalidValue as error:
            location = {"node": parameter.node, "port": parameter.port.name}
            problems.append(replace(error.problem, **location))
    if problems:
        raise InvalidWorkflow(problems)
    return values


def _unknown(name: str, app: App) -> Problem:
    return Problem(
        "unknown-parameter",
        "the app has no such parameter",
        given=ascii(name[:80]),
        hint=did_you_mean(name, [each.name for each in app.parameters]) or "It has no parameters.",
    )


def _means_absent(parameter: AppParameter) -> bool:
    """Whether an empty field means that nothing is given."""
    if not _is_text(parameter) or parameter.is_file:
        return True
    return not parameter.is_required and not parameter.default


def _is_text(parameter: AppParameter) -> bool:
    schema = parameter.port.json_schema or {}
    return schema.get("type") == "string" and "enum" not in schema


def _value(parameter: AppParameter, entered: Sequence[str]) -> Any:
    port = parameter.port
    schema = port.json_schema or {}
    if len(entered) == 1:
        return parse_literal(_lines(entered[0]), port)
    if schema.get("type") == "array" and "items" in schema:
        item = replace(port, json_schema=schema["items"], nullable=False)
        return [parse_literal(_lines(text), item) for text in entered]
    raise InvalidValue("is given more than once", given=", ".join(entered)[:80])


def _lines(text: str) -> str:
    """The text with line ends as other texts have them: a form's are always two characters."""
    return text.replace("\r\n", "\n")


Texts = dict[str, list[str]]


async def read_json_values(request: Request, services: Services) -> dict[str, Any]:
    """The values that a JSON body gives; none if there is no body.

    Raises:
        InvalidJson, InvalidWorkflow: It is no JSON object.
    """
    data = await request.body()
    if not data:
        return {}
    document = await services.run_in_thread(read_document, data)
    if not isinstance(document, dict):
        raise InvalidWorkflow(
            [Problem("malformed", "the parameters must be a JSON object with their names as keys")]
        )
    return document


async def read_texts(request: Request, app: App, services: Services, caller: Caller) -> Texts:
    """The texts of a form by field; a file that it brings is uploaded, and named like any upload.

    Raises:
        UnsupportedType: It is no form.
        BadForm: It can't be read.
        InvalidWorkflow: It brings a file where none is taken.
        TooLarge: A field is.
    """
    kind = request.headers.get("content-type", "")
    if is_form(kind):
        events = form_events(request.stream(), kind, parts=_MOST_FIELDS)
        return await _read_parts(events, app, services, caller)
    if kind.partition(";")[0].strip().lower() == _URLENCODED:
        return _urlencoded(await request.body())
    raise UnsupportedType(
        "an app accepts JSON or a form",
        given=kind[:80] or "none",
        expected=f"{_JSON}, {FORM} or {_URLENCODED}",
    )


def is_json(request: Request) -> bool:
    """Whether a request brings JSON, or nothing at all."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == _JSON or (not kind and request.headers.get("content-length", "0") == "0")


def _urlencoded(data: bytes) -> Texts:
    try:
        pairs = parse_qsl(data.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise BadForm("the form cannot be read, or has too many fields") from error
    texts: Texts = {}
    for name, text in pairs:
        texts.setdefault(name, []).append(text)
    return texts


async def _read_parts(
    events: AsyncIterator[FormEvent], app: App, services: Services, caller: Caller
) -> Texts:
    texts: Texts = {}
    files: Texts = {}
    left = services.server.limits.body
    async for event in events:
        if not isinstance(event, PartBegins):
            continue
        if event.filename is None:
            text = await part_text(events)
            left -= len(text)
            if left < 0:
                raise TooLarge("the fields are too long", expected="less text in all fields")
            texts.setdefault(event.name, []).append(text)
        elif event.filename == "":
            await part_text(events)  # a field for a file in which none was chosen
        else:
            _check_takes_file(app, event.name)
            upload, _ = await services.uploads.receive(
                part_content(events), event.filename, caller.name
            )
            files.setdefault(event.name, []).append(upload.reference)
    return texts | files


def _check_takes_file(app: App, name: str) -> None:
    parameter = app.parameter(name)
    if parameter is None or not parameter.is_file:
        raise InvalidWorkflow(
            [
                Problem(
                    "no-file-taken",
                    "the form contains a file where the app accepts none",
                    given=ascii(name[:80]),
                    expected=", ".join(each.name for each in app.parameters if each.is_file)
                    or "no file",
                )
            ]
        )


async def part_content(events: AsyncIterator[FormEvent]) -> AsyncIterator[bytes]:
    """The bytes of the part that has begun."""
    async for event in events:
        if isinstance(event, bytes):
            yield event
        else:
            if not isinstance(event, PartEnds):
                raise BadForm("a part of the form has no end")
            return


async def part_text(events: AsyncIterator[FormEvent]) -> str:
    """The text of the part that has begun.

    Raises:
        TooLarge, BadForm: It is too long, or no UTF-8.
    """
    content = bytearray()
    async for piece in part_content(events):
        content += piece
        if len(content) > _LONGEST_TEXT:
            raise TooLarge("a field is too long", expected=f"at most {format_size(_LONGEST_TEXT)}")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BadForm(f"a field is not UTF-8 text (byte {error.start})") from error


_ANSWER = {"schema": {"$ref": "#/components/schemas/AppAnswer"}}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
REFUSALS = (400, 401, 403, 404, 406, 413, 415, 422, 429, 503)
"""Statuses of what a run of an app is refused with."""
_PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "`wait=30` waits up to 30 seconds for the app to finish.",
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
            *("link-needed", f"the parameter `{name}` sets an input that accepts only a link"),
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
                "description": "The app finished in time: its outputs.",
                "content": {_JSON: _ANSWER, "image/*": _BINARY},
            },
            "202": {"description": "The job, which continues.", "content": {_JSON: _ANSWER}},
            **{str(status): about for status, about in responses(*REFUSALS).items()},
        },
    }
