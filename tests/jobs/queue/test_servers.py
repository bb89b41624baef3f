"""Several servers on one PostgreSQL database: one queue to all of them, whichever goes away."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event, Semaphore
from time import monotonic, sleep
from typing import TypeVar

import psycopg
import pytest

from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError
from nodegraph.jobs.queue import (
    JobQueue,
    KeyReused,
    Limits,
    QueueFull,
    QueueReader,
    StaleAttempt,
    WrongState,
)
from nodegraph.jobs.queue.errors import QueueUnreachable
from nodegraph.jobs.queue.postgres import database as neighbours
from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.jobs.queue.postgres.connections import Connections
from nodegraph.jobs.queue.schedules import NewSchedule, parse_rule
from nodegraph.jobs.queue.webhooks import Webhook
from tests.databases.postgres import PostgresServer
from tests.jobs.queue.support import claim, event, open_queue, submit, told, wanted
from tests.messages import raises
from tests.store.other_process import other_process

T = TypeVar("T")
_BREAK = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'nodegraph' AND random() < 0.5
"""

pytestmark = pytest.mark.usefixtures("in_postgres")


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[JobQueue, JobQueue]]:
    with open_queue(tmp_path) as one, open_queue(tmp_path) as two:
        yield one, two


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = monotonic() + 60
    while not is_so():
        assert monotonic() < end, "it never was"
        sleep(0.01)


def test_each_sees_what_the_other_does(pair: tuple[JobQueue, JobQueue]) -> None:
    one, two = pair
    job = submit(one, name="n")
    found = claim(two)
    assert found.id == job.id
    assert one.claim("worker").result() is None
    one.cancel(job.id).result()
    assert two.get(job.id).wanted == "cancel"
    two.pause().result()
    assert one.is_paused()
    two.stopped(job.id, 1).result()
    assert told(one) == told(two)
    assert one.identity == two.identity


def test_each_is_told_of_what_the_other_does(pair: tuple[JobQueue, JobQueue]) -> None:
    one, two = pair
    heard = Event()
    two.listen(heard.set)
    until(lambda: not heard.wait(0.2) or heard.clear() is not None)  # what was told at the start
    submit(one)
    assert heard.wait(neighbours.BEAT_SECONDS / 2)


def test_a_key_holds_for_all(pair: tuple[JobQueue, JobQueue]) -> None:
    one, two = pair
    with ThreadPoolExecutor(8) as threads:
        made = [
            threads.submit(lambda at=at: pair[at % 2].submit(wanted(key="k")).result())
            for at in range(16)
        ]
        found = [each.result() for each in made]
    assert len({each.job.id for each in found}) == 1
    assert sum(each.is_new for each in found) == 1
    with pytest.raises(KeyReused):
        two.submit(wanted(key="k", name="other")).result()
    assert one.counts().queued == 1


def test_limits_are_for_all_together(tmp_path: Path) -> None:
    limits = {"default_limits": Limits(waiting=5)}
    with open_queue(tmp_path, **limits) as one, open_queue(tmp_path, **limits) as two:
        with ThreadPoolExecutor(8) as threads:
            made = [threads.submit(submit, (one, two)[at % 2]) for at in range(12)]
        refused = [each for each in made if isinstance(each.exception(), QueueFull)]
        assert (len(refused), one.counts().queued) == (7, 5)


def test_each_job_is_claimed_once_in_turn_and_no_event_is_missed(
    pair: tuple[JobQueue, JobQueue],
) -> None:
    names = [f"{client}{at}" for at in range(30) for client in ("ann", "bob")]
    done = Event()

    def submit_all(client: str, queue: JobQueue) -> None:
        for name in names:
            if name.startswith(client):
                submit(queue, client, name=name)

    def work(queue: JobQueue) -> list[str]:
        found = []
        while len(queue.page(limit=100).jobs) < 60 or queue.counts().queued:
            job = queue.claim("worker").result()
            if job is not None:
                queue.append_events(job.id, job.attempt, [event(1)]).result()
                queue.finish(job.id, job.attempt, {}).result()
                found.append(job.name)
        return found

    def follow(queue: JobQueue) -> list[int]:
        found: list[int] = []
        last, is_over = 0, False
        while not is_over:
            is_over = done.is_set()
            page = queue.events_after(last, limit=7)
            while page.events:
                found += [each.seq for each in page.events]
                page = queue.events_after(page.last, limit=7)
            last = page.last
        return found

    with ThreadPoolExecutor(8) as threads:
        seen = [threads.submit(follow, queue) for queue in pair]
        filling = [
            threads.submit(submit_all, client, queue)
            for client, queue in zip(("ann", "bob"), pair, strict=True)
        ]
        working = [threads.submit(work, queue) for queue in pair for _ in range(2)]
        claimed = [name for each in working for name in each.result()]
        for each in filling:
            each.result()
        done.set()
    assert sorted(claimed) == sorted(names)
    whole = [each.seq for each in told(pair[0])]
    assert len(whole) == len(names) * 4
    assert [each.result() for each in seen] == [whole, whole]


