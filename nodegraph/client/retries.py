"""How long a client bears with lost connections and busy servers."""

from __future__ import annotations

from dataclasses import dataclass
from random import SystemRandom
from time import monotonic

from nodegraph.client.errors import TookTooLong

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
