"""Sending what a fuzzer makes to a server that runs, and noting what comes of it."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from socket import create_connection
from typing import Any

import httpx
import msgpack
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.server.fuzzing import DRAWN, QUICK, Fuzzer
from tests.server.hosting import Process, received, status
from tests.server.talking import FORMS, UNHURRIED

_CRY = re.compile(r" ERROR |CRITICAL|Traceback|never awaited")
PATIENCE = 120.0
"""Seconds after which an answer counts as missing."""
_BROKEN = 1011
_EVERY = 2_000
"""Jobs after which those that wait are dropped, so that the queue never is full."""


@dataclass
class Tally:
    """What came of it.

    Attributes:
        answers: How many, by what was asked and the answer's code; of a websocket's end, its code.
        slowest: Seconds that the slowest answer took, by what was asked.
        faults: What must not be: 5xx, no answer, a connection that the server broke.
    """

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def note(self, asked: str, code: int, seconds: float, sent: Any) -> None:
        """Count an answer; one of 5xx is a fault."""
        self.answers[asked, code] += 1
        self.slowest[asked] = max(seconds, self.slowest.get(asked, 0.0))
        if 500 <= code < 600 or code == _BROKEN:
            self.fault(f"{asked}: {code}", sent)

    def fault(self, what: str, sent: Any) -> None:
        """Note a fault, and what led to it."""
        self.faults.append(f"{what}\nsent: {sent!r:.4000}")


class Requests:
    """Workflows over HTTP, on one connection."""

    def __init__(self, server: Process, fuzzer: Fuzzer, tally: Tally) -> None:
        self._fuzzer = fuzzer
        self._tally = tally
        self._client = httpx.Client(
            base_url=f"{server.url}/api/v1", timeout=PATIENCE, trust_env=False
        )
        self._jobs = 0

    def close(self) -> None:
        self._client.close()

    def send(self) -> None:
        """Have one workflow checked, planned or run; those that take models and time are held."""
        fuzzer, drawn = self._fuzzer, self._fuzzer.random.random()
        if drawn < 0.6:
            self._post("/validate", fuzzer.wish(fuzzer.workflow()))
        elif drawn < 0.75:
            self._post("/plan", fuzzer.wish(fuzzer.workflow()))
        else:
            is_run = drawn > 0.85
            wish = fuzzer.wish(fuzzer.workflow(QUICK if is_run else (*DRAWN, *QUICK)))
            wish |= {"held": not is_run, "options": {"deadline": 2.0}}
            self._post("/jobs", wish)
            self._jobs += 1
            if self._jobs % _EVERY == 0:
                self._post("/queue/clear", {})

    def _post(self, path: str, body: Any) -> None:
        data = self._fuzzer.text(body)
        since = time.monotonic()
        try:
            headers = {"Content-Type": "application/json"}
            answer = self._client.post(path, content=data, headers=headers)
        except httpx.HTTPError as error:
            self._tally.fault(f"{path}: {error!r}", data)
            return
        self._tally.note(path, answer.status_code, time.monotonic() - since, data)


class Frames:
    """Messages over websockets; where the server hangs up, as it may, the next one is opened."""

    def __init__(self, server: Process, fuzzer: Fuzzer, tally: Tally) -> None:
        self._server = server
        self._fuzzer = fuzzer
        self._tally = tally
        self._open = ExitStack()
        self._socket: ClientConnection | None = None
        self._form = FORMS[0]
        self._asked = 0

    def close(self) -> None:
        self._socket = None
        self._open.close()

    def send(self) -> None:
        """Send a frame, and see that the server goes on or says why not."""
        if self._fuzzer.random.random() < 0.03:
            self._send_raw()
            return
        socket = self._socket or self._opened()
        frame = self._fuzzer.frame(self._form)
        since = time.monotonic()
        try:
            socket.send(frame)
            code = self._answered(socket, frame)
        except ConnectionClosed as error:
            code = 1006 if error.rcvd is None else error.rcvd.code
            if error.rcvd is None:
                self._tally.fault("the websocket was cut", frame)
            self.close()
        except TimeoutError:
            self._tally.fault("a websocket fell silent", frame)
            self.close()
            return
        self._tally.note("websocket", code, time.monotonic() - since, frame)

    def _opened(self) -> ClientConnection:
        self._form = self._fuzzer.random.choice(FORMS)
        opened = connect(
            f"ws://127.0.0.1:{self._server.port}/api/v1/events",
            subprotocols=[self._form],  # type: ignore[list-item]
            compression=None,
            max_size=None,
            **UNHURRIED,
        )
        self._socket = socket = self._open.enter_context(opened)
        return socket

    def _answered(self, socket: ClientConnection, frame: Any) -> int:
        """The status in what the server said up to the answer of a ping."""
        self._asked += 1
        mark, found = f"mark-{self._asked}", 200
        ping = {"type": "ping", "id": mark}
        is_json = self._form.endswith("json")
        socket.send(json.dumps(ping) if is_json else msgpack.packb(ping))
        while True:
            data = socket.recv(timeout=PATIENCE)
            message = json.loads(data) if isinstance(data, str) else msgpack.unpackb(data)
            if message.get("id") == mark:
                return found
            if message["type"] == "error":
                found = message["problem"]["status"]
                if found >= 500:
                    self._tally.fault(f"websocket: {message}", frame)

    def _send_raw(self) -> None:
        """Bytes that are no frame of a client that means well: the server may only hang up."""
        frame, since = self._fuzzer.raw_frame(), time.monotonic()
        key = b64encode(self._fuzzer.random.randbytes(16)).decode()
        head = (
            f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{self._server.port}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n"
        )
        with create_connection(("127.0.0.1", self._server.port), timeout=PATIENCE) as raw:
            raw.sendall(head.encode())
            accepted = raw.recv(4_096)
            raw.sendall(frame)
            with suppress(OSError):
                raw.shutdown(1)  # nothing more comes: half a frame isn't waited for
                received(raw)
        self._tally.note("raw frame", status(accepted), time.monotonic() - since, frame)


@dataclass(frozen=True)
class Lives:
    """Which processes there are: others later on mean that some have died.

    Attributes:
        server: Unix time of its start.
        workers: Process ids and restarts, by name; the planner is one of them.
    """

    server: float
    workers: dict[str, tuple[int | None, int]]

    @classmethod
    def of(cls, server: Process) -> Lives:
        """As they are now."""
        answer = httpx.get(f"{server.url}/api/v1/system", timeout=PATIENCE, trust_env=False)
        found = answer.raise_for_status().json()
        workers = {each["name"]: (each["pid"], each["restarts"]) for each in found["workers"]}
        return cls(found["started"], workers)

    def restarts(self, before: Lives) -> int:
        """How often workers were started again since then."""
        return sum(self.workers[name][1] - before.workers[name][1] for name in self.workers)


def cries(server: Process) -> list[str]:
    """What the server's log holds that no client should be able to bring about, with tracebacks."""
    lines = re.split(r"\n(?=\d{4}-\d\d-\d\d )", server.log)
    return [line for line in lines if _CRY.search(line)]
