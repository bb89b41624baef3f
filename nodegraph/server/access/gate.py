"""The middleware in front of the application: admission, refusals and security headers.

It is plain ASGI, and one layer for all checks, because every request passes through it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nodegraph.errors import NodegraphError
from nodegraph.server.access.authentication import (
    Authenticator,
    RateLimiter,
    accepts_password,
    network,
    redirect_to_login,
    wants_login_page,
)
from nodegraph.server.access.caller import HEAD_ONLY, KEY, Caller, RequestNotes
from nodegraph.server.access.head import HEALTH, PUBLIC, Head, check_path
from nodegraph.server.access.origins import Hosts, Origins
from nodegraph.server.http.errors import (
    METHODS,
    MethodNotAllowed,
    Refused,
    TooManyRequests,
    Unauthenticated,
    no_caller,
)
from nodegraph.server.http.limits.body import CountedBody, drain, may_have_body
from nodegraph.server.http.problems import problem_response
from nodegraph.server.root_path import public_path
from nodegraph.server.settings import ServerSettings

LOG = logging.getLogger("nodegraph.server.refused")
STATUSES = frozenset({400, 401, 403, 405, 408, 413, 414, 415, 421, 429})
"""Of answers that count as a refusal, rather than as an answer to a mistaken request."""
_LONGEST = 200


async def answer_refusal(
    error: Refused, scope: Scope, send: Send, unread: Receive | None = None
) -> None:
    """Send a refusal.

    Args:
        unread: Gives what is left of the request's body; None if nothing is.
    """
    response = problem_response(error, instance=public_path(scope["path"]))
    headers = list(response.raw_headers)
    kind = "http.response"
    if scope["type"] == "websocket":
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
            return
        kind = "websocket.http.response"
    elif unread is not None:
        headers.append((b"connection", b"close"))
    status = response.status_code
    await send({"type": f"{kind}.start", "status": status, "headers": headers})
    if unread is not None:
        await send({"type": f"{kind}.body", "body": response.body, "more_body": True})
        await drain(unread)
    await send({"type": f"{kind}.body", "body": b"" if unread is not None else response.body})


def log_refusal(
    head: Head, status: int, error: NodegraphError | None, caller: Caller | None
) -> None:
    """Note that a request was refused, where it came from and why."""
    fields = {
        "status": str(status),
        "code": "" if error is None else error.problem.code,
        "method": "WEBSOCKET" if head.is_websocket else head.method,
        "path": head.path,
        "address": head.remote,
        "host": _shown(head, b"host"),
        "origin": _shown(head, b"origin"),
        "client": "" if caller is None else caller.name,
    }
    shown = {name: _cut(value) for name, value in fields.items() if value}
    # What an attacker wrote stays within its quotes, and in one line.
    text = " ".join(f"{name}={value!a}" for name, value in shown.items())
    why = "no reason given" if error is None else ascii(_cut(error.problem.message))[1:-1]
    LOG.warning("refused: %s (%s)", why, text, extra={"fields": {"event": "refused", **shown}})


def _shown(head: Head, name: bytes) -> str:
    return ", ".join(value.decode("latin-1") for value in head.headers.get(name, ()))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_LOG = logging.getLogger(__name__)

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; font-src 'self'; connect-src 'self'; frame-src 'self'; "
    "worker-src 'self'; manifest-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of pages: everything comes from here, and no script stands in a page."""
DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Of everything else: if a browser shows it as a page after all, that can do nothing."""

WORKER_POLICY = "default-src 'none'; connect-src 'self'"
"""Of the editor's service worker: it fetches files of this server, and loads no other script."""

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
        b"prefer, range",
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
        _LOG.error("removed a header that contains a line break")
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


METRICS = "/metrics"
_SCRAPER = Caller("metrics", frozenset({"read"}))
"""Whoever reads the figures, where the settings let everybody do so."""


class Gate:
    """Lets through what may come in, and completes what goes out.

    Args:
        app: What lies behind it.
        settings: Of the server.
        access: Finds out who asks.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings, access: Authenticator) -> None:
        self._app = app
        self._limits = settings.limits
        self._hosts = Hosts(settings)
        self._origins = Origins(settings)
        self._access = access
        self._open_metrics = settings.open_metrics
        rates = settings.rates
        self._rates = RateLimiter(rates.requests_per_second, rates.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        head, answer = Head(scope), GatedResponse(send)
        notes = scope[KEY] = RequestNotes()
        has_body = not head.is_websocket and may_have_body(head)
        try:
            answer.origin = self._check_source(head)
            if answer.origin is not None and is_preflight(head):
                await answer_preflight(answer.send)
                return
            notes.caller = self._admitted(head, answer.origin is not None)
            body = CountedBody(head, receive, self._limits) if has_body else None
        except Refused as error:
            notes.refusal = error
            unread = receive if has_body else None
            if isinstance(error, Unauthenticated) and wants_login_page(head):
                await redirect_to_login(head, answer.send, unread)
                log_refusal(head, error.status, error, None)
            else:
                await answer_refusal(error, scope, answer.send, unread)
        else:
            await self._pass(scope, receive, answer, body)
        if answer.status in STATUSES:
            log_refusal(head, answer.status, notes.refusal, notes.caller)

    def _check_source(self, head: Head) -> str | None:
        """The foreign page that asks and may; None if it is no foreign one.

        Raises:
            Refused: It is a page that may not, or nothing that is answered at all.
        """
        check_path(head)
        if head.method not in METHODS:
            raise MethodNotAllowed("this method is not available here", given=head.method[:20])
        return self._origins.check(head, self._hosts.check(head))

    def _admitted(self, head: Head, is_foreign: bool) -> Caller | None:
        """Who asks; None for somebody unknown who asks for what is public.

        Raises:
            Refused: They may not, or not so often.
        """
        if head.raw_path in HEALTH:
            return None
        caller = self._access.authenticate(head, is_foreign=is_foreign)
        if caller is None and self._open_metrics and head.path == METRICS:
            caller = _SCRAPER
        whose = caller.token if caller is not None and caller.token else network(head.remote)
        wait = self._rates.acquire(whose)
        if wait:
            raise TooManyRequests("too many requests", seconds=wait)
        if caller is None and head.path not in PUBLIC:
            raise no_caller(takes_password=accepts_password(head.path))
        return caller

    async def _pass(
        self, scope: Scope, receive: Receive, answer: GatedResponse, body: CountedBody | None
    ) -> None:
        """Have the application answer, unless the body turns out to be more than it may be."""
        if scope.get("method") == "HEAD":
            # Every GET route answers it: the server leaves the body out by itself.
            got = {**scope, "method": "GET", HEAD_ONLY: True}
            await self._app(got, receive, answer.send)
            scope["route"] = got.get("route")
            return
        if body is None:
            await self._app(scope, receive, answer.send)
            return
        answer.body = body
        try:
            await self._app(scope, body.receive, answer.send)
        except Refused as error:
            if error is not body.refusal:
                raise
        if body.refusal is not None and not answer.status:
            answer.body, scope[KEY].refusal = None, body.refusal
            unread = None if body.is_complete else receive
            await answer_refusal(body.refusal, scope, answer.send, unread)
