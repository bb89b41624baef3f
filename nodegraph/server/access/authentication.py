"""Authentication of requests by token, by a browser's session, or as the local user."""

from __future__ import annotations

import ipaddress
import re
import secrets
import time
from base64 import b64decode
from binascii import Error as Base64Error
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote, unquote

from starlette.types import Receive, Send

from nodegraph.server.access.caller import LOCAL, Caller
from nodegraph.server.access.head import LOGIN, Head
from nodegraph.server.access.tokens import Tokens
from nodegraph.server.http.errors import (
    PasswordNeeded,
    Refused,
    TooManyRequests,
    Unauthenticated,
)
from nodegraph.server.http.limits.body import drain
from nodegraph.server.root_path import public_path, root_path
from nodegraph.server.settings import ServerSettings, is_loopback

_MOST_REMEMBERED = 10_000


class RateLimiter:
    """A bucket for each key; one that isn't known is full.

    Args:
        per_second: That flow in.
        burst: That fit in.
        clock: Seconds; only differences count.
    """

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def acquire(self, key: str) -> float:
        """Take one out; seconds until there is one, 0 if there was."""
        now = self._clock()
        level, since = self._filled.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._per_second)
        if level < 1.0:
            self._filled[key] = (level, now)
            return (1.0 - level) / self._per_second
        self._filled[key] = (level - 1.0, now)
        if len(self._filled) > _MOST_REMEMBERED:
            # Who was silent for longest has the fullest bucket, so that little is forgiven.
            self._filled.popitem(last=False)
        return 0.0


@lru_cache(maxsize=4096)
def network(address: str) -> str:
    """Whom an address stands for: of IPv6, a household has 2 ** 64 of them at least."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


_NAME = "nodegraph_session"
_SECURE = f"__Host-{_NAME}"
"""Browsers take a cookie of such a name from this very host only, and by https."""
_SECURE_BELOW = f"__Secure-{_NAME}"
"""The same of a part of a host, which the other kind of name can't be of."""
_PORT = re.compile(r":([0-9]{1,5})$")
_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}")
_MOST = 10_000
"""Sessions that are remembered; the oldest one goes for a new one."""
_LOCAL = re.compile(r"/(?![/\\])[^\x00-\x20\x7f\\]{0,2000}")


def session_secret(head: Head) -> str | None:
    """The secret of the session in a request's cookies; None without one."""
    if not head.has(b"cookie"):
        return None
    cookies = dict(_cookies(head.headers[b"cookie"]))
    return cookies.get(_name(head, is_secure=True)) or cookies.get(_name(head, is_secure=False))


def cookie(head: Head, secret: str, seconds: float) -> str:
    """The header that gives a browser its cookie; for no seconds, that takes it away.

    No script sees it, and it goes along with nothing that a page elsewhere asks for.
    """
    is_secure = _is_secure(head)
    name, path = _name(head, is_secure), root_path() or "/"
    ends = f"Max-Age={seconds:.0f}"
    parts = [f"{name}={secret}", f"Path={path}", ends, "HttpOnly", "SameSite=Strict"]
    return "; ".join([*parts, "Secure"] if is_secure else parts)


def _is_secure(head: Head) -> bool:
    """Whether the browser came by TLS, which a proxy may have taken off."""
    return head.scheme in ("https", "wss") or (head.header(b"origin") or "").startswith("https://")


def _name(head: Head, is_secure: bool) -> str:
    root = root_path()
    secure = _SECURE_BELOW if root else _SECURE
    # Cookies are shared by all ports of a host, and so would be lost between two servers; and one
    # of the whole host comes along below a path, too.
    port = _PORT.search(head.header(b"host") or "")
    numbered = f"_{port[1]}" if port else ""
    return f"{secure if is_secure else _NAME}{numbered}{root.replace('/', '.')}"


