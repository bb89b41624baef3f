"""Events and commands over a websocket."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

import msgpack
import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from nodegraph.core.version import VERSION
from nodegraph.jobs.queue import Job
from nodegraph.server.access.tokens import TokenFile
from nodegraph.server.events.hub import subscription
from nodegraph.server.events.sockets import SocketRules
from nodegraph.server.http.routes import events as route
from tests.jobs.queue.support import event
from tests.server.hosting import PATIENCE, Hosted, workflow
from tests.server.talking import FORMS, Talk, Worker, talk, wish, worker

__all__ = ["worker"]

in_both_forms = pytest.mark.parametrize("form", FORMS)


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes connections have other bounds."""

    def change(**changes: Any) -> None:
        monkeypatch.setattr(route, "socket_limits", lambda _: SocketRules(**changes))

    return change


@in_both_forms
def test_welcome(server: Hosted, form: str) -> None:
    with talk(server, form) as client:
        welcome = client.welcome
        assert client.socket.subprotocol == form
        assert (welcome["type"], welcome["protocol"]) == ("welcome", "nodegraph.v1")
        assert welcome["version"] == VERSION
        assert welcome["caller"] == {"name": "local", "scopes": ["admin", "models", "read", "run"]}
        assert welcome["last"] == server.services.queue.newest_event()
        assert welcome["node_types"] == server.services.node_types.now.digest


@in_both_forms
def test_a_job_from_its_submission_to_its_end(server: Hosted, worker: Worker, form: str) -> None:
    with talk(server, form) as client:
        found = client.ask("subscribe")
        assert found == {"subscription": "1", "after": client.welcome["last"], "reset": False}
        submitted = client.ask("submit", **wish(name="sum", parameters={"b": 9}))
        assert submitted["new"] is True
        job = worker.take()
        assert (job.id, job.parameters) == (submitted["job"]["id"], {"b": 9})
        worker.tell(job, event(0, "job.started"), event(1, text="é"))
        worker.finish(job)
        client.until("job.finished")
        kept = server.services.queue.events_after(0, job=job.id).events
        assert client.numbers() == [each.seq for each in kept]
        told = client.events[3]
        assert told == {name: getattr(kept[3], name) for name in told}


@in_both_forms
def test_previews(server: Hosted, worker: Worker, form: str) -> None:
    with talk(server, form) as client, talk(server, form) as blind:
        client.ask("subscribe")
        blind.ask("subscribe", previews=False)
        client.ask("submit", **wish())
        job = worker.take()
        worker.tell(job, event(0))
        worker.show(job, 0, event(1, "node.preview", image=b"\x89PNG\xff", mime="image/png"))
        preview = client.until("node.preview")
        image = b"\x89PNG\xff" if form == FORMS[0] else {"base64": "iVBOR/8="}
        assert preview["data"] == {"image": image, "mime": "image/png"}
        assert preview["after"] == client.events[-2]["seq"]
        worker.finish(job)
        blind.until("job.finished")
        assert "node.preview" not in [each["kind"] for each in blind.events]


@in_both_forms
def test_going_on_after_a_lost_connection(own_server: Hosted, form: str) -> None:
    worker = Worker(own_server)
    numbers: list[int] = []
    last = 0
    for round_ in range(4):
        with talk(own_server, form) as client:
            for _ in range(2):
                client.ask("submit", **wish())
            assert client.ask("subscribe", after=last)["reset"] is False
            worker.finish(worker.take())
            job = worker.take()
            client.until("job.claimed", job.id)
            numbers += client.numbers()
            last = client.last
            client.socket.socket.close()
        for at in range(round_):
            worker.tell(job, event(at))
        worker.finish(job)
    with talk(own_server, form) as client:
        client.ask("subscribe", after=last)
        client.until("job.finished", job.id)
        numbers += client.numbers()
    assert numbers == [each.seq for each in own_server.services.queue.events_after(0).events]


