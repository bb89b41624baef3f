"""Routes of node types and port types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.core.digests import digest_bytes
from nodegraph.core.json_schema import inputs_json_schema
from nodegraph.core.spec import NodeSpec
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.types import TypeInfo
from nodegraph.packs.manifest import is_in_category, listed_type, search_types
from nodegraph.packs.translations import ENGLISH
from nodegraph.server.content.frames import FrameDocument
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.errors import NotFound
from nodegraph.server.http.problems import responses
from nodegraph.server.http.responses import (
    Coding,
    coded_tag,
    content_coding,
    encoded,
    etag,
    is_not_modified,
    json_response,
)
from nodegraph.server.http.routes.node_type_texts import (
    NodeTypeHelpList,
    NodeTypeNames,
    declared_specs,
    help_list,
    type_names,
)
from nodegraph.server.root_path import public_path, root_path
from nodegraph.server.workflows.node_types import DeclaredTypes, PackProcessKind

router = APIRouter(prefix="/node-types", tags=["node types"])

LARGEST_PAGE = 1000
_TEXTS = {"summary", "tags", "help"}
"""Fields that only search and help need."""
_INTERNAL = {"module", "qualname", "hooks"}
"""Fields with the location of the code, which clients do not need."""
TypeName = Annotated[str, Path(max_length=500, examples=["KSampler"])]
Language = Annotated[
    str,
    Query(
        max_length=35,
        description="Tag of a language, such as `de` or `zh-Hans`. Texts without a translation "
        "are in English, as all are in a language without translations.",
    ),
]
IfNoneMatch = Annotated[str | None, Header(description="ETag of the version that the client has.")]


class NodeTypeExample(BaseModel):
    """A small workflow that shows what a node type does."""

    href: str = Field(description="Path of the workflow on the server.")
    picture: str | None = Field(
        description="Path of an example image on the server; null if there is none."
    )
    needs: tuple[str, ...] = Field(
        description="Files that the workflow reads, which must be uploaded."
    )
    folders: tuple[str, ...] = Field(
        description="Folders that the workflow reads; `POST` to `…/example/folders` copies them."
    )


def _describe_sent(schema: dict[str, Any]) -> None:
    """Describe only the fields that are sent, all of them as required."""
    for name in _INTERNAL:
        schema["properties"].pop(name)
    schema["required"] = list(schema["properties"])


@dataclass(frozen=True, kw_only=True)
class NodeType(NodeSpec):
    """A node type, with all data that editors and checks need."""

    __pydantic_config__ = ConfigDict(json_schema_extra=_describe_sent)

    example: Annotated[
        NodeTypeExample | None,
        Field(description="Example workflow of the node type; null if there is none."),
    ]
    inputs_schema: Annotated[
        dict[str, Any],
        Field(description="JSON Schema of the node's `inputs` in a workflow, links included."),
    ]


class NodeTypeSummary(BaseModel):
    """A short description of a node type, for lists."""

    type: str = Field(description="Name of the node type in workflows.", examples=["KSampler"])
    pack: str = Field(description="Pack of the node type; empty for the built-in nodes.")
    label: str = Field(description="Display name.", examples=["K Sampler"])
    category: str = Field(examples=["sampling"])
    summary: str = Field(description="One sentence on what the node does.")
    tags: tuple[str, ...] = Field(description="More search words.")
    deprecated: str = Field(description="Replacement; empty if the node is not deprecated.")
    experimental: bool
    href: str = Field(
        description="Path of the full node type on the server, with its inputs and outputs.",
        examples=["/api/v1/node-types/KSampler"],
    )


class NodeTypeSummaryList(BaseModel):
    """A page of summaries of node types, sorted by name."""

    items: list[NodeTypeSummary]
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


class PortTypeEntry(BaseModel):
    """A type of values that links carry."""

    name: str = Field(examples=["Image"])
    color: str = Field(description="Color of its ports and links.", examples=["#64b5f6"])
    parents: list[str] = Field(description="Types whose ports also accept it.")
    description: str


class PackFrame(BaseModel):
    """A widget or panel that a pack adds to the editor."""

    pack: str = Field(examples=["tones"])
    kind: Literal["widget", "panel"]
    name: str = Field(examples=["curve"])
    label: str = Field(description="A panel's title; empty for a widget.")
    help: str
    href: str = Field(
        description="Page for a sandboxed frame without an origin. Its path changes with the "
        "pack's file."
    )


class NodeTypeUsage(BaseModel):
    """Counts of the shipped workflows that use a node type or a link."""

    types: dict[str, int] = Field(description="By node type.", examples=[{"KSampler": 120}])
    links: dict[str, dict[str, dict[str, int]]] = Field(
        description="By output, then by input, then by the model family of the link's "
        "value; an empty name where the family is not known.",
        examples=[{"KSampler.latent": {"VAEDecode.latent": {"sd1": 90}}}],
    )


class _NodeTypeList(BaseModel):
    """What lists of node types have in common."""

    next: str | None = None
    port_types: list[PortTypeEntry]
    frames: list[PackFrame] = Field(description="Widgets and panels that packs add to the editor.")
    packs: dict[str, str] = Field(description="Versions of the packs by name.")
    problems: list[str] = Field(description="Problems of packs; other packs still work.")
    usage: NodeTypeUsage = Field(description="The most used node types, to be suggested first.")
    unread: list[str] = Field(
        description="Packs that are still being read: their node types may still appear. An "
        "empty name means the built-in nodes."
    )
    isolated: dict[str, PackProcessKind] = Field(
        description="Packs whose nodes run in a process of the pack, by name. In a `sandbox` they "
        "have no network and cannot write files."
    )


class NodeTypeList(_NodeTypeList):
    """All node types of the server."""

    items: list[NodeType]


class CompactNodeTypeList(_NodeTypeList):
    """All node types of the server, without texts for search and help, and without schemas."""

    items: list[dict[str, Any]] = Field(
        description="Like the full node types, but without `summary`, `tags`, `help` and "
        "`inputs_schema`. A field that is missing, also of an input or output, is `false`, "
        "`null` or empty; a missing `default` is `null`."
    )


_LIST: dict[int | str, dict[str, Any]] = {
    200: {"model": NodeTypeList, "description": "All node types."},
    304: {"description": "The client already has them, according to `If-None-Match`."},
}
_COMPACT_LIST = {**_LIST, 200: {"model": CompactNodeTypeList, "description": "All node types."}}
_HELP_LIST = {**_LIST, 200: {"model": NodeTypeHelpList, "description": "All texts."}}
_NAMES = {**_LIST, 200: {"model": NodeTypeNames, "description": "The names."}}
_SUMMARIES: dict[int | str, dict[str, Any]] = {
    200: {"model": NodeTypeSummaryList, "description": "A page of summaries."},
    304: {"description": "The client already has this page, according to `If-None-Match`."},
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": NodeType, "description": "The node type."},
    304: {"description": "The client already has it, according to `If-None-Match`."},
}


@router.get(
    "",
    summary="List the node types",
    response_class=Response,
    responses={**_LIST, **responses(401, 403, 503)},
)
async def list_node_types(
    request: Request,
    services: TheServices,
    caller: MayRead,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return all node types with their ports, sorted by name, and the port types.

    The answer has several megabytes, or a twentieth of that with `Accept-Encoding: br, gzip`. The
    ETag changes when any type changes. `/node-types/compact` is a third of it, and
    `/node-types/summaries` returns short descriptions in pages.
    """
    return await _listed(request, services, if_none_match, _full_list)


