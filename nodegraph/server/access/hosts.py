"""Names under which the server may be asked.

A page that an attacker serves can have its own name point to this machine's address (DNS
rebinding); a browser then takes the server for part of that page's site. What gives it away is the
name in the Host header. A bare address can't be rebound, so it needs no list once the server is
meant to be reached from elsewhere.
"""

from __future__ import annotations

import ipaddress
import re

from nodegraph.server.access.head import Head
from nodegraph.server.http.errors import Refused
from nodegraph.server.settings import ServerSettings, is_loopback

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?")
_MOST_REMEMBERED = 256


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
        host = head.one(b"host")
        if not host:
            raise Refused("the request names no host", expected="a `Host` header")
        host = host.lower()
        if host in self._good:
            return host
        found = _HOST.fullmatch(host)
        if found is None or not self._allows(found[1]):
            raise WrongHost(
                "this server isn't to be asked under this name",
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