def test_one_job_from_its_first_event(server: Hosted, worker: Worker) -> None:
    with talk(server) as client:
        jobs = [client.ask("submit", **wish())["job"]["id"] for _ in range(3)]
        client.ask("cancel", job=jobs[1])
        client.ask("subscribe", jobs=[jobs[1]], after=0)
        client.until("job.cancelled")
        assert [each["job"] for each in client.events] == [jobs[1]] * 2


def test_a_number_of_another_queue(server: Hosted) -> None:
    with talk(server) as client:
        found = client.ask("subscribe", after=1 << 40)
        assert found["reset"] is True
        assert found["after"] == server.services.queue.newest_event()


def test_unsubscribing(server: Hosted) -> None:
    with talk(server) as client:
        name = client.ask("subscribe")["subscription"]
        assert client.ask("unsubscribe", subscription=name) == {}
        assert client.refused("unsubscribe", subscription=name)["status"] == 404
        client.ask("submit", **wish())
        client.ask("ping")
        assert not client.events
        assert server.services.hub.subscribers == 0


def test_subscriptions_end_with_their_connection(server: Hosted) -> None:
    with talk(server) as client:
        for _ in range(3):
            client.ask("subscribe")
        assert server.services.hub.subscribers == 3
    until(lambda: server.services.hub.subscribers == 0)


def test_as_many_subscriptions_as_may_be(server: Hosted, rules: Callable[..., None]) -> None:
    rules(subscriptions=2, jobs=1)
    with talk(server) as client:
        jobs = [client.ask("submit", **wish())["job"]["id"] for _ in range(2)]
        client.ask("subscribe", jobs=jobs[:1])
        problem = client.refused("subscribe", jobs=jobs)
        assert "too many jobs" in problem["detail"]
        client.ask("subscribe")
        assert client.refused("subscribe")["status"] == 422


def test_steering(server: Hosted) -> None:
    with talk(server) as client:
        job = client.ask("submit", **wish(held=True), key="k")["job"]["id"]
        again = client.ask("submit", **wish(held=True), key="k")
        assert (again["new"], again["job"]["id"]) == (False, job)
        assert client.ask("unhold", job=job)["job"]["held"] is False
        assert client.ask("hold", job=job)["job"]["held"] is True
        assert client.ask("cancel", job=job)["job"]["state"] == "cancelled"
        problem = client.refused("cancel", job=job)
        assert (problem["status"], problem["type"]) == (409, "/problems/job-state")
        assert client.ask("retry", job=job)["job"]["state"] == "queued"
        assert client.refused("cancel", job="job_nothing")["status"] == 404


def test_a_workflow_that_cant_run(server: Hosted) -> None:
    broken = workflow(more={"type": "sums:Summ", "inputs": {}})
    with talk(server) as client:
        problem = client.refused("submit", workflow=broken)
        assert problem["type"] == "/problems/invalid-workflow"
        assert problem["problems"][0]["node"] == "more"
        checked = client.ask("validate", workflow=broken)
        assert checked["valid"] is False
        assert checked["problems"][0]["hint"] == "Did you mean `sums:Sum`?"
        assert client.ask("validate", workflow=workflow()) == {"valid": True, "problems": []}