# Before `/{type}`. Node types of packs have a colon in their names, built-in ones a capital letter.
@router.get(
    "/compact",
    summary="List the node types in a compact form",
    response_class=Response,
    responses={**_COMPACT_LIST, **responses(401, 403, 503)},
)
async def list_compact_node_types(
    request: Request, services: TheServices, caller: MayRead, if_none_match: IfNoneMatch = None
) -> Response:
    """Return what an editor needs to draw nodes. `/node-types/help` returns the texts.

    The ETag changes when any type changes.
    """
    return await _listed(request, services, if_none_match, _compact_list)


@router.get(
    "/help",
    summary="List the texts of the node types",
    response_class=Response,
    responses={**_HELP_LIST, **responses(401, 403, 422, 503)},
)
async def list_node_type_help(
    request: Request,
    services: TheServices,
    caller: MayRead,
    language: Language = ENGLISH,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return the texts that search and help need, of all node types, their inputs and outputs.

    Tags are in English.
    """
    return await _listed(request, services, if_none_match, help_list, language)


@router.get(
    "/names",
    summary="List the names of the node types in a language",
    response_class=Response,
    responses={**_NAMES, **responses(401, 403, 422, 503)},
)
async def list_node_type_names(
    request: Request,
    services: TheServices,
    caller: MayRead,
    language: Language,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return what an editor shows in place of English names. `/node-types/help` has longer texts.

    The ETag changes when any type or translation changes.
    """
    return await _listed(request, services, if_none_match, type_names, language)


@router.get(
    "/summaries",
    summary="List summaries of node types",
    response_class=Response,
    responses={**_SUMMARIES, **responses(401, 403, 422, 503)},
)
async def list_node_type_summaries(
    request: Request,
    services: TheServices,
    caller: MayRead,
    search: Annotated[
        str | None,
        Query(
            max_length=200,
            description="Words that must occur in the name, label, category, summary or tags.",
        ),
    ] = None,
    category: Annotated[
        str | None, Query(max_length=200, description="Includes the categories below it.")
    ] = None,
    pack: Annotated[
        str | None,
        Query(max_length=200, description="Name of a pack; empty for the built-in nodes."),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
    cursor: Annotated[str | None, Query(max_length=500)] = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return short descriptions of node types, sorted by name, with the path of each full type.

    The ETag changes when the page changes.
    """
    types = await services.node_types.current()

    def page() -> bytes:
        return _summaries(types, search, category, pack, limit=limit, after=cursor)

    body = await services.run_in_thread(page)
    coding = content_coding(request.headers.get("accept-encoding"))
    tag = coded_tag(digest_bytes(body), coding)
    if is_not_modified(if_none_match, tag):
        return Response(status_code=304, headers=_coded_headers(tag, coding))
    return _json_body(body if coding is None else encoded(body, coding), tag, coding)


@router.get(
    "/{type}",
    summary="Get a node type",
    response_class=Response,
    responses={**_RESPONSES, **responses(401, 403, 404, 503)},
)
async def get_node_type(
    services: TheServices,
    caller: MayRead,
    type: TypeName,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Return a node type with its inputs and outputs."""
    types = await services.node_types.current()
    spec = types.spec(type)
    if spec is None:
        types.require_read(type)
        raise NotFound(
            "there is no such node type",
            given=ascii(type[:80]),
            hint=did_you_mean(type, types.node_types()) or None,
        )
    answer = json_response(_document(spec, types))
    digest = digest_bytes(answer.body)
    if is_not_modified(if_none_match, digest):
        return Response(status_code=304, headers=cache_headers(digest))
    answer.headers.update(cache_headers(digest))
    return answer


async def _listed(
    request: Request,
    services: TheServices,
    if_none_match: str | None,
    made_of: Callable[[DeclaredTypes, str], dict[str, Any]],
    wanted: str = ENGLISH,
) -> Response:
    """Return a list of all types. It is built once for each language and cached for all clients."""
    types = await services.node_types.current()
    coding = content_coding(request.headers.get("accept-encoding"))
    # Images of examples lie below the path of the server.
    language = types.translations.language(wanted)
    digest = digest_bytes(f"{made_of.__name__} {types.digest} {root_path()} {language}".encode())
    tag = coded_tag(digest, coding)
    if is_not_modified(if_none_match, tag):
        return Response(status_code=304, headers=_coded_headers(tag, coding))

    def answer() -> bytes:
        body = bytes(json_response(made_of(types, language)).body)
        return body if coding is None else encoded(body, coding)

    body = types.response_cache.get(tag)
    if body is None:
        body = types.response_cache[tag] = await services.run_in_thread(answer)
    return _json_body(body, tag, coding)


def _list_of(types: DeclaredTypes, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "items": items,
        "next": None,
        "port_types": [_port_type(info) for info in types.type_infos()],
        "frames": [_frame(page) for page in types.frames.by_path.values()],
        "packs": dict(types.pack_versions()),
        "problems": list(types.problems),
        "usage": asdict(types.usage),
        "unread": sorted(types.unread),
        "isolated": dict(types.isolated),
    }


def _full_list(types: DeclaredTypes, _language: str) -> dict[str, Any]:
    return _list_of(types, [_document(spec, types) for spec in declared_specs(types)])


def _compact_list(types: DeclaredTypes, _language: str) -> dict[str, Any]:
    return _list_of(types, [_compact(_fields(spec, types)) for spec in declared_specs(types)])


def _compact(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a type or port that are not empty, without its help."""
    compact = {name: value for name, value in fields.items() if _is_sent(name, value)}
    for name in ("inputs", "outputs"):
        if name in compact:
            compact[name] = [_compact(port) for port in compact[name]]
    return compact


def _is_sent(name: str, value: Any) -> bool:
    """Whether a field must be sent: a missing one is read as false, null or empty."""
    if name in _TEXTS:
        return False
    if name == "default":
        return value is not None
    return value is not False and value not in (None, "", (), [], {})


def _summaries(
    types: DeclaredTypes,
    search: str | None,
    category: str | None,
    pack: str | None,
    *,
    limit: int,
    after: str | None,
) -> bytes:
    """Return a page of summaries as JSON."""
    rows = [listed_type(types.specs[name]) for name in types.node_types()]
    if pack is not None:
        rows = [row for row in rows if row.pack == pack]
    if category is not None:
        rows = [row for row in rows if is_in_category(row, category)]
    if search is not None:
        rows = search_types(rows, search, types.other_names)
    rows = [row for row in rows if after is None or row.type > after]
    items = [
        NodeTypeSummary(
            type=row.type,
            pack=row.pack,
            label=row.label,
            category=row.category,
            summary=row.summary,
            tags=row.tags,
            deprecated=row.deprecated,
            experimental=row.experimental,
            href=_href(row.type),
        ).model_dump()
        for row in rows[:limit]
    ]
    following = rows[limit - 1].type if len(rows) > limit else None
    return bytes(json_response({"items": items, "next": following}).body)


def _document(spec: NodeSpec, types: DeclaredTypes) -> dict[str, Any]:
    return {**_fields(spec, types), "inputs_schema": inputs_json_schema(spec)}


def _fields(spec: NodeSpec, types: DeclaredTypes) -> dict[str, Any]:
    document = {name: value for name, value in asdict(spec).items() if name not in _INTERNAL}
    example = _shown(spec.type, types)
    return {**document, "example": example and example.model_dump(mode="json")}


def _shown(type: str, types: DeclaredTypes) -> NodeTypeExample | None:
    example = types.examples.get(type)
    if example is None:
        return None
    href = f"{_href(type)}/example"
    picture = f"{href}/picture" if example.picture else None
    return NodeTypeExample(href=href, picture=picture, needs=example.needs, folders=example.folders)


def _href(type: str) -> str:
    return public_path(f"/api/v1/node-types/{quote(type, safe='')}")


def _port_type(info: TypeInfo) -> dict[str, Any]:
    return PortTypeEntry(
        name=info.name,
        color=info.color,
        parents=list(info.parents),
        description=info.description,
    ).model_dump()


def _frame(page: FrameDocument) -> dict[str, Any]:
    script = page.script
    return PackFrame(
        pack=script.pack,
        kind="widget" if script.kind == "widgets" else "panel",
        name=script.name,
        label=script.label,
        help=script.help,
        href=public_path(page.href),
    ).model_dump()


def _coded_headers(tag: str, coding: Coding | None) -> dict[str, str]:
    headers = {**cache_headers(tag), "Vary": "Accept-Encoding"}
    return headers if coding is None else {**headers, "Content-Encoding": coding}


def _json_body(body: bytes, tag: str, coding: Coding | None) -> Response:
    return Response(body, headers=_coded_headers(tag, coding), media_type="application/json")


def cache_headers(digest: str) -> dict[str, str]:
    return {"ETag": etag(digest), "Cache-Control": "private, no-cache"}
