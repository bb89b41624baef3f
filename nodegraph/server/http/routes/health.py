"""Whether the server lives, and whether it is of use: for probes, which have no token."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from nodegraph.server.http.problems import responses
from nodegraph.server.operations.readiness import NotReady, Readiness

router = APIRouter(tags=["system"])


class Alive(BaseModel):
    """That it is."""

    status: str = Field(examples=["ok"])


@router.get("/healthz", summary="Ask whether the server lives")
async def healthz() -> Alive:
    """It answers; restart it if it doesn't."""
    return Alive(status="ok")


@router.get("/readyz", summary="Ask whether the server takes jobs", responses=responses(503))
async def readyz(request: Request) -> Alive:
    """Whether jobs can be taken in and run: the queue is writable, node packs are read, a worker is
    ready, the disk isn't full.

    One worker is enough, and all may be busy. What is wrong is listed by its kind only, as anybody
    may ask.
    """
    problems = await cast(Readiness, request.app.state.readiness).problems()
    if problems:
        raise NotReady(problems)
    return Alive(status="ready")
