"""Following events: whatever breaks, each event is told once and in order."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed

from nodegraph.client import Event, Retries, ServerError
from nodegraph.errors import NodegraphError
from tests.client.support import either_client, in_both_kinds
from tests.messages import raises
from tests.properties import examples
from tests.server.hosting import PATIENCE

PATIENT = Retries(connecting=1e9, following=1e9, first=0.001, most=0.001)
ENDED = "job.finished"


class Server:
    """Events of some jobs, told as badly as may be, over HTTP and websockets.

    Args:
        events: Number, job and kind of each.
        draw: Makes a choice among some things.
        faults: How often something may go wrong.

    Attributes:
        opened: How many websockets were asked for.
        asked: Paths of what was asked for otherwise.
        answer: What a subscription is answered with instead of events.
    """

    def __init__(
        self, events: Sequence[tuple[int, str, str]], draw: Any = min, faults: int = 0
    ) -> None:
        self._events = [_document(*event) for event in events]
        self._draw = draw
        self._faults = faults
        self._handed_out = 0
        self.opened = 0
        self.asked: list[str] = []
        self.answer: Callable[[dict[str, Any]], dict[str, Any]] | None = None
        self.wrong: list[str] = []
        self.url = ""

    def goes_wrong(self) -> bool:
        if self._faults > 0 and self._draw([False, False, True]):
            self._faults -= 1
            return True
        return False

    def begin(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a request; None to open a websocket."""
        address = urlsplit(request.path)
        if request.headers.get("upgrade") == "websocket":
            self.opened += 1
            if not self.goes_wrong():
                return None
            status = self._draw([503, 403, 0])
        else:
            self.asked.append(address.path)
            if not self.goes_wrong():
                return self._page(address.path, parse_qs(address.query))
            status = self._draw([429, 502, 503, 0])
        if not status:
            connection.transport.abort()
        return _answer({}, status or 503)

    async def follow(self, socket: ServerConnection) -> None:
        """What comes over a websocket."""
        with suppress(ConnectionClosed):
            await self._say(socket, {"type": "welcome", "silence": 45.0})
            wanted = msgpack.unpackb(await socket.recv(decode=False))
            if self.answer is not None:
                await self._say(socket, self.answer(wanted))
            else:
                await self._tell(socket, wanted)
            async for _ in socket:
                pass

    async def _say(self, socket: ServerConnection, message: dict[str, Any]) -> None:
        if self.goes_wrong():
            socket.transport.abort()
        await socket.send(msgpack.packb(message))

    async def _tell(self, socket: ServerConnection, wanted: dict[str, Any]) -> None:
        position, jobs = wanted["after"], wanted["jobs"]
        if position < self._handed_out:
            self.wrong.append("what is known is asked for again")
        self._handed_out = max(self._handed_out, position)
        result = {"subscription": "1", "after": position, "reset": False}
        await self._say(socket, {"type": "reply", "id": wanted["id"], "result": result})
        while left := [event for event in self._events if event["seq"] > position]:
            if self._draw([False, False, False, True]):
                kind = self._draw(["heartbeat", "notice", "ended"])
                await self._say(socket, {"type": kind})
                if kind == "ended":
                    return
            batch = left[: self._draw([1, 2, 5])]
            position = batch[-1]["seq"]
            told = [event for event in batch if event["job"] in jobs]
            if told and self._draw([False, True]):
                # Something of the moment, and something that was told already.
                live = {**told[0], "kind": "node.progress", "after": 1}
                del live["seq"]
                told = [told[0], *told, live]
            message = {"type": "events", "subscription": "1", "last": position, "events": told}
            await self._say(socket, message)

    def _page(self, path: str, query: dict[str, list[str]]) -> Response:
        job, *rest = path.removeprefix("/api/v1/jobs/").split("/")
        if not rest:
            return _answer(_job(job))
        after = int(query["after"][0])
        self._handed_out = max(self._handed_out, after)
        limit = min(int(query["limit"][0]), self._draw([1, 2, 1_000]))
        found = [each for each in self._events if each["job"] == job and each["seq"] > after]
        items, is_whole = found[:limit], len(found) <= limit
        last = self._events[-1]["seq"] if is_whole else items[-1]["seq"]
        return _answer({"items": items, "last": last, "complete": is_whole})


def _answer(document: Any, status: int = 200) -> Response:
    body = json.dumps(document).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    headers["Connection"] = "close"  # as is done right after
    return Response(status, HTTPStatus(status).phrase, Headers(headers), body)


def _document(seq: int, job: str, kind: str) -> dict[str, Any]:
    about = {"seq": seq, "job": job, "client": "ann", "attempt": 1, "number": None, "kind": kind}
    return {**about, "at": 1.0, "node": None, "seconds": None, "data": {}}


def _job(id: str) -> dict[str, Any]:
    """A job that has ended."""
    about = {"id": id, "client": "ann", "name": "", "state": "finished", "held": False}
    times = {"created": 1.0, "started": 1.0, "finished": 1.0, "attempt": 1, "deaths": 0}
    detail = {"workflow": "", "parameters": {}, "targets": None, "options": {}, "plan": None}
    nothing = {"wanted": None, "worker": None, "outputs": None, "error": None}
    return {**about, **times, **detail, **nothing, "priority": 0, "tags": []}


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server, on a port of its own until the end of the `with`."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    async def run() -> None:
        async with serve(server.follow, "127.0.0.1", 0, process_request=server.begin) as found:
            port = next(iter(found.sockets)).getsockname()[1]
            server.url = f"http://127.0.0.1:{port}"
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert ready.wait(PATIENCE)
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE)
        assert not thread.is_alive()
        loop.close()


