"""When a worker counts as ill, by a clock that the test moves."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import psutil
import pytest

from nodegraph.core.events import Event, EventKind
from nodegraph.jobs.supervisor.worker_spec import Backoff, SupervisionRules
from nodegraph.jobs.supervisor.worker_status import WorkerHealth


def event(kind: EventKind, node: str | None = "a", **data: Any) -> Event:
    return Event(0, kind, node, 0.0, data)


def alive(**rules: Any) -> WorkerHealth:
    vitals = WorkerHealth(SupervisionRules(**rules))
    vitals.ready()
    return vitals


def hear(vitals: WorkerHealth, seconds: float) -> None:
    """Time passes in which heartbeats come."""
    vitals.advance(seconds)
    vitals.note_message()


def test_silence_counts_from_the_last_word() -> None:
    vitals = alive(heartbeat_seconds=10)
    vitals.advance(9)
    vitals.note_message()
    vitals.advance(9)
    assert vitals.silence == 9
    assert vitals.find_fault() is None
    vitals.advance(2)
    assert vitals.find_fault() == "it sent no heartbeat for 10 s"


def test_before_it_is_ready_it_may_be_silent_for_longer() -> None:
    vitals = WorkerHealth(SupervisionRules(heartbeat_seconds=10, start_seconds=100))
    vitals.note_message()
    vitals.advance(99)
    assert vitals.find_fault() is None
    hear(vitals, 2)
    assert vitals.find_fault() == "it was not ready after 100 s"


def test_memory_above_the_limit_is_told_with_both() -> None:
    vitals = alive(memory_limit=2_000_000_000)
    vitals.measured(2_000_000_000, None)
    assert vitals.find_fault() is None
    vitals.measured(2_100_000_000, None)
    assert vitals.find_fault() == "it used 2.1 GB of memory, more than 2.0 GB"


@pytest.mark.skipif(os.name != "posix", reason="elsewhere the dead are gone at once")
def test_a_process_that_has_just_died_is_remembered_as_it_was() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    vitals = alive()
    vitals.born(child.pid)
    vitals.advance(1)
    before = vitals.memory
    child.kill()
    process = psutil.Process(child.pid)
    while process.status() != psutil.STATUS_ZOMBIE:
        pass
    vitals.advance(1)
    child.wait()
    vitals.advance(1)
    assert before
    assert vitals.memory == before


def test_each_node_that_runs_must_tell_something_now_and_then() -> None:
    vitals = alive(node_stall_seconds=60, heartbeat_seconds=1000)
    vitals.job_began("job", {})
    vitals.add_events("job", [event("node.started"), event("node.started", "b")])
    hear(vitals, 50)
    vitals.add_events("job", [event("node.progress")])
    hear(vitals, 20)
    assert vitals.find_fault() == "its node `b` reported nothing for 60 s"
    vitals.add_events("job", [event("node.finished", "b")])
    assert vitals.find_fault() is None
    vitals.add_events("job", [event("node.finished")])
    hear(vitals, 1000)
    assert vitals.find_fault() is None


def test_the_items_of_a_list_end_one_by_one_or_with_their_node() -> None:
    vitals = alive(node_stall_seconds=60, heartbeat_seconds=1000)
    vitals.job_began("job", {})
    vitals.add_events("job", [event("node.started", f"a[{at}]") for at in range(3)])
    vitals.add_events("job", [event("call.ended", "a[1]"), event("node.started", "ab")])
    hear(vitals, 61)
    assert vitals.find_fault() == "its node `a[0]` reported nothing for 60 s"
    vitals.add_events("job", [event("node.failed")])
    assert vitals.find_fault() == "its node `ab` reported nothing for 60 s"


@pytest.mark.parametrize(
    ("given", "limit"),
    [
        (None, 60),
        (5, 5),
        ({"a": 7, "Kind": 6, "*": 5}, 7),
        ({"Kind": 6, "*": 5}, 6),
        ({"*": 5, "b": 4}, 5),
        ({"b": 4}, 60),
        ("soon", 60),
        (-1, 60),
    ],
)
def test_a_job_says_how_long_its_nodes_may_be_silent(given: Any, limit: float) -> None:
    vitals = alive(node_stall_seconds=60, heartbeat_seconds=1000)
    vitals.job_began("job", {} if given is None else {"stall_seconds": given})
    vitals.add_events("job", [event("node.started", "a[2]", type="Kind")])
    hear(vitals, limit)
    assert vitals.find_fault() is None
    hear(vitals, 1)
    assert vitals.find_fault() == f"its node `a[2]` reported nothing for {limit} s"


def test_what_the_next_job_runs_has_nothing_to_do_with_the_last_one() -> None:
    vitals = alive(node_stall_seconds=60, heartbeat_seconds=1000)
    vitals.job_began("job", {"stall_seconds": 1})
    vitals.add_events("job", [event("node.started")])
    assert vitals.node == "a"
    vitals.job_ended("job")
    assert vitals.node is None
    vitals.job_began("job", {})
    hear(vitals, 59)
    assert vitals.find_fault() is None


def test_a_cancelled_job_has_its_time_to_stop() -> None:
    vitals = alive(cancel_seconds=10, heartbeat_seconds=1000)
    vitals.job_began("job", {})
    hear(vitals, 100)
    vitals.job_cancelled("job")
    hear(vitals, 9)
    vitals.job_cancelled("job")
    assert vitals.find_fault() is None
    hear(vitals, 1)
    assert vitals.find_fault() == "its job did not stop within 10 s when it was cancelled"
    assert (vitals.has_unstopped_job, vitals.jobs["job"].is_overdue) == (True, False)


def test_a_job_whose_deadline_has_passed_has_the_same_time() -> None:
    vitals = alive(cancel_seconds=10, heartbeat_seconds=1000)
    hear(vitals, 5)
    vitals.job_began("job", {"deadline": 30})
    hear(vitals, 39)
    assert vitals.find_fault() is None
    hear(vitals, 1)
    assert vitals.find_fault() == "its job did not stop within 10 s when its deadline had passed"
    assert (vitals.has_unstopped_job, vitals.jobs["job"].is_overdue) == (True, True)


def test_a_job_that_stopped_in_time_is_no_reason_to_end() -> None:
    vitals = alive(cancel_seconds=10, heartbeat_seconds=1000)
    vitals.job_began("job", {"deadline": 5})
    vitals.job_cancelled("job")
    vitals.job_ended("job")
    hear(vitals, 100)
    assert vitals.find_fault() is None
    vitals.job_began("job", {})
    hear(vitals, 100)
    assert vitals.find_fault() is None


def test_of_jobs_beside_each_other_only_those_are_to_blame_that_do_not_stop() -> None:
    vitals = alive(cancel_seconds=10, node_stall_seconds=60, heartbeat_seconds=1000)
    for job in ("one", "other", "third"):
        vitals.job_began(job, {})
        vitals.add_events(job, [event("node.started")])
    vitals.job_cancelled("other")
    hear(vitals, 10)
    assert vitals.find_fault() == "its job did not stop within 10 s when it was cancelled"
    assert (vitals.culprits, vitals.has_unstopped_job) == ({"other"}, True)
    vitals.job_ended("other")
    hear(vitals, 45)
    assert vitals.find_fault() is None
    vitals.add_events("third", [event("node.progress")])
    hear(vitals, 10)
    assert vitals.find_fault() == "its node `a` reported nothing for 60 s"
    assert (vitals.culprits, vitals.has_unstopped_job) == ({"one"}, False)


def test_who_was_asked_to_end_has_its_time_for_it() -> None:
    vitals = alive(heartbeat_seconds=1, shutdown_grace=30)
    vitals.asked_to_end()
    vitals.advance(30)
    assert vitals.find_fault() is None
    vitals.advance(10)
    assert vitals.find_fault() == "it did not end when it was asked to"


def test_restarts_come_later_and_later_until_it_was_of_use() -> None:
    backoff = Backoff(SupervisionRules(backoff_first=0.5, backoff_most=60, backoff_reset=60))
    delays = [backoff.delay(lived=1) for _ in range(9)]
    assert delays == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    backoff.was_of_use()
    assert [backoff.delay(lived=1) for _ in range(2)] == [0.5, 1]
    assert [backoff.delay(lived=60), backoff.delay(lived=59)] == [0.5, 1]
