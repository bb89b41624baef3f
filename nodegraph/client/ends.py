"""Whether jobs that are followed have ended, and are going to stay so."""

from __future__ import annotations

from collections.abc import Callable, Collection

from nodegraph.client.errors import NotFound
from nodegraph.client.job_calls import events, get
from nodegraph.client.retries import NEVER
from nodegraph.client.sending import sent
from nodegraph.client.shapes import Event
from nodegraph.client.steps import Steps

IsOver = Callable[[str, int | None], Steps[bool]]
"""Whether nothing more comes of a job after the event of a number, which ended it; None if no such
event was told."""


class Ends:
    """The jobs that go on, of those that are followed.

    An event that ends a job is no proof: it may have been retried since.

    Args:
        jobs: Their ids; None for all that one may see, without an end.
        is_over: Tells of one; the server is asked if not given.

    Attributes:
        left: Those that go on.
    """

    def __init__(self, jobs: Collection[str] | None, is_over: IsOver | None = None) -> None:
        self.left = set(jobs or ())
        self._is_endless = jobs is None
        self._is_over = is_over
        self._doubtful: dict[str, int | None] = {}

    @property
    def is_done(self) -> bool:
        """Whether all have ended."""
        return not self.left and not self._is_endless

    def see(self, event: Event) -> None:
        """Take note of an event."""
        if event.ends_job and event.job in self.left:
            self._doubtful[event.job] = event.seq

    def doubt(self) -> None:
        """What ended them may not be told any more."""
        self._doubtful = dict.fromkeys(self.left)

    def look(self, last: int) -> Steps[None]:
        """Find out which of those that may have ended have.

        Args:
            last: Number of the last event that is known.
        """
        while self._doubtful:
            job, seq = next(iter(self._doubtful.items()))
            is_over = self._is_over(job, seq) if self._is_over else _is_over(job, seq, last)
            if (yield from is_over):
                self.left.discard(job)
            del self._doubtful[job]


def _is_over(job: str, seq: int | None, last: int) -> Steps[bool]:
    try:
        if seq is None and not (yield from sent(get(job), NEVER)).is_over:
            return False
        known = last if seq is None else seq
        return not (yield from sent(events(known, job, limit=1), NEVER)).items
    except NotFound:
        if seq is None:
            raise
        return True  # it was deleted since, which only what has ended can be
