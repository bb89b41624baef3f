"""Watching jobs over connections that break."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from itertools import islice
from typing import Any

import pytest

from nodegraph.client import (
    AsyncClient,
    Client,
    Event,
    JobNotFound,
    NotReachable,
    Retries,
    Unauthenticated,
)
from nodegraph.core.events import Event as RunEvent
from nodegraph.jobs.queue import Job
from nodegraph.server.access.tokens import TokenFile
from tests.client.support import (
    Background,
    Proxy,
    client_of,
    either_client,
    in_both_kinds,
    proxy_to,
    until,
)
from tests.server.hosting import Hosted, workflow
from tests.server.talking import Worker


def happened(server: Hosted, job: str | None = None) -> list[tuple[int, str]]:
    """Numbers and kinds of what happened."""
    page = server.services.queue.events_after(0, job=job, limit=10_000)
    return [(event.seq, event.kind) for event in page.events]


def told(events: list[Event]) -> list[tuple[int | None, str]]:
    return [(event.seq, event.kind) for event in events if not event.is_live]


def log(number: int) -> RunEvent:
    return RunEvent(number, "log", "sum", 0.1 * number, {"message": str(number)})


def watching(kind: str, url: str, seen: list[Event], *jobs: str, **options: Any) -> Background:
    """Watches jobs on a thread."""

    def watch() -> None:
        with either_client(kind, url) as client:
            for event in client.watch(jobs, **options):
                seen.append(event)  # noqa: PERF402 - they are to be seen one by one

    return Background(watch)


@in_both_kinds
def test_a_job_is_watched_from_its_first_event_to_its_last(
    kind: str, client: Client, server: Hosted, worker: Worker
) -> None:
    job = client.submit(workflow()).id
    seen: list[Event] = []
    ended = watching(kind, server.url, seen, job)
    claimed = worker.take()
    worker.tell(claimed, log(0), log(1))
    until(lambda: len(seen) == 4)
    worker.finish(claimed)
    ended.result()
    assert told(seen) == happened(server, job)
    assert [event.kind for event in seen] == [
        *("job.queued", "job.claimed", "log", "log", "job.finished"),
    ]
    assert (seen[2].node, seen[2].data, seen[2].attempt) == ("sum", {"message": "0"}, 1)
    assert seen[-1].ends_job


@pytest.mark.parametrize(("kind", "status"), [("sync", None), ("async", None), ("async", 403)])
def test_no_event_is_missed_or_repeated_when_connections_break(
    kind: str, client: Client, server: Hosted, worker: Worker, proxy: Proxy, status: int | None
) -> None:
    proxy.socket_status = status
    job = client.submit(workflow()).id
    seen: list[Event] = []
    ended = watching(kind, proxy.url, seen, job)
    claimed = worker.take()
    for number in range(12):
        worker.tell(claimed, log(2 * number), log(2 * number + 1))
        if number % 3 == 1:
            until(lambda: len(seen) == len(happened(server, job)))
            proxy.cut()
            worker.tell(claimed, log(1_000 + number))
            until(lambda: len(seen) == len(happened(server, job)))
    worker.finish(claimed)
    ended.result()
    assert told(seen) == happened(server, job)
    assert proxy.sockets == (5 if status is None else 1)


def test_all_jobs_are_watched_from_now_on(
    kind: str, client: Client, server: Hosted, proxy: Proxy
) -> None:
    client.submit(workflow())
    before = server.services.queue.newest_event()
    seen: list[Event] = []
    # It never ends by itself: the last event that is waited for ends it.
    last: list[str] = []

    def watch() -> None:
        with either_client(kind, proxy.url) as watcher:
            for event in watcher.watch():
                seen.append(event)
                if event.job in last and event.ends_job:
                    return

    ended = Background(watch)
    until(lambda: server.services.hub.subscribers)
    for _ in range(3):
        count = len(seen)
        job = client.submit(workflow()).id
        until(lambda count=count: len(seen) > count)
        proxy.cut()
        client.cancel(job)
    last.append(client.submit(workflow()).id)
    client.cancel(last[0])
    ended.result()
    assert told(seen) == [event for event in happened(server) if event[0] > before]


def test_without_websockets_all_new_events_are_asked_for(
    kind: str, client: Client, server: Hosted, proxy: Proxy
) -> None:
    proxy.socket_status = 404
    client.submit(workflow())
    seen: list[Event] = []

    def watch() -> None:
        with either_client(kind, proxy.url) as watcher:
            seen.extend(islice(watcher.watch(), 2))

    ended = Background(watch)
    until(lambda: b"after=4611686018427387904" in b"".join(proxy.seen))
    until(lambda: b"".join(proxy.seen).count(b"GET /api/v1/events?") > 1)
    job = client.submit(workflow()).id
    client.cancel(job)
    ended.result()
    assert [(event.job, event.kind) for event in seen] == [
        (job, "job.queued"),
        (job, "job.cancelled"),
    ]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        *(("async", status) for status in (400, 403, 404, 426, 500, 501, 301, -1, 0)),
        *(("sync", status) for status in (404, -1)),
    ],
)
def test_waiting_works_where_websockets_do_not(
    kind: str, client: Client, server: Hosted, worker: Worker, proxy: Proxy, status: int
) -> None:
    proxy.socket_status = status
    job = client.submit(workflow()).id

    def wait() -> Any:
        with either_client(kind, proxy.url) as waiter:
            return waiter.wait(job)

    waited = Background(wait)
    until(lambda: proxy.sockets)
    worker.finish(worker.take())
    assert waited.result().state == "finished"


def test_several_jobs_are_watched_until_all_have_ended(
    kind: str, client: Client, server: Hosted, proxy: Proxy
) -> None:
    for status in (None, 403):
        proxy.socket_status = status
        jobs = [client.submit(workflow()).id for _ in range(3)]
        seen: list[Event] = []
        ended = watching(kind, proxy.url, seen, *jobs)
        until(lambda seen=seen: len(seen) == 3)
        for job in reversed(jobs):
            client.cancel(job)
        ended.result()
        assert {event.job for event in seen} == set(jobs)
        assert sorted(told(seen)) == told(seen)
        assert len(seen) == 6


def test_it_goes_on_after_a_number(either: Any, client: Client) -> None:
    job = client.submit(workflow())
    client.cancel(job)
    events = list(either.watch(job))
    assert [event.kind for event in events] == ["job.queued", "job.cancelled"]
    assert list(either.watch(job, after=events[0].seq)) == events[1:]
    assert list(either.watch(job, after=events[1].seq)) == []
    assert list(either.watch(job, after=1 << 40)) == []


def test_a_job_that_was_retried_is_watched_to_its_last_end(either: Any, client: Client) -> None:
    job = client.submit(workflow())
    client.cancel(job)
    client.retry(job)
    client.cancel(job)
    kinds = [event.kind for event in either.watch(job)]
    assert kinds == ["job.queued", "job.cancelled", "job.retried", "job.cancelled"]
    assert either.wait(job).state == "cancelled"


def test_progress_and_previews_are_told_to_those_who_want_them(
    kind: str, client: Client, server: Hosted, worker: Worker
) -> None:
    job = client.submit(workflow()).id
    seen: list[Event] = []
    dry: list[Event] = []
    with_all = watching(kind, server.url, seen, job, previews=True)
    without = watching(kind, server.url, dry, job, live=False)
    claimed = worker.take()
    worker.tell(claimed, log(0))
    until(lambda: len(seen) == 3 and len(dry) == 3)
    _show(worker, claimed)
    until(lambda: len(seen) == 5)
    worker.finish(claimed)
    with_all.result()
    without.result()
    progress = next(event for event in seen if event.progress)
    assert progress.progress == (2, 5)
    assert (progress.is_live, progress.after) == (True, seen[2].seq)
    assert [event.preview for event in seen if event.preview] == [(b"\x89PNG", "image/png")]
    assert [event.plot for event in seen if event.plot] == [{"title": "Loss"}]
    assert not [event for event in dry if event.is_live]


def _show(worker: Worker, job: Job) -> None:
    worker.show(job, 0, RunEvent(1, "node.progress", "sum", 0.1, {"step": 2, "total": 5}))
    data = {"image": b"\x89PNG", "mime": "image/png", "plot": {"title": "Loss"}}
    worker.show(job, 0, RunEvent(2, "node.preview", "sum", 0.2, data))


@in_both_kinds
def test_whoever_stops_watching_leaves_nothing_open(
    either: Any, client: Client, server: Hosted
) -> None:
    job = client.submit(workflow())
    watch = either.watch(job)
    assert next(watch).kind == "job.queued"
    assert server.services.hub.subscribers == 1
    watch.close()
    until(lambda: server.services.hub.subscribers == 0)


@pytest.mark.parametrize(
    "end", ["", pytest.param("raise ValueError('of the script')", marks=pytest.mark.slow)]
)
def test_a_script_ends_though_it_still_watches(client: Client, server: Hosted, end: str) -> None:
    job = client.submit(workflow())
    script = f"""
