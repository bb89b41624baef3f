"""What the server refuses, with the status that says so.

A fault that no client could have foreseen or mended keeps the status of its kind, see
`nodegraph.server.http.problems`; what is refused on purpose is one of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from nodegraph.errors import NodegraphError

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""That the server knows at all."""


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


def no_caller() -> Unauthenticated:
    """Nobody known asks for what not everybody may."""
    return Unauthenticated(
        "this needs a token",
        hint="Send `Authorization: Bearer <token>`; `nodegraph token add` makes one.",
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
