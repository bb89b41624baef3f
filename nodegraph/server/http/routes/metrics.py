"""Figures for Prometheus."""

from __future__ import annotations

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
    text = await services.off_loop(_text, services)
    return Response(text, media_type=CONTENT_TYPE)


def _text(services: Services) -> bytes:
    counts, paused = _queue(services.queue)
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


def _queue(queue: JobQueue) -> tuple[Counts | None, bool]:
    try:
        return queue.counts(), queue.is_paused()
    except NodegraphError:
        return None, False  # the other figures count all the more


def _disk(home: Path) -> tuple[int | None, int | None]:
    try:
        found = shutil.disk_usage(home)
    except OSError:
        return None, None
    return found.free, found.total