from nodegraph.client import Client
events = Client({server.url!r}, token="").watch({job.id!r})
print(next(events).kind, flush=True)
{end}
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["job.queued"], done.stderr
    assert done.returncode == (1 if end else 0)


def test_a_task_that_is_cancelled_leaves_nothing_open(client: Client, server: Hosted) -> None:
    job = client.submit(workflow())
    seen: list[Event] = []

    async def watch() -> None:
        async with AsyncClient(server.url, token="") as watcher:
            async for event in watcher.watch(job):
                seen.append(event)

    async def watch_for_a_while() -> None:
        watching = asyncio.create_task(watch())
        await asyncio.to_thread(until, lambda: seen)
        assert server.services.hub.subscribers == 1
        watching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await watching

    asyncio.run(watch_for_a_while())
    until(lambda: server.services.hub.subscribers == 0)


def test_a_client_is_used_by_several_threads(client: Client) -> None:
    def work() -> list[str]:
        job = client.submit(workflow())
        client.cancel(job)
        assert client.wait(job).state == "cancelled"
        return [event.kind for event in client.watch(job)]

    working = [Background(work) for _ in range(4)]
    assert [each.result() for each in working] == [["job.queued", "job.cancelled"]] * 4


@in_both_kinds
def test_what_cannot_be_watched(either: Any) -> None:
    with pytest.raises(JobNotFound):
        list(either.watch("job_none"))
    with pytest.raises(JobNotFound):
        either.wait("job_none")


