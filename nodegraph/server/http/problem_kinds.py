"""The status and title that each kind of error is answered with."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from nodegraph.errors import (
    InvalidFile,
    InvalidValue,
    InvalidWorkflow,
    ModelNotFound,
    NodegraphError,
    OutputError,
)
from nodegraph.jobs.queue import JobNotFound, KeyReused, QueueFull, TooMuchKept, WrongState
from nodegraph.jobs.supervisor.errors import NoAnswer, QuestionFailed
from nodegraph.server.http.errors import Refused

# The first that an error is an instance of counts.
_KINDS: Sequence[tuple[type[NodegraphError], int, str]] = (
    (JobNotFound, 404, "No such job"),
    (WrongState, 409, "The job's state doesn't allow it"),
    (KeyReused, 422, "Idempotency key of another request"),
    (QueueFull, 429, "The queue is full"),
    (TooMuchKept, 429, "Too much is kept"),
    (NoAnswer, 503, "The planner doesn't answer"),
    (QuestionFailed, 422, "The workflow can't be planned"),
    (InvalidWorkflow, 422, "The workflow can't run"),
    (ModelNotFound, 422, "No such model"),
    (InvalidValue, 422, "Invalid value"),
    (InvalidFile, 422, "Invalid document"),
    (OutputError, 503, "The server can't write"),
)
TITLES: Mapping[int, str] = {
    400: "Bad request",
    401: "A token is needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    408: "The request came too slowly",
    409: "Conflict",
    410: "Not there any more",
    412: "Changed meanwhile",
    413: "Too large",
    414: "Too long",
    415: "Unsupported media type",
    416: "Range not satisfiable",
    421: "Not this server",
    422: "Invalid request",
    429: "Too many requests",
    500: "The server failed",
    503: "Not available now",
}


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
