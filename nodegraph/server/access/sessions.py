"""Browsers that have logged in: what their cookie stands for."""

from __future__ import annotations

import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from nodegraph.server.access.caller import Caller
from nodegraph.server.access.tokens import Tokens

_COOKIE = re.compile(r"[A-Za-z0-9_-]{43}")
_MOST = 10_000
"""Sessions that are remembered; the oldest one goes for a new one."""


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
        lasting: Seconds.
        clock: Unix time.
    """

    def __init__(
        self, tokens: Tokens, lasting: float, clock: Callable[[], float] = time.time
    ) -> None:
        self.lasting = lasting
        self._tokens = tokens
        self._clock = clock
        self._open: OrderedDict[str, _Session] = OrderedDict()

    def begin(self, caller: Caller) -> str:
        """Begin a session of whoever came with a token; its secret."""
        secret = secrets.token_urlsafe(32)
        self._open[_id(secret)] = _Session(caller.token, self._clock() + self.lasting)
        while len(self._open) > _MOST:
            self._open.popitem(last=False)
        return secret

    def caller(self, secret: str) -> Caller | None:
        """Whose session it is; None if it has ended, or never was."""
        if not _COOKIE.fullmatch(secret):
            return None
        session = _id(secret)
        token = self._token(session)
        found = None if token is None else self._tokens.known(token)
        return None if found is None else replace(found, session=session)

    def is_open(self, id: str) -> bool:
        """Whether a session goes on, as far as it is up to the session."""
        return self._token(id) is not None

    def end(self, id: str) -> None:
        """End a session; nothing if it has ended."""
        self._open.pop(id, None)

    def _token(self, id: str) -> str | None:
        found = self._open.get(id)
        if found is not None and found.ends <= self._clock():
            del self._open[id]
            return None
        return None if found is None else found.token


def _id(secret: str) -> str:
    # Looked up by its digest, in whatever time that takes: who has the digest hasn't the secret.
    return sha256(secret.encode()).hexdigest()
