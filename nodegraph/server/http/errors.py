"""What the server refuses, with the status that says so; status and title of every kind of error.

A fault that no client could have foreseen or mended keeps the status of its kind, see
`nodegraph.server.http.problems`; what is refused on purpose is one of these.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import ClassVar

from nodegraph.errors import (
    InvalidFile,
    InvalidValue,
    InvalidWorkflow,
    ModelNotFound,
    NodegraphError,
    OutputError,
)
from nodegraph.jobs.queue import JobNotFound, KeyReused, QueueFull, TooMuchKept, WrongState
from nodegraph.jobs.queue.errors import QueueUnreachable
from nodegraph.jobs.queue.schedules import ScheduleNotFound, TooManySchedules
from nodegraph.jobs.queue.webhooks import DeliveryNotFound
from nodegraph.jobs.supervisor.errors import NoAnswer, QuestionFailed

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""That the server knows at all."""
# The first that an error is an instance of counts.
_KINDS: Sequence[tuple[type[NodegraphError], int, str]] = (
    (JobNotFound, 404, "No such job"),
    (ScheduleNotFound, 404, "No such schedule"),
    (DeliveryNotFound, 404, "No such delivery"),
    (TooManySchedules, 429, "Too many schedules"),
    (WrongState, 409, "Not possible in the job's state"),
    (KeyReused, 422, "Idempotency key already used"),
    (QueueFull, 429, "The queue is full"),
    (TooMuchKept, 429, "Too much data in the queue"),
    (NoAnswer, 503, "The planner does not answer"),
    (QuestionFailed, 422, "The workflow cannot be planned"),
    (InvalidWorkflow, 422, "The workflow cannot run"),
    (ModelNotFound, 422, "No such model"),
    (InvalidValue, 422, "Invalid value"),
    (InvalidFile, 422, "Invalid document"),
    (QueueUnreachable, 503, "The job queue cannot be reached"),
    (OutputError, 503, "The server cannot write"),
)
TITLES: Mapping[int, str] = {
    400: "Bad request",
    401: "A token is needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    408: "The request was too slow",
    409: "Conflict",
    410: "No longer available",
    412: "Changed in the meantime",
    413: "Too large",
    414: "Too long",
    415: "Unsupported media type",
    416: "Range not satisfiable",
    421: "Unknown host name",
    422: "Invalid request",
    429: "Too many requests",
    500: "The server failed",
    501: "Not installed",
    503: "Not available now",
    504: "The result takes too long",
}


class Refused(NodegraphError):
    """A request that is answered with a problem.

    Attributes:
        status: HTTP status.
        headers: That the answer has besides.
    """

    code = "bad-request"
    status: ClassVar[int] = 400

    @property
    def headers(self) -> Mapping[str, str]:
        return {}


class Unauthenticated(Refused):
    """It needs a token, and there is none or one that isn't known."""

    code = "unauthenticated"
    status = 401

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="nodegraph"'}


class PasswordNeeded(Unauthenticated):
    """The same where clients of other tools may send the token as a password."""

    @property
    def headers(self) -> Mapping[str, str]:
        basic = 'Basic realm="nodegraph", charset="UTF-8"'
        return {"WWW-Authenticate": f'Bearer realm="nodegraph", {basic}'}


def no_caller(*, takes_password: bool = False) -> Unauthenticated:
    """Nobody known asks for what not everybody may.

    Args:
        takes_password: Whether the token may come as a password, by HTTP Basic authentication.
    """
    if takes_password:
        return PasswordNeeded(
            "a token is needed",
            hint="Send it as the password of any user name; `nodegraph token add` creates one.",
        )
    return Unauthenticated(
        "a token is needed",
        hint="Send `Authorization: Bearer <token>`; `nodegraph token add` creates one.",
    )


class Forbidden(Refused):
    """The caller's scopes don't allow it, or it comes from where nobody may."""

    code = "forbidden"
    status = 403


class NotFound(Refused):
    """There is nothing of that name that the caller may see."""

    code = "not-found"
    status = 404


class MethodNotAllowed(Refused):
    """There is something of that name, but this can't be done with it."""

    code = "method-not-allowed"
    status = 405

    @property
    def headers(self) -> Mapping[str, str]:
        # Where it is known what can be done with what is there, that takes its place.
        return {"Allow": ", ".join(METHODS)}


class NotAcceptable(Refused):
    """None of the media types that the client takes."""

    code = "not-acceptable"
    status = 406


class TooSlow(Refused):
    """The client began a request and didn't go on with it."""

    code = "request-timeout"
    status = 408


class Conflict(Refused):
    """It contradicts what is there."""

    code = "conflict"
    status = 409


class FileGone(Refused):
    """A file that was changed, moved or deleted since it was listed."""

    code = "gone"
    status = 410


class PreconditionFailed(Refused):
    """What is there isn't any more what the client goes by."""

    code = "precondition-failed"
    status = 412


class TooLarge(Refused):
    """More bytes, values or levels than may come in one request."""

    code = "too-large"
    status = 413


class UnsupportedType(Refused):
    """A media type that isn't read here."""

    code = "unsupported-media-type"
    status = 415


class Unprocessable(Refused):
    """It is read well, but makes no sense."""

    code = "invalid-request"
    status = 422


class TooManyRequests(Refused):
    """The client asks more often than it may.

    Attributes:
        seconds: After which it may ask again.
    """

    code = "too-many-requests"
    status = 429

    def __init__(self, message: str, *, seconds: float, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.seconds = seconds

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(max(1, -int(-self.seconds // 1)))}


class Unavailable(Refused):
    """The server can't do it now, but will again."""

    code = "unavailable"
    status = 503

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": "2"}


def status_of(error: NodegraphError) -> tuple[int, str]:
    """The status and title of an error's kind."""
    if isinstance(error.__cause__, sqlite3.Error):
        # A file of the server's own, whatever it looks like to whoever reads it.
        return 503, TITLES[503]
    if isinstance(error, Refused):
        return error.status, TITLES.get(error.status, "Refused")
    for kind, status, title in _KINDS:
        if isinstance(error, kind):
            return status, title
    return 500, TITLES[500]


def headers_of(error: NodegraphError) -> dict[str, str]:
    """Headers that its answer has besides."""
    if isinstance(error, Refused):
        return dict(error.headers)
    if isinstance(error, QueueFull):
        return {"Retry-After": "5"}
    return {"Retry-After": "2"} if status_of(error)[0] == 503 else {}
