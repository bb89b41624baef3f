"""Running the server until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from nodegraph.server.devices import check_devices
from nodegraph.server.events.sockets.protocol import counted_protocol
from nodegraph.server.http.app import create_app
from nodegraph.server.http.limits.connections import patient_protocol
from nodegraph.server.http.limits.crowd import SPARE, Crowd
from nodegraph.server.listening import check_exposure, listening_socket, url_of
from nodegraph.server.operations.logs.setup import redact_others
from nodegraph.server.services import Services
from nodegraph.server.settings import ServerSettings, load_server_settings
from nodegraph.session.settings import Settings, load_settings

_LOG = logging.getLogger(__name__)
_ANSWER_SECONDS = 5
"""That answers which are on their way get when the server stops."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def application() -> FastAPI:
    """The application for another program that runs it, such as ``uvicorn server:app``."""
    redact_others()
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
        _run(_Serving(services, listening, lambda: ready(url)).run())


def _run(main: Coroutine[Any, Any, None]) -> None:
    if sys.platform == "win32":
        asyncio.run(main)
    else:
        import uvloop

        uvloop.run(main)


class _Serving:
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
                serving = asyncio.create_task(self._server.serve([self._listening]))
                while not self._server.started and not serving.done():
                    await asyncio.sleep(0.01)
                if not serving.done():
                    self._ready()
                await serving
            finally:
                await self._services.close()

    def _stop(self) -> None:
        self._signals += 1
        if self._signals > 1:
            # Workers notice that the server is gone, save what they have, and end.
            os._exit(128 + signal.SIGINT)
        _LOG.info("stopping; a second signal ends it at once")
        self._server.should_exit = True
        if self._opening is not None:
            # It may join a cluster, which takes minutes where nobody answers.
            self._opening.cancel()
        self._services.stop_soon()


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to whoever runs it."""

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
    crowd = Crowd(limits.connections, limits.address_connections, server.trusted_proxies)
    return {
        "lifespan": "off",  # opened and closed here, so that a fault is told as one
        "http": patient_protocol(
            limits, crowd, services.metrics.requests.refused, root=server.root_path
        ),
        "ws": counted_protocol(crowd),
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