def test_plans_of_a_graph_that_is_being_edited(
    server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[int] = []
    free = asyncio.Event()

    async def plan(question: str, arguments: dict[str, Any], timeout: float) -> dict[str, Any]:
        begun.append(arguments["parameters"]["b"])
        await free.wait()
        return {"nodes": {}, "b": begun[-1]}

    monkeypatch.setattr(server.services.supervisor, "ask", plan)
    with talk(server) as client:
        for value in range(20):
            message = {"workflow": workflow(), "parameters": {"b": value}}
            client.send(type="plan", id=100 + value, **message)
        # What is asked meanwhile isn't held up by plans.
        client.ask("ping")
        superseded = [client.answer(101 + value) for value in range(18)]
        assert {each["problem"]["type"] for each in superseded} == {"/problems/superseded"}
        server.services.hub._tail._loop.call_soon_threadsafe(free.set)
        answers = [client.answer(100)["result"], client.answer(119)["result"]]
        assert answers == [{"nodes": {}, "b": 0}, {"nodes": {}, "b": 19}]
        assert begun == [0, 19]


def test_who_may_do_what(own_server: Hosted) -> None:
    reader, ann = own_server.token("reader", "read"), own_server.token("ann", "run")
    admin = own_server.token("boss", "admin")
    with talk(own_server, headers=ann) as client, talk(own_server, headers=admin) as boss:
        boss.ask("subscribe", after=0)
        job = client.ask("submit", **wish())["job"]["id"]
        with talk(own_server, headers=reader) as other:
            other.ask("subscribe", after=0)
            assert other.refused("submit", **wish())["status"] == 403
            assert other.refused("cancel", job=job)["status"] == 403
            assert other.refused("subscribe", jobs=[job])["status"] == 404
            assert other.ask("validate", workflow=workflow())["valid"] is True
            boss.until("job.queued")
            other.ask("ping")
            assert not other.events
        assert boss.events[0]["client"] == "ann"


def test_without_a_token_where_one_is_needed(own_server: Hosted) -> None:
    headers = own_server.token("ann", "run")
    with pytest.raises(InvalidStatus) as caught, talk(own_server):
        pass
    assert caught.value.response.status_code == 401
    token = headers["Authorization"].removeprefix("Bearer ")
    # As a browser does it, which can't set headers.
    offered = [FORMS[0], f"nodegraph.token.{token}"]
    with talk(own_server, subprotocols=offered) as client:
        assert client.welcome["caller"]["name"] == "ann"
        assert client.socket.subprotocol == FORMS[0]


def test_a_token_that_is_revoked(server: Hosted, rules: Callable[..., None]) -> None:
    rules(heartbeat=0.05)
    tokens = TokenFile(server.services.home / "tokens.json")
    text, record = tokens.add("ann", ("run",))
    with talk(server, headers={"Authorization": f"Bearer {text}"}) as client:
        client.ask("ping")
        tokens.revoke(record.id)
        assert client.closed() == (1008, "the token is no longer valid")


def test_messages_that_come_all_at_once_or_in_pieces_are_all_answered(server: Hosted) -> None:
    with talk(server, FORMS[1]) as client:
        for number in range(1_500):
            client.send(type="ping", id=number)
        answered = []
        while len(answered) < 1_500:
            message = client.next()
            if message["type"] == "reply":
                answered.append(message["id"])
        assert sorted(answered) == list(range(1_500))
        text = json.dumps({"type": "ping", "id": "x" * 60}) + " " * 200_000
        client.socket.send([text[at : at + 1_000] for at in range(0, len(text), 1_000)])
        assert client.next()["id"] == "x" * 60


def test_subprotocols(server: Hosted) -> None:
    with talk(server, FORMS[0], subprotocols=None) as client:
        assert client.socket.subprotocol is None
        client.ask("ping")
    with talk(server, FORMS[1], subprotocols=["nodegraph.v9.msgpack", *FORMS[::-1]]) as client:
        assert client.socket.subprotocol == FORMS[1]
    with pytest.raises(InvalidStatus) as caught, talk(server, subprotocols=["chat"]):
        pass
    answer = caught.value.response
    assert (answer.status_code, json.loads(answer.body or b"")["problems"][0]["given"]) == (
        400,
        "chat",
    )


@pytest.mark.slow
def test_heartbeats(server: Hosted, rules: Callable[..., None]) -> None:
    rules(heartbeat=0.05, silence=3.0)
    with talk(server) as client:
        end = time.monotonic() + 4.0  # longer than one may be silent
        while time.monotonic() < end:
            assert client.next() == {"type": "heartbeat"}
            client.send(type="heartbeat")
        assert client.closed() == (4001, "nothing was received for 3 s")


def test_what_happens_to_others_needs_no_second_look(
    server: Hosted, rules: Callable[..., None]
) -> None:
    rules(heartbeat=0.05)
    with talk(server) as client:
        job = client.ask("submit", **wish())["job"]["id"]
        client.ask("subscribe", jobs=[job])
        client.ask("submit", **wish())
        newest = server.services.queue.newest_event()
        while client.last < newest:
            client._keep(client.next())
        assert not client.events


def test_changed_node_types(server: Hosted) -> None:
    with talk(server) as client:
        hub = server.services.hub
        hub._tail._loop.call_soon_threadsafe(lambda: hub.notify("node_types.changed", digest="x"))
        notice = {"type": "notice", "kind": "node_types.changed", "data": {"digest": "x"}}
        assert client.next() == notice


def test_a_server_that_stops(own_server: Hosted) -> None:
    with talk(own_server) as client, talk(own_server) as other:
        client.ask("subscribe")
        own_server.services.hub._tail._loop.call_soon_threadsafe(own_server.services.begin_shutdown)
        assert client.closed() == other.closed() == (1001, "the server is stopping")
    with pytest.raises(ConnectionClosed) as caught, talk(own_server):
        pass
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1001


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "there is no such message"),
    ({"type": "pong", "id": 1}, "there is no such message"),
    ({"type": ["ping"], "id": 1}, "there is no such message"),
    ({"type": "ping"}, "`id`"),
    ({"type": "ping", "id": None}, "id"),
    ({"type": "ping", "id": 1, "more": 1}, "`more`"),
    ({"type": "ping", "id": "x" * 65}, "id"),
    ({"type": "subscribe", "id": 1, "jobs": []}, "`jobs`"),
    ({"type": "subscribe", "id": 1, "jobs": "all"}, "`jobs`"),
    ({"type": "subscribe", "id": 1, "after": -1}, "`after`"),
    ({"type": "subscribe", "id": 1, "after": True}, "`after`"),
    ({"type": "submit", "id": 1}, "`workflow`"),
    ({"type": "submit", "id": 1, "workflow": 7}, "workflow"),
    ({"type": "submit", "id": 1, "workflow": {}, "priority": 1e9}, "`priority`"),
    ({"type": "cancel", "id": 1}, "`job`"),
    ({"type": "cancel", "id": 1, "job": {}}, "`job`"),
]


