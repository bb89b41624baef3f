"""Where a queue on a PostgreSQL server is; nothing that is shown of it has the password."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, quote, unquote, urlsplit

from nodegraph.errors import InvalidValue

SCHEMES = ("postgresql", "postgres")
_EXAMPLE = "postgresql://nodegraph@db.example/nodegraph"


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
                "this is no address of a PostgreSQL database",
                given=_without_password(str(self.url)),
                expected=f"an address such as {_EXAMPLE}",
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
        return parts.password is not None or "password" in parse_qs(parts.query)


def _without_password(text: str) -> str:
    """What may be shown of a text that is no address."""
    before, at, after = text.rpartition("@")
    shown = f"…@{after}" if at and ":" in before else text
    return shown.partition("?")[0][:100]