def follow(kind: str, server: Server, *jobs: str, **options: Any) -> list[Event]:
    """What a client is told."""
    with serving(server), either_client(kind, server.url, retries=PATIENT) as client:
        told = list(client.watch(jobs, **options))
    assert server.wrong == []
    return told


def history(random: Random) -> list[tuple[int, str, str]]:
    """Events of two jobs that end, and of one that nobody asked for; numbers have gaps."""
    kinds = ["log", "node.finished", "job.retried", "job.failed"]
    found = [
        (random.choice(["a", "b", "other"]), random.choice(kinds))
        for _ in range(random.randint(0, 25))
    ]
    at = 0
    events = []
    for job, kind in [*found, ("a", ENDED), ("b", "job.cancelled")]:
        at += random.randint(1, 3)
        events.append((at, job, kind))
    return events


@in_both_kinds
@pytest.mark.slow
@settings(
    max_examples=examples(30),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 1 << 32), faults=st.integers(0, 40))
def test_each_event_is_told_once_and_in_order(kind: str, seed: int, faults: int) -> None:
    random = Random(seed)
    events = history(random)
    told = follow(kind, Server(events, random.choice, faults), "a", "b")
    numbered = [event.seq for event in told if not event.is_live]
    assert numbered == [seq for seq, job, _ in events if job != "other"]


def test_a_subscription_that_is_refused_is_not_tried_again(kind: str) -> None:
    server = Server([(1, "a", ENDED)])
    server.answer = lambda _: {"type": "error", "problem": {"status": 422, "detail": "no"}}
    with raises(ServerError):
        follow(kind, server, "a")
    assert server.opened == 1


def test_a_server_with_another_history_is_asked_what_became_of_a_job(kind: str) -> None:
    server = Server([(1, "a", "job.queued"), (2, "a", ENDED)])

    def reset(wanted: dict[str, Any]) -> dict[str, Any]:
        # It was told of events that the server, put back to an earlier state, knows nothing of.
        result = {"subscription": "1", "after": 2, "reset": True}
        return {"type": "reply", "id": wanted["id"], "result": result}

    server.answer = reset
    job_goes_on = iter([False])
    page = server._page

    def first_going_on(path: str, query: dict[str, list[str]]) -> Response:
        if path.endswith("/a") and not next(job_goes_on, True):
            return _answer({**_job("a"), "state": "running"})
        return page(path, query)

    server._page = first_going_on  # type: ignore[method-assign]
    assert follow(kind, server, "a", after=5_000) == []
    assert server.opened == 1
    assert server.asked.count("/api/v1/jobs/a") == 2


def test_a_server_with_another_history_is_asked_where_there_are_no_websockets(kind: str) -> None:
    server = Server([(1, "a", "job.queued"), (2, "a", ENDED)])
    begin = server.begin

    def refused(connection: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("upgrade") == "websocket":
            server.opened += 1
            return _answer({}, 403)
        return begin(connection, request)

    server.begin = refused  # type: ignore[method-assign]
    job_goes_on = iter([False])
    page = server._page

    def first_going_on(path: str, query: dict[str, list[str]]) -> Response:
        if path.endswith("/a") and not next(job_goes_on, True):
            return _answer({**_job("a"), "state": "running"})
        return page(path, query)

    server._page = first_going_on  # type: ignore[method-assign]
    assert follow(kind, server, "a", after=5_000) == []
    assert server.opened == 1


@pytest.mark.parametrize("events", [3, [3], [{"seq": "x"}]])
@in_both_kinds
def test_messages_that_make_no_sense_end_it(kind: str, events: Any) -> None:
    server = Server([(1, "a", ENDED)])
    server.answer = lambda _: {"type": "events", "events": events, "last": 1}
    with raises(NodegraphError, given="'events'"):
        follow(kind, server, "a")


def test_what_is_no_message_of_ours_is_asked_for_otherwise(kind: str) -> None:
    server = Server([(1, "a", "log"), (2, "a", ENDED)])

    async def gibberish(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await socket.send("hello")
            await socket.wait_closed()

    server.follow = gibberish  # type: ignore[method-assign]
    assert [event.seq for event in follow(kind, server, "a")] == [1, 2]
    assert server.opened == 1


@in_both_kinds
def test_a_message_that_is_too_large_is_not_taken_in(kind: str) -> None:
    server = Server([(1, "a", ENDED)])
    told = server.follow
    closed: list[int | None] = []

    async def first_too_large(socket: ServerConnection) -> None:
        if server.opened > 1:
            await told(socket)
            return
        with suppress(ConnectionClosed):
            await socket.send(bytes((64 << 20) + 1))
        await socket.wait_closed()
        closed.append(socket.close_code)

    server.follow = first_too_large  # type: ignore[method-assign]
    assert [event.seq for event in follow(kind, server, "a")] == [1]
    assert closed == [1009]
