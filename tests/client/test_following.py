"""Following events, without a network: whatever breaks, each event is told once and in order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.client.errors import ConnectionLost, NotReachable, ServerError
from nodegraph.client.following import Following, Wanted
from nodegraph.client.requests import Answer, Request
from nodegraph.client.retries import Deadline, Retries
from nodegraph.client.steps import Exchange, Hear, Open, Pause, Say, SocketRefused, Tell
from nodegraph.errors import NodegraphError

PATIENT = Retries(connecting=1e9, following=1e9, first=0.001, most=0.001)
JSON = {"content-type": "application/json"}


class Server:
    """Events of some jobs, told as badly as may be.

    Args:
        events: Number, job and kind of each.
        draw: Makes a choice among some things.
        faults: How often something may go wrong.
    """

    def __init__(self, events: Sequence[tuple[int, str, str]], draw: Any, faults: int) -> None:
        self._events = [_document(*event) for event in events]
        self._draw = draw
        self._faults = faults
        self._pending: list[dict[str, Any]] = []
        self._position: int | None = None
        self._jobs: list[str] = []
        self._handed_out = 0
        self.opened = 0

    def do(self, step: Any) -> Any:
        if isinstance(step, Open):
            return self._open()
        if isinstance(step, Say):
            return self._say(dict(step.message))
        if isinstance(step, Hear):
            return self._hear()
        assert isinstance(step, Exchange)
        self._fail(NotReachable("no"), ConnectionLost("lost"))
        if self._goes_wrong():
            return self._answer(step.request, {}, self._draw([429, 502, 503]))
        return self._page(step.request)

    def _goes_wrong(self) -> bool:
        if self._faults > 0 and self._draw([False, False, True]):
            self._faults -= 1
            return True
        return False

    def _fail(self, *faults: NodegraphError) -> None:
        if self._goes_wrong():
            raise self._draw(list(faults))

    def _open(self) -> None:
        self.opened += 1
        self._fail(
            *(NotReachable("no"), ConnectionLost("lost")),
            *(SocketRefused(503), SocketRefused(403), SocketRefused(0)),
        )
        self._pending = [{"type": "welcome", "silence": 45.0}]
        self._position = None

    def _say(self, message: dict[str, Any]) -> None:
        self._fail(ConnectionLost("lost"))
        if message["type"] == "subscribe":
            self._position, self._jobs = message["after"], message["jobs"]
            assert self._position >= self._handed_out, "what is known is asked for again"
            result = {"subscription": "1", "after": self._position, "reset": False}
            self._pending.append({"type": "reply", "id": message["id"], "result": result})

    def _hear(self) -> Any:
        self._fail(ConnectionLost("lost"))
        if self._pending:
            return self._pending.pop(0)
        if self._draw([False, False, False, True]):
            return self._draw([None, {"type": "heartbeat"}, {"type": "notice"}, {"type": "ended"}])
        assert self._position is not None
        left = [event for event in self._events if event["seq"] > self._position]
        batch = left[: self._draw([0, 1, 2, 5])]
        self._handed_out = self._position = batch[-1]["seq"] if batch else self._position
        told = [event for event in batch if event["job"] in self._jobs]
        if told and self._draw([False, True]):
            # Something of the moment, and something that was told already.
            live = {**told[0], "kind": "node.progress", "after": 1}
            del live["seq"]
            told = [told[0], *told, live]
        return {"type": "events", "subscription": "1", "last": self._position, "events": told}

    def _page(self, request: Request) -> Answer:
        _, _, job, *rest = request.path.split("/")
        if not rest:
            return self._answer(request, _job(job), 200)
        asked = dict(request.query)
        after, limit = int(asked["after"]), min(int(asked["limit"]), self._draw([1, 2, 1_000]))
        found = [each for each in self._events if each["job"] == job and each["seq"] > after]
        items, is_whole = found[:limit], len(found) <= limit
        last = max(self._events[-1]["seq"], 0) if is_whole else items[-1]["seq"]
        return self._answer(request, {"items": items, "last": last, "complete": is_whole}, 200)

    def _answer(self, request: Request, document: Any, status: int) -> Answer:
        return Answer(request, status, JSON, json.dumps(document).encode())


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


def follow(server: Server, wanted: Wanted) -> list[Any]:
    """What is told."""
    return drive(server, Following(wanted, PATIENT, Deadline(None)))


def drive(server: Server, following: Following) -> list[Any]:
    """What is told of what is followed."""
    steps = following.steps()
    told: list[Any] = []
    outcome: Any = None
    fault: NodegraphError | None = None
    for _ in range(10_000):
        try:
            step = steps.send(outcome) if fault is None else steps.throw(fault)
        except StopIteration:
            return told
        outcome = fault = None
        if isinstance(step, Tell):
            told += step.items
        elif not isinstance(step, Pause):
            try:
                outcome = server.do(step)
            except NodegraphError as error:
                fault = error
    raise AssertionError("it never ended")


def history(random: Random) -> list[tuple[int, str, str]]:
    """Events of two jobs that end, and of one that nobody asked for; numbers have gaps."""
    kinds = ["log", "node.finished", "job.retried", "job.failed"]
    found = [
        (random.choice(["a", "b", "other"]), random.choice(kinds))
        for _ in range(random.randint(0, 25))
    ]
    at = 0
    events = []
    for job, kind in [*found, ("a", "job.finished"), ("b", "job.cancelled")]:
        at += random.randint(1, 3)
        events.append((at, job, kind))
    return events


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 40))
def test_each_event_is_told_once_and_in_order(seed: int, faults: int) -> None:
    random = Random(seed)
    events = history(random)
    told = follow(Server(events, random.choice, faults), Wanted(("a", "b")))
    numbered = [event.seq for event in told if not event.is_live]
    assert numbered == [seq for seq, job, _ in events if job != "other"]


@pytest.mark.parametrize("closing", [{"type": "error", "problem": {"status": 422, "detail": "no"}}])
def test_a_subscription_that_is_refused_is_not_tried_again(closing: dict[str, Any]) -> None:
    server = Server([(1, "a", "job.finished")], lambda choices: choices[0], 0)
    say = server._say

    def refuse(message: dict[str, Any]) -> None:
        say(message)
        server._pending = [closing]

    server._say = refuse  # type: ignore[method-assign]
    with pytest.raises(ServerError, match="no"):
        follow(server, Wanted(("a",)))
    assert server.opened == 1


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_server_with_another_history_is_asked_what_became_of_a_job(is_refused: bool) -> None:
    server = Server([(1, "a", "job.queued"), (2, "a", "job.finished")], lambda _: _[0], 0)
    say, opened = server._say, server._open
    looked = 0

    def restored(message: dict[str, Any]) -> None:
        say(message)
        result = {"subscription": "1", "after": 2, "reset": True}
        server._pending = [{"type": "reply", "id": 1, "result": result}]

    def open_or_not() -> None:
        nonlocal looked
        looked += 1
        if is_refused:
            raise SocketRefused(403)
        opened()

    server._say = restored  # type: ignore[method-assign]
    server._open = open_or_not  # type: ignore[method-assign]
    # It was told of events that the server, put back to an earlier state, knows nothing of.
    server._position = 0
    wanted = Wanted(("a",), after=None)
    following = Following(wanted, PATIENT, Deadline(None))
    following._last = 5_000
    told = drive(server, following)
    assert told == []
    assert looked == 1


def test_messages_that_make_no_sense_end_it() -> None:
    server = Server([(1, "a", "job.finished")], lambda choices: choices[0], 0)
    server._hear = lambda: {"type": "events", "events": 3}  # type: ignore[method-assign]
    with pytest.raises(NodegraphError, match="isn't understood"):
        follow(server, Wanted(("a",)))
