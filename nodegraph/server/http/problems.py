"""Errors as answers: application/problem+json (RFC 9457)."""

from __future__ import annotations

import json
import logging
import reprlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection

from nodegraph.client.shapes.schema import Finding
from nodegraph.core.file_access import PathRedactor
from nodegraph.core.text_format import validation_text
from nodegraph.errors import InvalidWorkflow, NodegraphError, Problem
from nodegraph.server.access.caller import request_notes
from nodegraph.server.http.errors import (
    TITLES,
    MethodNotAllowed,
    NotFound,
    Refused,
    TooLarge,
    Unavailable,
    Unprocessable,
    UnsupportedType,
    headers_of,
    status_of,
)
from nodegraph.server.http.responses import AsciiJsonResponse
from nodegraph.server.root_path import public_path, root_path

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger(__name__)
MAX_PROBLEMS = 1_000
"""Largest number of problems in one answer."""
_LONGEST_VALUE = 200
"""Largest number of characters of a wrong value in an answer."""
_CONFIDENTIAL = "/api/v1/secrets"
"""Path of requests that errors do not repeat, because they hold secrets."""

_REFUSALS: Mapping[int, type[Refused]] = {
    kind.status: kind for kind in (NotFound, MethodNotAllowed, UnsupportedType, TooLarge)
}
_DETAILS: Mapping[int, str] = {
    404: "there is nothing at this path",
    405: "this method is not allowed at this path",
}


class ProblemDetails(BaseModel):
    """The problems of a request, in the format of RFC 9457."""

    type: str = Field(examples=["/problems/job-not-found"])
    title: str = Field(examples=["No such job"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["there is no such job"])
    instance: str | None = Field(None, examples=["/api/v1/jobs/job_01hzy3m7q8r9s0t1v2w3x4y5z6"])
    problems: list[Finding] = Field(description="All problems that were found, not only the first.")


ErrorForm = Callable[[int, str, str, Sequence[Mapping[str, Any]]], Mapping[str, Any]]
"""Returns the JSON document of an error: takes its status, code, text and problems."""
_FORMS: dict[str, ErrorForm] = {}


def register_error_form(prefix: str, form: ErrorForm) -> None:
    """Answer errors at paths of another tool's protocol as its clients read them.

    Args:
        prefix: Of the paths.
        form: As `ErrorForm`.
    """
    _FORMS[prefix] = form


def _error_form(path: str | None) -> ErrorForm | None:
    """The form of errors at a path that clients see; None for the usual one."""
    own = (path or "").removeprefix(root_path())
    return next((form for start, form in _FORMS.items() if own.startswith(start)), None)


class ProblemResponse(Response):
    """A response with a problem document."""

    media_type = MEDIA_TYPE


def problem_response(
    error: NodegraphError,
    *,
    instance: str | None = None,
    status: int | None = None,
    places: PathRedactor | None = None,
) -> Response:
    """An error as an answer, in the form of the protocol that the path belongs to.

    Args:
        places: Where the error may speak of what is nobody else's business.
    """
    status, title = (status, TITLES[status]) if status else status_of(error)
    code, detail = error.problem.code, error.problem.message
    problems = [problem.as_dict() for problem in limit_problems(error.problems)]
    if places is not None:
        detail, problems = places.redact(detail), places.redact_json(problems)
    if isinstance(error, InvalidWorkflow) and len(error.problems) > 1:
        detail = f"the workflow has {len(error.problems)} problems"
    form = _error_form(instance)
    if form is not None:
        document = form(status, code, detail, problems)
        return AsciiJsonResponse(document, status, headers=headers_of(error))
    content = problem_content(status, code, title, detail, problems, instance)
    return ProblemResponse(content, status, headers=headers_of(error))


def limit_problems(problems: Sequence[Problem]) -> list[Problem]:
    """Return the problems, or only the first ones if there are too many."""
    listed = list(problems[:MAX_PROBLEMS])
    more = len(problems) - len(listed)
    if more:
        listed.append(Problem("more-problems", f"there are {more} more problems"))
    return listed


def problem_content(
    status: int,
    code: str,
    title: str,
    detail: str,
    problems: Sequence[Mapping[str, Any]],
    instance: str | None,
) -> bytes:
    """Return the JSON of a problem, in plain ASCII, so that no client input can break it."""
    document: dict[str, Any] = {
        "type": f"/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "problems": problems or [{"code": code, "message": detail}],
    }
    if instance is not None:
        document["instance"] = instance
    return json.dumps(document, separators=(",", ":")).encode()


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the descriptions of a route's errors for the OpenAPI description."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {
        status: {"description": TITLES[status], "content": content} for status in sorted(statuses)
    }


