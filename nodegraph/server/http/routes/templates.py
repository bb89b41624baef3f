"""Routes of templates: the workflows that ship with nodegraph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from mimetypes import guess_type
from typing import Annotated, Any
from urllib.parse import quote

from blake3 import blake3
from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel

from nodegraph.client import shapes
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.workflow import Workflow
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.errors import NotFound
from nodegraph.server.http.file_responses import ANY_FILE, BINARY
from nodegraph.server.http.media_types import ANY, content_headers
from nodegraph.server.http.problems import responses
from nodegraph.server.http.responses import content_coding, encoded, etag, is_not_modified
from nodegraph.server.http.routes.workflows import DOCUMENT, JSON, Name
from nodegraph.server.root_path import public_path, root_path, using_root_path
from nodegraph.session.examples import template, template_picture, templates
from nodegraph.session.lessons import lesson_names, lesson_text, read_lesson

router = APIRouter(prefix="/templates", tags=["workflows"])

_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The image.", "content": {"image/webp": BINARY}},
    304: {"description": "The client already has it, according to `If-None-Match`."},
}
_NEEDED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": ANY_FILE},
    304: {"description": "The client already has it, according to `If-None-Match`."},
}
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The workflow's file.", "content": {JSON: DOCUMENT}}
}

_OBJECT = {"schema": {"type": "object", "additionalProperties": True}}
_LESSON_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The lesson's file.", "content": {JSON: _OBJECT}}
}


class TemplateList(BaseModel):
    """Workflows that ship with nodegraph."""

    items: list[shapes.Template]
    next: str | None = None


@router.get("", summary="List the gallery", responses=responses(401, 403))
async def list_templates(services: TheServices, caller: MayRead) -> TemplateList:
    """Return the workflows that ship with nodegraph, as starting points."""
    return TemplateList(items=await services.run_in_thread(_templates, root_path()))


@router.get(
    "/{name}",
    summary="Get a workflow of the gallery",
    response_class=Response,
    responses={**_FILE, **responses(401, 403, 404)},
)
async def get_template(services: TheServices, caller: MayRead, name: Name) -> Response:
    """Return the workflow file."""
    item = _named(name, await services.run_in_thread(_templates, root_path()))
    text, _ = await services.run_in_thread(template, item.name)
    return Response(text, media_type=JSON)


@router.get(
    "/{name}/picture",
    summary="Get an image of a workflow of the gallery",
    response_class=Response,
    responses={**_PICTURE, **responses(401, 403, 404)},
)
async def get_template_picture(
    request: Request, services: TheServices, caller: MayRead, name: Name
) -> Response:
    """Return a small WebP of the image that the workflow makes."""
    item = _named(name, await services.run_in_thread(_templates, root_path()))
    data = await services.run_in_thread(template_picture, item.name)
    if data is None:
        raise NotFound("there is no image of this workflow", given=item.name)
    return _file_answer(request, data, f"{item.name}.webp")


@router.get(
    "/{name}/lesson",
    summary="Get the lesson about a workflow of the gallery",
    response_class=Response,
    responses={**_LESSON_FILE, **responses(401, 403, 404)},
)
async def get_template_lesson(
    request: Request, services: TheServices, caller: MayRead, name: Name
) -> Response:
    """Return the lesson's file: its steps, with texts by language."""
    item = _named(name, await services.run_in_thread(_templates, root_path()))
    if item.lesson is None:
        raise NotFound("there is no lesson about this workflow", given=item.name)
    body = await services.run_in_thread(lesson_text, item.name)
    headers = {"Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
    if coding := content_coding(request.headers.get("accept-encoding")):
        body = encoded(body, coding)
        headers["Content-Encoding"] = coding
    return Response(body, media_type=JSON, headers=headers)


@router.get(
    "/{name}/files/{file}",
    summary="Get a file that a workflow of the gallery needs",
    response_class=Response,
    responses={**_NEEDED, **responses(401, 403, 404)},
)
async def get_template_file(
    request: Request,
    services: TheServices,
    caller: MayRead,
    name: Name,
    file: Annotated[str, Path(description="One of the files in `needs`.", examples=["apple.png"])],
) -> Response:
    """Return a file that the workflow reads. Upload it and use the upload's `value` as its name."""
    item = _named(name, await services.run_in_thread(_templates, root_path()))
    if file not in item.needs:
        raise NotFound(
            "this workflow does not need such a file",
            given=ascii(file[:80]),
            hint=did_you_mean(file, item.needs) or None,
        )
    _, needed = await services.run_in_thread(template, item.name)
    return _file_answer(request, needed[file], file)


def _named(name: str, items: Sequence[shapes.Template]) -> shapes.Template:
    by_name = {item.name: item for item in items}
    if name not in by_name:
        raise NotFound(
            "the gallery has no such workflow",
            given=ascii(name[:80]),
            hint=did_you_mean(name, by_name),
        )
    return by_name[name]


def _file_answer(request: Request, data: bytes, name: str) -> Response:
    digest = blake3(data).hexdigest()
    headers = {"ETag": etag(digest), "Cache-Control": "private, no-cache"}
    if is_not_modified(request.headers.get("if-none-match"), digest):
        return Response(status_code=304, headers=headers)
    media_type = guess_type(name)[0] or ANY
    return Response(data, headers={**headers, **content_headers(media_type, name)})


@lru_cache(maxsize=2)
def _templates(root: str) -> list[shapes.Template]:
    """Return the gallery, with links below a path. The list is cached."""
    with using_root_path(root):
        return [_template(name, workflow) for name, workflow in templates().items()]


def _template(name: str, workflow: Workflow) -> shapes.Template:
    href = public_path(f"/api/v1/templates/{quote(name, safe='')}")
    return shapes.Template(
        name=name,
        title=workflow.title,
        description=workflow.description,
        parameters=tuple(workflow.parameters),
        needs=tuple(sorted(template(name)[1])),
        types=tuple(sorted(_types(workflow))),
        href=href,
        picture=None if template_picture(name) is None else f"{href}/picture",
        lesson=_lesson_header(name, workflow),
    )


def _lesson_header(name: str, workflow: Workflow) -> shapes.TemplateLesson | None:
    if name not in lesson_names():
        return None
    header = read_lesson(lesson_text(name), workflow)
    return shapes.TemplateLesson(header.title, header.summary, header.steps, header.order)


def _types(workflow: Workflow) -> set[str]:
    """Return the node types that a workflow uses, those in its blocks included."""
    parts = [workflow.nodes, *(block.nodes for block in workflow.subgraphs.values())]
    return {node.type for nodes in parts for node in nodes.values()} - set(workflow.subgraphs)
