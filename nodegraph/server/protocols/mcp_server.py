"""MCP over HTTP and stdio: tools, results as images and links, saved workflows as resources.

The package `mcp` is optional. It is imported when the first client connects.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Request, Response
from starlette.types import Receive, Scope, Send

from nodegraph.core.text_format import format_size, pluralize
from nodegraph.core.version import VERSION
from nodegraph.errors import InvalidFile, NodegraphError, Problem
from nodegraph.jobs.queue import Job
from nodegraph.jobs.queue.job import ENDED
from nodegraph.server.access.caller import Caller, request_notes
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.errors import NotFound, Refused, TooLarge, no_caller
from nodegraph.server.http.problems import limit_problems, register_error_form
from nodegraph.server.protocols.app_runs import (
    RunnableApp,
    converted_image,
    job_files,
    read_file,
    saved_app,
)
from nodegraph.server.protocols.mcp_tools import (
    PAGE,
    TOOLS,
    URI,
    ServerTool,
    ToolCall,
    UnknownTool,
    app_schema,
    call_tool,
    saved_names,
    tool_names,
)
from nodegraph.server.root_path import using_root_path
from nodegraph.server.services import Services
from nodegraph.session.examples import template

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from mcp_types import (
        CallToolResult,
        ContentBlock,
        ListResourcesResult,
        ListResourceTemplatesResult,
        ListToolsResult,
        ReadResourceResult,
        Tool,
    )

_LOG = logging.getLogger(__name__)
router = APIRouter()
PATH = "/mcp"
_MOST_SESSIONS = 200
"""Of a client: one that opens more takes none from others."""
_MOST_PROBLEMS = 10
_MOST_SHOWN = 8
"""Images of a job that an answer contains; links lead to the others."""
_SIDES = ((1_024, 85), (512, 80), (256, 60))
"""Pixels of a side, and quality, of images that are made smaller: the first that fits."""
_IMAGE_BYTES, _SOUND_BYTES = 448 << 10, 192 << 10
"""Of all of an answer: clients take a mebibyte at once, which base64 makes of three quarters."""
_LARGEST_RESOURCE = 32 << 20
_SHOWN_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
_READY_SECONDS = 300.0
_FILE_FIELDS = ("name", "node", "kind", "media_type", "size", "width", "height", "digest", "href")
INSTRUCTIONS = (
    "nodegraph runs diffusion pipelines that are built as graphs of nodes. Each tool whose name "
    "begins with app_ runs a saved workflow. To make a new workflow, start from a template "
    "(list_templates, get_template), look up nodes (search_node_types, get_node_type), check it "
    "(validate_workflow), and run it (run_workflow)."
)


class NotInstalled(Refused):
    """A protocol whose optional package is missing."""

    code = "not-installed"
    status = 501


def missing_package() -> NotInstalled:
    """Say how to install what MCP needs."""
    return NotInstalled(
        "MCP needs the package `mcp`, which is not installed",
        hint="Install it with `pip install 'nodegraph[mcp]'`, and restart the server.",
    )


def _rpc_error(
    status: int, code: str, text: str, problems: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return an error in the form of JSON-RPC."""
    hint = problems[0].get("hint") if problems else None
    message = f"{text}. {hint}" if hint else text
    error = {"code": -32000, "message": message, "data": {"status": status, "code": code}}
    return {"jsonrpc": "2.0", "id": None, "error": error}


register_error_form(PATH, _rpc_error)


