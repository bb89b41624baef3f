"""What a browser is told before it lets a page elsewhere ask; only pages in the settings get so far
as here."""

from __future__ import annotations

from starlette.types import Send

from nodegraph.server.access.head import Head

_ALLOWED = [
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
    (
        b"access-control-allow-headers",
        b"authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, "
        b"range",
    ),
    (b"access-control-max-age", b"600"),
    (b"content-length", b"0"),
]


def is_preflight(head: Head) -> bool:
    """Whether a browser asks whether it may ask."""
    return head.method == "OPTIONS" and head.has(b"access-control-request-method")


async def answer_preflight(send: Send) -> None:
    """Say that it may."""
    await send({"type": "http.response.start", "status": 204, "headers": list(_ALLOWED)})
    await send({"type": "http.response.body"})
