"""Which uploads jobs that wait or run will still read."""

from __future__ import annotations

import json
import re
from contextlib import suppress

from nodegraph.jobs.queue import Filter, JobNotFound
from nodegraph.jobs.queue.reader import QueueView

_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_AT_ONCE = 500


def needed_digests(queue: QueueView) -> set[str]:
    """All that look like digests in the workflows and parameters of jobs that aren't over."""
    found: set[str] = set()
    texts: set[str] = set()
    cursor: str | None = None
    which = Filter(states=("queued", "running"))
    while True:
        page = queue.page(which, order="oldest", limit=_AT_ONCE, cursor=cursor)
        for each in page.jobs:
            with suppress(JobNotFound):
                job = queue.get(each.id)
                texts.add(job.workflow)
                found.update(_DIGEST.findall(json.dumps(dict(job.parameters))))
        cursor = page.next
        if cursor is None:
            break
    for digest in texts:
        with suppress(KeyError):
            found.update(_DIGEST.findall(queue.workflow(digest)))
    return found
