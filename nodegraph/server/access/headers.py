"""What answers say to browsers: headers of all, and of those for pages elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.types import Message, Send

from nodegraph.server.access.head import Head
from nodegraph.server.http.limits.body import CountedBody

_LOG = logging.getLogger(__name__)

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; font-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of pages: everything comes from here, and no script stands in a page."""
DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Of everything else: if a browser shows it as a page after all, that can do nothing."""

RawHeaders = Sequence[tuple[bytes, bytes]]

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)
_OWN_PAGES = (b"cross-origin-resource-policy", b"same-origin")
_POLICY = b"content-security-policy"
_PAGE = PAGE_POLICY.encode()
_DATA = DATA_POLICY.encode()
_BREAKING = (b"\r", b"\n", b"\0")
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
_STARTS = ("http.response.start", "websocket.http.response.start")


def with_security_headers(
    headers: RawHeaders, origin: str | None = None
) -> list[tuple[bytes, bytes]]:
    """Headers with those that are always there; what the application has set stays.

    Args:
        origin: The foreign page that may read the answer; None for none.
    """
    all_headers = [item for item in headers if not _breaks(item[1])]
    if len(all_headers) < len(headers):
        # Sent as it is, it would end the head and begin a body of an attacker's making.
        _LOG.error("left out a header that holds a line break")
    present = {name.lower(): value for name, value in all_headers}
    all_headers += [item for item in _ALWAYS if item[0] not in present]
    if _POLICY not in present:
        is_page = present.get(b"content-type", b"").startswith(b"text/html")
        all_headers.append((_POLICY, _PAGE if is_page else _DATA))
    if origin is None:
        all_headers.append(_OWN_PAGES)
    else:
        all_headers += [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", b"etag, location, retry-after"),
            (b"vary", b"origin"),
        ]
    return all_headers


def _breaks(value: bytes) -> bool:
    return any(mark in value for mark in _BREAKING)


def is_preflight(head: Head) -> bool:
    """Whether a browser asks whether it may ask."""
    return head.method == "OPTIONS" and head.has(b"access-control-request-method")


async def answer_preflight(send: Send) -> None:
    """Say that it may."""
    await send({"type": "http.response.start", "status": 204, "headers": list(_ALLOWED)})
    await send({"type": "http.response.body"})


class GatedResponse:
    """Completes an answer's headers, and holds it back once the request's body was refused.

    Args:
        send: What takes it.

    Attributes:
        status: Once it is out; 0 until then. 101 stands for a websocket that was accepted, 403 for
            one that was closed before.
        origin: The foreign page that may read it; None for none.
        body: Of the request, if it has any.
    """

    def __init__(self, send: Send) -> None:
        self.status = 0
        self.origin: str | None = None
        self.body: CountedBody | None = None
        self._send = send

    async def send(self, message: Message) -> None:
        """Take a message."""
        if self.body is not None and self.body.refusal is not None and not self.status:
            return  # the application's view of a refused body; the gate gives its own
        kind = message["type"]
        if kind in _STARTS:
            self.status = message["status"]
            message = {
                **message,
                "headers": with_security_headers(message.get("headers", ()), self.origin),
            }
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close" and not self.status:
            self.status = 403
        await self._send(message)
