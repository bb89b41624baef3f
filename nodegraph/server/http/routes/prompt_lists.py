"""Routes of styles and tag lists, which each client has of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.core.digests import digest_bytes
from nodegraph.server.content.prompt_lists import (
    LARGEST_TAG_LIST,
    Style,
    TagList,
    read_styles,
)
from nodegraph.server.http.dependencies import MayRead, MayRun, TheServices
from nodegraph.server.http.errors import TooLarge
from nodegraph.server.http.file_responses import BINARY
from nodegraph.server.http.problems import responses
from nodegraph.server.http.request_bodies import JsonRoute
from nodegraph.server.http.responses import etag, is_not_modified
from nodegraph.server.root_path import public_path

CSV = "text/csv; charset=utf-8"
_TEXT: dict[str, Any] = {"text/csv": {"schema": {"type": "string"}}}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The list as CSV.", "content": _TEXT},
    304: {"description": "The client already has it, according to `If-None-Match`."},
}
_BODY: dict[str, Any] = {
    # Stands for any type: generators leave out a body of a type they do not know.
    "requestBody": {"required": True, "content": {"application/octet-stream": BINARY}}
}

Name = Annotated[
    str, Path(description="A valid file name on every platform.", examples=["danbooru"])
]


class StyleEntry(BaseModel):
    """Pieces of text around the prompts. ``{prompt}`` in them stands for the prompt."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(examples=["watercolor"])]
    prompt: Annotated[str, Field(examples=["a watercolor of {prompt}"])] = ""
    negative_prompt: Annotated[str, Field(examples=["photo"])] = ""


class Styles(BaseModel):
    """Styles in their order."""

    model_config = ConfigDict(extra="forbid")

    items: list[StyleEntry]


class TagListEntry(BaseModel):
    """A list of tags that prompts are completed with."""

    name: str
    tags: Annotated[int, Field(description="Number of tags.", examples=[140_000])]
    bytes: Annotated[int, Field(description="Size of the CSV.", examples=[6_200_000])]
    href: Annotated[str, Field(examples=["/api/v1/tag-lists/danbooru"])]


class TagLists(BaseModel):
    """Tag lists, sorted by name."""

    items: list[TagListEntry]


router = APIRouter(prefix="/styles", tags=["prompts"], route_class=JsonRoute)


@router.get("", summary="List the styles", responses=responses(401, 403))
async def get_styles(services: TheServices, caller: MayRead) -> Styles:
    """Return the styles of the caller. All browsers of a client share them."""
    return _styles(await services.run_in_thread(services.prompt_lists.styles, caller.name))


@router.put("", summary="Replace the styles", responses=responses(400, 401, 403, 413, 415, 422))
async def put_styles(services: TheServices, caller: MayRun, styles: Styles) -> Styles:
    """Replace the styles of the caller. Of several with one name the last one counts."""
    kept = [Style(each.name, each.prompt, each.negative_prompt) for each in styles.items]
    return _styles(
        await services.run_in_thread(services.prompt_lists.put_styles, caller.name, kept)
    )


csv_router = APIRouter(tags=["prompts"])


@csv_router.post(
    "/styles/csv",
    summary="Add the styles of a CSV file",
    responses=responses(401, 403, 413, 422),
    openapi_extra=_BODY,
)
async def import_styles(request: Request, services: TheServices, caller: MayRun) -> Styles:
    """Add styles of a CSV file of A1111: the columns are name, prompt and negative_prompt.

    Styles of the same names are replaced. A wrong row is refused with its number, and nothing is
    changed.
    """
    data = await request.body()

    def add() -> Styles:
        added = read_styles(data)
        known = services.prompt_lists.styles(caller.name)
        return _styles(services.prompt_lists.put_styles(caller.name, [*known, *added]))

    return await services.run_in_thread(add)


@csv_router.get("/tag-lists", summary="List the tag lists", responses=responses(401, 403))
async def list_tag_lists(services: TheServices, caller: MayRead) -> TagLists:
    """Return the tag lists of the caller. All browsers of a client share them."""
    entries = await services.run_in_thread(services.prompt_lists.tag_lists, caller.name)
    return TagLists(items=[_entry(each) for each in entries])


@csv_router.get(
    "/tag-lists/{name}",
    summary="Get a tag list",
    response_class=Response,
    responses={**_FILE, **responses(401, 403, 404, 422)},
)
async def get_tag_list(
    request: Request, services: TheServices, caller: MayRead, name: Name
) -> Response:
    """Return a tag list as CSV: name, category, count, aliases with commas between them."""
    data = await services.run_in_thread(services.prompt_lists.tag_list, caller.name, name)
    digest = str(digest_bytes(data))
    headers = {"ETag": etag(digest), "Cache-Control": "private, no-cache"}
    if is_not_modified(request.headers.get("if-none-match"), digest):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=CSV, headers=headers)


@csv_router.put(
    "/tag-lists/{name}",
    summary="Save a tag list",
    responses=responses(401, 403, 413, 422),
    openapi_extra=_BODY,
)
async def put_tag_list(
    request: Request, services: TheServices, caller: MayRun, name: Name
) -> TagListEntry:
    """Save a CSV file of tags, as a1111-tagcomplete has them: name, category, count, aliases.

    A wrong row is refused with its number, and nothing is changed.
    """
    data = await request.body()
    if len(data) > LARGEST_TAG_LIST:
        raise TooLarge("the tag list is too large", expected=f"at most {LARGEST_TAG_LIST:,} bytes")
    return _entry(
        await services.run_in_thread(services.prompt_lists.put_tag_list, caller.name, name, data)
    )


@csv_router.delete(
    "/tag-lists/{name}",
    summary="Delete a tag list",
    status_code=204,
    responses=responses(401, 403, 404, 422),
)
async def delete_tag_list(services: TheServices, caller: MayRun, name: Name) -> None:
    """Delete a tag list of the caller."""
    await services.run_in_thread(services.prompt_lists.delete_tag_list, caller.name, name)


def _styles(styles: Sequence[Style]) -> Styles:
    return Styles(
        items=[
            StyleEntry(name=each.name, prompt=each.prompt, negative_prompt=each.negative_prompt)
            for each in styles
        ]
    )


def _entry(entry: TagList) -> TagListEntry:
    href = f"/api/v1/tag-lists/{quote(entry.name, safe='')}"
    return TagListEntry(name=entry.name, tags=entry.tags, bytes=entry.bytes, href=public_path(href))
