"""Figures for Prometheus."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from fastapi import APIRouter, Response

from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import JobQueue
from nodegraph.jobs.queue.listing import Counts
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.problems import responses
from nodegraph.server.operations.metrics import CONTENT_TYPE, ServerState
from nodegraph.server.services import Services

router = APIRouter(tags=["system"])
_PATIENCE = 5.0
"""Seconds for the queue: who asks has 10, unless told otherwise."""


@router.get(
    "/metrics",
    summary="Read the figures for monitoring",
    response_class=Response,
    responses={
        200: {
            "description": "In Prometheus' text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        },
        **responses(401, 403),
    },
)
async def get_metrics(services: TheServices, caller: MayRead) -> Response:
    """Counted since the server started; `docs/operations.md` has a table of all.

    The setting `metrics` says who may read them.
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