@in_both_forms
def test_messages_that_make_no_sense_are_answered(server: Hosted, form: str) -> None:
    with talk(server, form) as client:
        for message, said in WRONG:
            client.send(**message)
            answer = client.next()
            assert answer["type"] == "error"
            assert any(said in each["message"] for each in answer["problem"]["problems"]), answer
            id_ = message.get("id")
            assert answer["id"] == (None if isinstance(id_, str) else id_)
        client.ask("ping")


UNREADABLE: list[tuple[str, bytes | str, int]] = [
    (FORMS[0], b"", 1007),
    (FORMS[0], b"\xc1", 1007),
    (FORMS[0], b"\x81", 1007),
    (FORMS[0], b"\x81\xa4type", 1007),
    (FORMS[0], b"\x80\x80", 1007),
    (FORMS[0], b"\x01", 1007),
    (FORMS[0], b"\x90", 1007),
    (FORMS[0], b"\x81\x01\x02", 1007),
    (FORMS[0], b"\x81\xa1a\xc4\x01b", 1007),
    (FORMS[0], b"\x81\xa1a\xd6\xff\x00\x00\x00\x00", 1007),
    (FORMS[0], b"\x81\xa1a\xa1\xff", 1007),
    (FORMS[0], b"\x81\xa1a\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", 1007),
    (FORMS[0], b"\x82\xa1a\x01\xa1a\x02", 1007),
    (FORMS[0], b"\x81\xa1a" + b"\xdd\xff\xff\xff\xff" * 500, 1007),
    (FORMS[0], b"\x81\xa1a\xdd\x00\x00\x80\x00" + b"\x01" * 0x8000, 1009),
    (FORMS[0], b"\x81\xa1a" + b"\x91" * 100_000 + b"\x01", 1009),
    (FORMS[0], msgpack.packb({"a": "x" * 100_000}), 1009),
    (FORMS[0], "{}", 1003),
    (FORMS[1], b"\x80", 1003),
    (FORMS[1], "", 1007),
    (FORMS[1], "[]", 1007),
    (FORMS[1], '{"a":', 1007),
    (FORMS[1], '{"a":NaN}', 1007),
    (FORMS[1], '{"a":1,"a":2}', 1007),
    (FORMS[1], '{"a":' + "[" * 100_000, 1009),
    (FORMS[1], '{"a":"' + "x" * 100_000 + '"}', 1009),
    (FORMS[1], '{"a":[' + "1," * 40_000 + "1]}", 1009),
]


