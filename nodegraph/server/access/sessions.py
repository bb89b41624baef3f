"""Browsers that have logged in: their cookie, and where they do so."""

from __future__ import annotations

import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from urllib.parse import quote, unquote

from starlette.types import Receive, Send

from nodegraph.server.access.caller import Caller
from nodegraph.server.access.head import LOGIN, Head
from nodegraph.server.access.tokens import Tokens
from nodegraph.server.http.limits.body import drain
from nodegraph.server.root_path import public_path, root_path

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
