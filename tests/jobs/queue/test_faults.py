"""A queue on a disk that is full, held by others or pulled away: nothing is half done."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from nodegraph.errors import InvalidFile, OutputError
from nodegraph.jobs.queue import Counts, JobQueue, QueueInUse, QueueReader
from tests.jobs.queue.support import claim, claimed, event, open_queue, submit, told, wanted
from tests.messages import raises
from tests.store.other_process import other_process


def limit(queue: JobQueue, more: int | None) -> None:
    """Let the file grow by so many pages and no further."""

    def set_limit(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        most = 1 << 30 if more is None else pages + more
        connection.execute(f"PRAGMA max_page_count = {most}")

    queue._put(set_limit).result()


def test_a_full_disk(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        first = submit(queue, name="first")
        claim(queue)
        limit(queue, 12)
        kept: list[str] = []

        def fill() -> None:
            while True:
                kept.append(submit(queue, workflow={"note": "x" * 5000 + str(len(kept))}).id)

        with raises(OutputError):
            fill()
        much = [event(at, text="y" * 9000) for at in range(9)]
        with raises(OutputError):
            queue.append_events(first.id, 1, much).result()
        assert queue.counts() == Counts(queued=len(kept), running=1)
        # Each that is there is whole, and what was refused has left no trace.
        assert [job.id for job in queue.page(order="oldest").jobs] == [first.id, *kept]
        for id_ in kept:
            assert "xxx" in queue.workflow(queue.get(id_).workflow)
        assert len(told(queue)) == 2 + len(kept)
        limit(queue, None)
        queue.append_events(first.id, 1, [event(1)]).result()
        queue.finish(first.id, 1, {}).result()
        assert len(claimed(queue)) == len(kept)


def test_another_program_that_holds_it(tmp_path: Path) -> None:
    with open_queue(tmp_path, patience=0.1) as queue:
        job = submit(queue)
        with closing(sqlite3.connect(queue.location, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with raises(OutputError):
                submit(queue)
            with raises(OutputError):
                queue.claim("worker").result()
            assert queue.get(job.id).state == "queued"  # looking goes on
            other.execute("COMMIT")
        assert claim(queue).id == job.id


def test_a_removed_file(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        submit(queue)
        queue.location.unlink()
        with raises(OutputError):
            submit(queue)
    with open_queue(tmp_path) as queue:
        assert queue.counts() == Counts()


def test_a_damaged_queue(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    path.write_bytes(b"no database at all" * 500)
    for kind in (JobQueue, QueueReader):
        with raises(InvalidFile):
            kind(path)


def test_an_emptied_queue_is_no_new_one(tmp_path: Path) -> None:
    with open_queue(tmp_path) as queue:
        submit(queue)
    (tmp_path / "queue.sqlite").write_bytes(b"")
    for _ in range(2):
        with raises(InvalidFile):
            open_queue(tmp_path)


def test_another_programs_file(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE mine (a)")
    with raises(InvalidFile):
        JobQueue(path)
    with raises(InvalidFile):
        QueueReader(tmp_path / "nothing" / "queue.sqlite")


def test_a_folder_that_cant_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with raises(OutputError):
        JobQueue(tmp_path / "file" / "queue.sqlite")


OTHER = """
import os
from pathlib import Path
from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import JobQueue, QueueReader, Submission
queues = []
def opened(path):
    try:
        queues.append(JobQueue(Path(path)))
    except NodegraphError as error:
        return str(error)
    return ""
def submitted():
    return queues[-1].submit(Submission("bob", {"nodes": {}})).result().job.id
def counted(path):
    with QueueReader(Path(path)) as reader:
        return reader.counts().queued
"""


def test_only_one_process_changes_a_queue(tmp_path: Path) -> None:
    path = str(tmp_path / "queue.sqlite")
    with other_process(OTHER) as other, open_queue(tmp_path) as queue:
        refusal = other.ask(f"opened({path!r})")
        assert f"in use by process {os.getpid()}" in refusal
        submit(queue)
        assert other.ask(f"counted({path!r})") == "1"
        queue.close()
        assert other.ask(f"opened({path!r})") == '""'
        pid = other.ask("os.getpid()")
        with pytest.raises(QueueInUse, match=f"in use by process {pid}") as caught:
            open_queue(tmp_path)
        assert caught.value.pid == int(pid)
        id_ = other.ask("submitted()").strip('"')
        with QueueReader(Path(path)) as reader:
            assert reader.get(id_).client == "bob"
        other.kill()
        with open_queue(tmp_path) as queue:
            assert queue.counts().queued == 2


def test_one_process_opens_a_queue_once(tmp_path: Path) -> None:
    with open_queue(tmp_path), pytest.raises(QueueInUse):
        open_queue(tmp_path)
    with open_queue(tmp_path) as queue:
        queue.submit(wanted()).result()
