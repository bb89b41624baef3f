"""The tokens as the server sees them: whose is the one that came with a request."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from nodegraph.errors import NodegraphError
from nodegraph.server.access.caller import Caller, implied
from nodegraph.server.access.token import NOBODY, TokenRecord, split_token
from nodegraph.server.access.token_file import TokenFile

TOKENS_FILE = "tokens.json"
"""Of the file, in the home folder."""
_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0


class Tokens:
    """Who may come in.

    What the command line changes counts within a second. While the file can't be read, no token is
    good, as one that was revoked must not come back, and all need one.

    Args:
        path: The file.
        clock: Unix time.
        refresh_seconds: Between two looks at whether the file has changed.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.time,
        refresh_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._file = TokenFile(path, clock)
        self._clock = clock
        self.refresh_seconds = refresh_seconds
        self._looked = 0.0
        self._mark: tuple[int, ...] | None = None
        self._known: Mapping[str, tuple[TokenRecord, Caller]] = {}
        self._fault: str | None = None
        self._read()

    def caller(self, token: str) -> Caller | None:
        """Who comes with a token; None if it isn't good."""
        self._refresh()
        token_parts = split_token(token)
        if token_parts is None:
            return None
        public, secret = token_parts
        record, who = self._known.get(public, (NOBODY, None))
        is_right = record.accepts(secret)
        if who is None or not is_right or record.is_expired(self._clock()):
            return None
        return who

    def caller_by_id(self, id: str) -> Caller | None:
        """Whose the token of an id is; None if it isn't good any more."""
        self._refresh()
        record, who = self._known.get(id, (NOBODY, None))
        return None if record.is_expired(self._clock()) else who

    def is_good(self, id: str) -> bool:
        """Whether whoever came with the token of an id may stay; without one they may."""
        return not id or self.caller_by_id(id) is not None

    @property
    def are_any(self) -> bool:
        """Whether there is a token that is good."""
        self._refresh()
        now = self._clock()
        return any(not record.is_expired(now) for record, _ in self._known.values())

    @property
    def is_unreadable(self) -> bool:
        """Whether it can't be told if there is one, as the file can't be read."""
        self._refresh()
        return self._fault is not None

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked >= self.refresh_seconds:
            self._looked = now
            self._read()

    def _read(self) -> None:
        mark = _mark(self._file.path)
        if mark == self._mark:
            return
        try:
            records = self._file.read()
        except NodegraphError as error:
            if str(error) != self._fault:
                _LOG.error("no token is good until this is mended: %s", error)
            self._known, self._mark, self._fault = {}, None, str(error)
            return
        self._fault = None
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
