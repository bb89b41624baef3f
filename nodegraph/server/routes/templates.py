"""The workflows that come with nodegraph."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from nodegraph.core.suggest import did_you_mean
from nodegraph.core.workflow import Workflow
from nodegraph.server.dependencies import MayRead, TheServices
from nodegraph.server.errors import NotFound
from nodegraph.server.problems import responses
from nodegraph.server.routes.workflows import DOCUMENT, JSON, Name
from nodegraph.templates import template, templates

router = APIRouter(prefix="/templates", tags=["workflows"])

_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The workflow's file.", "content": {JSON: DOCUMENT}}
}


class TemplateItem(BaseModel):
    """A workflow that comes with nodegraph."""

    name: str = Field(examples=["text_to_image"])
    title: str = Field(examples=["Text to image"])
    description: str = Field(examples=["A picture from words."])
    parameters: list[str] = Field(examples=[["prompt", "seed"]])
    needs: list[str] = Field(
        description="Files that it reads, which have to be brought along.", examples=[["apple.png"]]
    )
    href: str = Field(examples=["/api/v1/templates/text_to_image"])


class TemplateList(BaseModel):
    """The workflows that come with nodegraph."""

    items: list[TemplateItem]
    next: str | None = None


@router.get("", summary="List the gallery", responses=responses(401, 403))
async def list_templates(services: TheServices, caller: MayRead) -> TemplateList:
    """The workflows that come with nodegraph, to start from."""
    return TemplateList(items=await services.off_loop(_templates))


@router.get(
    "/{name}",
    summary="Get a workflow of the gallery",
    response_class=Response,
    responses={**_FILE, **responses(401, 403, 404)},
)
async def get_template(services: TheServices, caller: MayRead, name: Name) -> Response:
    """The workflow's file."""
    found = {item.name: item for item in await services.off_loop(_templates)}
    if name not in found:
        raise NotFound(
            "the gallery has no such workflow",
            given=ascii(name[:80]),
            hint=did_you_mean(name, found),
        )
    text, _ = await services.off_loop(template, name)
    return Response(text, media_type=JSON)


@lru_cache(maxsize=1)
def _templates() -> list[TemplateItem]:
    return [_template(name, workflow) for name, workflow in templates().items()]


def _template(name: str, workflow: Workflow) -> TemplateItem:
    return TemplateItem(
        name=name,
        title=workflow.title,
        description=workflow.description,
        parameters=list(workflow.parameters),
        needs=sorted(template(name)[1]),
        href=f"/api/v1/templates/{quote(name, safe='')}",
    )