def _cookies(headers: Iterable[bytes]) -> Iterable[tuple[str, str]]:
    for header in headers:
        for part in header.decode("latin-1").split(";"):
            name, _, value = part.partition("=")
            yield name.strip(), value.strip()


@dataclass(frozen=True, slots=True)
class _Session:
    token: str
    ends: float


class Sessions:
    """The sessions of one run of the server; a restart ends them all.

    A session is its token's: it may do what that may, and ends with it at the latest. Its secret
    is 256 random bits, of which the digest is kept.

    Args:
        tokens: Those that there are.
        lifetime: Seconds.
        clock: Unix time.
    """

    def __init__(
        self, tokens: Tokens, lifetime: float, clock: Callable[[], float] = time.time
    ) -> None:
        self.lifetime = lifetime
        self._tokens = tokens
        self._clock = clock
        self._open: OrderedDict[str, _Session] = OrderedDict()

    def begin(self, caller: Caller) -> str:
        """Begin a session of whoever came with a token; its secret."""
        secret = secrets.token_urlsafe(32)
        self._open[_id(secret)] = _Session(caller.token, self._clock() + self.lifetime)
        while len(self._open) > _MOST:
            self._open.popitem(last=False)
        return secret

    def caller(self, secret: str) -> Caller | None:
        """Whose session it is; None if it has ended, or never was."""
        if not _COOKIE.fullmatch(secret):
            return None
        session = _id(secret)
        token = self._token(session)
        owner = None if token is None else self._tokens.caller_by_id(token)
        return None if owner is None else replace(owner, session=session)

    def is_open(self, id: str) -> bool:
        """Whether a session goes on, as far as it is up to the session."""
        return self._token(id) is not None

    def end(self, id: str) -> None:
        """End a session; nothing if it has ended."""
        self._open.pop(id, None)

    def _token(self, id: str) -> str | None:
        session = self._open.get(id)
        if session is not None and session.ends <= self._clock():
            del self._open[id]
            return None
        return None if session is None else session.token


def _id(secret: str) -> str:
    # Looked up by its digest, in whatever time that takes: who has the digest hasn't the secret.
    return sha256(secret.encode()).hexdigest()


def wants_login_page(head: Head) -> bool:
    """Whether it is a browser that shows pages, and came without a token."""
    if head.is_websocket or head.has(b"authorization"):
        return False
    accepted = b",".join(head.headers.get(b"accept", ()))
    return b"text/html" in accepted.lower()


async def redirect_to_login(head: Head, send: Send, unread: Receive | None) -> None:
    """Send a browser to the page, which sends it back.

    Args:
        unread: Gives what is left of the request's body; None if nothing is.
    """
    location = f"{public_path(LOGIN)}?next={quote(public_path(_address(head)), safe='')}"
    headers = [(b"location", location.encode("ascii")), (b"content-length", b"0")]
    if unread is not None:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    if unread is not None:
        await drain(unread)
    await send({"type": "http.response.body"})


def safe_redirect_target(target: str) -> str:
    """Where to go after logging in: only ever a place here, below the server's root."""
    segments = unquote(target.partition("?")[0].partition("#")[0]).replace("\\", "/").split("/")
    is_here = target.startswith(public_path("/")) and ".." not in segments
    return target if is_here and _LOCAL.fullmatch(target) else public_path(LOGIN)


def _address(head: Head) -> str:
    # What was sent as the body of another method isn't sent again; its form is shown once more.
    path = head.raw_path.decode("latin-1").partition("?")[0]
    query = head.query.decode("latin-1")
    return f"{path}?{query}" if query and head.method == "GET" else path


