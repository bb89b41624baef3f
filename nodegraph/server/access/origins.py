"""Checks of the Host and Origin headers against DNS rebinding and cross-site requests.

A page that an attacker serves can have its own name point to this machine's address (DNS
rebinding); a browser then takes the server for part of that page's site. What gives it away is the
name in the Host header. A bare address can't be rebound, so it needs no list once the server is
meant to be reached from elsewhere.

A browser lets any page send requests here. It says where they come from: in Origin with
everything that may change something and with each websocket, and in Sec-Fetch-Site with
everything. A program that is no browser sends neither, and is let through: it has no user whose
rights it could abuse.

A link elsewhere may lead to the editor's page, with or without the graph: that holds nothing of the
server's and does nothing by being looked at, and the page with the link learns nothing of what
becomes of it.
"""

from __future__ import annotations

import ipaddress
import re

from nodegraph.server.access.head import LOGIN, Head
from nodegraph.server.http.errors import Refused
from nodegraph.server.settings import ServerSettings, is_loopback

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?")
_MOST_REMEMBERED = 256
_ORIGIN = re.compile(r"(https?)://([^/@?#\s]+)")
_PORTS = {"http": "80", "https": "443"}
_OWN_SITES = ("same-origin", "none")
"""``none`` is what the user does: an address typed in, a bookmark."""
EDITOR, GENERATE = "/", "/generate"
"""Addresses of the editor's page: with the graph, and for those who want none."""
_LINKED = frozenset({EDITOR, GENERATE, LOGIN, "/comfyui/"})
"""Pages that links elsewhere may lead to; to the one for logging in where the others need that."""


class WrongHost(Refused):
    """A name under which this server isn't to be asked."""

    code = "host-not-allowed"
    status = 421


class Hosts:
    """The names, from the settings."""

    def __init__(self, settings: ServerSettings) -> None:
        self._names = {name.lower() for name in (*settings.allowed_hosts, settings.host)}
        self._is_private = settings.is_private
        self._good: set[str] = set()

    def check(self, head: Head) -> str:
        """The name and port by which the server is asked.

        Raises:
            Refused: There is none, or it isn't allowed.
        """
        host = head.header(b"host")
        if not host:
            raise Refused("the request does not name a host", expected="a `Host` header")
        host = host.lower()
        if host in self._good:
            return host
        match = _HOST.fullmatch(host)
        if match is None or not self._allows(match[1]):
            raise WrongHost(
                "this server does not accept requests for this host name",
                given=host[:80],
                hint="If it is one of its names, add it to `allowed_hosts` in its settings.",
            )
        if len(self._good) < _MOST_REMEMBERED:
            self._good.add(host)
        return host

    def _allows(self, name: str) -> bool:
        if name in self._names or is_loopback(name):
            return True
        return not self._is_private and _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


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
        origin = head.header(b"origin")
        site = head.header(b"sec-fetch-site")
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
        and head.header(b"sec-fetch-mode") == "navigate"
        and head.header(b"sec-fetch-dest") == "document"
    )


def _is_own(origin: str, host: str) -> bool:
    """Whether a page's origin is what the request was sent to.

    The scheme isn't compared: behind a proxy with TLS the page's is another one.
    """
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return False
    scheme, authority = match[1], match[2]
    return _with_port(authority, scheme) == _with_port(host, scheme)


def _with_port(authority: str, scheme: str) -> str:
    return authority if re.search(r":[0-9]+$", authority) else f"{authority}:{_PORTS[scheme]}"


def _refusal(origin: str) -> WrongOrigin:
    return WrongOrigin(
        "pages of other sites may not use this server",
        given=origin[:80],
        hint="To allow it, add its origin to `allowed_origins` in the server's settings.",
    )
