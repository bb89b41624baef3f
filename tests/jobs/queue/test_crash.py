"""A queue whose process is killed at any moment has all that it had acknowledged, once.

A process that has everything imported forks one server after the other. Each submits, claims and
finishes in several threads, and says what is done, until it is killed.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from threading import Event, Thread
from time import sleep

import pytest

from nodegraph.jobs.queue import JobQueue, Submission
from tests.processes import killed_after

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the servers are forked")

_ROOT = Path(__file__).parents[3]
_KILLS = 20

_PARENT = """
import os, sys
from pathlib import Path
from tests.jobs.queue.test_crash import serve_until_killed
for line in sys.stdin:
    child = os.fork()
    if not child:
        serve_until_killed(Path(sys.argv[1]), int(line))
    os.write(1, b"server %d\\n" % child)
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""


def serve_until_killed(path: Path, life: int) -> None:
    """Use a queue and acknowledge what is committed; for a process of its own."""
    queue = JobQueue(path)
    recovered = queue.recover().result()
    os.write(1, b"recovered %d\n" % len(recovered))
    for number in range(4):
        Thread(target=_submit, args=(queue, f"{life}-{number}")).start()
        Thread(target=_work, args=(queue,)).start()
    Event().wait()


def _submit(queue: JobQueue, name: str) -> None:
    at = 0
    while True:
        key = f"{name}-{at}"
        job = queue.submit(Submission(name[-1], {"nodes": {}}, key=key)).result().job
        os.write(1, f"submitted {job.id} {key}\n".encode())
        at += 1
        sleep(0.001)


def _work(queue: JobQueue) -> None:
    while True:
        job = queue.claim("worker").result()
        if job is None:
            sleep(0.001)
            continue
        queue.finish(job.id, job.attempt, {"by": [job.attempt, job.id]}).result()
        os.write(1, f"finished {job.id} {job.attempt}\n".encode())


def _life(parent: subprocess.Popen[bytes], life: int, after: int, delay: float) -> list[list[str]]:
    """What a server said until it was killed, so many seconds after so many words."""
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write(b"%d\n" % life)
    parent.stdin.flush()
    said: list[list[str]] = []
    server = 0
    while not server or len(said) < after:
        kind, *rest = parent.stdout.readline().decode().split()
        assert kind != "dead", "the server failed"
        if kind == "server":
            server = int(rest[0])
        else:
            said.append([kind, *rest])
    sleep(delay)
    os.kill(server, signal.SIGKILL)
    while (words := parent.stdout.readline().decode().split()) != ["dead"]:
        assert words, "who forks the servers has ended"
        said.append(words)
    return said


@pytest.mark.slow
def test_twenty_kills(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        start_new_session=True,
    )
    chance = random.Random(7)
    submitted: dict[str, str] = {}
    finished: dict[str, int] = {}
    running = 0
    try:
        with killed_after(parent, group=True):
            for life in range(_KILLS):
                for kind, *rest in _life(parent, life, 1 + life * 3, chance.random() * 0.05):
                    if kind == "recovered":
                        assert int(rest[0]) == running
                    elif kind == "submitted":
                        submitted[rest[0]] = rest[1]
                    else:
                        assert rest[0] not in finished
                        finished[rest[0]] = int(rest[1])
                with JobQueue(path) as queue:
                    _check(queue, submitted, finished)
                    running = queue.counts().running
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.communicate()
    assert finished
    with JobQueue(path) as queue:
        assert len(queue.recover().result()) == running
        while (job := queue.claim("worker").result()) is not None:
            queue.finish(job.id, job.attempt, {"by": [job.attempt, job.id]}).result()
        _check(queue, submitted, finished)
        assert queue.counts().queued == queue.counts().running == 0
        told = Counter(
            event.job
            for event in queue.events_after(0, limit=1_000_000).events
            if event.kind == "job.finished"
        )
        assert set(told.values()) == {1}
        assert set(told) >= set(submitted)
        check = queue._database.fetch_one("PRAGMA integrity_check")
        assert check == ("ok",)


def _check(queue: JobQueue, submitted: dict[str, str], finished: dict[str, int]) -> None:
    for id_, key in submitted.items():
        assert queue.get(id_).key == key
    for id_, attempt in finished.items():
        job = queue.get(id_)
        assert (job.state, job.attempt) == ("finished", attempt)
        assert job.outputs == {"by": [attempt, id_]}