SUBPROTOCOL = "nodegraph.token."
"""Before a token among a websocket's subprotocols: a browser can't set its headers."""
_KEYED = "/v1/"
"""Paths of OpenAI's API, whose clients send a key in any case."""
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
        takes_password = accepts_password(head.path)
        # A browser sends a password again by itself, also for pages elsewhere: like a session, it
        # isn't theirs to use.
        token = _token(head, takes_password=takes_password and not is_foreign)
        if token is not None and not self._is_placeholder(token, head):
            return self.authenticate_token(token, head.remote, takes_password=takes_password)
        # A session that has ended is none: a page that is still open asks on, and guesses nothing.
        secret = None if is_foreign else session_secret(head)
        session_caller = None if secret is None else self.sessions.caller(secret)
        return session_caller or (LOCAL if self._is_open(head) else None)

    def authenticate_token(
        self, token: str, address: str, *, takes_password: bool = False
    ) -> Caller:
        """Whose a token is.

        Args:
            address: From which it came; wrong ones are counted by it.
            takes_password: Whether it may have been a password.
        Raises:
            Unauthenticated: It isn't good.
            TooManyRequests: And there were too many of that kind.
        """
        caller = self._tokens.caller(token)
        if caller is None:
            raise self._failure(address, takes_password)
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

    def _is_placeholder(self, token: str, head: Head) -> bool:
        """Whether a client had to send some key, and none is needed here."""
        is_own = token.startswith("ng_")
        return not is_own and head.path.startswith(_KEYED) and self._is_open(head)

    def _failure(self, address: str, takes_password: bool) -> Refused:
        wait = self._failures.acquire(network(address))
        if wait:
            return TooManyRequests("too many wrong tokens came from this address", seconds=wait)
        kind = PasswordNeeded if takes_password else Unauthenticated
        return kind("this token is not valid", hint="It may be revoked or expired.")


def is_forwarded(head: Head) -> bool:
    """Whether a go-between seems to have brought a request along.

    One that adds no header gives itself away by HTTP/1.0, in which nginx asks unless it is told
    otherwise, and no browser.
    """
    return head.version in ("0.9", "1.0") or any(
        _PROXIES.fullmatch(name.replace(b"_", b"-")) for name in head.headers
    )


_OWN_API = "/api/v1"
PASSWORD_PATHS = (
    *("/sdapi", "/controlnet", "/internal", "/app_id", "/user", "/login_check"),
    *("/v1", "/mcp", "/comfyui"),
)
"""Paths of other tools' protocols, whose clients know HTTP Basic authentication."""
_LONGEST_PASSWORD = 1_000


def accepts_password(path: str) -> bool:
    """Whether a token may come as a password there: in protocols of other tools, never in the
    server's own API, of which browsers show nothing by a password that they remember.

    Args:
        path: As the gate sees it: one of the server's own.
    """
    if path == _OWN_API or path.startswith(f"{_OWN_API}/"):
        return False
    return any(path == each or path.startswith(f"{each}/") for each in PASSWORD_PATHS)


def _token(head: Head, *, takes_password: bool) -> str | None:
    """The token that came along; None without one.

    Args:
        takes_password: Whether it may be a password.
    Raises:
        Unauthenticated: The credentials are of another kind.
    """
    authorization = head.header(b"authorization")
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        if takes_password and scheme.lower() == "basic":
            return _password(token.strip())
        if scheme.lower() != "bearer":
            kind = PasswordNeeded if takes_password else Unauthenticated
            raise kind("only tokens are accepted", expected="Authorization: Bearer <token>")
        return token.strip()
    if head.is_websocket:
        for offered in (head.header(b"sec-websocket-protocol") or "").split(","):
            if offered.strip().startswith(SUBPROTOCOL):
                return offered.strip().removeprefix(SUBPROTOCOL)
    return None


def _password(credentials: str) -> str:
    """The token in a user name and password: the password, or the id and the secret of both.

    What is none is a wrong token, and counted as one.
    """
    if len(credentials) > _LONGEST_PASSWORD:
        return ""
    try:
        user, _, password = b64decode(credentials, validate=True).decode().partition(":")
    except (Base64Error, ValueError):
        return ""
    return password if password.startswith("ng_") else f"ng_{user}_{password}"
