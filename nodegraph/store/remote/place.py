"""Where shared results lie: named objects, whole or not at all, and whether they can be reached."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Protocol

_LOG = logging.getLogger(__name__)
_FIRST, _LONGEST = 0.5, 30.0
"""Seconds until it is tried again: twice as long each time."""


class Reachability:
    """While a place is away nobody waits for it: only now and then one tries whether it is back.

    Args:
        url: The place, to speak of it.
        clock: Seconds, from any moment on.
    """

    def __init__(self, url: str, clock: Callable[[], float] = monotonic) -> None:
        self._url = url
        self._clock = clock
        self._lock = Lock()
        self._pause = _FIRST
        self._again = 0.0
        self.reason = ""

    @property
    def is_unreachable(self) -> bool:
        """Whether it couldn't be asked when it last was."""
        return bool(self.reason)

    @property
    def seconds_left(self) -> float:
        """Until it should be tried again; 0 if it should be now."""
        return max(0.0, self._again - self._clock())

    def note_failure(self, error: Unreachable) -> None:
        """It couldn't be asked."""
        with self._lock:
            is_new = not self.reason
            self.reason = str(error) or type(error).__name__
            self._again = self._clock() + self._pause
            self._pause = min(2 * self._pause, _LONGEST)
        if is_new:
            _LOG.warning(
                "the remote store %s can't be reached (%s): work goes on with what is here, and "
                "what it should have is brought there later",
                self._url,
                self.reason,
            )

    def note_answer(self) -> None:
        """It could be asked."""
        if not self.reason:
            return
        with self._lock:
            was_away, self.reason, self._pause = bool(self.reason), "", _FIRST
        if was_away:
            _LOG.warning("the remote store %s is back", self._url)


class Unreachable(Exception):
    """The place can't be asked now: no network, no answer in time, no such bucket or folder."""


class AccessDenied(Unreachable):
    """The place answers, and refuses."""


class ObjectStorage(Protocol):
    """Objects by name, such as ``entries/ab/cd…``. Safe to use from several threads.

    All methods raise `Unreachable` where the place can't be asked.

    Attributes:
        url: Where it is, as the settings say.
    """

    url: str

    def read(self, name: str) -> bytes:
        """A small object; raises FileNotFoundError if there is none of that name."""

    def chunks(self, name: str, size: int, start: int = 0) -> Iterator[bytes]:
        """The first `size` bytes of a large object from `start` on, piece by piece; fewer if it has
        no more. Raises as `read`."""

    def size(self, name: str) -> int | None:
        """Bytes of an object; None if there is none of that name."""

    def write(self, name: str, data: bytes) -> None:
        """Write a small object, in place of the one before."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a small object unless there is one of that name; False then.

        Of several who try at once, on whatever machines, one gets True.
        """

    def upload(self, name: str, path: Path) -> None:
        """Write a file, in place of the object before."""

    def remove(self, name: str) -> None:
        """Remove an object; one that isn't there is passed over."""

    def list(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Names and sizes of all objects below a folder, such as ``entries``, in no order."""
