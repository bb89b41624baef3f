"""Running the server until it is told to stop."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.server import ServerState

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue, NodegraphError
from nodegraph.server.access.tokens import Tokens
from nodegraph.server.events.sockets.protocol import websocket_protocol
from nodegraph.server.http.app import background_tasks, create_app
from nodegraph.server.http.limits.connections import SPARE, ConnectionLimiter, http_protocol
from nodegraph.server.operations.logs import redact_foreign_loggers
from nodegraph.server.services import Services
from nodegraph.server.settings import ServerSettings, load_server_settings
from nodegraph.session.devices import visible_gpu_count
from nodegraph.session.settings import Settings, load_settings

_LOG = logging.getLogger(__name__)
_ANSWER_SECONDS = 5
"""That answers which are on their way get when the server stops."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def application() -> FastAPI:
    """The application for another program that runs it, such as ``uvicorn server:app``."""
    redact_foreign_loggers()
    settings = load_settings()
    server = load_server_settings(settings)
    check_devices(server)
    return create_app(Services(settings, server))


def serve(
    settings: Settings,
    server: ServerSettings,
    packs: Sequence[Path] = (),
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGINT or SIGTERM comes; running jobs are given back then.

    Args:
        ready: Is called with the address once requests are answered.
    Raises:
        NodegraphError: It can't start: the port is taken, a device isn't there, others could get
            in, the queue is in use.
    """
    check_devices(server)
    services = Services(settings, server, packs)
    check_exposure(server, services.tokens)
    with listening_socket(server.host, server.port) as listening:
        url = url_of(listening, server.host) + server.root_path
        _run(_ServerRun(services, listening, lambda: ready(url)).run())


def _run(main: Coroutine[Any, Any, None]) -> None:
    if sys.platform == "win32":
        asyncio.run(main)
    else:
        import uvloop

        uvloop.run(main)


class _ServerRun:
    """One run of the server."""

    def __init__(
        self, services: Services, listening: socket.socket, ready: Callable[[], None]
    ) -> None:
        self._services = services
        self._listening = listening
        self._ready = ready
        self._server = _Server(uvicorn.Config(create_app(services), **_options(services)))
        self._signals = 0
        self._opening: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Open, serve, close."""
        with _handled(self._stop):
            self._opening = asyncio.ensure_future(self._services.open())
            try:
                await self._opening
            except asyncio.CancelledError:
                if not self._signals:
                    raise
                return
            try:
                async with background_tasks(self._services):
                    await self._serve()
            finally:
                await self._services.close()

    async def _serve(self) -> None:
        serving = asyncio.create_task(self._server.serve([self._listening]))
        while not self._server.started and not serving.done():
            await asyncio.sleep(0.01)
        if not serving.done():
            self._ready()
        await serving

    def _stop(self) -> None:
        self._signals += 1
        if self._signals > 1:
            # Workers notice that the server is gone, save what they have, and end.
            os._exit(128 + signal.SIGINT)
        _LOG.info("stopping; a second signal stops it immediately")
        self._server.stop()
        if self._opening is not None:
            # It may join a cluster, which takes minutes where nobody answers.
            self._opening.cancel()
        self._services.begin_shutdown()


class _State(ServerState):
    """What uvicorn's connections share; the date in its headers is that of a look at them."""

    def __init__(self, config: uvicorn.Config) -> None:
        self._config = config
        self._dated: tuple[int, list[tuple[bytes, bytes]]] = (-1, [])
        super().__init__()

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Of each response."""
        second = int(time())
        if self._dated[0] != second:
            date = (b"date", formatdate(second, usegmt=True).encode())
            self._dated = second, [date, *self._config.encoded_headers]
        return self._dated[1]

    @default_headers.setter
    def default_headers(self, value: list[tuple[bytes, bytes]]) -> None:
        """Leave it out, as these are of an earlier moment."""


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to its caller, and sleeps until it is stopped.

    uvicorn's own looks ten times a second whether it is to stop, and what time it is.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state = _State(config)
        self._is_stopping = asyncio.Event()

    def stop(self) -> None:
        """Have it end, once it has answered what was asked."""
        self.should_exit = True
        self._is_stopping.set()

    async def main_loop(self) -> None:
        await self._is_stopping.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def _handled(stop: Callable[[], None]) -> Iterator[None]:
    """Inside, signals that end the process call a function on the event loop instead."""
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":
        before = {
            number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))
            for number in _SIGNALS
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _options(services: Services) -> dict[str, Any]:
    """Of `uvicorn.Config`."""
    server, limits = services.server, services.server.limits
    crowd = ConnectionLimiter(
        limits.connections, limits.address_connections, server.trusted_proxies
    )
    return {
        "lifespan": "off",  # opened and closed here, so that a fault is told as one
        "http": http_protocol(
            limits, crowd, services.metrics.requests.request_refused, root=server.root_path
        ),
        "ws": websocket_protocol(crowd),
        "ws_max_size": limits.frame,
        "ws_per_message_deflate": False,
        # The crowd keeps to the number of connections; this is of requests that are worked at.
        "limit_concurrency": limits.connections + SPARE + 1,
        "proxy_headers": bool(server.trusted_proxies),
        "forwarded_allow_ips": list(server.trusted_proxies),
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": _ANSWER_SECONDS,
    }


_NAME = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_KINDS = ("auto", "cpu", "cuda", "cuda:0", "cuda:1", "mps")
_ASK = "from nodegraph.session.devices import list_devices; print(*list_devices())"
_SECONDS = 60.0


def check_devices(server: ServerSettings) -> None:
    """Refuse devices that there aren't.

    Those of a cluster are for its nodes to have; of them only the names are looked at.

    Raises:
        InvalidValue: One isn't there; says which are.
    """
    for name in server.devices:
        if _NAME.fullmatch(name) is None:
            raise _missing(name, "auto, cpu, cuda, cuda:N or mps", _KINDS)
    if server.cluster is not None or all(map(_is_plain, server.devices)):
        return
    there = _torch_devices()
    for name in server.devices:
        if there and name != "auto" and (f"{name}:0" if name == "cuda" else name) not in there:
            raise _missing(name, ", ".join(["auto", *there]), there)


def _missing(name: str, expected: str, known: Iterable[str]) -> InvalidValue:
    return InvalidValue(
        "workers cannot use this device",
        given=name,
        expected=expected,
        hint=did_you_mean(name, known),
    )


def _is_plain(name: str) -> bool:
    """Whether a device is there for sure, as far as the system tells without torch."""
    if name in ("auto", "cpu"):
        return True
    kind, _, number = name.partition(":")
    return kind == "cuda" and int(number or 0) < visible_gpu_count()


def _torch_devices() -> Sequence[str]:
    """The devices that torch finds; none where it can't be asked.

    Another process asks, as loading torch would make this one large and slow to start.
    """
    safely = ["-P"] if sys.version_info >= (3, 11) else []
    command = [sys.executable, *safely, "-c", _ASK]
    try:
        completed = subprocess.run(  # noqa: S603 - nothing in it comes from elsewhere
            command, check=False, capture_output=True, text=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()  # the worker that is to compute there will tell
    return completed.stdout.split() if completed.returncode == 0 else ()


_BACKLOG = 2_048


class CannotListen(NodegraphError):
    """An address at which the server can't listen."""

    code = "cannot-listen"


class NeedsToken(InvalidValue):
    """A server that others can reach, and that would let all of them in."""

    code = "needs-token"


def check_exposure(settings: ServerSettings, tokens: Tokens) -> None:
    """Refuse to be reached by others without a token that they need.

    Raises:
        NeedsToken: There is none.
    """
    if settings.is_private or tokens.are_any:
        return
    reason = (
        "other machines can reach a server at this address"
        if not settings.allowed_hosts
        else "a server with `allowed_hosts` is open to other machines"
    )
    raise NeedsToken(
        f"{reason}, so it needs a token, and there is none",
        given=settings.host,
        hint="Create one with `nodegraph token add NAME`, or keep the host 127.0.0.1.",
    )


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens; whoever connects waits until somebody accepts.

    Raises:
        CannotListen: The port is taken, or there is no such address here.
    """
    endpoint = f"port {port} of {host}"
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise CannotListen(f"there is no address {host}: {error.strerror}") from error
    listener = socket.socket(family, kind, number)
    try:
        if sys.platform != "win32":  # there it would share a port that is taken
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(_reason(endpoint, error), hint=_hint(error, port)) from error
    listener.setblocking(False)
    return listener


def _reason(endpoint: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{endpoint} is used by another program"
    if error.errno == errno.EACCES:
        return f"{endpoint} is reserved for privileged programs"
    return f"cannot listen on {endpoint}: {error.strerror or error}"


def _hint(error: OSError, port: int) -> str | None:
    if error.errno == errno.EADDRINUSE:
        return f"Is a server running already? If so, choose another port: --port {port + 1}."
    return "Choose a port above 1023." if error.errno == errno.EACCES else None


def url_of(listening: socket.socket, host: str) -> str:
    """Where to reach a server, for people."""
    port = listening.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
