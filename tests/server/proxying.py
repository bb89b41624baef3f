"""A proxy that offers a server below a path, as nginx does with `location /path/`."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer

from tests.server.hosting import PATIENCE


@dataclass
class Proxy:
    """A proxy.

    Attributes:
        url: Where it offers the server, with the path.
        strays: Paths that it was asked for which don't lie below its own; it answers these by 404.
        answers: Its own answers by path, instead of the server's: a media type and a body.
    """

    url: str
    strays: list[str] = field(default_factory=list)
    answers: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return "/".join(self.url.split("/")[:3])


@contextmanager
def proxied(port: int, path: str, *, strips: bool = True) -> Iterator[Proxy]:
    """A proxy before a server.

    Args:
        port: Of the server.
        path: Below which it is offered, without a slash at its end.
        strips: Whether the server is asked without that path.
    """
    proxy = Proxy("")
    open_sockets: set[socket.socket] = set()

    class Handler(StreamRequestHandler):
        """Answers one request, or hands on one websocket."""

        def handle(self) -> None:
            with suppress(OSError):
                self._handle()

        def _handle(self) -> None:
            method, asked, version = self.rfile.readline().split()
            lines = list(iter(self.rfile.readline, b"\r\n"))
            if not asked.startswith(f"{path}/".encode()) and asked != path.encode():
                proxy.strays.append(asked.decode())
                self.wfile.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                return
            if (answer := proxy.answers.get(asked.decode())) is not None:
                media_type, body = answer
                own = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n"
                self.wfile.write(f"{own}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                return
            if not any(line.lower().startswith(b"upgrade:") for line in lines):
                # One request a connection: no other head has to be looked for in what follows.
                lines = [line for line in lines if not line.lower().startswith(b"connection:")]
                lines.append(b"Connection: close\r\n")
            inner = asked[len(path) if strips else 0 :] or b"/"
            head = b" ".join([method, inner, version]) + b"\r\n" + b"".join(lines) + b"\r\n"
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as server:
                server.settimeout(None)
                ends = {server, self.connection}
                open_sockets.update(ends)
                server.sendall(head)
                forth = threading.Thread(target=self._send, args=[server])
                forth.start()
                try:
                    while data := server.recv(1 << 16):
                        self.wfile.write(data)
                finally:
                    _end(self.connection)
                    forth.join(PATIENCE)
                    open_sockets.difference_update(ends)

        def _send(self, server: socket.socket) -> None:
            with suppress(OSError):
                while data := self.rfile.read1(1 << 16):
                    server.sendall(data)
            _end(server)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        proxy.url = f"http://127.0.0.1:{server.server_address[1]}{path}"
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join(PATIENCE)
            for end in list(open_sockets):
                _end(end)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
