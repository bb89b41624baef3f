"""Broken workflows and messages, by the hundred: each is answered, and nothing dies of it.

`python -m tests.server.fuzz_long` sends a hundred thousand.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from socket import SHUT_WR, create_connection

import pytest

from tests.server.fuzz_sending import Frames, Lives, Requests, Tally, cries
from tests.server.fuzzing import Fuzzer
from tests.server.hosting import PATIENCE, Process, hosted, prepared_home
from tests.server.talking import FORMS, talk

pytestmark = pytest.mark.slow
WORKFLOWS, FRAMES = 500, 500


@pytest.fixture(scope="module")
def serving(known_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    home = prepared_home(tmp_path_factory.mktemp("fuzz") / "home", known_packs)
    with Process(home, "--workers", "1") as found:
        yield found.ready()


@pytest.mark.parametrize("kind", [Requests, Frames])
def test_whatever_comes_is_answered_and_nothing_dies(
    serving: Process, kind: type[Requests] | type[Frames]
) -> None:
    tally, before = Tally(), Lives.of(serving)
    sender = kind(serving, Fuzzer(f"{kind.__name__}-ci"), tally)
    try:
        for _ in range(WORKFLOWS if kind is Requests else FRAMES):
            sender.send()
    finally:
        sender.close()
    assert tally.faults == []
    assert cries(serving) == []
    assert Lives.of(serving) == before
    codes = {code for _, code in tally.answers}
    # That much of it gets through to where it is taken apart: else it would show nothing.
    assert {200, 422} <= codes
    assert codes & ({202, 400} if kind is Requests else {1007, 1009})


@pytest.mark.parametrize("frame", [b"\xf1\x80", b"\x81\x05hello", b"\x82\xff" + b"\xff" * 8])
def test_a_frame_that_is_none_is_no_fault_of_the_server(
    home: Path, caplog: pytest.LogCaptureFixture, frame: bytes
) -> None:
    with hosted(home) as server:
        head = (
            f"GET /api/v1/events HTTP/1.1\r\nHost: {server.host}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        for _ in range(20):
            with create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as raw:
                raw.sendall(head.encode() + frame)
                raw.shutdown(SHUT_WR)
                while raw.recv(65_536):
                    pass
        with talk(server) as other:
            assert other.ask("ping")
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_half_a_character_is_refused(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    with hosted(home) as server, talk(server, FORMS[1]) as client:
        client.socket.send('{"type": "retry", "id": 1, "job": "x", "\\ud800": 1}')
        assert client.closed()[0] == 1007
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("form", FORMS)
def test_the_same_seed_makes_the_same(form: str) -> None:
    one, other = Fuzzer(3), Fuzzer(3)
    assert [one.frame(form) for _ in range(50)] == [other.frame(form) for _ in range(50)]
    written = {json.dumps(Fuzzer(seed).workflow()) for seed in range(200)}
    assert len(written) > 150
