"""What is done for clients over a websocket, and what of it goes on at the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from nodegraph.server.access.caller import Caller
from nodegraph.server.events.sockets.requests import (
    CheckOrPlan,
    JobAction,
    Ping,
    SocketRequest,
    Submit,
)
from nodegraph.server.http.dependencies import require_scope
from nodegraph.server.http.errors import Conflict
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_entries import job_entry
from nodegraph.server.workflows.jobs_access import change_visible_job
from nodegraph.server.workflows.planning import plan_request, validate_request
from nodegraph.server.workflows.submitting import submit

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
            error = Superseded("a newer question came before this one was looked at")
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
