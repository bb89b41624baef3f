"""Events as a stream and page by page, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
import pytest

from nodegraph.server.events.hub.hub import EventHub
from nodegraph.server.http.routes import events as route
from nodegraph.server.http.routes import events as sse
from tests.jobs.queue.support import event
from tests.server.hosting import Hosted
from tests.server.talking import Worker, wish, worker

__all__ = ["worker"]

STREAM = {"Accept": "text/event-stream"}


class Stream:
    """A stream as an EventSource reads it."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()
        self.last = ""
        self.comments: list[str] = []

    def next(self) -> tuple[str, dict[str, Any]] | None:
        """The next event's kind and what it says; None at the end."""
        fields: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if not line and "event" in fields:
                self.last = fields.get("id", self.last)
                return fields["event"], json.loads(fields["data"])
            if line.startswith(":"):
                self.comments.append(value)
            elif line:
                fields[name] = value
        return None

    def until(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """All events up to one of a kind."""
        found = []
        while (one := self.next()) is not None:
            found.append(one)
            if one[0] == kind:
                break
        return found


@contextmanager
def streaming(server: Hosted, path: str, **options: Any) -> Iterator[Stream]:
    headers = {**STREAM, **options.pop("headers", {})}
    with server.client.stream("GET", path, headers=headers, **options) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        yield Stream(response)


def submit(server: Hosted, headers: dict[str, str] | None = None) -> str:
    answer = server.client.post("/jobs", json=wish(), headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def test_a_page_of_events(server: Hosted) -> None:
    jobs = [submit(server) for _ in range(3)]
    page = server.client.get("/events", params={"limit": 2}).json()
    kept = server.services.queue.events_after(0).events
    assert [each["seq"] for each in page["items"]] == [each.seq for each in kept[:2]]
    assert page["items"][0] == {name: getattr(kept[0], name) for name in page["items"][0]}
    assert (page["last"], page["complete"]) == (kept[1].seq, False)
    rest = server.client.get("/events", params={"after": page["last"]}).json()
    assert [each["job"] for each in rest["items"]] == jobs[2:]
    assert rest["complete"] is True
    one = server.client.get(f"/jobs/{jobs[1]}/events").json()
    assert [each["job"] for each in one["items"]] == [jobs[1]]


def test_following_a_job_to_its_end(server: Hosted, worker: Worker) -> None:
    id_ = submit(server)
    job = worker.take()
    with streaming(server, f"/jobs/{id_}/events") as stream:
        stream.until("job.claimed")
        worker.tell(job, event(0, "job.started"), event(1, text="line\nbreak"))
        worker.finish(job)
        told = stream.until("job.finished")
        assert [kind for kind, _ in told] == ["job.started", "node.started", "job.finished"]
        assert told[1][1]["data"] == {"text": "line\nbreak"}
        assert told[2][1]["seq"] == int(stream.last)
        # Nothing comes after its end.
        assert stream.next() is None
    again = server.client.get(
        f"/jobs/{id_}/events", headers={**STREAM, "Last-Event-ID": stream.last}
    )
    assert (again.status_code, again.content) == (204, b"")


def test_all_of_a_job_that_has_ended(server: Hosted, worker: Worker) -> None:
    id_ = submit(server)
    worker.finish(worker.take())
    with streaming(server, f"/jobs/{id_}/events") as stream:
        told = stream.until("never")
    assert [kind for kind, _ in told] == ["job.queued", "job.claimed", "job.finished"]


def test_coming_back_to_a_stream(own_server: Hosted) -> None:
    worker = Worker(own_server)
    numbers = []
    last = "0"
    for _ in range(4):
        submit(own_server)
        job = worker.take()
        with streaming(own_server, "/events", headers={"Last-Event-ID": last}) as stream:
            numbers += [told["seq"] for _, told in stream.until("job.claimed")]
            last = stream.last
        worker.finish(job)
    assert numbers == [
        *(each.seq for each in own_server.services.queue.events_after(0).events[:-1]),
    ]


def test_what_a_browser_sends_is_newer_than_what_the_page_asked_for(server: Hosted) -> None:
    submit(server)
    first = server.services.queue.events_after(0).events[0].seq
    second = submit(server)
    options: dict[str, Any] = {"params": {"after": 0}, "headers": {"Last-Event-ID": str(first)}}
    with streaming(server, "/events", **options) as stream:
        found = stream.next()
        assert found is not None
        assert found[1]["job"] == second


def test_progress_and_previews(server: Hosted, worker: Worker) -> None:
    id_ = submit(server)
    job = worker.take()
    worker.tell(job, event(0))
    path = f"/jobs/{id_}/events"
    with (
        streaming(server, path, params={"previews": True}) as both,
        streaming(server, path, params={"live": False}) as neither,
        streaming(server, path) as progress,
    ):
        streams = both, neither, progress
        for stream in streams:
            stream.until("node.started")
        last = both.last
        worker.show(job, 0, event(1, "node.preview", image=b"\xff", mime="image/webp"))
        kind, told = both.next() or ("", {})
        assert (kind, told["data"]["image"]) == ("node.preview", {"base64": "/w=="})
        # It has no number, so that nothing is missed by whoever comes back.
        assert both.last == last
        worker.show(job, 0, event(2, "node.progress", step=1, total=2))
        assert progress.until("node.progress")[0][1]["data"] == {"step": 1, "total": 2}
        worker.finish(job)
        assert [kind for kind, _ in neither.until("job.finished")] == ["job.finished"]


def test_others_jobs(own_server: Hosted) -> None:
    ann, bob = own_server.token("ann", "run"), own_server.token("bob", "run")
    anns, bobs = submit(own_server, ann), submit(own_server, bob)
    found = own_server.client.get("/events", headers=bob).json()["items"]
    assert [each["job"] for each in found] == [bobs]
    with streaming(own_server, "/events", headers=bob, params={"after": 0}) as stream:
        assert (stream.next() or ("", {}))[1]["job"] == bobs
    for accept in ({}, STREAM):
        answer = own_server.client.get(f"/jobs/{anns}/events", headers={**bob, **accept})
        assert answer.status_code == 404
    assert own_server.client.get("/events").status_code == 401


def test_signs_of_life(server: Hosted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "streamed", partial(sse.streamed, heartbeat=0.02))
    with streaming(server, "/events") as stream:
        for line in stream._lines:
            if line.startswith(": "):
                break
        # From here on goes whoever loses the connection now.
        assert next(stream._lines) == f"id: {server.services.hub.newest}"
        submit(server)
        assert (stream.next() or ("", {}))[0] == "job.queued"


def test_a_server_that_stops_ends_streams(own_server: Hosted) -> None:
    with streaming(own_server, "/events") as stream:
        next(stream._lines)
        hub: EventHub = own_server.services.hub
        hub._tail._loop.call_soon_threadsafe(own_server.services.begin_shutdown)
        assert stream.next() is None
    with streaming(own_server, "/events") as stream:
        assert stream.next() is None


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("*/*", 200),
        ("application/*;q=0.5", 200),
        ("text/html", 406),
        ("image/webp, text/html", 406),
    ],
)
def test_what_a_client_takes(server: Hosted, accept: str, status: int) -> None:
    assert server.client.get("/events", headers={"Accept": accept}).status_code == status


@pytest.mark.parametrize(
    "request_",
    [
        {"params": {"after": -1}},
        {"params": {"after": 1 << 63}},
        {"params": {"limit": 0}},
        {"headers": {"Last-Event-ID": "x"}},
        {"headers": {"Last-Event-ID": "-1"}},
        {"headers": {"Last-Event-ID": "9" * 30}},
    ],
)
def test_questions_that_make_no_sense(server: Hosted, request_: dict[str, Any]) -> None:
    assert server.client.get("/events", **request_).status_code == 422


def test_streams_that_are_left_are_closed(server: Hosted, hosting: Callable[..., Any]) -> None:
    for _ in range(3):
        with streaming(server, "/events") as stream:
            next(stream._lines)
    submit(server)
    for _ in range(1000):
        if not server.services.hub.subscribers:
            break
        submit(server)
    assert not server.services.hub.subscribers