@pytest.mark.parametrize(("form", "data", "code"), UNREADABLE)
def test_messages_that_cant_be_read_end_the_connection(
    server: Hosted, rules: Callable[..., None], form: str, data: bytes | str, code: int
) -> None:
    rules(frame=90_000 if len(data) > 95_000 and data[3:4] != b"\x91" else 200_000, values=30_000)
    with talk(server, form) as client:
        client.socket.send(data)
        found, reason = client.closed()
        assert (found, bool(reason)) == (code, True)
    with talk(server, form) as client:
        client.ask("ping")


@in_both_forms
def test_who_sends_too_much_is_told_though_still_sending(server: Hosted, form: str) -> None:
    for _ in range(4):
        with talk(server, form) as client:
            with suppress(ConnectionClosed):
                client.socket.send(b"x" * (24 << 20))
            assert client.closed()[0] == 1009


def damaged(chance: random.Random) -> bytes:
    """A message with some bytes that are others, too many or missing."""
    kinds = [
        "ping",
        "subscribe",
        "unsubscribe",
        "cancel",
        "submit",
        "plan",
        "validate",
        "heartbeat",
    ]
    message: dict[str, Any] = {"type": chance.choice(kinds), "id": chance.randrange(1 << 40)}
    message |= chance.choice([{}, wish(), {"job": "job_x"}, {"subscription": "1"}, {"after": 0}])
    data = bytearray(msgpack.packb(message))
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(data))
        change = chance.randrange(3)
        if change == 0:
            data[at] = chance.randrange(256)
        elif change == 1:
            data.insert(at, chance.randrange(256))
        else:
            del data[at]
    return bytes(data)


