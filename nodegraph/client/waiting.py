"""Waiting for a job to end."""

from __future__ import annotations

from nodegraph.client.following import Following, Wanted
from nodegraph.client.job_calls import get
from nodegraph.client.retries import NEVER, Deadline, Retries
from nodegraph.client.sending import sent
from nodegraph.client.shapes import Job
from nodegraph.client.steps import Steps


def waited(id: str, retries: Retries, seconds: float | None) -> Steps[Job]:
    """A job once it has ended.

    Raises:
        TookTooLong: It hasn't in so many seconds.
    """
    deadline = Deadline(seconds, f"job {id}")
    job = yield from sent(get(id), retries)

    def is_over(id: str, seq: int | None) -> Steps[bool]:
        nonlocal job
        job = yield from sent(get(id), NEVER)
        return job.is_over

    if not job.is_over:
        wanted = Wanted((id,), live=False)
        yield from Following(wanted, retries, deadline, is_over=is_over, tells=False).steps()
    return job
