"""What is done for clients over a websocket."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from nodegraph.server.access.caller import Caller
from nodegraph.server.events.sockets.newest import Newest
from nodegraph.server.events.sockets.requests import Look, Ping, Request, Steer, Submit
from nodegraph.server.http.dependencies import allowed
from nodegraph.server.http.routes.checks import planned, validate_workflow
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_entries import job_entry
from nodegraph.server.workflows.jobs_access import done
from nodegraph.server.workflows.submitting import submit


class Commands:
    """Does what one client asks, but for subscriptions, which belong to the connection."""

    def __init__(self, services: Services, caller: Caller) -> None:
        self._services = services
        self._caller = caller
        self._newest = {"validate": Newest(), "plan": Newest()}

    def can_wait(self, request: Request) -> bool:
        """Whether newer ones may take its place, so that it needs no place of its own."""
        return isinstance(request, Look)

    async def result(self, request: Request) -> Mapping[str, Any]:
        """What comes of it.

        Raises:
            NodegraphError: Why nothing does.
        """
        if isinstance(request, Ping):
            return {"at": time.time()}
        if isinstance(request, Submit):
            return await self._submit(request)
        if isinstance(request, Steer):
            return await self._steer(request)
        assert isinstance(request, Look)
        look: Callable[[Look], Awaitable[Mapping[str, Any]]]
        look = self._validate if request.type == "validate" else self._plan
        return await self._newest[request.type].answer(lambda: look(request))

    async def _submit(self, request: Submit) -> Mapping[str, Any]:
        caller = allowed(self._caller, "run")
        submitted = await submit(self._services, caller, request, request.key)
        return {"job": job_entry(submitted.job), "new": submitted.is_new}

    async def _steer(self, request: Steer) -> Mapping[str, Any]:
        caller = allowed(self._caller, "run")
        queue = self._services.queue
        actions = {
            "cancel": queue.cancel,
            "retry": queue.retry,
            "hold": queue.hold,
            "unhold": queue.unhold,
        }
        job = await done(self._services, caller, request.job, actions[request.type])
        return {"job": job_entry(job)}

    async def _validate(self, request: Look) -> Mapping[str, Any]:
        checked = await validate_workflow(self._services, self._caller, request)
        return {
            "valid": checked.valid,
            "problems": [problem.as_dict() for problem in checked.problems],
        }

    async def _plan(self, request: Look) -> Mapping[str, Any]:
        return await planned(self._services, self._caller, request)
