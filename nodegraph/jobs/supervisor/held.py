"""The jobs that a worker process has: the one that it runs, and some that come next."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from nodegraph.jobs.supervisor.messages import Run
from nodegraph.jobs.supervisor.rules import SupervisionRules


class Held:
    """Jobs in the order in which they are run.

    A worker whose jobs take milliseconds would wait for the server and the disk between two of
    them. So it is handed some ahead while its jobs are short, one more for each one that was;
    those that haven't begun can be taken back.

    Args:
        clock: Seconds, from any start.

    Attributes:
        current: The one that it runs, or is about to.
        ahead: Those that come next.
    """

    def __init__(self, rules: SupervisionRules, clock: Callable[[], float] = monotonic) -> None:
        self._most = rules.ahead
        self._short = rules.short_seconds
        self._clock = clock
        self._since = 0.0
        self._short_ones = 0
        self.current: Run | None = None
        self.ahead: list[Run] = []

    @property
    def count(self) -> int:
        """How many there are."""
        return (self.current is not None) + len(self.ahead)

    @property
    def places(self) -> int:
        """How many more it would take."""
        return max(0, 1 + min(self._short_ones, self._most) - self.count)

    def add(self, run: Run) -> None:
        """It was handed one more."""
        if self.current is None:
            self._begin(run)
        else:
            self.ahead.append(run)

    def has(self, job: str, attempt: int) -> bool:
        """Whether a job is among them, at that attempt."""
        return self.is_current(job, attempt) or any(_is(run, job, attempt) for run in self.ahead)

    def is_current(self, job: str, attempt: int) -> bool:
        """Whether it is the one that it runs."""
        return self.current is not None and _is(self.current, job, attempt)

    def remove(self, job: str, attempt: int) -> None:
        """One has ended; the next one begins if it was the current one."""
        if not self.is_current(job, attempt):
            self.ahead = [run for run in self.ahead if not _is(run, job, attempt)]
            return
        is_short = self._clock() - self._since < self._short
        self._short_ones = self._short_ones + 1 if is_short else 0
        self.current = None
        if self.ahead:
            self._begin(self.ahead.pop(0))

    def held_up(self) -> list[Run]:
        """Those that wait for one that isn't short after all, so that they are to be taken back."""
        if self.current is None or self._clock() - self._since < self._short:
            return []
        self._short_ones = 0
        return self.ahead

    def _begin(self, run: Run) -> None:
        self.current = run
        self._since = self._clock()


def _is(run: Run, job: str, attempt: int) -> bool:
    return run.job == job and run.attempt == attempt
