"""Pages from which the server may be asked: its own, and those that the settings name.

A browser lets any page send requests here. It says where they come from: in Origin with
everything that may change something and with each websocket, and in Sec-Fetch-Site with
everything. A program that is no browser sends neither, and is let through: it has no user whose
rights it could abuse.

A link elsewhere may lead to the editor's page: that holds nothing of the server's and does nothing
by being looked at, and the page with the link learns nothing of what becomes of it.
"""

from __future__ import annotations

import re

from nodegraph.server.access.head import Head
from nodegraph.server.http.errors import Refused
from nodegraph.server.http.limits.body import LOGIN
from nodegraph.server.settings import ServerSettings

_ORIGIN = re.compile(r"(https?)://([^/@?#\s]+)")
_PORTS = {"http": "80", "https": "443"}
_OWN_SITES = ("same-origin", "none")
"""``none`` is what the user does: an address typed in, a bookmark."""


EDITOR = "/"
_LINKED = frozenset({EDITOR, LOGIN})
"""Pages that links elsewhere may lead to; to the second one where the first needs a login."""


class WrongOrigin(Refused):
    """A request from a page of another site."""

    code = "origin-not-allowed"
    status = 403


class Origins:
    """The pages, from the settings."""

    def __init__(self, settings: ServerSettings) -> None:
        self._allowed = {origin.lower().rstrip("/") for origin in settings.allowed_origins}

    def check(self, head: Head, host: str) -> str | None:
        """The foreign origin that the request comes from; None if it comes from no foreign one.

        Args:
            host: As `Hosts.check` gives it.
        Raises:
            Refused: It comes from a page that may not.
        """
        origin = head.one(b"origin")
        site = head.one(b"sec-fetch-site")
        if origin is None and site is None:
            return None
        if origin is not None:
            origin = origin.lower()
            if origin in self._allowed:
                return origin
            if not _is_own(origin, host):
                raise _refusal(origin)
        if site is not None and site.lower() not in _OWN_SITES and not _is_link(head):
            raise _refusal(origin or site)
        return None


def _is_link(head: Head) -> bool:
    """Whether a browser opens one of the pages that links may lead to, in a window of its own."""
    return (
        head.method == "GET"
        and head.path in _LINKED
        and not head.is_websocket
        and head.one(b"sec-fetch-mode") == "navigate"
        and head.one(b"sec-fetch-dest") == "document"
    )


def _is_own(origin: str, host: str) -> bool:
    """Whether a page's origin is what the request was sent to.

    The scheme isn't compared: behind a proxy with TLS the page's is another one.
    """
    found = _ORIGIN.fullmatch(origin)
    if found is None:
        return False
    scheme, authority = found[1], found[2]
    return _with_port(authority, scheme) == _with_port(host, scheme)


def _with_port(authority: str, scheme: str) -> str:
    return authority if re.search(r":[0-9]+$", authority) else f"{authority}:{_PORTS[scheme]}"


def _refusal(origin: str) -> WrongOrigin:
    return WrongOrigin(
        "a page of another site may not ask this server",
        given=origin[:80],
        hint="If it should, add its origin to `allowed_origins` in the server's settings.",
    )
