"""Whose request it is: by its token, by the cookie of a browser that has logged in with one, or by
its coming from this machine while there are none."""

from __future__ import annotations

import re

from nodegraph.server.access.caller import LOCAL, Caller
from nodegraph.server.access.head import Head
from nodegraph.server.access.rates import RateLimiter, network
from nodegraph.server.access.sessions import Sessions, session_secret
from nodegraph.server.access.tokens import Tokens
from nodegraph.server.http.errors import Refused, TooManyRequests, Unauthenticated
from nodegraph.server.settings import ServerSettings, is_loopback

SUBPROTOCOL = "nodegraph.token."
"""Before a token among a websocket's subprotocols: a browser can't set its headers."""
_PROXIES = re.compile(
    rb"(?:x-)?(?:forwarded|client-ip|cluster-client|proxy|envoy|azure|appengine).*"
    rb"|x-(?:original|real|remote|arr|host)\b.*|(?:cf|cdn|fastly|fly|akamai|incap|sucuri)-.+"
    rb"|true-client-ip|via"
)
"""Headers that proxies and other go-betweens add."""


class Authenticator:
    """Finds out who asks.

    Args:
        settings: Of the server.
        tokens: Those that there are.

    Attributes:
        sessions: Of browsers.
    """

    def __init__(self, settings: ServerSettings, tokens: Tokens) -> None:
        self.sessions = Sessions(tokens, settings.session_seconds)
        self._is_private = settings.is_private
        self._tokens = tokens
        self._needs_token = False
        rates = settings.rates
        self._failures = RateLimiter(rates.failures_per_minute / 60, rates.failure_burst)

    def authenticate(self, head: Head, *, is_foreign: bool = False) -> Caller | None:
        """Who asks; None if it is nobody known.

        Args:
            is_foreign: Whether a page elsewhere asks: what the user did here isn't its to use.
        Raises:
            Unauthenticated: They have a token that isn't good.
            TooManyRequests: And had too many of that kind.
        """
        token = _token(head)
        if token is not None:
            return self.authenticate_token(token, head.remote)
        # A session that has ended is none: a page that is still open asks on, and guesses nothing.
        secret = None if is_foreign else session_secret(head)
        session_caller = None if secret is None else self.sessions.caller(secret)
        return session_caller or (LOCAL if self._is_open(head) else None)

    def authenticate_token(self, token: str, address: str) -> Caller:
        """Whose a token is.

        Args:
            address: From which it came; wrong ones are counted by it.
        Raises:
            Unauthenticated: It isn't good.
            TooManyRequests: And there were too many of that kind.
        """
        caller = self._tokens.caller(token)
        if caller is None:
            raise self._failure(address)
        return caller

    def is_good(self, caller: Caller) -> bool:
        """Whether somebody who came in may stay: the token is good, the session hasn't ended."""
        is_in_session = not caller.session or self.sessions.is_open(caller.session)
        return is_in_session and self._tokens.is_good(caller.token)

    def _is_open(self, head: Head) -> bool:
        # Once there was a token, none is needed again only after a restart: taking the last one
        # back must not let everybody in.
        self._needs_token = self._needs_token or self._tokens.are_any
        if self._needs_token or self._tokens.is_unreadable or not self._is_private:
            return False
        # Checked for each request, as other programs may run this application at any address, and
        # a proxy on this machine brings in others.
        is_here = is_loopback(head.local) and is_loopback(head.remote)
        return is_here and not is_forwarded(head)

    def _failure(self, address: str) -> Refused:
        wait = self._failures.acquire(network(address))
        if wait:
            return TooManyRequests("too many wrong tokens came from this address", seconds=wait)
        return Unauthenticated(
            "this token isn't good", hint="It may have been revoked or have expired."
        )


def is_forwarded(head: Head) -> bool:
    """Whether a go-between seems to have brought a request along.

    One that adds no header gives itself away by HTTP/1.0, in which nginx asks unless it is told
    otherwise, and no browser.
    """
    return head.version in ("0.9", "1.0") or any(
        _PROXIES.fullmatch(name.replace(b"_", b"-")) for name in head.headers
    )


def _token(head: Head) -> str | None:
    """The token that came along; None without one.

    Raises:
        Unauthenticated: The credentials are of another kind.
    """
    authorization = head.header(b"authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("only tokens are taken", expected="Authorization: Bearer <token>")
        return token.strip()
    if head.is_websocket:
        for offered in (head.header(b"sec-websocket-protocol") or "").split(","):
            if offered.strip().startswith(SUBPROTOCOL):
                return offered.strip().removeprefix(SUBPROTOCOL)
    return None