async def _job_content(call: ToolCall, job: Job) -> list[ContentBlock]:
    """The files of a job: small images and sounds themselves, and links to all."""
    import mcp_types as types

    content: list[ContentBlock] = []
    files = job_files(job)
    images = [file for file in files if str(file["media_type"]).startswith("image/")]
    shown, sound_left = images[:_MOST_SHOWN], _SOUND_BYTES
    for file in files:
        media_type, digest = str(file["media_type"]), str(file["digest"])
        try:
            if file in shown:
                kind, data = await _shown_image(call, file, _IMAGE_BYTES // len(shown))
                encoded = base64.b64encode(data).decode()
                content.append(types.ImageContent(data=encoded, mime_type=kind))
            elif media_type.startswith("audio/") and file["size"] <= sound_left:
                data = await read_file(call.services, call.caller, digest)
                sound_left -= len(data)
                encoded = base64.b64encode(data).decode()
                content.append(types.AudioContent(data=encoded, mime_type=media_type))
        except (InvalidFile, Refused) as error:
            # Such as a file that was deleted since: the link says of it what can be said.
            _LOG.info("%s is not shown: %s", digest, error)
        content.append(
            types.ResourceLink(
                name=str(file["name"]),
                uri=f"{URI}results/{digest}",
                mime_type=media_type,
                size=file["size"],
            )
        )
    return content


async def _shown_image(call: ToolCall, file: Mapping[str, Any], most: int) -> tuple[str, bytes]:
    """The type and bytes of an image, made smaller until it has at most so many bytes.

    Raises:
        TooLarge: It has more all the same.
    """
    services, caller = call.services, call.caller
    media_type, digest = str(file["media_type"]), str(file["digest"])
    if file["size"] <= most and media_type in _SHOWN_TYPES:
        return media_type, await read_file(services, caller, digest)
    for side, quality in _SIDES:
        data = await converted_image(services, caller, digest, "webp", quality=quality, side=side)
        if len(data) <= most:
            return "image/webp", data
    raise TooLarge("the image is too large to be shown", expected=f"at most {format_size(most)}")


async def _job_result(call: ToolCall, job: Job) -> CallToolResult:
    import mcp_types as types

    files = [{name: file.get(name) for name in _FILE_FIELDS} for file in job_files(job)]
    for file in files:
        file["uri"] = f"{URI}results/{file['digest']}"
    document: dict[str, Any] = {"job": job.id, "state": job.state, "files": files}
    if job.state not in ENDED:
        text = f"Job {job.id} is not done: {job.state}. Call wait_for_job to wait for it."
        content: list[ContentBlock] = [types.TextContent(text=text)]
        return types.CallToolResult(content=content, structured_content=document)
    if job.state != "finished":
        error = job.error or {"code": "cancelled", "message": "the job was cancelled"}
        listed = error.get("problems") or [error]
        problems = [Problem.from_dict(each) for each in listed]
        return _failure(call.services, problems, document)
    warnings = [str(each.get("message", each)) for each in (job.outputs or {}).get("warnings", ())]
    document["warnings"] = warnings
    lines = [f"Job {job.id} is finished: {pluralize(len(files), 'file')}.", *warnings]
    content = [types.TextContent(text="\n".join(lines)), *await _job_content(call, job)]
    return types.CallToolResult(content=content, structured_content=document)


def _failure(
    services: Services, problems: Sequence[Problem], document: Mapping[str, Any] | None = None
) -> CallToolResult:
    """What went wrong, for a model to mend."""
    import mcp_types as types

    listed = limit_problems(problems)[:_MOST_PROBLEMS]
    text = services.places.redact("\n".join(map(_problem_text, listed)))
    content: list[ContentBlock] = [types.TextContent(text=text)]
    about = dict(document) if document else None
    return types.CallToolResult(content=content, structured_content=about, is_error=True)


def _problem_text(problem: Problem) -> str:
    where = f"{problem.place}: " if problem.place else ""
    value = f" Given: {problem.given}." if problem.given else ""
    expected = f" Expected: {problem.expected}." if problem.expected else ""
    return f"{where}{problem.message}.{value}{expected} {problem.hint or ''}".strip()


async def _resource(services: Services, caller: Caller, uri: str) -> tuple[str, bytes]:
    """The media type and bytes of a resource.

    Raises:
        NotFound, TooLarge: There is none, or it is too large.
    """
    kind, _, name = uri.removeprefix(URI).partition("/")
    if uri.startswith(URI) and kind == "workflows":
        saved = await services.run_in_thread(services.workflows.get, unquote(name))
        return "application/json", saved.text.encode()
    if uri.startswith(URI) and kind == "templates":
        return "application/json", (await services.run_in_thread(template, unquote(name)))[0]
    if uri.startswith(URI) and kind == "results":
        find = services.artifacts.find
        artifact = await services.read_queue(find, name, caller.only_client)
        if artifact.size > _LARGEST_RESOURCE:
            raise TooLarge(
                "the file is too large for a resource",
                given=format_size(artifact.size),
                expected=f"at most {format_size(_LARGEST_RESOURCE)}",
                hint=f"Get it from /api/v1/artifacts/{name}.",
            )
        return artifact.media_type, await read_file(services, caller, name)
    raise NotFound(
        "there is no such resource",
        given=ascii(uri[:80]),
        expected=f"{URI}workflows/…, {URI}templates/… or {URI}results/…",
    )


def build_server(whose: Callable[[Any], tuple[Services, Caller]]) -> Server[Any]:
    """The server of the protocol.

    Args:
        whose: Returns the services, and who asks, of a request's context.
    Raises:
        ImportError: The package `mcp` is not installed.
    """
    from mcp.server.lowlevel import Server

    handlers = _RequestHandlers(whose)
    return Server(
        "nodegraph",
        version=VERSION,
        title="nodegraph",
        instructions=INSTRUCTIONS,
        get_tool_input_schema=lambda name: None,  # else each call lists all tools first
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_resources=handlers.list_resources,
        on_list_resource_templates=handlers.list_resource_templates,
        on_read_resource=handlers.read_resource,
    )


def _tool_of(name: str, tool: ServerTool) -> Tool:
    import mcp_types as types

    reads = tool.scope == "read"
    hints = types.ToolAnnotations(
        read_only_hint=reads,
        destructive_hint=tool.is_destructive,
        idempotent_hint=reads or tool.is_destructive,
        open_world_hint=False,
    )
    return types.Tool(
        name=name,
        title=name.replace("_", " ").capitalize(),
        description=tool.run.__doc__,
        input_schema=tool.arguments.model_json_schema(),
        annotations=hints,
    )


def _app_tool(name: str, target: RunnableApp) -> Tool:
    import mcp_types as types

    app = target.app
    about = app.description or f"Run the saved workflow `{app.name}`."
    hints = types.ToolAnnotations(
        read_only_hint=False, destructive_hint=False, open_world_hint=False
    )
    schema = app_schema(app)
    return types.Tool(
        name=name, title=app.title, description=about, input_schema=schema, annotations=hints
    )


class _RequestHandlers:
    """Answers the requests of the protocol, each in the name of its caller."""

    def __init__(self, whose: Callable[[Any], tuple[Services, Caller]]) -> None:
        self._whose = whose

    async def list_tools(self, ctx: Any, params: Any) -> ListToolsResult:
        import mcp_types as types

        services, caller = self._whose(ctx)
        cursor = params.cursor if params is not None else None
        tools = (
            []
            if cursor
            else [_tool_of(name, tool) for name, tool in TOOLS.items() if caller.may(tool.scope)]
        )
        if not caller.may("run"):
            return types.ListToolsResult(tools=tools)
        names = tool_names(await saved_names(services))
        if names:
            await _until_ready(services)
        left = sorted(app for app in names.values() if cursor is None or app > cursor)
        by_app = {app: tool for tool, app in names.items()}
        for app in left[:PAGE]:
            try:
                tools.append(_app_tool(by_app[app], await saved_app(services, app)))
            except NodegraphError:
                continue  # it can't be read, or was deleted: it is no tool
        following = left[PAGE - 1] if len(left) > PAGE else None
        return types.ListToolsResult(tools=tools, next_cursor=following)

    async def call_tool(self, ctx: Any, params: Any) -> CallToolResult:
        import mcp_types as types
        from mcp.shared.exceptions import MCPError

        services, caller = self._whose(ctx)
        await _until_ready(services)
        call = ToolCall(services, caller, ctx.session.report_progress)
        with using_root_path(services.server.root_path):
            try:
                answer = await call_tool(call, params.name, params.arguments or {})
                if not isinstance(answer, Job):
                    shown = types.TextContent(text=json.dumps(answer, ensure_ascii=False))
                    return types.CallToolResult(content=[shown], structured_content=answer)
                return await _job_result(call, answer)
            except UnknownTool as error:
                text = f"{error.problem.message}. {error.problem.hint or ''}".strip()
                raise MCPError(types.INVALID_PARAMS, text) from error
            except NodegraphError as error:
                return _failure(services, error.problems or (error.problem,))
            except (OSError, sqlite3.Error):
                fault = Problem("unavailable", "the server cannot reach its files now")
                return _failure(services, (fault,))

    async def list_resources(self, ctx: Any, params: Any) -> ListResourcesResult:
        import mcp_types as types

        services, _ = self._whose(ctx)
        cursor = params.cursor if params is not None else None
        page = await services.run_in_thread(services.workflows.page, limit=PAGE, after=cursor)
        listed = [
            types.Resource(
                name=each.name,
                title=each.title or each.name,
                uri=f"{URI}workflows/{quote(each.name, safe='')}",
                description=each.description,
                mime_type="application/json",
            )
            for each in page.entries
        ]
        return types.ListResourcesResult(resources=listed, next_cursor=page.next)

    async def list_resource_templates(self, ctx: Any, params: Any) -> ListResourceTemplatesResult:
        import mcp_types as types

        kinds = (
            ("workflows/{name}", "Saved workflow", "application/json"),
            ("templates/{name}", "Workflow of the gallery", "application/json"),
            ("results/{digest}", "Output file of a job", None),
        )
        listed = [
            types.ResourceTemplate(name=title, uri_template=URI + path, mime_type=media_type)
            for path, title, media_type in kinds
        ]
        return types.ListResourceTemplatesResult(resource_templates=listed)

    async def read_resource(self, ctx: Any, params: Any) -> ReadResourceResult:
        import mcp_types as types
        from mcp.shared.exceptions import MCPError

        services, caller = self._whose(ctx)
        try:
            media_type, data = await _resource(services, caller, params.uri)
        except NodegraphError as error:
            raise MCPError(types.INVALID_PARAMS, services.places.redact(str(error))) from error
        about = {"uri": params.uri, "mime_type": media_type}
        content: types.TextResourceContents | types.BlobResourceContents
        if media_type.startswith("text/") or media_type == "application/json":
            content = types.TextResourceContents(**about, text=data.decode(errors="replace"))
        else:
            content = types.BlobResourceContents(**about, blob=base64.b64encode(data).decode())
        return types.ReadResourceResult(contents=[content])


class McpEndpoint:
    """The sessions of one application's clients over HTTP; they end when the server stops."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._managers: dict[str, asyncio.Future[StreamableHTTPSessionManager]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def manager(self, client: str) -> StreamableHTTPSessionManager:
        """What answers a client's requests; started with the first one.

        Raises:
            NotInstalled: The package is missing.
        """
        if client not in self._managers:
            self._managers[client] = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(self._run(client), name="mcp")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(self._managers[client])

    async def _run(self, client: str) -> None:
        started = self._managers[client]
        try:
            from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

            server = build_server(_whose)
        except ImportError:
            del self._managers[client]  # it may be installed by the next request
            started.set_exception(missing_package())
            return
        manager = StreamableHTTPSessionManager(
            server,
            max_request_body_size=self._services.server.limits.body,
            max_sessions=_MOST_SESSIONS,
        )
        async with manager.run():
            started.set_result(manager)
            await self._services.stopping.wait()


async def _until_ready(services: Services) -> None:
    """Wait until packs were read: a client begins to ask as soon as the server is there."""
    end = services.uptime + _READY_SECONDS
    while services.has_workers and not services.node_types.is_ready and services.uptime < end:
        await asyncio.sleep(0.05)


def _whose(ctx: Any) -> tuple[Services, Caller]:
    """Who sent a message over HTTP: its own token counts, not that of its session's beginning."""
    request: Request = ctx.request
    caller = request_notes(request.scope).caller
    if caller is None:
        raise no_caller()
    return request.app.state.services, caller


class _Exchange(Response):
    """A response that the protocol's own package sends."""

    def __init__(self, manager: StreamableHTTPSessionManager, caller: Caller) -> None:
        super().__init__()
        self._manager = manager
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
        from mcp.server.auth.provider import AccessToken

        # A session is of the token that began it.
        token = AccessToken(token="", client_id=self._caller.name, scopes=[])
        token.subject = self._caller.token
        scope["user"] = AuthenticatedUser(token)
        await self._manager.handle_request(scope, receive, send)


@router.api_route(PATH, methods=["GET", "POST", "DELETE"])
async def exchange_messages(request: Request, services: TheServices, caller: MayRead) -> Response:
    """Exchange messages of MCP. What a tool needs is checked for each call."""
    state = request.app.state
    if not hasattr(state, "mcp"):
        state.mcp = McpEndpoint(services)
    endpoint: McpEndpoint = state.mcp
    return _Exchange(await endpoint.manager(caller.name), caller)
