"""What is looked at after processes were killed would show each way to go wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nodegraph.client import Event
from nodegraph.jobs.queue import JobEvent
from tests.server.chaos_checks import faults, once, same
from tests.server.chaos_record import Kill, Outcome, moments
from tests.server.chaos_work import SHARED, Given, Piece

WORK = [Piece(0, {}, (), "first"), Piece(1, {}, (), SHARED)]
GIVEN = {at: Given((("sum.number", str(at)),), ()) for at in range(2)}
DEATH = {"reason": "died"}
TAKEN = {"worker": "worker-1"}
LIVES: dict[str, list[tuple[str, int, dict[str, str]]]] = {
    "a": [
        ("job.queued", 0, {}),
        ("job.claimed", 1, TAKEN),
        ("job.requeued", 1, DEATH),
        ("job.claimed", 2, TAKEN),
        ("job.finished", 2, {}),
    ],
    "b": [("job.queued", 0, {}), ("job.claimed", 1, TAKEN), ("job.finished", 1, {})],
    "end": [("job.queued", 0, {}), ("job.claimed", 1, TAKEN), ("job.finished", 1, {})],
}


def good() -> Outcome:
    """Two jobs, of which one lost a worker, and the last one."""
    kept: list[JobEvent] = []
    for job, life in LIVES.items():
        for kind, attempt, data in life:
            kept.append(event(len(kept) + 1, job, attempt, kind, data))
    found = Outcome(
        accepted={0: "a", 1: "b"},
        results=dict(GIVEN),
        kills=[Kill("worker", 1, "worker-1", "a")],
        kept=kept,
        states=dict.fromkeys(LIVES, "finished"),
        marker="end",
        files=sorted([".half", "first_00001.txt", f"{SHARED}_00001.txt"]),
        logs=["well"],
    )
    return told(found)


def event(seq: int, job: str, attempt: int, kind: str, data: Any) -> JobEvent:
    return JobEvent(seq, job, "local", attempt, None, kind, 0.0, None, None, data)


def told(outcome: Outcome) -> Outcome:
    """The same, with its follower told all that happened."""
    outcome.told = [
        Event(each.job, each.client, each.attempt, each.kind, None, each.data, each.seq)
        for each in outcome.kept
    ]
    return outcome


def test_nothing_is_found_where_all_is_well() -> None:
    outcome = good()
    assert faults(outcome, WORK, GIVEN) == []
    assert (once(outcome), same(outcome, GIVEN)) == (2, 2)


def changed(at: int, **values: Any) -> Callable[[Outcome], object]:
    """One event is another."""

    def change(outcome: Outcome) -> None:
        kept = list(outcome.kept)
        kept[at] = replace(kept[at], **values)
        outcome.kept = kept
        told(outcome)

    return change


def more(kind: str, job: str = "a") -> Callable[[Outcome], object]:
    """One event more."""

    def change(outcome: Outcome) -> None:
        outcome.kept = [*outcome.kept, event(99, job, 2, kind, TAKEN)]
        told(outcome)

    return change


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda outcome: outcome.accepted.pop(1), "never accepted"),
        (lambda outcome: outcome.refused.append(1), "became two jobs"),
        (lambda outcome: outcome.states.pop("b"), "not in the queue"),
        (lambda outcome: outcome.states.update(c="finished"), "told to nobody"),
        (lambda outcome: outcome.states.update(b="queued"), "not finished"),
        (lambda outcome: outcome.told.pop(3), "not told: [4]"),
        (lambda outcome: outcome.told.append(outcome.told[0]), "told twice: [1]"),
        (lambda outcome: outcome.told.reverse(), "in order: False"),
        (more("job.finished"), "a ended as"),
        (more("job.failed"), "a ended as"),
        (more("job.claimed"), "went on after"),
        (changed(4, kind="node.finished"), "a ended as []"),
        (changed(3, attempt=3), "at attempts [1, 3]"),
        (lambda outcome: outcome.kills.clear(), "nobody killed"),
        (changed(2, kind="job.failed"), "job.failed after 1 deaths"),
        (lambda outcome: outcome.parked.update(a=[{"code": "other"}]), "for another reason"),
        (lambda outcome: outcome.results.pop(0), "piece 0 gave None"),
        (lambda outcome: outcome.results.update({0: GIVEN[1]}), "piece 0 gave"),
        (lambda outcome: outcome.files.append("zoo_00002.txt"), "too many: {'zoo_00002.txt'}"),
        (lambda outcome: outcome.files.pop(), "files too few"),
        (lambda outcome: outcome.orphans.append("process 7"), "still there"),
        (lambda outcome: setattr(outcome, "exit_code", 1), "ended with 1"),
        (lambda outcome: outcome.logs.append("Traceback (most recent"), "log of server 1"),
    ],
)
def test_what_is_wrong_is_found(change: Callable[[Any], object], word: str) -> None:
    outcome = replace(good(), orphans=[])
    change(outcome)
    assert any(word in fault for fault in faults(outcome, WORK, GIVEN))


def test_moments_are_in_order_and_those_of_the_seed() -> None:
    found = moments(1_000, 50, 10, seed=3)
    assert found == moments(1_000, 50, 10, seed=3) != moments(1_000, 50, 10, seed=4)
    assert [each.prey for each in found].count("server") == 10
    assert len(found) == 60
    assert [each.ended for each in found] == sorted(each.ended for each in found)
    assert max(each.ended for each in found) < 950
