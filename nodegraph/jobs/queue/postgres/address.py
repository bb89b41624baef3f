"""Where a queue on a PostgreSQL server is; nothing that is shown of it has the password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, unquote, urlsplit

from nodegraph.errors import InvalidValue

SCHEMES = ("postgresql", "postgres")
_EXAMPLE = "postgresql://nodegraph@db.example/nodegraph"
_SECRET = {"password", "sslpassword", "oauth_client_secret"}
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(frozen=True, slots=True)
class PostgresAddress:
    """The address of a database.

    Args:
        url: As libpq has it: ``postgresql://user@host:port/database?sslmode=require``.
    Raises:
        InvalidValue: It is none.
    """

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url) if isinstance(self.url, str) else None
            _ = None if parts is None else parts.port  # it is read only now, and may be no number
        except ValueError:
            parts = None
        if parts is None or parts.scheme not in SCHEMES or not parts.path.strip("/"):
            raise InvalidValue(
                "this is not an address of a PostgreSQL database",
                given=_shown(self.url),
                expected=f"an address such as {_EXAMPLE}",
            )
        # Of a password with a / or @ in it, a part would count as the host or the database.
        if self.url.count("@") > parts.netloc.count("@") or parts.netloc.count("@") > 1:
            raise InvalidValue(
                "this is not an address of a PostgreSQL database: it has more than one @",
                given=_shown(self.url),
                expected=f"an address such as {_EXAMPLE}, with one @ at most",
                hint="In other parts, such as a password, write %40 for @, %2F for /, %3A for :, "
                "%3F for ? and %23 for #.",
            )

    def __str__(self) -> str:
        parts = urlsplit(self.url)
        user = f"{quote(unquote(parts.username))}@" if parts.username else ""
        host = parts.hostname or parse_qs(parts.query).get("host", [""])[0]
        port = f":{parts.port}" if parts.port else ""
        return f"postgresql://{user}{host}{port}{parts.path}"

    @property
    def has_password(self) -> bool:
        """Whether the password stands in it."""
        parts = urlsplit(self.url)
        return parts.password is not None or not _SECRET.isdisjoint(parse_qs(parts.query))


def _shown(address: object) -> str:
    """What may be shown of what is no address: where a password is in it can't be told."""
    scheme = _SCHEME.match(address) if isinstance(address, str) else None
    return f"{scheme[0] if scheme else ''}…"
