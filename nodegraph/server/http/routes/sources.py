"""Where to get what a workflow needs and this server hasn't."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.client import shapes
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.problems import responses
from nodegraph.server.workflows.sources import model_source, pack_source

router = APIRouter(prefix="/sources", tags=["models"])

_MOST = 50
Names = list[Annotated[str, Field(min_length=1, max_length=300)]]


class SourceList(BaseModel):
    """Where to get models and node packs."""

    model_config = ConfigDict(extra="forbid")

    items: list[shapes.Source]
    next: str | None = None


@router.get("", summary="Look up where to get models and packs", responses=responses(401, 403, 422))
async def list_sources(
    services: TheServices,
    caller: MayRead,
    model: Annotated[
        Names | None, Query(max_length=_MOST, description="Name of a model that is missing.")
    ] = None,
    pack: Annotated[
        Names | None, Query(max_length=_MOST, description="Name of a pack that is missing.")
    ] = None,
) -> SourceList:
    """Of what a plan names as missing. Nobody is asked elsewhere: these are hints for people."""
    folders = [str(folder) for folder in services.settings.model_folders]
    shown = folders if caller.may("admin") else []
    found = [model_source(name, shown) for name in model or ()]
    found += [pack_source(name) for name in pack or ()]
    return SourceList(items=found)
