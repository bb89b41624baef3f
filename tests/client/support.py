"""What tests of the client share: a proxy that breaks connections, a server that says anything."""

from __future__ import annotations

import asyncio
import inspect
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from nodegraph.client import AsyncClient, Client, Retries
from tests.server.hosting import PATIENCE, Hosted
from tests.server.resources import written
from tests.server.talking import Worker

SOON = Retries(seconds=PATIENCE, connecting=PATIENCE, following=PATIENCE, first=0.01, most=0.05)
"""Tries again at once, and goes on for long."""
in_both_kinds = pytest.mark.parametrize("kind", ["sync", "async"])
"""For what depends on how a client speaks to the network, which each kind does in its own way."""
ONCE = Retries(seconds=0.0, connecting=0.0, following=0.0)


def until(is_so: Callable[[], Any]) -> None:
    """Wait for something to become so."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


class Proxy:
    """Passes connections on to a server, and breaks them as a test says.

    Attributes:
        target: Port that connections are passed on to; None refuses them.
        lost_answers: So many requests reach the server, and their answers nobody.
        most_bytes: So many of an answer come through before the connection is cut, once.
        socket_status: What websockets are answered with instead; 0 hangs up, None passes them on.
        sockets: How many websockets were asked for.
        seen: What clients have sent.
    """

    def __init__(self, target: int | None) -> None:
        self.target = target
        self.lost_answers = 0
        self.most_bytes: int | None = None
        self.socket_status: int | None = None
        self.sockets = 0
        self.seen: list[bytes] = []
        self._is_closed = False
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _start(self, run: Callable[..., None], *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=run, args=arguments)
        with self._lock:
            self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._is_closed:
                client.close()
                return
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with self._breakable(client), client, suppress(OSError):
            first = client.recv(65_536)
            is_socket = b"upgrade: websocket" in first.lower()
            self.sockets += is_socket
            if is_socket and self.socket_status is not None:
                if self.socket_status:
                    head = f"HTTP/1.1 {self.socket_status} No\r\nContent-Length: 0\r\n\r\n"
                    client.sendall(head.encode())
                return
            if self.target is None:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            with self._breakable(server), server:
                back = self._start(self._pump_back, server, client)
                try:
                    self._pump(first, client, server)
                finally:
                    _break(client, server)
                    # Closed by one thread only, and when no other uses it: its number may be
                    # another connection's right after.
                    back.join()

    def _pump(self, first: bytes, client: socket.socket, server: socket.socket) -> None:
        data = first
        while data:
            self.seen.append(data)
            server.sendall(data)
            data = client.recv(65_536)

    def _pump_back(self, server: socket.socket, client: socket.socket) -> None:
        passed = 0
        with suppress(OSError):
            while data := server.recv(65_536):
                if self.lost_answers:
                    self.lost_answers -= 1
                    break
                limit = self.most_bytes
                if limit is not None and passed + len(data) > limit:
                    client.sendall(data[: limit - passed])
                    self.most_bytes = None
                    break
                passed += len(data)
                client.sendall(data)
        _break(client, server)

    @contextmanager
    def _breakable(self, end: socket.socket) -> Iterator[None]:
        with self._lock:
            self._open.add(end)
        if self._is_closed:
            _break(end)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(end)

    def cut(self) -> None:
        """Break all connections."""
        with self._lock:
            _break(*self._open)

    def close(self) -> None:
        """Stop."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), PATIENCE):
            pass  # so that the one who accepts wakes up
        self._threads[0].join(PATIENCE)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a connection goes on"


def _break(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy_to(target: int | None) -> Iterator[Proxy]:
    """A proxy until the end of the `with`."""
    found = Proxy(target)
    try:
        yield found
    finally:
        found.close()


@dataclass
class Said:
    """An answer of `Answering`."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Answering:
    """A web server that answers as a test says.

    Attributes:
        answers: Given one after the other; the last one again and again.
        seen: Methods, paths and headers of what was asked.
    """

    answers: list[Said]
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def said(self) -> Said:
        """What is answered next."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def answering(*answers: Said) -> Iterator[Answering]:
    """A web server that answers so, until the end of the `with`."""
    found = Answering(list(answers))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.seen.append((self.command, self.path, headers))
            self.rfile.read(int(headers.get("content-length", 0)))
            said = found.said()
            self.send_response(said.status)
            for name, value in {"Content-Length": str(len(said.body)), **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.body)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer  # noqa: N815 - as the library has it

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False
        block_on_close = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients may hang up."""

    server = Server(("127.0.0.1", 0), Handler)
    Handler.timeout = PATIENCE
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join(PATIENCE)
        server.server_close()


def problem(status: int, code: str, **more: Any) -> Said:
    """An answer that tells a problem."""
    headers = {"Content-Type": "application/problem+json", **more.pop("headers", {})}
    document = {"type": f"/problems/{code}", "title": code, "status": status, "detail": code}
    return Said(status, headers, json.dumps(document | more).encode())


def finished(
    server: Hosted, worker: Worker, id: str, files: Mapping[str, bytes], node: str = "save"
) -> None:
    """Have a job of a server finish, with some files."""
    job = worker.take()
    assert job.id == id
    folder = Path(server.services.outputs)
    listed = [written(folder / id / name, data, node=node) for name, data in files.items()]
    outputs = {"files": listed, "nodes": {"ran": 2, "cached": 1}, "seconds": 1.5}
    server.services.queue.finish(job.id, job.attempt, outputs).result(PATIENCE)


class Background:
    """Runs something on a thread, and gives what came of it."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self._outcome: Any = None
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(run,))
        self._thread.start()

    def _run(self, run: Callable[[], Any]) -> None:
        try:
            self._outcome = run()
        except BaseException as error:  # noqa: BLE001 - raised again where it is asked for
            self._fault = error

    def result(self) -> Any:
        """What came of it."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "it never ended"
        if self._fault is not None:
            raise self._fault
        return self._outcome


class Awaited:
    """An `AsyncClient`, or a part of one, that is used like a `Client`."""

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found if isinstance(found, str) else Awaited(found, self._loop)

        def call(*arguments: Any, **options: Any) -> Any:
            made = found(*arguments, **options)
            if inspect.isasyncgen(made):
                return self._each(made)
            return self._loop.run_until_complete(made)

        return call

    def _each(self, items: Any) -> Iterator[Any]:
        try:
            while True:
                try:
                    yield self._loop.run_until_complete(items.__anext__())
                except StopAsyncIteration:
                    return
        finally:
            self._loop.run_until_complete(items.aclose())


@contextmanager
def either_client(kind: str, url: str, **options: Any) -> Iterator[Any]:
    """A client of a kind, ``sync`` or ``async``, that is used like a `Client`."""
    options = {"token": "", "retries": SOON, **options}
    if kind == "sync":
        with Client(url, **options) as client:
            yield client
        return
    loop = asyncio.new_event_loop()
    inner = AsyncClient(url, **options)
    try:
        yield Awaited(inner, loop)
    finally:
        loop.run_until_complete(inner.close())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def client_of(server: Hosted | Proxy | Answering, **options: Any) -> Client:
    """A client of a server."""
    return Client(server.url, **{"token": "", "retries": SOON, **options})
