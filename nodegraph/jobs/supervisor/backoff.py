"""Exponential backoff of retries and restarts, and whether the queue can be written."""

from __future__ import annotations

import logging
import time

from nodegraph.errors import InvalidFile, OutputError
from nodegraph.jobs.supervisor.worker_spec import SupervisionRules

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


class RetryDelay:
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
            _LOG.error("the job queue cannot be written; the server retries: %s", error)
        self.fault = str(error)

    def worked(self) -> None:
        """It was written."""
        if self.fault is not None:
            _LOG.warning("the job queue can be written again")
        self.fault = self.since = None
