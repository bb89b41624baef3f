"""The head of a request: read once for all checks, and refused where no honest client sends it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from starlette.types import Scope

from nodegraph.server.http.errors import Refused

_LONGEST_PATH = 2_048
_LONGEST_QUERY = 8_192
# A slash or backslash that only appears by decoding, and control characters.
_ENCODED = re.compile(rb"%(?:2f|5c|[01][0-9a-f]|7f)", re.IGNORECASE)
_PLAIN = re.compile(r"[\x00-\x1f\x7f\\]")
_DOTS = re.compile(r"(?:^|/)\.\.?(?:/|$)")
LOGIN = "/login"
LOGOUT = "/logout"
ICON = "/favicon.svg"
"""What stands beside the title of each page; of the one for logging in, too."""
ICONS = (ICON, "/favicon.ico")
"""The second one is asked for by browsers that show what is no page, such as an image."""
WORKER = "/sw.js"
"""The editor's service worker, which opens the editor while the server is away."""
MANIFEST = "/manifest.webmanifest"
"""Says how the editor is installed as an app."""
APP_ICONS = ("/icon-192.png", "/icon-512.png", "/icon-maskable-512.png")
"""Icons of the installed app, as the manifest names them."""
APP_FILES = (WORKER, MANIFEST, *APP_ICONS)
HEALTH = frozenset({b"/healthz", b"/readyz"})
"""What tells whether the server lives and is of use, however much else it has to do."""
PUBLIC = frozenset({"/healthz", "/readyz", LOGIN, LOGOUT, *ICONS, *APP_FILES})
"""Paths that tell nothing: probes ask for them, and whoever has yet to say who they are."""


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

    def header(self, name: bytes) -> str | None:
        """The value of a header; None without it.

        Raises:
            Refused: It is there more than once, so that others may read another one than this.
        """
        values: Sequence[bytes] | None = self.headers.get(name)
        if values is None:
            return None
        if len(values) > 1:
            shown = name.decode("latin-1")
            raise Refused(f"the header `{shown}` occurs {len(values)} times", given=shown)
        return values[0].decode("latin-1")

    def has(self, name: bytes) -> bool:
        """Whether a header is there."""
        return name in self.headers


def _address(pair: Any) -> str:
    # Of a Unix socket, uvicorn tells the path and no port.
    if not pair or pair[1] is None:
        return ""
    return str(pair[0])


class BadPath(Refused):
    """A path that climbs, hides a separator, or holds what is no character."""

    code = "bad-path"


class LongPath(Refused):
    """A path or query longer than any that makes sense."""

    code = "too-long"
    status = 414


def check_path(head: Head) -> None:
    """See that a path means the same to everybody who reads it.

    Raises:
        Refused: It doesn't.
    """
    if len(head.raw_path) > _LONGEST_PATH or len(head.query) > _LONGEST_QUERY:
        raise LongPath(
            "the path or the query is too long",
            given=f"{len(head.raw_path)} and {len(head.query)} characters",
            expected=f"at most {_LONGEST_PATH} and {_LONGEST_QUERY}",
        )
    if b"%" in head.raw_path and _ENCODED.search(head.raw_path):
        raise BadPath("the path contains an encoded separator or control character")
    if _PLAIN.search(head.path) or ("/." in head.path and _DOTS.search(head.path)):
        raise BadPath("the path contains `..`, a backslash or a control character")
