"""`nodegraph serve` and `nodegraph mcp`."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit, urlunsplit

import typer

from nodegraph.cli.options import CommonOptions
from nodegraph.cli.output import echo, warn
from nodegraph.core.version import VERSION
from nodegraph.errors import InvalidValue, OutputError

if TYPE_CHECKING:
    from nodegraph.server.services import Services

_MCP_PACKAGES = ("mcp", "mcp_types", "httpx2")
HostOption = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="Listen on this address  [default: 127.0.0.1]"),
]
PortOption = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Listen on this port, 0 for any  [default: 8420]", min=0, max=65_535
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Number of processes that run jobs [default: one per device]", min=0
    ),
]
DevicesOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Start a worker for each of these devices, such as cuda:0,cuda:1,cpu  [default: all "
        "GPUs]",
    ),
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Run the workers on a Ray cluster: auto, HOST:PORT or ray://HOST:10001.",
    ),
]
QueueOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Keep the jobs in a PostgreSQL database, which several servers may share: "
        "postgresql://USER@HOST/DATABASE",
    ),
]
SharedFilesOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Share uploads and results' files with the queue's other servers: s3://BUCKET/FOLDER "
        "or file:///FOLDER",
    ),
]
RootPathOption = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Path under which a proxy serves it, such as /studio. The proxy may strip it or keep "
        "it.",
    ),
]
ComfyUIOption = Annotated[
    bool,
    typer.Option("--comfyui", help="Serve ComfyUI's routes and page at /, the editor at /editor."),
]
FrontEndOption = Annotated[
    str | None,
    typer.Option(
        "--comfyui-frontend",
        metavar="FOLDER",
        help="Folder of ComfyUI's page, or auto for the package comfyui-frontend-package.",
    ),
]
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Also accept requests for this host name; may be repeated."),
]
AllowOriginOption = Annotated[
    list[str] | None,
    typer.Option(metavar="URL", help="Allow requests from pages of this origin; may be repeated."),
]
McpServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Use this running server; NODEGRAPH_TOKEN holds the token  [default: "
        "NODEGRAPH_SERVER, or none]",
    ),
]
OpenOption = Annotated[bool, typer.Option("--open", help="Open the editor in a browser.")]
LogFormatOption = Annotated[
    str | None, typer.Option(metavar="FORMAT", help="text or json  [default: text]")
]
LogLevelOption = Annotated[
    str | None,
    typer.Option(metavar="LEVEL", help="debug, info, warning or error  [default: info]"),
]


def serve(
    common: CommonOptions,
    host: HostOption = None,
    port: PortOption = None,
    workers: WorkersOption = None,
    devices: DevicesOption = None,
    cluster: ClusterOption = None,
    queue: QueueOption = None,
    shared_files: SharedFilesOption = None,
    root_path: RootPathOption = None,
    comfyui: ComfyUIOption = False,
    comfyui_frontend: FrontEndOption = None,
    allow_host: AllowHostOption = None,
    allow_origin: AllowOriginOption = None,
    open_editor: OpenOption = False,
    log_format: LogFormatOption = None,
    log_level: LogLevelOption = None,
) -> int:
    """Run the server: the editor, and jobs, workflows and results over HTTP.

    It listens on this machine only, unless you set another --host, which needs a token: see
    `nodegraph token add`. Other settings are in the table [server] of the config file.
    """
    from nodegraph.server.operations.logs import configure
    from nodegraph.server.serve import serve as serve_until_stopped
    from nodegraph.server.settings import is_loopback, load_server_settings

    settings = common.settings()
    flags: dict[str, Any] = {
        "host": host,
        "port": port,
        "workers": workers,
        "devices": devices,
        "cluster": cluster,
        "queue": None if queue is None else without_password(queue),
        "shared_files": shared_files,
        "root_path": root_path,
        "comfyui": comfyui or None,
        "comfyui_frontend": comfyui_frontend,
        "allowed_hosts": allow_host or None,
        "allowed_origins": allow_origin or None,
        "log_format": log_format,
        "log_level": log_level,
    }
    server = load_server_settings(settings, flags)
    configure(server.log_format, server.log_level)

    def ready(url: str) -> None:
        # The command line turned it off, and what the start has made stays.
        gc.freeze()
        gc.enable()
        echo("nodegraph runs at ", (url, "bold"), ". Ctrl-C stops it.")
        editor = f"{url}/editor" if server.comfyui else url
        if server.comfyui:
            echo("ComfyUI's clients use this address. The editor is at ", (editor, "bold"), ".")
        sys.stdout.flush()  # whoever waits for this line may have it through a pipe
        if not is_loopback(server.host):
            warn("the connection is not encrypted: put the server behind a proxy with TLS")
        if open_editor:
            open_page(editor)

    serve_until_stopped(settings, server, common.packs, ready)
    return 0


def mcp(
    common: CommonOptions, server: McpServerOption = None, log_level: LogLevelOption = None
) -> int:
    """Offer apps and workflows to MCP clients as tools, over standard input and output.

    An MCP client starts this command itself. With --server it uses a running server. Otherwise it
    runs the jobs itself, with the queue of this home folder, and opens no port.
    """
    from nodegraph.client.endpoint import SERVER_VARIABLE
    from nodegraph.jobs.queue import QueueInUse
    from nodegraph.server.operations.logs import configure
    from nodegraph.server.protocols.mcp_server import missing_package
    from nodegraph.server.settings import load_server_settings

    gc.enable()
    settings = common.settings()
    configured = load_server_settings(settings, {"log_level": log_level or "warning"})
    configure(configured.log_format, configured.log_level)
    try:
        if server or os.environ.get(SERVER_VARIABLE):
            asyncio.run(_forward(server))
            return 0
        from nodegraph.server.services import Services

        services = Services(settings, configured, common.packs)
        return asyncio.run(_serve_here(services))
    except QueueInUse as error:
        hint = "Use that server: `nodegraph mcp --server URL`, or another home folder."
        raise OutputError(error.problem.message, hint=hint) from error
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in _MCP_PACKAGES:
            raise
        raise missing_package() from error


async def _serve_here(services: Services) -> int:
    """Answer a client over standard input and output until it is gone, or a signal comes.

    Raises:
        QueueInUse: A server of this home folder runs.
    """
    from mcp.server.stdio import stdio_server

    from nodegraph.server.access.caller import LOCAL
    from nodegraph.server.protocols.mcp_server import build_server

    answers = build_server(lambda _: (services, LOCAL))
    stopped = asyncio.Event()
    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    with _diverted_streams():
        await services.open()
    async with stdio_server() as (reader, writer):
        options = answers.create_initialization_options()
        serving = asyncio.ensure_future(answers.run(reader, writer, options))
        waiting = asyncio.ensure_future(stopped.wait())
        await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
        await services.close()  # running jobs are given back, not cancelled
        if stopped.is_set():
            # A thread waits for the client's next line, and would hold up the end.
            os._exit(128 + signal.SIGTERM)
        waiting.cancel()
        await serving
    return 0


@contextmanager
def _diverted_streams() -> Iterator[None]:
    """Inside, processes that start inherit no stream of the protocol."""
    kept = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        yield
    finally:
        for number, copy in enumerate(kept):
            os.dup2(copy, number)
            os.close(copy)
        os.close(nothing)


async def _forward(server: str | None) -> None:
    """Answer a client over standard input and output with the answers of a server.

    Raises:
        NotReachable: Nothing answers there.
        ServerError: It refuses the token.
    """
    import httpx2
    from mcp.client.client import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.server.lowlevel import Server
    from mcp.server.stdio import stdio_server

    from nodegraph.client import AsyncClient
    from nodegraph.client.endpoint import find_address, find_token
    from nodegraph.server.protocols.mcp_server import INSTRUCTIONS, PATH

    address, token = find_address(server), find_token(None)
    async with AsyncClient(server) as known:
        await known.system()  # its errors say what is wrong, and what to do
    headers = {} if token is None else {"Authorization": token.header}
    timeout = httpx2.Timeout(30.0, read=None)
    is_proxied = not address.is_loopback
    async with (
        httpx2.AsyncClient(headers=headers, timeout=timeout, trust_env=is_proxied) as http,
        Client(streamable_http_client(address.url + PATH, http_client=http), cache=None) as there,
        stdio_server() as (reader, writer),
    ):
        answers: Server[Any] = Server(
            "nodegraph",
            version=VERSION,
            instructions=INSTRUCTIONS,
            on_list_tools=lambda _, params: there.list_tools(cursor=_cursor(params)),
            on_call_tool=lambda ctx, params: there.call_tool(
                params.name, params.arguments, progress_callback=ctx.session.report_progress
            ),
            on_list_resources=lambda _, params: there.list_resources(cursor=_cursor(params)),
            on_list_resource_templates=lambda _, params: there.list_resource_templates(
                cursor=_cursor(params)
            ),
            on_read_resource=lambda _, params: there.read_resource(params.uri),
        )
        await answers.run(reader, writer, answers.create_initialization_options())


def _cursor(params: Any) -> str | None:
    cursor: str | None = None if params is None else params.cursor
    return cursor


def without_password(url: str) -> str:
    """An address of the command line, which everybody on the machine can read.

    Raises:
        InvalidValue: A password is in it.
    """
    from nodegraph.jobs.queue.postgres.address import PostgresAddress

    address = PostgresAddress(url)
    if address.has_password:
        raise InvalidValue(
            "the queue's address has a password, which all users of this machine can read here",
            given=str(address),
            hint="Put the password into ~/.pgpass or PGPASSWORD, or the whole address into "
            "`queue` of [server] in the config file.",
        )
    return url


_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not listened at
_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


def open_page(url: str) -> None:
    """Open a page, without waiting for the browser; say so if there is none."""
    Thread(target=_open, args=(reachable(url),), daemon=True, name="nodegraph-browser").start()


def reachable(url: str) -> str:
    """The address by which a browser on this machine reaches a server.

    One that listens at all addresses tells of none that every browser takes.
    """
    parts = urlsplit(url)
    host = _EVERYWHERE.get(parts.hostname or "")
    if host is None:
        return url
    return urlunsplit(parts._replace(netloc=f"{host}:{parts.port}"))


def _open(url: str) -> None:
    import webbrowser

    if not (_has_screen() and webbrowser.open(url)):
        warn(f"there is no browser here; open {url} in a browser")


def _has_screen() -> bool:
    """Whether a browser would get a window; one for terminals would take this one over."""
    return sys.platform in ("win32", "darwin") or any(map(os.environ.get, _DISPLAYS))
