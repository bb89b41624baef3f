"""A token: what is shown of it once, and what is kept of it."""

from __future__ import annotations

import hmac
import re
import secrets
from hashlib import sha256
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from nodegraph.server.access.caller import Scope

PATTERN = r"ng_[0-9a-f]{12}_[0-9a-f]{48}"
"""Of a token, so that it can be found where it mustn't be: in logs, in files that are published."""
_FULL = re.compile(PATTERN)
LARGEST_NAME = 64

TokenName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LARGEST_NAME)
]


class TokenRecord(BaseModel):
    """What is kept of a token.

    Attributes:
        id: The part of it that is no secret.
        name: Whose it is: the client of the jobs that come with it.
        sha256: Of its secret part. That is 192 random bits: guessing is out of the question, so a
            slow hash would protect nothing.
        created, expires: Unix times; None for a token that stays.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
    name: TokenName
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    created: float
    expires: float | None = None

    def is_expired(self, now: float) -> bool:
        """Whether it is of no use any more."""
        return self.expires is not None and self.expires <= now

    def accepts(self, secret: str) -> bool:
        """Whether it is the secret part, in a time that doesn't tell how much of it is right."""
        return hmac.compare_digest(_digest(secret), self.sha256)


NOBODY = TokenRecord(
    id="0" * 12, name="nobody", scopes=frozenset({"read"}), sha256="0" * 64, created=0.0
)
"""What a token of an unknown id is compared with, so that it takes as long as a known one."""


def new_token(
    name: str, scopes: frozenset[Scope], now: float, expires: float | None
) -> tuple[str, TokenRecord]:
    """A token, which is shown once, and what is kept of it.

    Raises:
        ValidationError: No such name or scope.
    """
    public, secret = secrets.token_hex(6), secrets.token_hex(24)
    return f"ng_{public}_{secret}", record_of(public, secret, name, scopes, now, expires)


def record_of(
    public: str,
    secret: str,
    name: str,
    scopes: frozenset[Scope],
    now: float,
    expires: float | None = None,
) -> TokenRecord:
    """What is kept of a token.

    Raises:
        ValidationError: No such name or scope.
    """
    digest = _digest(secret)
    return TokenRecord(
        id=public, name=name, scopes=scopes, sha256=digest, created=now, expires=expires
    )


def split_token(token: str) -> tuple[str, str] | None:
    """A token's id and secret; None if it isn't of a token's form."""
    if not _FULL.fullmatch(token):
        return None
    _, public, secret = token.split("_")
    return public, secret


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
