"""What clients may send, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import NodegraphError, Problem
from nodegraph.server.events.sockets.codec import Codec
from nodegraph.server.events.sockets.rules import SocketRules
from nodegraph.server.http.problems import InvalidRequest, validation_problem
from nodegraph.server.workflows.requests import JobWish, WorkflowWish
from nodegraph.session.settings_kinds import NUMBER

RequestId = (
    Annotated[str, StringConstraints(max_length=64)]
    | Annotated[int, Field(ge=-(1 << 53), le=1 << 53)]
)
"""Whatever the client likes; the answer has the same."""
JobId = Annotated[str, StringConstraints(max_length=64)]
_LONGEST_KIND = 200
_LARGE = 128 << 10


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: RequestId


class Ping(_Request):
    """Whether the server is there."""

    type: Literal["ping"]


class Subscribe(_Request):
    """Follow jobs.

    Attributes:
        jobs: Their ids; all that the caller may see if not given.
        after: Number of the last event that the client knows; only new ones if not given.
        live: Whether progress is wanted.
        previews: Whether previews are.
    """

    type: Literal["subscribe"]
    jobs: Annotated[list[JobId], Field(min_length=1)] | None = None
    after: Annotated[int, NUMBER, Field(ge=0, lt=1 << 63)] | None = None
    live: bool = True
    previews: bool = True


class Unsubscribe(_Request):
    """Follow them no more."""

    type: Literal["unsubscribe"]
    subscription: Annotated[str, StringConstraints(max_length=64)]


class JobAction(_Request):
    """Do something with a job; see the routes of the same names."""

    type: Literal["cancel", "retry", "hold", "unhold"]
    job: JobId


class Submit(JobWish):
    """Submit a job: what the route takes, and an idempotency key."""

    type: Literal["submit"]
    id: RequestId
    key: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None


class CheckOrPlan(WorkflowWish):
    """Check or plan a workflow that is being edited: what the routes of these names take."""

    type: Literal["validate", "plan"]
    id: RequestId


SocketRequest = Ping | Subscribe | Unsubscribe | JobAction | Submit | CheckOrPlan

_KINDS: Mapping[str, type[SocketRequest]] = {
    kind: model
    for model in get_args(SocketRequest)
    for kind in get_args(model.model_fields["type"].annotation)
}
_ADAPTERS = {model: TypeAdapter(model) for model in get_args(SocketRequest)}


def read_request(message: Mapping[str, Any]) -> SocketRequest:
    """The request that a message is.

    Raises:
        InvalidRequest: It is none; lists all that is wrong.
    """
    kind = message.get("type")
    model = _KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        hint = did_you_mean(kind, _KINDS) if isinstance(kind, str) else None
        shown_kind = ascii(kind)[:_LONGEST_KIND]
        problem = Problem(
            "invalid-request", "there is no such message", given=shown_kind, hint=hint
        )
        raise InvalidRequest([problem])
    try:
        request: SocketRequest = _ADAPTERS[model].validate_python(message)
    except ValidationError as error:
        raise InvalidRequest(
            [validation_problem(each, ".".join(map(str, each["loc"]))) for each in error.errors()]
        ) from None
    return request


def id_of(message: Mapping[str, Any]) -> str | int | None:
    """The id of a message that is wrong otherwise."""
    message_id = message.get("id")
    return message_id if isinstance(message_id, (str, int)) and len(str(message_id)) <= 64 else None


class InvalidMessage(Exception):
    """A message that can be read, and makes no sense."""

    def __init__(self, id: str | int | None, refusal: NodegraphError) -> None:
        super().__init__(str(refusal))
        self.id = id
        self.refusal = refusal


def parse_message(
    received: Mapping[str, Any], codec: Codec, rules: SocketRules
) -> SocketRequest | None:
    """The request in a message; None if it is a sign of life.

    Raises:
        Unreadable: Nothing of it can be read.
        Wrong: It is no request.
    """
    message = codec.read(received, rules)
    if message.get("type") == "heartbeat":
        return None
    try:
        return read_request(message)
    except NodegraphError as error:
        raise InvalidMessage(id_of(message), error) from None


def is_large(received: Mapping[str, Any]) -> bool:
    """Whether a message takes more than some milliseconds to read."""
    return len(received.get("bytes") or received.get("text") or "") > _LARGE
