"""Websocket commands: the messages that clients send, and what is done for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import NodegraphError, Problem
from nodegraph.server.access.caller import Caller
from nodegraph.server.events.sockets.codec import Codec, IdentifiedRequest, RequestId, SocketRules
from nodegraph.server.events.sockets.drafts import DraftRequest
from nodegraph.server.http.dependencies import require_scope
from nodegraph.server.http.errors import Conflict
from nodegraph.server.http.problems import InvalidRequest, validation_problem
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_entries import job_entry
from nodegraph.server.workflows.job_requests import (
    JobWish,
    PlanWish,
    change_visible_job,
    plan_request,
    submit,
    validate_request,
)
from nodegraph.session.settings_kinds import NUMBER

JobId = Annotated[str, StringConstraints(max_length=64)]
_LONGEST_KIND = 200
_LARGE = 128 << 10


class Ping(IdentifiedRequest):
    """Whether the server is there."""

    type: Literal["ping"]


class Subscribe(IdentifiedRequest):
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


class Unsubscribe(IdentifiedRequest):
    """Follow them no more."""

    type: Literal["unsubscribe"]
    subscription: Annotated[str, StringConstraints(max_length=64)]


class JobAction(IdentifiedRequest):
    """Do something with a job; see the routes of the same names."""

    type: Literal["cancel", "retry", "hold", "unhold"]
    job: JobId


class Submit(JobWish):
    """Submit a job: what the route takes, and an idempotency key."""

    type: Literal["submit"]
    id: RequestId
    key: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None


class CheckOrPlan(PlanWish):
    """Check or plan a workflow that is being edited: what the routes of these names take."""

    type: Literal["validate", "plan"]
    id: RequestId


SocketRequest = Ping | Subscribe | Unsubscribe | JobAction | Submit | CheckOrPlan | DraftRequest

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
        InvalidMessage: It is no request.
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


T = TypeVar("T")


class TaskGroup:
    """Tasks that end together.

    Args:
        failed: Is called with what one of them raised.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something beside the rest."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def end(self) -> None:
        """Break all off, and wait until they have ended."""
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(error)


class Superseded(Conflict):
    """A question that a newer one has made void."""

    code = "superseded"


class LatestOnly:
    """One question at a time; of those that wait, the newest stays."""

    def __init__(self) -> None:
        self._is_busy = False
        self._waiting: asyncio.Future[None] | None = None

    async def run(self, find: Callable[[], Awaitable[T]]) -> T:
        """The answer, once there is nobody before.

        Raises:
            Superseded: Another question came while this one waited.
        """
        if self._is_busy:
            await self._turn()
        self._is_busy = True
        try:
            return await find()
        finally:
            self._is_busy = False
            if self._waiting is not None and not self._waiting.done():
                # Nobody may come between: whoever waits is next.
                self._is_busy = True
                self._waiting.set_result(None)

    async def _turn(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            error = Superseded("a newer request replaced this one")
            self._waiting.set_exception(error)
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        await waiting


class Commands:
    """Does what one client asks, but for subscriptions, which belong to the connection."""

    def __init__(self, services: Services, caller: Caller) -> None:
        self._services = services
        self._caller = caller
        self._newest = {"validate": LatestOnly(), "plan": LatestOnly()}

    def can_wait(self, request: SocketRequest) -> bool:
        """Whether newer ones may take its place, so that it needs no place of its own."""
        return isinstance(request, CheckOrPlan)

    async def result(self, request: SocketRequest) -> Mapping[str, Any]:
        """What comes of it.

        Raises:
            NodegraphError: Why nothing does.
        """
        if isinstance(request, Ping):
            return {"at": time.time()}
        if isinstance(request, Submit):
            return await self._submit(request)
        if isinstance(request, JobAction):
            return await self._steer(request)
        assert isinstance(request, CheckOrPlan)
        look: Callable[[CheckOrPlan], Awaitable[Mapping[str, Any]]]
        look = self._validate if request.type == "validate" else self._plan
        return await self._newest[request.type].run(lambda: look(request))

    async def _submit(self, request: Submit) -> Mapping[str, Any]:
        caller = require_scope(self._caller, "run")
        submitted = await submit(self._services, caller, request, request.key)
        return {"job": job_entry(submitted.job), "new": submitted.is_new}

    async def _steer(self, request: JobAction) -> Mapping[str, Any]:
        caller = require_scope(self._caller, "run")
        queue = self._services.queue
        actions = {
            "cancel": queue.cancel,
            "retry": queue.retry,
            "hold": queue.hold,
            "unhold": queue.unhold,
        }
        job = await change_visible_job(self._services, caller, request.job, actions[request.type])
        return {"job": job_entry(job)}

    async def _validate(self, request: CheckOrPlan) -> Mapping[str, Any]:
        report = await validate_request(self._services, self._caller, request)
        return {
            "valid": report.valid,
            "problems": [problem.as_dict() for problem in report.problems],
        }

    async def _plan(self, request: CheckOrPlan) -> Mapping[str, Any]:
        return await plan_request(self._services, self._caller, request)
