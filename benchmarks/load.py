"""Load on a server, from a process of its own; started by `server.py`.

    python benchmarks/load.py WHAT ARGUMENTS

It speaks HTTP and websocket over bare sockets, so that what is measured is the server. It prints
``ready`` once it is connected, and in the end what it found, as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

import msgpack
from serving import PATIENCE, tiny

_CHUNK = 1 << 18
_BINARY, _CLOSE, _PING, _PONG = 2, 8, 9, 10


def _connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _post(body: Any) -> bytes:
    data = json.dumps(body, separators=(",", ":")).encode()
    head = (
        "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def _answer(connection: socket.socket, data: bytes = b"") -> bytes:
    """The next answer, which is a job taken in."""
    while True:
        head, parting, body = data.partition(b"\r\n\r\n")
        if parting:
            at = head.lower().index(b"content-length: ") + 16
            if len(body) >= int(head[at:].split(b"\r", 1)[0]):
                assert head.startswith(b"HTTP/1.1 202"), data
                return data
        piece = connection.recv(_CHUNK)
        assert piece, "the server hung up"
        data += piece


def _id(answer: bytes) -> bytes:
    at = answer.index(b'"id":"') + 6
    return answer[at : answer.index(b'"', at)]


class Socket:
    """A websocket that follows jobs.

    Args:
        jobs: Only these; all if not given.
        previews: Whether progress and previews are wanted.
    """

    def __init__(self, port: int, jobs: list[str] | None = None, *, previews: bool) -> None:
        self.connection = _connected(port)
        self._left = bytearray()
        self.connection.sendall(
            b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Protocol: nodegraph.v1.msgpack\r\n\r\n"
        )
        while b"\r\n\r\n" not in self._left:
            self._left += self.connection.recv(_CHUNK)
        head, _, rest = bytes(self._left).partition(b"\r\n\r\n")
        assert b" 101 " in head, head
        self._left = bytearray(rest)
        which = {"live": previews, "previews": previews, **({"jobs": jobs} if jobs else {})}
        self.send({"type": "subscribe", "id": 0, **which})
        while not any(b"\xa5reply" in frame for frame in self.frames()):
            pass

    def send(self, message: Any) -> None:
        self._write(_BINARY, msgpack.packb(message))

    def _write(self, kind: int, data: bytes) -> None:
        length = len(data)
        is_short = length < 126
        size = struct.pack(">B", 0x80 | length) if is_short else struct.pack(">BH", 0xFE, length)
        # A mask of zeros changes nothing.
        self.connection.sendall(bytes([0x80 | kind]) + size + bytes(4) + data)

    def frames(self) -> list[bytes]:
        """What came, at least a piece of something."""
        found = []
        piece = self.connection.recv(_CHUNK)
        assert piece, "the server hung up"
        left = self._left
        left += piece
        start = 0
        while len(left) - start >= 2:
            length, at = left[start + 1], start + 2
            if length == 126:
                length, at = int.from_bytes(left[start + 2 : start + 4], "big"), start + 4
            elif length == 127:
                length, at = int.from_bytes(left[start + 2 : start + 10], "big"), start + 10
            if len(left) < at + length:
                break
            kind, content = left[start] & 15, bytes(left[at : at + length])
            assert kind != _CLOSE, content
            if kind == _PING:
                # On a slow machine it may be long since this side has said anything.
                self._write(_PONG, content)
                self.send({"type": "heartbeat"})
            else:
                found.append(content)
            start = at + length
        del left[:start]
        return found


_FINISHED, _FAILED = b"\xacjob.finished", b"\xaajob.failed"


def _finished(frame: bytes) -> int:
    assert _FAILED not in frame, msgpack.unpackb(frame)
    return frame.count(_FINISHED)


def _ready() -> None:
    print("ready", flush=True)


def latency(port: int, values: list[int], by: str) -> dict[str, Any]:
    """Seconds from submitting a job to hearing that it finished, one after the other."""
    follower = Socket(port, previews=False)
    connection = _connected(port)
    _ready()
    found = []
    for value in values:
        request = tiny(value)
        data = _post(request)
        start = time.perf_counter()
        if by == "http":
            connection.sendall(data)
            _answer(connection)
        else:
            follower.send({"type": "submit", "id": 1, **request})
        while not sum(_finished(frame) for frame in follower.frames()):
            pass
        found.append(time.perf_counter() - start)
    return {"seconds": found}


def throughput(
    port: int, values: list[int], connections: int, follow: bool = True
) -> dict[str, Any]:
    """Jobs from several connections, each of which submits its next one when it has an answer.

    Gives the seconds until the last was taken in, until it has finished (if that is followed), and
    each one's to its answer.
    """
    follower = Socket(port, previews=False) if follow else None
    waiting = [_post(tiny(value)) for value in reversed(values)]
    found: list[float] = []
    done = 0
    with selectors.DefaultSelector() as selector:
        if follower is not None:
            selector.register(follower.connection, selectors.EVENT_READ)
        for _ in range(connections):
            selector.register(_connected(port), selectors.EVENT_READ, [0.0])
        _ready()
        start = time.perf_counter()
        for key in list(selector.get_map().values()):
            if key.data is not None:
                key.data[0] = _sent(key.fileobj, waiting)
        taken = 0.0
        while (len(found) if follower is None else done) < len(values):
            for key, _ in selector.select(PATIENCE):
                if follower is not None and key.data is None:
                    done += sum(_finished(frame) for frame in follower.frames())
                    continue
                _answer(key.fileobj)  # type: ignore[arg-type]
                taken = time.perf_counter()
                found.append(taken - key.data[0])
                if waiting:
                    key.data[0] = _sent(key.fileobj, waiting)
                else:
                    selector.unregister(key.fileobj)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "taken": taken - start, "answers": found}


def _sent(connection: Any, waiting: list[bytes]) -> float:
    start = time.perf_counter()
    connection.sendall(waiting.pop())
    return start


def submits(port: int, values: list[int], pause: float, connections: int) -> dict[str, Any]:
    """Seconds of each submission, a pause after each, by turns from several connections."""
    sockets = [_connected(port) for _ in range(connections)]
    _ready()
    found = []
    for at, value in enumerate(values):
        data = _post(tiny(value))
        connection = sockets[at % connections]
        start = time.perf_counter()
        connection.sendall(data)
        _answer(connection)
        found.append(time.perf_counter() - start)
        time.sleep(pause)
    return {"answers": found}


def watch(port: int, job: str, count: int) -> dict[str, Any]:
    """Clients that watch a job with previews until it has finished."""
    watched = {}
    frames = size = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(count):
            follower = Socket(port, [job], previews=True)
            watched[follower] = 0
            selector.register(follower.connection, selectors.EVENT_READ, follower)
        _ready()
        while watched:
            for key, _ in selector.select(PATIENCE):
                for frame in key.data.frames():
                    frames, size = frames + 1, size + len(frame)
                    if _finished(frame):
                        selector.unregister(key.data.connection)
                        del watched[key.data]
    return {"frames": frames, "bytes": size}


_KINDS: dict[str, Callable[..., dict[str, Any]]] = {
    each.__name__: each for each in (latency, throughput, submits, watch)
}


def main() -> None:
    found = _KINDS[sys.argv[1]](**json.loads(sys.argv[2]))
    used = resource.getrusage(resource.RUSAGE_SELF)
    found["cpu"] = used.ru_utime + used.ru_stime
    print(json.dumps(found), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
