"""`nodegraph serve`."""

from __future__ import annotations

import gc
import os
import sys
from threading import Thread
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

import typer

from nodegraph.cli.options import CommonOptions
from nodegraph.cli.output import echo, warn
from nodegraph.errors import InvalidValue

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
AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="Also accept requests for this host name; may be repeated."),
]
AllowOriginOption = Annotated[
    list[str] | None,
    typer.Option(metavar="URL", help="Allow requests from pages of this origin; may be repeated."),
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
        sys.stdout.flush()  # whoever waits for this line may have it through a pipe
        if not is_loopback(server.host):
            warn("the connection is not encrypted: put the server behind a proxy with TLS")
        if open_editor:
            open_page(url)

    serve_until_stopped(settings, server, common.packs, ready)
    return 0


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
