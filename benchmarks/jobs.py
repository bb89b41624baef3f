"""What the job queue costs: jobs a second, latencies, lists.

    python benchmarks/jobs.py [--json] [--quick]

The baseline makes the same rows in the same kind of file, with a commit that waits for the disk
for each write: what a queue does that doesn't let its callers share one.
"""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Lock, Thread

from common import Figure, best, options, show

from nodegraph.jobs.queue import JobFilter, JobQueue, Submission

THREADS = 16
WAITING = 2_000
WORKFLOW = {
    "format": "nodegraph/1",
    "nodes": {f"n{at}": {"type": "Add", "inputs": {"a": at, "b": 1}} for at in range(3)},
}


def _often(action: Callable[[int, int], None], number: int, times: int) -> None:
    for at in range(times):
        action(number, at)


def at_once(count: int, action: Callable[[int, int], None]) -> float:
    """Seconds that so many calls take, spread over threads."""
    each = count // THREADS
    threads = [Thread(target=_often, args=(action, number, each)) for number in range(THREADS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


def run_one(queue: JobQueue, number: int, at: int) -> None:
    """A job's whole life; each step is waited for."""
    submission = Submission(f"client {number}", WORKFLOW, key=f"{number}-{at}")
    queue.submit(submission).result()
    job = queue.claim("worker").result()
    assert job is not None
    queue.finish(job.id, job.attempt, {"value": ["digest"]}).result()


class Plain:
    """A table of jobs, with a commit for each write."""

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        self.connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE jobs (id INTEGER PRIMARY KEY, state TEXT, body TEXT, outputs TEXT)",
            "CREATE INDEX jobs_by_state ON jobs (state)",
        ):
            self.connection.execute(statement)

    def run_one(self, number: int, at: int) -> None:
        write = "INSERT INTO jobs (state, body) VALUES ('queued', ?)"
        job = self._write(write, (f"{number}-{at} {WORKFLOW}",))
        self._write("UPDATE jobs SET state = 'running' WHERE id = ?", (job,))
        self._write("UPDATE jobs SET state = 'finished', outputs = '[]' WHERE id = ?", (job,))

    def _write(self, statement: str, values: tuple[object, ...]) -> int:
        with self._lock:
            return self.connection.execute(statement, values).lastrowid or 0


def throughput(folder: Path, count: int, times: int) -> Iterator[Figure]:
    """Jobs a second, from several threads and from one."""
    ours, plain, alone = [], [], []
    with JobQueue(folder / "queue.sqlite") as queue:
        table = Plain(folder / "plain.sqlite")
        with closing(table.connection):
            for turn in range(times):
                step = partial(_shifted, partial(run_one, queue), turn * count)
                ours.append(count / at_once(count, step))
                fewer = count // 8
                plain.append(fewer / at_once(fewer, table.run_one))
        for turn in range(times):
            start = time.perf_counter()
            for at in range(100):
                run_one(queue, -1, turn * 100 + at)
            alone.append((time.perf_counter() - start) * 1e3 / 100)
    against = "a commit for each write"
    label = f"submit, claim, finish: jobs from {THREADS} threads"
    yield Figure(label, max(ours), "/s", 2000, max(plain), against, more_is_better=True)
    yield Figure("… from one thread, a job", min(alone), "ms")


def _shifted(action: Callable[[int, int], None], by: int, number: int, at: int) -> None:
    action(number, by + at)


def events(folder: Path, count: int) -> Figure:
    """Events that are kept, in batches as a worker sends them."""
    from nodegraph.core.events import Event

    batch = [Event(at, "node.finished", f"n{at}", 0.5, {"seconds": 0.1}) for at in range(20)]
    with JobQueue(folder / "events.sqlite") as queue:
        queue.submit(Submission("client", WORKFLOW)).result()
        job = queue.claim("worker").result()
        assert job is not None
        start = time.perf_counter()
        waiting = [queue.append_events(job.id, 1, batch) for _ in range(count // 20)]
        for future in waiting:
            future.result()
        seconds = time.perf_counter() - start
    return Figure("events kept", count / seconds, "/s", more_is_better=True)


def looking(folder: Path, times: int) -> Iterator[Figure]:
    """Lists of a long queue, and what is asked for again and again."""
    with JobQueue(folder / "long.sqlite") as queue:
        for client in range(20):
            jobs = [Submission(f"client {client}", WORKFLOW, name="n", tags=["t"])] * 100
            made = queue.submit_all(jobs).result()
        last = made[-1].job.id
        queued = JobFilter(states=["queued"])
        listing = best(lambda: queue.page(queued, limit=WAITING), times) * 1e3
        yield Figure(f"listing {WAITING:,} waiting jobs", listing, "ms", 50)
        for label, action in (
            ("a page of 50", lambda: queue.page(queued, limit=50)),
            ("one job", lambda: queue.get(last)),
            ("counts", queue.counts),
            ("the last one's turn", lambda: queue.turn(last)),
            ("events after the last", lambda: queue.events_after(queue.newest_event())),
        ):
            yield Figure(f"… {label}", best(action, times * 5) * 1e3, "ms")


def latency(folder: Path, count: int) -> Figure:
    """Of a submission while others are submitting, too."""
    found: list[float] = []

    def submit(number: int, at: int) -> None:
        start = time.perf_counter()
        queue.submit(Submission(f"client {number}", WORKFLOW)).result()
        found.append(time.perf_counter() - start)

    with JobQueue(folder / "latency.sqlite") as queue:
        at_once(count, submit)
    late = statistics.quantiles(found, n=20)[-1]
    return Figure(f"submitting from {THREADS} threads, 95 of 100 within", late * 1e3, "ms", 20)


def figures(*, quick: bool) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from throughput(folder, 320 if quick else 4_000, 1 if quick else 5)
        yield latency(folder, 320 if quick else 4_000)
        yield events(folder, 2_000 if quick else 40_000)
        yield from looking(folder, 3 if quick else 15)


def main() -> None:
    given = options(__doc__)
    show(figures(quick=given.quick), as_json=given.json)


if __name__ == "__main__":
    main()
