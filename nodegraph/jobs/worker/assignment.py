"""A job that this worker was given, and whether it is wanted back."""

from __future__ import annotations

from typing import Literal

from nodegraph.engine.cancel import CancelToken
from nodegraph.jobs.supervisor.messages import Run

Wish = Literal["cancelled", "released"]


class Assignment:
    """One attempt at a job. What is wished for may be said from any thread.

    Attributes:
        token: Control of its run.
        wish: How it is to end, if it has to; None if it may finish.
    """

    def __init__(self, order: Run) -> None:
        self.order = order
        self.token = CancelToken()
        self.wish: Wish | None = None

    def is_of(self, job: str, attempt: int) -> bool:
        """Whether it is that job's, at that attempt."""
        return (self.order.job, self.order.attempt) == (job, attempt)

    def cancel(self, reason: str) -> None:
        """Have it stop at its next step. It doesn't go on, even if it was to be released before."""
        self.wish = "cancelled"
        self.token.cancel(reason)

    def release(self, reason: str) -> None:
        """Have it save its work at its next step and stop there."""
        if self.wish is None:
            self.wish = "released"
        self.token.cancel(reason)
