"""The cookie by which a browser that has logged in is known."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nodegraph.server.access.head import Head

_NAME = "nodegraph_session"
_SECURE = f"__Host-{_NAME}"
"""Browsers take a cookie of such a name from this very host only, and by https."""
_PORT = re.compile(r":([0-9]{1,5})$")


def session_in(head: Head) -> str | None:
    """The secret of the session in a request's cookies; None without one."""
    if not head.has(b"cookie"):
        return None
    found = dict(_cookies(head.headers[b"cookie"]))
    port = _port(head)
    return found.get(f"{_SECURE}{port}") or found.get(f"{_NAME}{port}")


def cookie(head: Head, secret: str, seconds: float) -> str:
    """The header that gives a browser its cookie; for no seconds, that takes it away.

    No script sees it, and it goes along with nothing that a page elsewhere asks for.
    """
    is_secure = _is_secure(head)
    name = f"{_SECURE if is_secure else _NAME}{_port(head)}"
    parts = [f"{name}={secret}", "Path=/", f"Max-Age={seconds:.0f}", "HttpOnly", "SameSite=Strict"]
    return "; ".join([*parts, "Secure"] if is_secure else parts)


def _is_secure(head: Head) -> bool:
    """Whether the browser came by TLS, which a proxy may have taken off."""
    return head.scheme in ("https", "wss") or (head.one(b"origin") or "").startswith("https://")


def _port(head: Head) -> str:
    # Cookies are shared by all ports of a host, and so would be lost between two servers.
    found = _PORT.search(head.one(b"host") or "")
    return f"_{found[1]}" if found else ""


def _cookies(headers: Iterable[bytes]) -> Iterable[tuple[str, str]]:
    for header in headers:
        for part in header.decode("latin-1").split(";"):
            name, _, value = part.partition("=")
            yield name.strip(), value.strip()
