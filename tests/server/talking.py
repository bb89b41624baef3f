"""Websocket clients for tests, and a worker that does as a test says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import msgpack
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from nodegraph.core.events import Event
from nodegraph.jobs.queue import Job
from nodegraph.jobs.queue.events import LiveEvent
from tests.server.hosting import PATIENCE, Hosted, workflow

FORMS = ("nodegraph.v1.msgpack", "nodegraph.v1.json")
UNHURRIED: dict[str, Any] = {"open_timeout": PATIENCE, "ping_interval": None, "proxy": None}
"""Options of clients that don't hang up by themselves on a server that is slow."""


class Reachable(Protocol):
    """A server, however it runs."""

    @property
    def host(self) -> str:
        """Its name and port."""


class Talk:
    """One client."""

    def __init__(self, socket: ClientConnection, form: str = FORMS[0]) -> None:
        self.socket = socket
        self._is_json = form.endswith("json")
        self._asked = 0
        self.events: list[dict[str, Any]] = []
        self.drafts: list[dict[str, Any]] = []
        self.last = 0
        self.answers: dict[int, dict[str, Any]] = {}
        self.welcome: dict[str, Any] = {}

    def send(self, **message: Any) -> None:
        """Send a message."""
        self.socket.send(json.dumps(message) if self._is_json else msgpack.packb(message))

    def next(self) -> dict[str, Any]:
        """The next message."""
        data = self.socket.recv(timeout=PATIENCE)
        assert isinstance(data, str) is self._is_json
        found: dict[str, Any]
        found = json.loads(data) if isinstance(data, str) else msgpack.unpackb(data)
        return found

    def answered(self, **message: Any) -> dict[str, Any]:
        """What a request is answered with; events that come before are kept."""
        self._asked += 1
        self.send(id=self._asked, **message)
        return self.answer(self._asked)

    def answer(self, id: int) -> dict[str, Any]:
        """The answer to a request that was sent."""
        while id not in self.answers:
            self._keep(self.next())
        return self.answers.pop(id)

    def ask(self, type: str, **message: Any) -> dict[str, Any]:
        """The result of a request."""
        found = self.answered(type=type, **message)
        assert found["type"] == "reply", found
        result: dict[str, Any] = found["result"]
        return result

    def refused(self, type: str, **message: Any) -> dict[str, Any]:
        """The problem with a request."""
        found = self.answered(type=type, **message)
        assert found["type"] == "error", found
        problem: dict[str, Any] = found["problem"]
        return problem

    def _keep(self, found: dict[str, Any]) -> None:
        if found["type"] == "events":
            assert set(found) == {"type", "subscription", "events", "last"}
            self.events += found["events"]
            self.last = found["last"]
        elif found["type"] == "draft":
            self.drafts.append(found)
        elif found["type"] in ("reply", "error"):
            self.answers[found["id"]] = found

    def until(self, kind: str, job: str | None = None) -> dict[str, Any]:
        """Wait for an event; all up to it are in `events`."""
        while True:
            for event in self.events:
                if event["kind"] == kind and job in (None, event["job"]):
                    return event
            found = self.next()
            if found["type"] == "heartbeat":  # whoever says nothing for long is hung up on
                self.send(type="heartbeat")
            self._keep(found)

    def of_draft(self, event: str) -> dict[str, Any]:
        """The next message about a draft of a kind; those before are passed over."""
        while True:
            while self.drafts:
                found = self.drafts.pop(0)
                if found["event"] == event:
                    return found
            self._keep(self.next())

    def numbers(self) -> list[int]:
        """The numbers of the events so far."""
        return [event["seq"] for event in self.events if "seq" in event]

    def closed(self) -> tuple[int, str]:
        """Wait until the server closes; with which code, and why."""
        received = self.cut().rcvd
        assert received is not None, "the connection was cut"
        return received.code, received.reason

    def cut(self) -> ConnectionClosed:
        """Wait until the connection ends."""
        try:
            while True:
                self._keep(self.next())
        except ConnectionClosed as error:
            return error


@contextmanager
def talk(
    server: Reachable,
    form: str = FORMS[0],
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[Talk]:
    """A client until the end of the `with`."""
    url = f"ws://{server.host}/api/v1/events"
    options = {"subprotocols": [form], "compression": None, "max_size": None, **options}
    with connect(url, additional_headers=headers, **UNHURRIED, **options) as socket:
        client = Talk(socket, form)
        client.welcome = client.next()
        yield client


def wish(**more: Any) -> dict[str, Any]:
    """What to submit."""
    return {"workflow": workflow(), **more}


@dataclass
class Worker:
    """Does jobs of a server that has no workers."""

    server: Hosted

    def take(self) -> Job:
        """Claim the next job."""
        job = self.server.services.queue.claim("worker").result(PATIENCE)
        assert job is not None
        return job

    def tell(self, job: Job, *events: Event) -> None:
        """Events of its run that are kept."""
        self.server.services.queue.append_events(job.id, job.attempt, events).result(PATIENCE)

    def show(self, job: Job, after: int, event: Event) -> None:
        """Events that are of the moment."""
        live = self.server.services.live_relay
        told = LiveEvent(job.id, job.client, job.attempt, after, event)
        live._loop.call_soon_threadsafe(live.publish_live, told)

    def finish(self, job: Job) -> None:
        """It is done."""
        self.server.services.queue.finish(job.id, job.attempt, {}).result(PATIENCE)


@pytest.fixture
def worker(server: Hosted) -> Worker:
    """A worker of the server."""
    return Worker(server)