def test_a_server_that_ends_gives_its_jobs_to_none_that_lives(tmp_path: Path) -> None:
    with open_queue(tmp_path) as one:
        submit(one)
        job = claim(one)
        with open_queue(tmp_path) as two:
            # It has just been opened, and the other lives.
            assert two.recover().result() == []
        assert one.get(job.id).state == "running"
        one.finish(job.id, job.attempt, {}).result()


def test_a_server_that_was_taken_for_gone_is_listed_when_it_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is alive after all, and goes on before it has counted on: its next jobs are its own."""
    monkeypatch.setattr(neighbours, "BEAT_SECONDS", 3600.0)
    with open_queue(tmp_path) as queue:
        assert isinstance(queue.location, PostgresAddress)
        with psycopg.connect(queue.location.url, autocommit=True) as connection:
            gone = "DELETE FROM nodegraph.servers WHERE beat > 0"
            until(lambda: connection.execute(gone).rowcount == 1)
        submit(queue)
        job = claim(queue)
        assert queue.recover().result() == []
        queue.finish(job.id, job.attempt, {}).result()


def test_what_is_told_during_a_beat_is_heard_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "BEAT_SECONDS", 3600.0)
    heard = Semaphore(0)
    with open_queue(tmp_path) as queue, ExitStack() as opened:
        address = queue.location
        assert isinstance(address, PostgresAddress)
        holding = opened.enter_context(psycopg.connect(address.url))
        other = opened.enter_context(psycopg.connect(address.url, autocommit=True))
        holding.execute("LOCK TABLE nodegraph.servers")
        connect = Connections(address, 60.0).new
        # It has nobody to bury: all that are listed have just begun.
        listening = neighbours.PeerMonitor(connect, "x", heard.release, lambda _: Future())
        opened.callback(listening.close)
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted"
        until(lambda: other.execute(waits).fetchone() is not None)
        assert heard.acquire(timeout=60)  # as when it begins to listen
        other.execute("SELECT pg_notify('nodegraph', 'another')")
        holding.commit()
        assert heard.acquire(timeout=60)


OTHER = """
from nodegraph.jobs.queue import JobQueue
from nodegraph.jobs.queue.postgres.address import PostgresAddress
from nodegraph.jobs.queue.postgres import database as neighbours
neighbours.BEAT_SECONDS = 0.1
queues = []
def opened(url):
    queues.append(JobQueue(PostgresAddress(url)))
def claimed():
    return queues[-1].claim("worker").result().id
