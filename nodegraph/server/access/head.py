"""The head of a request, read once for all checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.types import Scope

from nodegraph.server.http.errors import Refused


class Head:
    """What a request says of itself before its body.

    Attributes:
        is_websocket: Whether it asks for a websocket.
        method: ``GET`` for a websocket.
        path: Decoded.
        raw_path: As it was sent.
        headers: Values by lower-case name.
        remote: Address it comes from; empty if it has none, as over a Unix socket.
        local: Address at which it arrived, likewise.
        version: Of HTTP.
        scheme: ``http``, ``https``, ``ws`` or ``wss``; a trusted proxy's word counts.
    """

    __slots__ = (
        *("headers", "is_websocket", "local", "method", "path", "query"),
        *("raw_path", "remote", "scheme", "version"),
    )

    def __init__(self, scope: Scope) -> None:
        self.is_websocket: bool = scope["type"] == "websocket"
        self.method: str = "GET" if self.is_websocket else scope["method"]
        self.path: str = scope["path"]
        self.raw_path: bytes = scope.get("raw_path") or self.path.encode()
        self.query: bytes = scope["query_string"]
        self.remote: str = _address(scope.get("client"))
        self.local: str = _address(scope.get("server"))
        self.version: str = scope.get("http_version", "1.1")
        self.scheme: str = scope.get("scheme", "http")
        self.headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            self.headers.setdefault(name, []).append(value)

    def one(self, name: bytes) -> str | None:
        """The value of a header; None without it.

        Raises:
            Refused: It is there more than once, so that others may read another one than this.
        """
        found: Sequence[bytes] | None = self.headers.get(name)
        if found is None:
            return None
        if len(found) > 1:
            shown = name.decode("latin-1")
            raise Refused(f"the header `{shown}` is there {len(found)} times", given=shown)
        return found[0].decode("latin-1")

    def has(self, name: bytes) -> bool:
        """Whether a header is there."""
        return name in self.headers


def _address(pair: Any) -> str:
    # Of a Unix socket, uvicorn tells the path and no port.
    if not pair or pair[1] is None:
        return ""
    return str(pair[0])
