"""What somebody sends to an app: JSON, or a form that may bring files, as the values it takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request

from nodegraph.core.literals import parse_literal
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue, InvalidWorkflow, Problem
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.apps.app import App, AppParameter
from nodegraph.server.http.errors import TooLarge, UnsupportedType
from nodegraph.server.http.json_route import read_document
from nodegraph.server.http.multipart import (
    FORM,
    BadForm,
    FormEvent,
    PartBegins,
    PartEnds,
    form_events,
    is_form,
)
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
        hint=did_you_mean(name, [each.name for each in app.parameters]) or "It takes none.",
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
            [Problem("malformed", "the parameters must be a JSON object, by their names")]
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
        "an app takes JSON or a form",
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
        raise BadForm("the form can't be read, or has too many fields") from error
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
            text = await _text(events)
            left -= len(text)
            if left < 0:
                raise TooLarge("the fields are too long", expected="less text in all of them")
            texts.setdefault(event.name, []).append(text)
        elif event.filename == "":
            await _text(events)  # a field for a file in which none was chosen
        else:
            _check_takes_file(app, event.name)
            upload, _ = await services.uploads.receive(
                _content(events), event.filename, caller.name
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
                    "the form brings a file where the app takes none",
                    given=ascii(name[:80]),
                    expected=", ".join(each.name for each in app.parameters if each.is_file)
                    or "no file at all",
                )
            ]
        )


async def _content(events: AsyncIterator[FormEvent]) -> AsyncIterator[bytes]:
    """The bytes of the part that has begun."""
    async for event in events:
        if isinstance(event, bytes):
            yield event
        else:
            if not isinstance(event, PartEnds):
                raise BadForm("a part of the form doesn't end")
            return


async def _text(events: AsyncIterator[FormEvent]) -> str:
    content = bytearray()
    async for piece in _content(events):
        content += piece
        if len(content) > _LONGEST_TEXT:
            raise TooLarge("a field is too long", expected=f"at most {_LONGEST_TEXT} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BadForm(f"a field is no UTF-8 text (byte {error.start})") from error
