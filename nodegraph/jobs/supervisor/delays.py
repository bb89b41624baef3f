"""Waiting for the queue or before a new start: longer each time that it fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from nodegraph.errors import InvalidFile, OutputError
from nodegraph.jobs.supervisor.rules import SupervisionRules

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
DATABASE_FAULTS = (OutputError, InvalidFile)
"""What may go well another time: a full disk, a lock, a file that is put back."""


class Backoff:
    """Waits longer with each death, unless the process had proved that it is of use."""

    def __init__(self, rules: SupervisionRules) -> None:
        self._rules = rules
        self._next = rules.backoff_first

    def was_of_use(self) -> None:
        """It has done its work: the next death counts as a first one."""
        self._next = self._rules.backoff_first

    def delay(self, lived: float) -> float:
        """Seconds to wait after a death.

        Args:
            lived: Seconds that the process had lived.
        """
        if lived >= self._rules.backoff_reset:
            self.was_of_use()
        delay = self._next
        self._next = min(2 * delay, self._rules.backoff_most)
        return delay


class Delays:
    """Seconds to wait before each next try: doubled each time, up to a most."""

    def __init__(self, first: float = 0.1, most: float = 10.0) -> None:
        self._first = first
        self._most = most
        self._next = first

    def next(self) -> float:
        """How long to wait now."""
        delay = self._next
        self._next = min(2 * delay, self._most)
        return delay

    def reset(self) -> None:
        """Something went well."""
        self._next = self._first


class Health:
    """Whether the queue can be written, as far as the last try tells.

    Attributes:
        fault: What was wrong; None if it went well.
        since: Unix time of the first failure in a row, for display.
    """

    def __init__(self) -> None:
        self.fault: str | None = None
        self.since: float | None = None

    def failed(self, error: BaseException) -> None:
        """It couldn't be written."""
        if self.fault is None:
            self.since = time.time()
            _LOG.error("the job queue can't be written, it is tried again: %s", error)
        self.fault = str(error)

    def worked(self) -> None:
        """It was written."""
        if self.fault is not None:
            _LOG.warning("the job queue can be written again")
        self.fault = self.since = None


def put(action: Callable[..., Future[T]], *arguments: Any) -> Future[T]:
    """An action's future; what it raises at once is in there as well."""
    try:
        return action(*arguments)
    except Exception as error:  # noqa: BLE001 - whoever looks at the future is told
        failed: Future[T] = Future()
        failed.set_exception(error)
        return failed


def when_done(future: Future[T], act: Callable[[Future[T]], None]) -> None:
    """Call a function on the running event loop once a future of another thread has ended.

    Changes that were committed in an order are told in it, each before the events of later ones.
    """
    loop = asyncio.get_running_loop()

    def on_done(done: Future[T]) -> None:
        # A loop that was closed meanwhile has nobody left who could be told.
        if not loop.is_closed():
            loop.call_soon_threadsafe(act, done)

    future.add_done_callback(on_done)