def test_a_token_that_is_revoked_ends_the_watching(kind: str, own_server: Hosted) -> None:
    headers = own_server.token("ann", "run")
    token = headers["Authorization"].removeprefix("Bearer ")
    with client_of(own_server, token=token) as client:
        job = client.submit(workflow())

    def watch() -> None:
        with either_client(kind, proxy.url, token=token) as watcher:
            list(watcher.watch(job))

    with proxy_to(own_server.port) as proxy:
        ended = Background(watch)
        until(lambda: own_server.services.hub.subscribers)
        TokenFile(own_server.services.home / "tokens.json").revoke("ann")
        until(lambda: own_server.client.get("/jobs", headers=headers).status_code == 401)
        proxy.cut()
        with pytest.raises(Unauthenticated) as caught:
            ended.result()
    assert token not in str(caught.value)


@in_both_kinds
def test_a_server_that_stays_away_is_given_up(
    kind: str, client: Client, server: Hosted, proxy: Proxy
) -> None:
    job = client.submit(workflow()).id
    seen: list[Event] = []

    def watch() -> None:
        retries = Retries(following=0.3, first=0.01, most=0.05)
        with either_client(kind, proxy.url, retries=retries) as watcher:
            seen.extend(watcher.watch(job))

    ended = Background(watch)
    until(lambda: server.services.hub.subscribers)
    proxy.close()
    with pytest.raises(NotReachable):
        ended.result()
