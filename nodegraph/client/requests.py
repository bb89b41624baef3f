"""Requests, replies and the retry policy, without any I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from random import SystemRandom
from time import monotonic
from typing import Any
from urllib.parse import quote

from nodegraph.client.errors import TookTooLong
from nodegraph.errors import InvalidValue

_random = SystemRandom()


@dataclass(frozen=True, slots=True)
class Retries:
    """How long a client goes on trying.

    Attributes:
        seconds: With a request, since it failed first. 0 tries once.
        connecting: With a server that no connection can be made to.
        following: With getting back to events that are followed, since they were lost.
        first: Seconds before the second attempt; twice as many before each next one.
        most: Seconds between two attempts, unless the server asks for more.
    """

    seconds: float = 20.0
    connecting: float = 20.0
    following: float = 300.0
    first: float = 0.1
    most: float = 5.0


NEVER = Retries(seconds=0.0, connecting=0.0, following=0.0)
"""Each request is sent once."""


class Backoff:
    """What goes wrong again and again, until it is over or too much.

    Args:
        seconds: That it may take.
    """

    def __init__(self, retries: Retries, seconds: float) -> None:
        self._retries = retries
        self._seconds = seconds
        self._since: float | None = None
        self._next = retries.first

    def delay(self, wanted: float | None = None) -> float | None:
        """It failed once more: seconds to wait before the next attempt, None to give up.

        Args:
            wanted: What the server asks for.
        """
        now = monotonic()
        if self._since is None:
            self._since = now
        left = self._since + self._seconds - now
        # Spread out, so that many clients of a server that restarts don't come back as one.
        wait = self._next * _random.uniform(0.5, 1.0)
        self._next = min(self._next * 2, self._retries.most)
        if wanted is not None:
            wait = max(wait, wanted)
        return wait if wait <= left else None

    def reset(self) -> None:
        """It works again."""
        self._since = None
        self._next = self._retries.first


class Deadline:
    """A moment by which something is to be done.

    Args:
        seconds: From now on; None for any time.
        what: Is waited for, for the error.
    """

    def __init__(self, seconds: float | None, what: str = "") -> None:
        self._seconds = seconds
        self._end = None if seconds is None else monotonic() + seconds
        self._what = what

    def bound(self, seconds: float) -> float:
        """So many seconds, or those that are left if they are fewer.

        Raises:
            TookTooLong: None are.
        """
        if self._end is None:
            return seconds
        left = self._end - monotonic()
        if left <= 0:
            raise TookTooLong(f"{self._what} took more than {self._seconds:g} s".lstrip())
        return min(seconds, left)


JSON = "application/json"
PLAN_SECONDS = 60.0
"""That the server gives its planner."""
Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the API.

    Attributes:
        path: Below the API's own.
        body: Its bytes, or the file that holds them.
        extra_seconds: That the answer may take longer than others.
        is_repeatable: Whether it may be sent once more when it isn't known what became of it.
        already_done_status: Status that says, to a repeated one, that it had been done the first
            time.
    """

    method: str
    path: str
    query: Query = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Path | None = None
    extra_seconds: float = 0.0
    is_repeatable: bool = True
    already_done_status: int | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answers.

    Attributes:
        headers: Their names in lower case.
        body: Whole; empty where it went into a file.
        had_token: Whether a token came with the request.
    """

    request: Request
    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    had_token: bool = True

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the server wants to be asked again; None if it doesn't say."""
        header = self.headers.get("retry-after", "").strip()
        if header.isascii() and header.isdecimal():
            return float(header[:9])
        try:
            moment = parsedate_to_datetime(header)
        except (TypeError, ValueError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return max((moment - datetime.now(timezone.utc)).total_seconds(), 0.0)


def url_path(*parts: str | int) -> str:
    """The path of something by the names that lead to it.

    Raises:
        InvalidValue: One of them can't be a name.
    """
    for part in parts:
        if part in ("", ".", ".."):
            raise InvalidValue("this cannot be a name", given=ascii(part))
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def query(**parameters: Any) -> Query:
    """The query of what is given, without what is None; lists have an entry for each item."""
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        items: Iterable[Any] = value if isinstance(value, (list, tuple)) else [value]
        pairs += [(name, _text(item)) for item in items if item is not None]
    return tuple(pairs)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def json_request(
    method: str,
    path: str,
    document: Any,
    *,
    headers: Mapping[str, str] | None = None,
    seconds: float = 0.0,
    is_repeatable: bool = True,
) -> Request:
    """A request with a JSON document.

    Raises:
        InvalidValue: It holds what JSON can't.
    """
    try:
        text = json.dumps(document, allow_nan=False, separators=(",", ":"), default=_plain)
        body = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(f"this cannot be sent as JSON: {error}") from error
    all_headers = {"Content-Type": JSON, **(headers or {})}
    return Request(method, path, (), all_headers, body, seconds, is_repeatable)


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy's, which isn't imported for it, as JSON has them."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
