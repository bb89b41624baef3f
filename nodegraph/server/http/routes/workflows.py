"""Routes of saved workflows and their versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Body, Header, Path, Query, Response
from pydantic import BaseModel, Field

from nodegraph.client import shapes
from nodegraph.client.shapes.schema import build_shape, described, example, shape_fields
from nodegraph.core.workflow import Workflow
from nodegraph.server.content.saved import LARGEST_PAGE, SavedEntry, SavedWorkflow, Version
from nodegraph.server.http.dependencies import MayRead, MayRun, TheServices
from nodegraph.server.http.problems import responses
from nodegraph.server.http.request_bodies import JsonRoute
from nodegraph.server.http.responses import (
    check_match,
    check_none_match,
    etag,
    is_not_modified,
    json_response,
)
from nodegraph.server.root_path import public_path
from nodegraph.server.workflows.checks import check_size

router = APIRouter(prefix="/workflows", tags=["workflows"], route_class=JsonRoute)

JSON = "application/json"
_EXAMPLE = {
    "format": "nodegraph/1",
    "title": "Text to image",
    "parameters": {"prompt": "positive.text"},
    "nodes": {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "positive": {
            "type": "EncodePrompt",
            "inputs": {"encoder": {"from": "load.text_encoder"}, "text": "a red apple"},
        },
    },
}
DOCUMENT: dict[str, Any] = {
    "schema": {
        "type": "object",
        "required": ["nodes"],
        "description": "A workflow file.",
        "additionalProperties": True,
    },
    "example": _EXAMPLE,
}
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "The workflow's file.", "content": {JSON: DOCUMENT}},
    304: {"description": "The client already has this version, according to `If-None-Match`."},
}

Name = Annotated[
    str,
    Path(description="A valid file name on every platform.", examples=["apple still life"]),
]
Document = Annotated[
    dict[str, Any], Body(description="The content of a workflow file.", examples=[_EXAMPLE])
]
IfMatch = Annotated[str | None, Header(description="ETag of the version to change.")]
IfNoneMatch = Annotated[
    str | None,
    Header(
        description="ETag of the version that the client has, or `*` to create only a new workflow."
    ),
]


@dataclass(frozen=True, slots=True)
class SavedAs(shapes.SavedVersion):
    """A workflow as it was saved: its name and version."""

    __pydantic_config__ = described("SavedAs", is_open=False)

    name: Annotated[str, example("apple")] = ""


class VersionList(BaseModel):
    """Stored versions of a saved workflow, the newest first."""

    items: list[shapes.SavedVersion]
    next: str | None = None


class SavedList(BaseModel):
    """A page of saved workflows, sorted by name."""

    items: list[shapes.SavedItem]
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


@router.get(
    "",
    summary="List saved workflows",
    response_model=SavedList,
    responses=responses(401, 403, 422),
)
async def list_workflows(
    services: TheServices,
    caller: MayRead,
    text: Annotated[
        str, Query(max_length=200, description="Part of the name, title or description.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """Return the saved workflows, sorted by name."""
    page = await services.run_in_thread(
        services.workflows.page, text=text, limit=limit, after=cursor
    )
    return json_response({"items": [_item(entry) for entry in page.entries], "next": page.next})


@router.get(
    "/{name}",
    summary="Get a saved workflow",
    response_class=Response,
    responses={**_TEXT, **responses(401, 403, 404, 422)},
)
async def get_workflow(
    services: TheServices, caller: MayRead, name: Name, if_none_match: IfNoneMatch = None
) -> Response:
    """Return the workflow file as it was saved. `Content-Location` names its version."""
    saved = await services.run_in_thread(services.workflows.get, name)
    return _file(saved, if_none_match)


@router.put(
    "/{name}",
    summary="Save a workflow",
    responses={
        201: {"model": SavedAs, "description": "The workflow is new."},
        **responses(400, 401, 403, 409, 412, 413, 415, 422),
    },
)
async def put_workflow(
    response: Response,
    services: TheServices,
    caller: MayRun,
    name: Name,
    document: Document,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> SavedAs:
    """Save a workflow under a name. If it differs from the stored one, it is the next version.

    It may be incomplete or not executable. Keys that nodegraph does not know are kept.
    """
    workflow = await services.run_in_thread(_read, document, services.server.limits.nodes)

    def check(digest: str | None) -> None:
        check_match(if_match, digest)
        check_none_match(if_none_match, digest)

    saved, is_new = await services.run_in_thread(services.workflows.put, name, workflow, check)
    if services.drafts is not None:
        await services.drafts.refresh(name, is_new=is_new)
    response.headers["ETag"] = etag(saved.version.digest)
    if is_new:
        response.status_code = 201
        response.headers["Location"] = _href(name)
    return build_shape(SavedAs, _version(name, saved.version), name=name)


@router.delete(
    "/{name}",
    summary="Delete a saved workflow",
    status_code=204,
    responses=responses(401, 403, 404, 412),
)
async def delete_workflow(
    services: TheServices, caller: MayRun, name: Name, if_match: IfMatch = None
) -> None:
    """Delete a workflow with all its versions. Jobs that were submitted with it keep their copy."""
    await services.run_in_thread(
        services.workflows.delete, name, lambda digest: check_match(if_match, digest)
    )
    if services.drafts is not None:
        await services.drafts.refresh(name)


@router.get(
    "/{name}/versions",
    summary="List the versions of a saved workflow",
    responses=responses(401, 403, 404, 422),
)
async def list_versions(services: TheServices, caller: MayRead, name: Name) -> VersionList:
    """Return the stored versions, the newest first."""
    versions = await services.run_in_thread(services.workflows.versions, name)
    return VersionList(items=[_version(name, version) for version in versions])


@router.get(
    "/{name}/versions/{version}",
    summary="Get a version of a saved workflow",
    response_class=Response,
    responses={**_TEXT, **responses(401, 403, 404, 422)},
)
async def get_version(
    services: TheServices,
    caller: MayRead,
    name: Name,
    version: Annotated[int, Path(ge=1, le=999_999_999, examples=[3])],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the workflow file of this version."""
    saved = await services.run_in_thread(services.workflows.get, name, version)
    return _file(saved, if_none_match)


def _read(document: Mapping[str, Any], most_nodes: int) -> Workflow:
    workflow = Workflow.from_dict(document)
    check_size(workflow, most_nodes)
    return workflow


def _file(saved: SavedWorkflow, if_none_match: str | None) -> Response:
    headers = {
        "ETag": etag(saved.version.digest),
        "Cache-Control": "private, no-cache",
        "Content-Location": _href(saved.name, saved.version.number),
    }
    if is_not_modified(if_none_match, saved.version.digest):
        return Response(status_code=304, headers=headers)
    return Response(saved.text.encode(), media_type=JSON, headers=headers)


def _href(name: str, version: int | None = None) -> str:
    href = public_path(f"/api/v1/workflows/{quote(name, safe='')}")
    return href if version is None else f"{href}/versions/{version}"


def _version(name: str, version: Version) -> shapes.SavedVersion:
    href = _href(name, version.number)
    return build_shape(shapes.SavedVersion, version, version=version.number, href=href)


def _item(entry: SavedEntry) -> dict[str, Any]:
    """Return the fields of `shapes.SavedItem`."""
    return shape_fields(shapes.SavedItem, entry, href=_href(entry.name))
