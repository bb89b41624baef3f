"""Address and bearer token of a server, from arguments or the environment."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from nodegraph.errors import InvalidValue

TOKEN_VARIABLE = "NODEGRAPH_TOKEN"  # noqa: S105 - no password
_STARS = "***"
_WRITABLE = re.compile(r"[\x21-\x7e]+")


class Token:
    """An access token.

    Args:
        text: Token as `nodegraph token add` prints it.
    Raises:
        InvalidValue: It cannot be sent; the message does not contain it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        if not _WRITABLE.fullmatch(text):
            # Such a token could add headers to the request.
            raise InvalidValue(
                "the token has characters that are not allowed",
                expected="the text that `nodegraph token add` prints, without spaces around it",
            )
        self._text = text

    @property
    def header(self) -> str:
        """Value of the ``Authorization`` header."""
        return f"Bearer {self._text}"

    def redact(self, text: str) -> str:
        """Return a text with stars in place of the token."""
        return text.replace(self._text, _STARS)

    def __repr__(self) -> str:
        return f"Token({_STARS})"


def find_token(argument: str | None) -> Token | None:
    """Return the given token, or that of the environment; None for no token.

    Args:
        argument: Token; empty for no token in any case.
    Raises:
        InvalidValue: It is not a valid token.
    """
    text = os.environ.get(TOKEN_VARIABLE, "").strip() if argument is None else argument
    return Token(text) if text else None


SERVER_VARIABLE = "NODEGRAPH_SERVER"
DEFAULT = "http://127.0.0.1:8420"
API = "/api/v1"
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a server.

    Attributes:
        host: Name or IP address, without brackets.
        path: Path of a proxy before the paths of the API, without a slash at its end.
    """

    is_secure: bool
    host: str
    port: int
    path: str = ""

    @property
    def url(self) -> str:
        """URL of the server."""
        return f"{self._scheme}://{self.authority}{self.path}"

    @property
    def api(self) -> str:
        """Base URL of the API."""
        return f"{self.url}{API}"

    @property
    def socket(self) -> str:
        """URL of the websocket for events."""
        scheme = "wss" if self.is_secure else "ws"
        return f"{scheme}://{self.authority}{self.path}{API}/events"

    @property
    def authority(self) -> str:
        """Host, and the port unless it is the default one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self._scheme] else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine, where no proxy is used."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def _scheme(self) -> str:
        return "https" if self.is_secure else "http"


def find_address(argument: str | None) -> Address:
    """Return the given address, or that of the environment, or the default.

    Raises:
        InvalidValue: It is not an address.
    """
    return read_address(argument or os.environ.get(SERVER_VARIABLE, "").strip() or DEFAULT)


def read_address(text: str) -> Address:
    """Parse an address such as ``https://studio.example`` or ``127.0.0.1:8420``.

    Raises:
        InvalidValue: It is not an address.
    """
    parts, port = _parted(text if "://" in text else f"http://{text}")
    if parts is None or parts.scheme not in _PORTS or not parts.hostname:
        raise _refusal("this is not an address of a server", text)
    if parts.username is not None or parts.password is not None:
        # Not shown: it may be a secret.
        raise _refusal("the address of the server must not contain a user or a password")
    if parts.query or parts.fragment:
        raise _refusal("the address of the server must end with its path", text)
    path = parts.path.rstrip("/").removesuffix(API)
    is_secure = parts.scheme == "https"
    return Address(is_secure, parts.hostname, port or _PORTS[parts.scheme], path)


def _parted(text: str) -> tuple[SplitResult | None, int | None]:
    if not text.isprintable() or " " in text:
        return None, None
    try:
        parts = urlsplit(text)
        return parts, parts.port
    except ValueError:
        return None, None


def _refusal(message: str, address: str | None = None) -> InvalidValue:
    shown = None if address is None or "@" in address else ascii(address[:200])
    return InvalidValue(message, given=shown, expected=f"such as {DEFAULT}")