def add_handlers(app: FastAPI) -> None:
    """Make an app answer all errors as problems."""
    app.add_exception_handler(NodegraphError, _nodegraph)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(sqlite3.Error, _disk)
    app.add_exception_handler(OSError, _disk)
    app.add_exception_handler(Exception, _unexpected)


async def _answer(connection: HTTPConnection, error: NodegraphError) -> Response:
    request_notes(connection.scope).refusal = error
    places: PathRedactor = connection.app.state.services.places
    if isinstance(connection, WebSocket):
        await connection.close(1008, places.redact(error.problem.message)[:120])
        return Response()
    return problem_response(error, instance=public_path(connection.url.path), places=places)


async def _nodegraph(request: Request, error: Exception) -> Response:
    assert isinstance(error, NodegraphError)
    status, _ = status_of(error)
    if status >= 500:
        _LOG.error("%s %s: %s", request.scope.get("method", "WS"), request.url.path, error)
    return await _answer(request, error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    findings = [_finding(each) for each in error.errors()]
    if request.scope["path"].startswith(_CONFIDENTIAL):
        findings = [replace(each, given=None) for each in findings]
    return await _answer(request, InvalidRequest(findings))


def validation_problem(error: Mapping[str, Any], name: str, where: str = "") -> Problem:
    """Return a validation error of pydantic as a problem.

    Args:
        name: Name of the wrong field.
        where: Part of the request, if it is not the body, with a space before it.
    """
    value = error.get("input")
    if isinstance(value, dict):
        value = {key: "…" if _is_secret(str(key)) else each for key, each in value.items()}
    # Only the beginning of a long value is read.
    text = reprlib.repr(value) if isinstance(value, (dict, list)) else repr(value)
    is_hidden = error["type"] == "missing" or _is_secret(name.rpartition(".")[2])
    literal = "" if is_hidden else text.encode("ascii", "backslashreplace").decode()
    shown = literal if len(literal) <= _LONGEST_VALUE else f"{literal[:_LONGEST_VALUE]}…"
    hint = "There is no such field." if error["type"] == "extra_forbidden" else None
    message = f"`{name}`{where}: {validation_text(error['msg'])}"
    return Problem("invalid-request", message, given=shown or None, hint=hint)


def _is_secret(name: str) -> bool:
    """Whether a field holds a secret, also if its name is misspelled."""
    return "secret" in name.lower()


class InvalidRequest(Unprocessable):
    """A request whose path, query, headers or body are invalid; lists all problems."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        text = first.message if len(problems) == 1 else f"the request has {len(problems)} problems"
        super().__init__(text)
        self._problems = tuple(problems)

    @property
    def problems(self) -> Sequence[Problem]:
        return self._problems


def _finding(error: Mapping[str, Any]) -> Problem:
    source, *location = error["loc"]
    where = "" if source == "body" else f" ({source})"
    return validation_problem(error, ".".join(map(str, location)) or str(source), where)


async def _http(request: Request, error: Exception) -> Response:
    """Answer a request that the framework refuses: an unknown path or method."""
    assert isinstance(error, HTTPException)
    kind = _REFUSALS.get(error.status_code, Refused)
    refused = kind(_DETAILS.get(error.status_code, str(error.detail)))
    request_notes(request.scope).refusal = refused
    status = error.status_code if error.status_code in TITLES else 400
    response = problem_response(refused, instance=public_path(request.url.path), status=status)
    response.headers.update(error.headers or {})
    return response


async def _gone(request: Request, error: Exception) -> Response:
    """Log a client that disconnected before the end of its request."""
    return await _answer(
        request, Refused("the client closed the connection before the end of the request")
    )


async def _disk(request: Request, error: Exception) -> Response:
    """Answer a file error that no other code has handled."""
    _LOG.error("%s %s: %r", request.scope.get("method", "WS"), request.url.path, error)
    return await _answer(request, Unavailable("the server cannot reach its files now"))


async def _unexpected(request: Request, error: Exception) -> Response:
    # The server logs the exception itself; clients get no details.
    code, detail = "server-error", "an error occurred in the server; its log shows the cause"
    path = public_path(request.url.path)
    form = _error_form(path)
    if form is not None:
        return AsciiJsonResponse(form(500, code, detail, ()), 500)
    return ProblemResponse(problem_content(500, code, TITLES[500], detail, (), path), 500)
