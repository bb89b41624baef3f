"""Which jobs answer for the death of a worker that ran several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.jobs.queue import Death
from nodegraph.jobs.supervisor.placement import WorkerJobs
from nodegraph.jobs.supervisor.starter import ProcessExit
from nodegraph.jobs.supervisor.worker_spec import SupervisionRules
from nodegraph.jobs.supervisor.worker_status import Blame, WorkerHealth, blame_of
from tests.jobs.supervisor.crew import run_of

RULES = SupervisionRules(merge_jobs=3, cancel_seconds=10)
DEATH = Death("killed", signal="SIGKILL")


class Dying:
    """A worker that runs some jobs beside each other, and dies."""

    def __init__(self, **jobs: Mapping[str, Any]) -> None:
        self.held = WorkerJobs(RULES)
        self.vitals = WorkerHealth(RULES)
        self.vitals.ready()
        for number, (job, options) in enumerate(jobs.items()):
            run = run_of({}, job, options=options)
            (self.held.add_beside if number else self.held.add)(run)
            self.vitals.job_began(job, options)

    def blame(self, exit: ProcessExit | None) -> Blame:
        return blame_of(self.held, self.vitals, exit, DEATH)


def nodes_of(found: Blame) -> dict[str, tuple[str | None, int]]:
    return {run.job: (death.node, death.others) for run, death in found.answering}


def innocent(found: Blame) -> list[str]:
    return [run.job for run in found.innocent]


def test_all_that_it_had_begun_answer_for_it_each_with_its_own_node() -> None:
    worker = Dying(one={}, two={}, three={})
    worker.held.add(run_of({}, "ahead"))
    found = worker.blame(ProcessExit(-9, {"one": "sample", "two": None}))
    assert nodes_of(found) == {"one": ("sample", 2), "two": (None, 2)}
    assert innocent(found) == ["three", "ahead"]


def test_where_nobody_knows_what_it_had_begun_all_answer_but_not_for_a_place_that_went() -> None:
    worker = Dying(one={}, two={})
    assert nodes_of(worker.blame(ProcessExit(None))) == {"one": (None, 1), "two": (None, 1)}
    assert innocent(worker.blame(ProcessExit(None, is_lost=True))) == ["one", "two"]
    assert innocent(worker.blame(None)) == ["one", "two"]


def test_whoever_does_not_stop_answers_alone() -> None:
    worker = Dying(one={}, two={}, three={"deadline": 5})
    begun = {"one": "a", "two": "b", "three": "c"}
    worker.vitals.job_cancelled("two")
    worker.vitals.advance(10)
    worker.vitals.note_message()
    assert worker.vitals.find_fault() is not None
    found = worker.blame(ProcessExit(-9, begun))
    assert nodes_of(found) == {"two": ("b", 2)}
    assert innocent(found) == ["one", "three"]
    worker.vitals.advance(5)
    worker.vitals.note_message()
    assert worker.vitals.find_fault() is not None
    found = worker.blame(ProcessExit(-9, begun))
    assert [run.job for run, _ in found.overdue] == ["three"]
