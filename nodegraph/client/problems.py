"""Answers that tell what is wrong, as errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from nodegraph.client.errors import (
    Conflict,
    Forbidden,
    JobFailed,
    JobNotFound,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthenticated,
    UnexpectedAnswer,
)
from nodegraph.client.requests import Reply
from nodegraph.client.token import TOKEN_VARIABLE
from nodegraph.errors import (
    InvalidFile,
    InvalidValue,
    InvalidWorkflow,
    ModelNotFound,
    NodegraphError,
    PackError,
    Problem,
    UnsafeFile,
)

MEDIA_TYPE = "application/problem+json"
_REQUEST_IDS = ("x-request-id", "x-correlation-id")
_FIELDS = tuple(each.name for each in fields(Problem))
_SHOWN = 200
# Only what a client can mend: that the server couldn't write a file is nothing of this machine's.
_OWN: Mapping[str, type[NodegraphError]] = {
    kind.code: kind for kind in (InvalidFile, InvalidValue, ModelNotFound, PackError, UnsafeFile)
}
_BY_CODE: Mapping[str, type[ServerError]] = {"job-not-found": JobNotFound}
_BY_STATUS: Mapping[int, type[ServerError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    429: TooManyRequests,
}


def error_from_reply(answer: Reply) -> NodegraphError:
    """What an answer tells that isn't what was asked for."""
    if 300 <= answer.status < 400:
        return _redirected(answer)
    document = _problem_document(answer)
    if document is None:
        return _foreign(answer)
    return error_from_document(
        document,
        status=answer.status,
        request_id=next(
            (answer.headers[name][:_SHOWN] for name in _REQUEST_IDS if name in answer.headers), None
        ),
        retry_after=answer.retry_after,
        had_token=answer.had_token,
    )


def error_from_document(
    document: Mapping[str, Any],
    *,
    status: int,
    request_id: str | None = None,
    retry_after: float | None = None,
    had_token: bool = True,
) -> NodegraphError:
    """The error that a problem document tells.

    Args:
        document: As RFC 9457 has it, with the engine's own problems.
        had_token: Whether a token was sent, for what to do about it.
    """
    code = str(document.get("type", "")).rpartition("/")[2] or "server-error"
    problems = problems_in(document.get("problems"))
    if not problems:
        problems = (Problem(code, str(document.get("detail") or document.get("title") or code)),)
    if 400 <= status < 500:
        if code == InvalidWorkflow.code:
            return InvalidWorkflow(problems)
        if code == "app-failed":
            return JobFailed(problems[0].given or "", problems)
        if code in _OWN and len(problems) == 1:
            return _own(_OWN[code], problems[0])
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, ServerError)
    hint = _hint(kind, problems[0], request_id if status >= 500 else None, had_token)
    first = replace(problems[0], hint=hint)
    return kind(
        (first, *problems[1:]), status=status, request_id=request_id, retry_after=retry_after
    )


def problems_in(found: Any) -> tuple[Problem, ...]:
    """The problems in a list of JSON objects; what is none is passed over."""
    listed = found if isinstance(found, Sequence) and not isinstance(found, str) else ()
    return tuple(Problem.from_dict(each) for each in listed if isinstance(each, Mapping))


def _own(kind: type[NodegraphError], problem: Problem) -> NodegraphError:
    details = {name: getattr(problem, name) for name in _FIELDS if name not in ("code", "message")}
    return kind(problem.message, **details)


def _hint(
    kind: type[ServerError], problem: Problem, request_id: str | None, had_token: bool
) -> str | None:
    if kind is Unauthenticated and not had_token:
        return f"Set {TOKEN_VARIABLE} to a token; `nodegraph token add` makes one on the server."
    if kind is Unauthenticated:
        prefix = f"{problem.hint} " if problem.hint else ""
        return f"{prefix}See that {TOKEN_VARIABLE} holds a token of this server."
    if request_id:
        prefix = f"{problem.hint} " if problem.hint else ""
        return f"{prefix}The server's log may say more of request {request_id}."
    return problem.hint


def _problem_document(answer: Reply) -> Mapping[str, Any] | None:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != MEDIA_TYPE:
        return None
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _redirected(answer: Reply) -> NodegraphError:
    return UnexpectedAnswer(
        "the server leads elsewhere, and the token isn't taken there",
        given=f"status {answer.status}, to {answer.headers.get('location', '')[:_SHOWN]!a}",
        hint="If that is the server's right address, give it instead.",
    )


def _foreign(answer: Reply) -> NodegraphError:
    """The error of an answer that isn't of a nodegraph server: a proxy's, mostly."""
    if answer.status < 400:
        return unexpected_answer(answer)
    message = f"the server answers with status {answer.status}"
    problem = Problem(ServerError.code, message, hint=_FOREIGN_HINTS.get(answer.status))
    kind = _BY_STATUS.get(answer.status, ServerError)
    return kind((problem,), status=answer.status, retry_after=answer.retry_after)


_FOREIGN_HINTS: Mapping[int, str] = {
    404: "Is this the address of a nodegraph server?",
    413: "A proxy before the server doesn't let through so much.",
    502: "A proxy answers, but the server behind it doesn't.",
    504: "A proxy answers, but the server behind it doesn't.",
}


def unexpected_answer(answer: Reply) -> UnexpectedAnswer:
    """The answer isn't of the form that was expected."""
    return UnexpectedAnswer(
        f"what answers {answer.request.method} {answer.request.path} isn't understood",
        given=f"status {answer.status}, {answer.headers.get('content-type', 'no type')[:_SHOWN]}",
        hint="It may be no nodegraph server, or one of another version.",
    )
