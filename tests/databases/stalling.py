"""A way to a server over which nothing comes for a while, as when its machine hangs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from urllib.parse import urlsplit


class StallingWay:
    """Listens at a port of its own, and hands on what is said there and answered.

    Args:
        port: Of the server on this machine that is led to.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._flows = Event()
        self._flows.set()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> StallingWay:
        return self

    def __exit__(self, *_: object) -> None:
        self._flows.set()
        for each in (self._server, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def through(self, url: str) -> str:
        """A server's address, by this way."""
        return url.replace(f":{urlsplit(url).port}/", f":{self._server.getsockname()[1]}/")

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Who connects is let in, and hears nothing until the end of the `with`."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._open += [near, far]
                for ends in ((near, far), (far, near)):
                    Thread(target=self._hand_on, args=ends, daemon=True).start()

    def _hand_on(self, source: socket.socket, to: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._flows.wait()
                to.sendall(data)
        for each in (source, to):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
