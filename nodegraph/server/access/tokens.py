"""Tokens: what is shown of them once, what is kept of them, and whose is the one of a request."""

from __future__ import annotations

import hmac
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from nodegraph.errors import NodegraphError
from nodegraph.server.access.caller import Caller, Scope, implied
from nodegraph.server.access.token_file import TokenFile

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


def parts(token: str) -> tuple[str, str] | None:
    """A token's id and secret; None if it isn't of a token's form."""
    if not _FULL.fullmatch(token):
        return None
    _, public, secret = token.split("_")
    return public, secret


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


NAME = "tokens.json"
"""Of the file, in the home folder."""
_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0


class Tokens:
    """Who may come in.

    What the command line changes counts within a second. If the file can't be read any more, no
    token is good until it can: one that was revoked must not come back.

    Args:
        path: The file.
        clock: Unix time.
        look_seconds: Between two looks at whether the file has changed.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.time,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._file = TokenFile(path, clock)
        self._clock = clock
        self._look_seconds = look_seconds
        self._looked = 0.0
        self._mark: tuple[int, ...] | None = None
        self._known: Mapping[str, tuple[TokenRecord, Caller]] = {}
        self._read()

    def caller(self, token: str) -> Caller | None:
        """Who comes with a token; None if it isn't good."""
        self._look()
        found = parts(token)
        if found is None:
            return None
        public, secret = found
        record, who = self._known.get(public, (NOBODY, None))
        is_right = record.accepts(secret)
        if who is None or not is_right or record.is_expired(self._clock()):
            return None
        return who

    def known(self, id: str) -> Caller | None:
        """Whose the token of an id is; None if it isn't good any more."""
        self._look()
        record, who = self._known.get(id, (NOBODY, None))
        return None if record.is_expired(self._clock()) else who

    def is_good(self, id: str) -> bool:
        """Whether whoever came with the token of an id may stay; without one they may."""
        return not id or self.known(id) is not None

    @property
    def are_any(self) -> bool:
        """Whether there is a token that is good."""
        self._look()
        now = self._clock()
        return any(not record.is_expired(now) for record, _ in self._known.values())

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked >= self._look_seconds:
            self._looked = now
            self._read()

    def _read(self) -> None:
        mark = _mark(self._file.path)
        if mark == self._mark:
            return
        try:
            records = self._file.read()
        except NodegraphError as error:
            _LOG.error("no token is good until this is mended: %s", error)
            self._known, self._mark = {}, None
            return
        self._known = {
            record.id: (record, Caller(record.name, implied(record.scopes), record.id))
            for record in records
        }
        self._mark = mark


def _mark(path: Path) -> tuple[int, ...]:
    """What changes with the file."""
    try:
        status = os.stat(path)  # noqa: PTH116 - looked at often
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
