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
    """The retry policy of a client.

    Attributes:
        seconds: Seconds to repeat a request after its first failure. 0 tries once.
        connecting: Seconds to try to connect to a server.
        following: Seconds to reconnect to an event stream after it was lost.
        first: Seconds before the second attempt; doubled before each further one.
        most: Largest delay in seconds between two attempts, unless the server asks for more.
    """

    seconds: float = 20.0
    connecting: float = 20.0
    following: float = 300.0
    first: float = 0.1
    most: float = 5.0


NEVER = Retries(seconds=0.0, connecting=0.0, following=0.0)
"""Each request is sent once."""


class Backoff:
    """Delays between attempts that fail repeatedly.

    Args:
        seconds: Seconds after which to give up.
    """

    def __init__(self, retries: Retries, seconds: float) -> None:
        self._retries = retries
        self._seconds = seconds
        self._since: float | None = None
        self._next = retries.first

    def delay(self, wanted: float | None = None) -> float | None:
        """Record a failure; return the seconds to wait before the next attempt, None to give up.

        Args:
            wanted: Delay in seconds that the server asks for.
        """
        now = monotonic()
        if self._since is None:
            self._since = now
        left = self._since + self._seconds - now
        # Random, so that many clients of a restarted server do not reconnect at the same time.
        wait = self._next * _random.uniform(0.5, 1.0)
        self._next = min(self._next * 2, self._retries.most)
        if wanted is not None:
            wait = max(wait, wanted)
        return wait if wait <= left else None

    def reset(self) -> None:
        """Record a success."""
        self._since = None
        self._next = self._retries.first


class Deadline:
    """A deadline for an operation.

    Args:
        seconds: Seconds from now; None for no deadline.
        what: Name of the operation, for the error message.
    """

    def __init__(self, seconds: float | None, what: str = "") -> None:
        self._seconds = seconds
        self._end = None if seconds is None else monotonic() + seconds
        self._what = what

    def bound(self, seconds: float) -> float:
        """Return the given seconds, or the remaining ones if they are fewer.

        Raises:
            TookTooLong: No time is left.
        """
        if self._end is None:
            return seconds
        left = self._end - monotonic()
        if left <= 0:
            raise TookTooLong(f"{self._what} took more than {self._seconds:g} s".lstrip())
        return min(seconds, left)


JSON = "application/json"
PLAN_SECONDS = 60.0
"""Seconds that the server gives its planner."""
Query = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the API.

    Attributes:
        path: Path below the path of the API.
        body: Bytes, or the file that contains them.
        extra_seconds: Seconds that the answer may take longer than others.
        is_repeatable: Whether it may be sent again if its outcome is not known.
        already_done_status: Status with which the server answers a repeated request if the first
            one was successful.
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
    """An answer of the server.

    Attributes:
        headers: Headers, with names in lower case.
        body: Complete body; empty if it was written to a file.
        had_token: Whether the request had a token.
    """

    request: Request
    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    had_token: bool = True

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the server asks to try again; None if it does not."""
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
    """Return the URL path of names.

    Raises:
        InvalidValue: One of them is not a valid name.
    """
    for part in parts:
        if part in ("", ".", ".."):
            raise InvalidValue("this cannot be a name", given=ascii(part))
    return "".join(f"/{quote(str(part), safe='')}" for part in parts)


def query(**parameters: Any) -> Query:
    """Return a query without None values; a list has one entry for each item."""
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
    """Return a request with a JSON document.

    Raises:
        InvalidValue: The document has values that JSON cannot contain.
    """
    try:
        text = json.dumps(document, allow_nan=False, separators=(",", ":"), default=_plain)
        body = text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(f"this cannot be sent as JSON: {error}") from error
    all_headers = {"Content-Type": JSON, **(headers or {})}
    return Request(method, path, (), all_headers, body, seconds, is_repeatable)


def _plain(value: Any) -> Any:
    """Return NumPy numbers and arrays as JSON values, without importing NumPy."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