def faults_of_sockets(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What a connection has failed at; that this server has no planner is told to who asks."""
    return [
        message
        for record in caplog.records
        if record.levelname == "ERROR" and record.name.startswith("nodegraph.server.events.sockets")
        if "there is no planner" not in (message := record.getMessage())
    ]


def test_whatever_comes_is_answered_or_ends_the_connection(
    server: Hosted, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(5)
    ends = []
    for _ in range(12):
        with talk(server) as client:
            try:
                for _ in range(40):
                    client.socket.send(damaged(chance))
                    client.ask("ping")
            except ConnectionClosed as error:
                ends.append(error.rcvd)
    assert {end and end.code for end in ends} == {1007}
    with talk(server) as client:
        client.ask("ping")
    assert not faults_of_sockets(caplog)


def test_whatever_comes_all_at_once(server: Hosted, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(6)
    ends = []
    for _ in range(12):
        with talk(server) as client:
            try:
                for _ in range(40):
                    client.socket.send(damaged(chance))
                client.ask("ping")
            except ConnectionClosed as error:
                ends.append(error.rcvd)
    # Who still sends may not get to read why.
    assert {end.code for end in ends if end is not None} <= {1007}
    with talk(server) as client:
        client.ask("ping")
    assert not faults_of_sockets(caplog)


def test_a_frame_beyond_all_bounds_never_arrives(server: Hosted) -> None:
    with talk(server) as client, pytest.raises(ConnectionClosed):
        send_and_wait(client, b"\x00" * ((16 << 20) + 1))
    with talk(server) as client:
        client.ask("ping")


def send_and_wait(client: Talk, data: bytes) -> None:
    client.socket.send(data)
    client.next()


def test_many_commands_at_once(server: Hosted, rules: Callable[..., None]) -> None:
    rules(commands=3, commands_per_second=200.0, burst=5)
    with talk(server) as client:
        for at in range(60):
            client.send(type="ping", id=1000 + at)
        assert sorted(client.next()["id"] for _ in range(60)) == list(range(1000, 1060))


def test_a_fault_of_the_server_closes_with_a_reason(
    server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault")

    with talk(server) as client:
        monkeypatch.setattr(server.services.queue, "cancel", broken)
        job = client.ask("submit", **wish())["job"]["id"]
        client.send(type="cancel", id=9, job=job)
        assert client.closed() == (1011, "the server failed; its log shows why")


UNREAD: dict[str, Any] = {"max_queue": 1}
"""A client that reads ahead as little as it can."""


def test_a_client_that_stops_reading(
    server: Hosted, worker: Worker, monkeypatch: pytest.MonkeyPatch, rules: Callable[..., None]
) -> None:
    rules(close_timeout=0.2)
    monkeypatch.setattr(subscription, "MOST_PENDING_BYTES", 4 << 20)
    with talk(server) as client, talk(server, **UNREAD) as stuck:
        stuck.ask("subscribe")
        client.ask("subscribe")
        client.ask("submit", **wish())
        job = worker.take()
        client.until("job.claimed")
        told = overrun(worker, job, 1, client)
        worker.finish(job)
        # The others have got it all.
        client.until("job.finished")
        assert len(client.numbers()) == told + 3
        # It reads not even why it is hung up on; that is not waited for.
        until(lambda: not is_connected(server, stuck))
        assert stuck.cut().rcvd is None


def is_connected(server: Hosted, client: Talk) -> bool:
    """Whether the server's end of a connection is there."""
    port = client.socket.local_address[1]
    return any(
        found.raddr and (found.laddr.port, found.raddr.port) == (server.port, port)
        for found in psutil.net_connections("tcp")
    )


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def overrun(worker: Worker, job: Job, left: int, reader: Talk | None = None) -> int:
    """Tell events until a subscriber has given up, and so many are left; how many it took.

    Args:
        reader: Somebody who reads them.
    """
    end = time.monotonic() + PATIENCE
    for at in count():
        worker.tell(job, event(at, "log", text="x" * 100_000))
        while reader is not None and len(reader.events) < at + 3:
            reader._keep(reader.next())
        if worker.server.services.hub.subscribers == left:
            return at + 1
        assert time.monotonic() < end
    raise AssertionError


def test_a_slow_client_is_told_why_it_is_hung_up_on(
    server: Hosted, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "MOST_PENDING_BYTES", 4 << 20)
    with talk(server) as client, talk(server, **UNREAD) as slow:
        slow.ask("subscribe")
        client.ask("submit", **wish())
        job = worker.take()
        overrun(worker, job, 0)
        assert slow.closed() == (4000, "events happen faster than the client reads them")
        # What it got is without gaps, and it can go on from there.
        client.ask("subscribe", after=slow.last)
        worker.finish(job)
        client.until("job.finished")
        kept = [each.seq for each in server.services.queue.events_after(0).events]
        assert kept == slow.numbers() + client.numbers()
