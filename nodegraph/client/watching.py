"""Watching jobs."""

from __future__ import annotations

from collections.abc import Iterable

from nodegraph.client.following import Following, Wanted
from nodegraph.client.retries import Deadline, Retries
from nodegraph.client.shapes import JobSummary
from nodegraph.client.shapes.jobs import id_of
from nodegraph.client.steps import Steps

Which = JobSummary | str | Iterable[JobSummary | str] | None


def watched(
    jobs: Which, retries: Retries, after: int | None, live: bool, previews: bool
) -> Steps[None]:
    """Tells the events of some jobs, or of all; see `Following`."""
    ids: tuple[str, ...] | None
    if jobs is None:
        ids = None
    elif isinstance(jobs, (JobSummary, str)):
        ids = (id_of(jobs),)
    else:
        ids = tuple(map(id_of, jobs))
    wanted = Wanted(ids, after, live, previews)
    return Following(wanted, retries, Deadline(None)).steps()
