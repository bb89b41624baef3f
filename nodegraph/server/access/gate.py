"""The gate before everything else: what doesn't get through never reaches a route.

Plain ASGI, and one layer for all checks: it is on the way of every request.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from nodegraph.server.access.access import Authenticator
from nodegraph.server.access.caller import HEAD_ONLY, KEY, Caller, RequestNotes
from nodegraph.server.access.head import HEALTH, PUBLIC, Head, check_path
from nodegraph.server.access.headers import GatedResponse, answer_preflight, is_preflight
from nodegraph.server.access.origins import Hosts, Origins
from nodegraph.server.access.rates import RateLimiter, network
from nodegraph.server.access.refusals import STATUSES, answer_refusal, log_refusal
from nodegraph.server.access.sessions import redirect_to_login, wants_login_page
from nodegraph.server.http.errors import (
    METHODS,
    MethodNotAllowed,
    Refused,
    TooManyRequests,
    Unauthenticated,
    no_caller,
)
from nodegraph.server.http.limits.body import CountedBody, may_have_body
from nodegraph.server.settings import ServerSettings

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
            raise MethodNotAllowed("there is no such method here", given=head.method[:20])
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
            raise no_caller()
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
