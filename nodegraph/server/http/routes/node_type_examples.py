"""Routes of the examples of node types: their workflows, images, files and folders."""

from __future__ import annotations

from mimetypes import guess_type
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from nodegraph.core.digests import digest_bytes
from nodegraph.core.suggest import did_you_mean
from nodegraph.server.http.dependencies import MayRead, MayRun, TheServices
from nodegraph.server.http.errors import NotFound
from nodegraph.server.http.file_responses import ANY_FILE, BINARY
from nodegraph.server.http.media_types import ANY, content_headers
from nodegraph.server.http.problems import responses
from nodegraph.server.http.responses import is_not_modified
from nodegraph.server.http.routes.node_types import TypeName, cache_headers
from nodegraph.server.http.routes.workflows import DOCUMENT, JSON
from nodegraph.session.examples import NodeExample

router = APIRouter(prefix="/node-types", tags=["node types"])

_WORKFLOW: dict[int | str, dict[str, Any]] = {
    200: {"description": "The workflow's file.", "content": {JSON: DOCUMENT}}
}
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The image.", "content": {"image/webp": BINARY}},
    304: {"description": "The client already has it, according to `If-None-Match`."},
}
_NEEDED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file.", "content": ANY_FILE},
    304: {"description": "The client already has it, according to `If-None-Match`."},
}


@router.get(
    "/{type}/example",
    summary="Get an example workflow of a node type",
    response_class=Response,
    responses={**_WORKFLOW, **responses(401, 403, 404, 503)},
)
async def get_node_type_example(services: TheServices, caller: MayRead, type: TypeName) -> Response:
    """Return the workflow file."""
    example = await _example(type, services)
    return Response(await services.run_in_thread(lambda: example.text), media_type=JSON)


@router.get(
    "/{type}/example/picture",
    summary="Get an example image of a node type",
    response_class=Response,
    responses={**_PICTURE, **responses(401, 403, 404, 503)},
)
async def get_node_type_picture(
    request: Request, services: TheServices, caller: MayRead, type: TypeName
) -> Response:
    """Return a small WebP of the image that the example makes."""
    example = await _example(type, services)
    if example.picture is None:
        raise NotFound("there is no image of this node type", given=ascii(type[:80]))
    return await _file_answer(request, services, example.picture)


@router.get(
    "/{type}/example/files/{file}",
    summary="Get a file that the example of a node type needs",
    response_class=Response,
    responses={**_NEEDED, **responses(401, 403, 404, 503)},
)
async def get_node_type_example_file(
    request: Request,
    services: TheServices,
    caller: MayRead,
    type: TypeName,
    file: Annotated[str, Path(description="One of the files in `needs`.", examples=["apple.png"])],
) -> Response:
    """Return a file that the example reads. Upload it and use the upload's `value` as its name."""
    example = await _example(type, services)
    if file not in example.needs:
        raise NotFound(
            "this example does not need such a file",
            given=ascii(file[:80]),
            hint=did_you_mean(file, example.needs) or None,
        )
    return await _file_answer(request, services, example.inputs / file)


@router.post(
    "/{type}/example/folders",
    status_code=204,
    summary="Copy the folders that the example of a node type needs",
    responses=responses(401, 403, 404, 503),
)
async def bring_node_type_example_folders(
    services: TheServices, caller: MayRun, type: TypeName
) -> None:
    """Copy the folders into the inputs folder. Existing folders stay unchanged."""
    example = await _example(type, services)
    await services.run_in_thread(example.copy_folders, services.environment.inputs)


async def _example(type: str, services: TheServices) -> NodeExample:
    types = await services.node_types.current()
    types.require_read(type)
    if type not in types.examples:
        raise NotFound("there is no example of this node type", given=ascii(type[:80]))
    return types.examples[type]


async def _file_answer(request: Request, services: TheServices, file: FilePath) -> Response:
    data = await services.run_in_thread(file.read_bytes)
    digest = digest_bytes(data)
    headers = cache_headers(digest)
    if is_not_modified(request.headers.get("if-none-match"), digest):
        return Response(status_code=304, headers=headers)
    media_type = guess_type(file.name)[0] or ANY
    return Response(data, headers={**headers, **content_headers(media_type, file.name)})
