"""The path below which a proxy offers the server, in addresses that come in and that go out.

A proxy may take the path away before it hands a request on, or leave it there: both are understood.
Everything else of the server knows its own paths only, such as ``/api/v1/jobs``; what tells a
client of one says `link` of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from starlette.types import ASGIApp, Receive, Scope, Send

_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
# Below one of these a request that still has the path couldn't be told from one that hasn't.
OWN = frozenset(
    {
        *("api", "assets", "packs", "login", "logout", "healthz", "readyz", "metrics"),
        *("openapi.json", "favicon.svg", "favicon.ico", "editor", "comfyui", "v1", "sdapi", "mcp"),
        *("sw.js", "manifest.webmanifest"),
        *("icon-192.png", "icon-512.png", "icon-maskable-512.png"),
    }
)
"""First parts of the server's own paths."""
COMFYUI = frozenset(
    {
        *("prompt", "queue", "interrupt", "free", "history", "view", "upload", "ws"),
        *("object_info", "settings", "userdata", "v2", "users", "extensions", "embeddings"),
        *("models", "experiment", "view_metadata", "system_stats", "features", "i18n"),
        *("node_replacements", "global_subgraphs", "workflow_templates", "templates", "internal"),
        *("scripts", "fonts", "cursor", "docs"),
    }
)
"""First parts of ComfyUI's paths."""
_CURRENT: ContextVar[str] = ContextVar("nodegraph_root_path", default="")
"""Of the task or thread; code that is handed to a thread takes it along."""


def check_root_path(path: str) -> str:
    """The path without a slash at its end; empty for none.

    Raises:
        ValueError: It is no such path, or one that the server has itself.
    """
    path = path.rstrip("/")
    if not path:
        return ""
    if not _PATH.fullmatch(path):
        raise ValueError(
            "a path such as `/studio` is expected. It starts with a slash and has letters, "
            "digits, dots, dashes, underscores and tildes"
        )
    first = path.split("/")[1]
    if first in OWN:
        raise ValueError(
            f"the server itself uses `/{first}`: choose another path, such as `/studio`"
        )
    return path


def root_path() -> str:
    """The path in force; empty for none."""
    return _CURRENT.get()


def public_path(path: str) -> str:
    """One of the server's own paths as clients see it."""
    return f"{_CURRENT.get()}{path}"


@contextmanager
def using_root_path(root: str) -> Iterator[None]:
    """Inside, links lie below a path."""
    token = _CURRENT.set(root)
    try:
        yield
    finally:
        _CURRENT.reset(token)


class RootPathMiddleware:
    """An application that is asked for its own paths alone; before everything else.

    Args:
        app: What answers.
        root: As `check_root_path` gives it.
        prefix: What requests have before their own path; the root if not given.
    """

    def __init__(self, app: ASGIApp, root: str, prefix: str | None = None) -> None:
        self._app = app
        self._root = root
        self._prefix = root if prefix is None else prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        with using_root_path(self._root):
            await self._app(self._own(scope), receive, send)

    def _own(self, scope: Scope) -> Scope:
        path = _without(self._prefix, scope["path"])
        if path is None:
            return scope
        raw = _without(self._prefix, (scope.get("raw_path") or b"").decode("latin-1"))
        # Sent with the root itself escaped, it is told as it is read.
        raw_path = path.encode() if raw is None else raw.encode("latin-1")
        return {**scope, "path": path, "raw_path": raw_path}


def _without(root: str, path: str) -> str | None:
    """A path without the root before it; None where that isn't there."""
    if path == root:
        return "/"
    return path[len(root) :] if path.startswith(f"{root}/") else None
