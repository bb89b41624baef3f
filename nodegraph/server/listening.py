"""The socket that the server listens at, and whether it may."""

from __future__ import annotations

import errno
import socket
import sys

from nodegraph.errors import InvalidValue, NodegraphError
from nodegraph.server.access.tokens import Tokens
from nodegraph.server.settings import ServerSettings

_BACKLOG = 2_048


class CannotListen(NodegraphError):
    """An address at which the server can't listen."""

    code = "cannot-listen"


class NeedsToken(InvalidValue):
    """A server that others can reach, and that would let all of them in."""

    code = "needs-token"


def check_exposure(settings: ServerSettings, tokens: Tokens) -> None:
    """Refuse to be reached by others without a token that they need.

    Raises:
        NeedsToken: There is none.
    """
    if settings.is_private or tokens.are_any:
        return
    reason = (
        "others can reach a server at this address"
        if not settings.allowed_hosts
        else "a server with `allowed_hosts` is there for others"
    )
    raise NeedsToken(
        f"{reason}, so it needs a token, and there is none",
        given=settings.host,
        hint="Make one with `nodegraph token add NAME`, or leave the host at 127.0.0.1.",
    )


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens; whoever connects waits until somebody accepts.

    Raises:
        CannotListen: The port is taken, or there is no such address here.
    """
    place = f"port {port} of {host}"
    try:
        family, kind, number, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise CannotListen(f"there is no address {host}: {error.strerror}") from error
    found = socket.socket(family, kind, number)
    try:
        if sys.platform != "win32":  # there it would share a port that is taken
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        raise CannotListen(_reason(place, error), hint=_hint(error, port)) from error
    found.setblocking(False)
    return found


def _reason(place: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{place} is taken by another program"
    if error.errno == errno.EACCES:
        return f"{place} is for privileged programs only"
    return f"can't listen at {place}: {error.strerror or error}"


def _hint(error: OSError, port: int) -> str | None:
    if error.errno == errno.EADDRINUSE:
        return f"Is a server running already? Or choose another one: --port {port + 1}."
    return "Choose one above 1023." if error.errno == errno.EACCES else None


def url_of(listening: socket.socket, host: str) -> str:
    """Where to reach a server, for people."""
    port = listening.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
