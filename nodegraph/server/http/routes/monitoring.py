"""Health and readiness probes, and Prometheus metrics."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from typing import cast

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from nodegraph.errors import NodegraphError, Problem
from nodegraph.jobs.queue import JobQueue
from nodegraph.jobs.queue.job_queries import Counts
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.errors import Unavailable
from nodegraph.server.http.problems import responses
from nodegraph.server.operations.metrics import CONTENT_TYPE, ServerState
from nodegraph.server.services import Services

_FRESH_SECONDS = 1.0
"""How long an answer is cached, because anyone can send this request."""
_WRITE_PATIENCE = 2.0
_AT_WORK = ("idle", "busy")


class NotReady(Unavailable):
    """The server cannot process jobs now; lists the reasons."""

    code = "not-ready"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self._problems = tuple(problems)

    @property
    def problems(self) -> Sequence[Problem]:
        return self._problems


class Readiness:
    """Checks that find why a server cannot process jobs.

    Args:
        services: Services of the server.
        clock: Returns seconds; only differences count.
    """

    def __init__(self, services: Services, clock: Callable[[], float] = monotonic) -> None:
        self._services = services
        self._clock = clock
        self._looking = asyncio.Lock()
        self._looked: float | None = None
        self._last_problems: list[Problem] = []

    async def problems(self) -> list[Problem]:
        """Return all reasons. Each one contains only its kind and no details."""
        if self._services.stopping.is_set():
            return [Problem("stopping", "the server is stopping")]
        async with self._looking:
            if self._looked is None or self._clock() - self._looked >= _FRESH_SECONDS:
                self._last_problems = await self._look()
                self._looked = self._clock()
        return self._last_problems

    async def _look(self) -> list[Problem]:
        disk = await asyncio.to_thread(self._disk)
        checks = [await self._queue(), self._node_types(), self._workers(), disk]
        return [problem for problem in checks if problem is not None]

    async def _queue(self) -> Problem | None:
        try:
            tried = asyncio.wrap_future(self._services.queue.try_writing())
            await asyncio.wait_for(tried, _WRITE_PATIENCE)
        except (NodegraphError, asyncio.TimeoutError):
            return Problem("queue-not-writable", "the job queue cannot be written now")
        return None

    def _node_types(self) -> Problem | None:
        services = self._services
        if not services.has_workers or services.node_types.is_ready:
            return None  # without workers no process reads more packs
        return Problem("node-packs-unread", "the node packs are still being read")

    def _workers(self) -> Problem | None:
        services = self._services
        server = services.server
        if not services.has_workers or server.workers == 0:
            return None
        if server.cluster is not None and server.cluster_min_workers == 0:
            return None  # there is one as soon as there is a job
        if any(
            worker.role == "worker" and worker.state in _AT_WORK
            for worker in services.worker_states()
        ):
            return None
        return Problem("no-worker-ready", "no worker is ready")

    def _disk(self) -> Problem | None:
        try:
            free = shutil.disk_usage(self._services.home).free
        except OSError:
            return Problem("home-gone", "the home folder cannot be reached")
        if free >= self._services.server.least_free:
            return None
        return Problem("disk-low", "there is too little space left on the disk")


router = APIRouter(tags=["system"])


class Alive(BaseModel):
    """The answer of a probe."""

    status: str = Field(examples=["ok"])


@router.get("/healthz", summary="Check whether the server is alive")
async def healthz() -> Alive:
    """Answer while the server is alive. Restart it if it does not answer."""
    return Alive(status="ok")


@router.get("/readyz", summary="Check whether the server accepts jobs", responses=responses(503))
async def readyz(request: Request) -> Alive:
    """Check whether the server can accept and run jobs.

    The queue must be writable, the node packs read, a worker ready and the disk not full. One
    worker is enough, and all workers may be busy. Problems are listed without details, because
    anyone may send this request.
    """
    problems = await cast(Readiness, request.app.state.readiness).problems()
    if problems:
        raise NotReady(problems)
    return Alive(status="ready")


_PATIENCE = 5.0
"""Seconds to wait for the queue. Prometheus waits 10 seconds by default."""


@router.get(
    "/metrics",
    summary="Get the metrics for monitoring",
    response_class=Response,
    responses={
        200: {
            "description": "Metrics in Prometheus' text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **responses(401, 403),
    },
)
async def get_metrics(services: TheServices, caller: MayRead) -> Response:
    """Return the metrics, counted since the server started.

    `docs/operations.md` lists them all. The setting `metrics` controls who may read them.
    """
    text = await services.run_in_thread(_text, services, *await _queue(services))
    return Response(text, media_type=CONTENT_TYPE)


def _text(services: Services, counts: Counts | None, paused: bool) -> bytes:
    free, total = _disk(services.home)
    dispatching = services.dispatcher.status
    state = ServerState(
        counts=counts,
        paused=paused,
        writable=dispatching.fault is None,
        unwritten=dispatching.unwritten,
        workers=services.worker_states(),
        subscribers=services.hub.subscribers,
        disk_free=free,
        disk_total=total,
    )
    return services.metrics.text(state)


async def _queue(services: Services) -> tuple[Counts | None, bool]:
    try:
        counting = services.read_queue(_counted, services.queue)
        return await asyncio.wait_for(counting, _PATIENCE)
    except (NodegraphError, asyncio.TimeoutError):
        return None, False  # the other figures count all the more


def _counted(queue: JobQueue) -> tuple[Counts, bool]:
    return queue.counts(), queue.is_paused()


def _disk(home: Path) -> tuple[int | None, int | None]:
    try:
        usage = shutil.disk_usage(home)
    except OSError:
        return None, None
    return usage.free, usage.total