def finished(job):
    try:
        queues[-1].finish(job, 1, {}).result()
    except Exception as error:
        return type(error).__name__
    return ""
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_jobs_of_a_server_that_is_gone_go_on_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(neighbours, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(neighbours, "GONE_SECONDS", 3.0)
    with open_queue(tmp_path) as queue, other_process(OTHER) as other:
        assert isinstance(queue.location, PostgresAddress)
        other.ask(f"opened({queue.location.url!r})")
        job = submit(queue)
        assert other.ask("claimed()") == f'"{job.id}"'
        mine = submit(queue)
        claim(queue)
        pid = int(other.ask("__import__('os').getpid()"))
        os.kill(pid, number)
        until(lambda: queue.get(job.id).state == "queued")
        assert told(queue, job=job.id)[-1].data["reason"] == "recovered"
        assert (queue.get(mine.id).state, queue.get(mine.id).attempt) == ("running", 1)
        again = claim(queue)
        assert (again.id, again.attempt) == (job.id, 2)
        if number == signal.SIGSTOP:
            os.kill(pid, signal.SIGCONT)
            assert other.ask(f"finished({job.id!r})") == f'"{StaleAttempt.__name__}"'
        queue.finish(job.id, 2, {}).result()


def test_a_database_that_is_restarted_loses_nothing(
    tmp_path: Path, postgres: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    with open_queue(tmp_path) as one, open_queue(tmp_path) as two:
        kept = [submit(one).id for _ in range(3)]
        job = claim(one)
        heard = Event()
        two.listen(heard.set)
        with postgres.away():
            for asked in (lambda: submit(one), lambda: two.get(job.id), lambda: claim(two)):
                with pytest.raises(QueueUnreachable, match="cannot reach the job queue"):
                    asked()
        until(lambda: not fails(lambda: one.finish(job.id, 1, {"a": 1}).result()))
        until(lambda: not fails(lambda: two.get(job.id)))  # it may rest after a try in vain
        assert two.get(job.id).outputs == {"a": 1}
        assert [each.id for each in one.page(order="oldest").jobs] == kept
        until(lambda: caplog.text.count("can be reached again") == 2)
        heard.clear()
        submit(one)
        assert heard.wait(60)  # it listens again


def fails(action: Callable[[], object]) -> bool:
    try:
        action()
    except QueueUnreachable:
        return True
    return False


def test_a_commit_whose_answer_is_lost_is_known_all_the_same(tmp_path: Path) -> None:
    """The connection breaks while the database commits: it did, and the caller is told so."""
    with open_queue(tmp_path) as queue:
        writer = queue._database._begun()  # type: ignore[attr-defined]
        row = writer.execute("SELECT txid_current()::text").fetchone()
        assert row is not None
        writer.execute("COMMIT")
        assert queue._database._is_committed(row[0])  # type: ignore[attr-defined]
        writer = queue._database._begun()  # type: ignore[attr-defined]
        row = writer.execute("SELECT txid_current()::text").fetchone()
        assert row is not None
        writer.execute("ROLLBACK")
        assert not queue._database._is_committed(row[0])  # type: ignore[attr-defined]


def test_events_that_are_told_twice_are_kept_once(pair: tuple[JobQueue, JobQueue]) -> None:
    queue, _ = pair
    submit(queue)
    job = claim(queue)
    for _ in range(2):
        queue.append_events(job.id, 1, [event(1), event(2)]).result()
    assert [each.number for each in told(queue)] == [None, None, 1, 2]


def test_faults_with_a_nul_or_half_a_character_are_listed(
    pair: tuple[JobQueue, JobQueue],
) -> None:
    queue, _ = pair
    submit(queue)
    job = claim(queue)
    error = {"code": "x", "message": "a\0b\ud800", "node": None}
    queue.fail(job.id, 1, error).result()
    fault = queue.page().jobs[0].fault
    assert fault is not None
    assert (fault.code, fault.message) == ("x", "a\ufffdb\ufffd")
    assert queue.get(job.id).error == {**error, "message": "a\0b\ufffd"}


def test_a_reader_sees_it_and_makes_nothing(tmp_path: Path, postgres: PostgresServer) -> None:
    with postgres.database() as url, pytest.raises(InvalidFile, match="there is no job queue at"):
        QueueReader(PostgresAddress(url))
    with open_queue(tmp_path) as queue:
        job = submit(queue)
        with QueueReader(queue.location) as reader:
            assert reader.get(job.id) == queue.get(job.id)


def test_a_newer_queue_is_refused(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        JobQueue(PostgresAddress(url)).close()
        with psycopg.connect(url) as connection:
            connection.execute("UPDATE nodegraph.meta SET value = 99 WHERE name = 'version'")
        with pytest.raises(InvalidFile, match=r"unsupported version.*99.*Update nodegraph"):
            JobQueue(PostgresAddress(url))


def test_several_make_the_tables_at_once(postgres: PostgresServer) -> None:
    with postgres.database() as url, ExitStack() as opened, ThreadPoolExecutor(4) as threads:
        made = [threads.submit(JobQueue, PostgresAddress(url)) for _ in range(4)]
        queues = [opened.enter_context(each.result()) for each in made]
        assert len({queue.identity for queue in queues}) == 1


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:secret@db.example:5433/jobs", "postgresql://ann@db.example:5433/jobs"),
        ("postgres:///jobs?host=/run/pg&password=secret", "postgresql:///run/pg/jobs"),
        ("postgresql://ann@db.example/jobs?sslmode=require", "postgresql://ann@db.example/jobs"),
        ("postgresql://ann@db.example/jobs?sslpassword=secret", "postgresql://ann@db.example/jobs"),
        ("postgresql://ann:secret%40%2F@db.example/jobs", "postgresql://ann@db.example/jobs"),
    ],
)
def test_the_password_is_never_shown(url: str, shown: str) -> None:
    address = PostgresAddress(url)
    assert str(address) == shown
    assert "secret" not in repr(address)
    assert address.has_password is ("secret" in url)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ann:secret@db/x",
        "postgresql://ann:secret@db",
        "postgresql://a:secret@b:x/c",
        "host=db user=ann password=secret dbname=x",
        "postgresql://ann:12/secret@db/x",
        "postgresql://ann:1/a?secret@db/x",
        "postgresql://ann:a@secret@db/x",
    ],
)
def test_what_is_no_address_is_refused_without_its_password(url: str) -> None:
    with raises(InvalidValue) as caught:
        PostgresAddress(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("end", ["%zz@db/x", "@db/x?bad=1"])
def test_what_libpq_cant_read_is_refused_without_the_password(end: str) -> None:
    with raises(InvalidValue, given="postgresql://ann@db/x") as caught:
        JobQueue(PostgresAddress(f"postgresql://ann:secret{end}"))
    assert "secret" not in str(caught.value)


def test_who_may_not_come_in_is_told_without_the_password(postgres: PostgresServer) -> None:
    url = f"postgresql://nobody:secret@127.0.0.1:{postgres.port}/postgres"
    with pytest.raises(NodegraphError) as caught:
        JobQueue(PostgresAddress(url))
    assert re.search("nobody", str(caught.value))
    assert "secret" not in str(caught.value)


def test_connections_that_break_at_any_moment_lose_and_double_nothing(
    pair: tuple[JobQueue, JobQueue], postgres: PostgresServer
) -> None:
    """What was acknowledged is there, once, and what was refused as unknown may be sent again."""
    done = Event()
    claimed: list[tuple[str, int]] = []
    answered: list[None] = []

    def again(action: Callable[[], T]) -> T:
        while True:
            try:
                found = action()
            except QueueUnreachable:
                sleep(0.005)
            else:
                answered.append(None)
                return found

    def submit_all(number: int) -> list[str]:
        queue = pair[number % 2]
        keys = [f"{number}-{at}" for at in range(10)]
        return [
            again(lambda key=key: queue.submit(wanted(key=key)).result()).job.id for key in keys
        ]

    def work(queue: JobQueue) -> None:
        while not done.is_set():
            job = again(lambda: queue.claim("worker").result())
            if job is None:
                sleep(0.005)
                continue
            claimed.append((job.id, job.attempt))
            with suppress(WrongState):  # it was kept, or taken back, and only the answer got lost
                again(lambda job=job: queue.append_events(job.id, job.attempt, [event(1)]).result())
                again(lambda job=job: queue.finish(job.id, job.attempt, {}).result())

    def break_them() -> int:
        broken = 0
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
            while not done.is_set():
                if len(answered) > 12 * broken:
                    connection.execute(_BREAK)
                    broken += 1
                sleep(0.001)
        return broken

    with ThreadPoolExecutor(8) as threads:
        breaking = threads.submit(break_them)
        working = [threads.submit(work, queue) for queue in pair]
        made = [threads.submit(submit_all, number) for number in range(4)]
        ids = [job for each in made for job in each.result()]
        # What was claimed while its answer got lost is given back by the supervisor; here, by hand.
        known = set(ids)
        while again(lambda: pair[0].counts().finished) < len(known):
            for queue in pair:
                for lost in set(again(queue.running_here)) - set(claimed):
                    with suppress(WrongState):
                        again(lambda lost=lost, queue=queue: queue.release(*lost).result())
            sleep(0.01)
        done.set()
        assert breaking.result() > 5
        for each in working:
            each.result()
    assert (len(ids), len(known), pair[0].counts().queued) == (40, 40, 0)
    ends = [each.job for each in told(pair[1]) if each.kind == "job.finished"]
    assert sorted(ends) == sorted(known)
    assert len({(each.job, each.attempt) for each in told(pair[1]) if each.number == 1}) == sum(
        each.number == 1 for each in told(pair[1])
    )


def test_each_delivery_and_each_firing_is_of_one_server(pair: tuple[JobQueue, JobQueue]) -> None:
    webhook = Webhook("https://example.org/", ("job.queued",))
    for _ in range(40):
        submit(pair[0], webhook=webhook)
    claims = [queue.claim_deliveries(8, 100, {}, 100, {}) for _ in range(4) for queue in pair]
    numbers = [each.delivery.number for batch in claims for each in batch.result()]
    assert len(numbers) == len(set(numbers)) == 40
    timed = NewSchedule("ann", "s", parse_rule("every 1h"), "UTC", "{}")
    schedule = pair[0].add_schedule(timed).result()
    settled = [
        queue.settle_schedule(schedule, job="x", error=None, due=None, state="active")
        for queue in pair
    ]
    assert sorted(each.result() is None for each in settled) == [False, True]
