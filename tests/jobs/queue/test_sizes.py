"""What large workflows take is counted by client, and bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodegraph.jobs.queue import Limits, RetentionRules, TooMuchKept
from tests.jobs.queue.support import WORKFLOW, claimed, open_queue, submit, wanted
from tests.messages import raises

pytestmark = pytest.mark.usefixtures("either_place")

LIMITS = Limits(bytes=300_000)
KEEP = RetentionRules(None, None, None, None, bytes=150_000)


def large(number: int) -> dict[str, Any]:
    return {"workflow": {**WORKFLOW, "title": f"{number}" + "x" * 99_000}}


def test_a_client_has_so_many_bytes_and_others_have_theirs(tmp_path: Path) -> None:
    with open_queue(tmp_path, default_limits=LIMITS) as queue:
        ids = [submit(queue, **large(number)).id for number in range(3)]
        with raises(TooMuchKept, given="396 kB of workflows and parameters"):
            submit(queue, **large(3))
        submit(queue)  # small ones are counted by their number
        submit(queue, **large(2))  # one that is there takes no more space
        submit(queue, "bob", **large(4))
        queue.cancel(ids[0]).result()
        with pytest.raises(TooMuchKept):
            submit(queue, **large(3))
        queue.delete(ids[0]).result()
        submit(queue, **large(3))
        with pytest.raises(TooMuchKept):
            queue.submit_all([wanted(**large(5)), wanted()]).result()
        assert queue.counts().queued == 6


def test_the_oldest_ended_ones_of_whom_has_much_are_forgotten(tmp_path: Path) -> None:
    with open_queue(tmp_path, default_limits=LIMITS) as queue:
        first = [submit(queue, **large(number)).id for number in range(2)]
        small = submit(queue).id
        claimed(queue)
        third = submit(queue, **large(2)).id
        assert queue.prune(KEEP) == 2
        assert queue.prune(KEEP) == 0
        left = {job.id for job in queue.page(limit=10).jobs}
        assert left == {small, third}
        assert not left & set(first)
