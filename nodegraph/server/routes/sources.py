"""Where to get what a workflow needs and this server hasn't."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.server.dependencies import MayRead, TheServices
from nodegraph.server.problems import responses
from nodegraph.server.sources import model_source, pack_source

router = APIRouter(prefix="/sources", tags=["models"])

_MOST = 50
Names = list[Annotated[str, Field(min_length=1, max_length=300)]]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LinkEntry(_Part):
    """A page elsewhere, for people to open."""

    title: str = Field(examples=["Search for dreamshaper"])
    url: str = Field(examples=["https://huggingface.co/models?search=dreamshaper"])
    exact: bool = Field(description="Whether it is what was asked for; else a search for it.")


class SourceEntry(_Part):
    """Where to get a model or a node pack."""

    kind: Literal["model", "pack"]
    name: str = Field(description="As it was asked for.", examples=["dreamshaper"])
    steps: list[str] = Field(description="What to do, one after the other.")
    links: list[LinkEntry]


class SourceList(_Part):
    """Where to get models and node packs."""

    items: list[SourceEntry]
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
    return SourceList(items=[SourceEntry.model_validate(asdict(each)) for each in found])
