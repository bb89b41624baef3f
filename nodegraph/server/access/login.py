"""Sending people who look at a page to where they log in, rather than telling them of tokens."""

from __future__ import annotations

import re
from urllib.parse import quote

from starlette.types import Receive, Send

from nodegraph.server.access.head import Head
from nodegraph.server.http.limits.body import LOGIN, drain

_LOCAL = re.compile(r"/(?![/\\])[^\x00-\x20\x7f\\]{0,2000}")


def would_log_in(head: Head) -> bool:
    """Whether it is a browser that shows pages, and came without a token."""
    if head.is_websocket or head.has(b"authorization"):
        return False
    accepted = b",".join(head.headers.get(b"accept", ()))
    return b"text/html" in accepted.lower()


async def answer_login(head: Head, send: Send, unread: Receive | None) -> None:
    """Send a browser to the page, which sends it back.

    Args:
        unread: Gives what is left of the request's body; None if nothing is.
    """
    place = f"{LOGIN}?next={quote(_address(head), safe='')}"
    headers = [(b"location", place.encode("ascii")), (b"content-length", b"0")]
    if unread is not None:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    if unread is not None:
        await drain(unread)
    await send({"type": "http.response.body"})


def next_place(given: str) -> str:
    """Where to go after logging in: only ever a place here."""
    return given if _LOCAL.fullmatch(given) else LOGIN


def _address(head: Head) -> str:
    # What was sent as the body of another method isn't sent again; its form is shown once more.
    path = head.raw_path.decode("latin-1").partition("?")[0]
    query = head.query.decode("latin-1")
    return f"{path}?{query}" if query and head.method == "GET" else path
