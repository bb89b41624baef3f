"""Whether the shared place can be asked: told once when it is lost, and once when it is back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock
from time import monotonic

from nodegraph.store.remote.place import Unreachable

_LOG = logging.getLogger(__name__)
_FIRST, _LONGEST = 0.5, 30.0
"""Seconds until it is tried again: twice as long each time."""


class Reach:
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
    def is_away(self) -> bool:
        """Whether it couldn't be asked when it last was."""
        return bool(self.reason)

    @property
    def seconds_left(self) -> float:
        """Until it should be tried again; 0 if it should be now."""
        return max(0.0, self._again - self._clock())

    def lost(self, error: Unreachable) -> None:
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

    def answered(self) -> None:
        """It could be asked."""
        if not self.reason:
            return
        with self._lock:
            was_away, self.reason, self._pause = bool(self.reason), "", _FIRST
        if was_away:
            _LOG.warning("the remote store %s is back", self._url)
