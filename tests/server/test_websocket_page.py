"""docs/websocket.md says what is there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from nodegraph.core.events import EventKind
from nodegraph.server.events.sockets import JSON, MSGPACK, SocketRules
from nodegraph.server.events.sockets import codec as rules
from nodegraph.server.events.sockets.commands import SocketRequest, read_request
from tests.server.hosting import Hosted
from tests.server.talking import talk

PAGE = (Path(__file__).parents[2] / "docs" / "websocket.md").read_text(encoding="utf-8")
WELCOME = re.findall(r"^```json\n(.*?)^```", PAGE, flags=re.S | re.M)[0]
EXAMPLES = [
    json.loads(line)
    for block in re.findall(r"^```json\n(.*?)^```", PAGE, flags=re.S | re.M)
    for line in block.splitlines()
    if line.startswith('{"type": "') and '"id"' in line and line.endswith("}") and "…" not in line
]


def test_every_kind_of_event_is_told() -> None:
    told = set(re.findall(r"`((?:job|nodes?|call)\.\w+|memory|log)`", PAGE))
    assert set(get_args(EventKind)) <= told
    queue = Path(__file__).parents[2] / "nodegraph" / "jobs" / "queue"
    own = {
        kind
        for path in queue.glob("*.py")
        for kind in re.findall(r'"(job\.\w+)"', path.read_text())
    }
    assert own <= told
    assert told - set(get_args(EventKind)) <= own


def test_every_request_is_told() -> None:
    kinds = {
        kind
        for model in get_args(SocketRequest)
        for kind in get_args(model.model_fields["type"].annotation)
    }
    for kind in kinds:
        assert f"`{kind}`" in PAGE


def test_every_close_code_is_told() -> None:
    codes = [value for value in vars(rules).values() if type(value) is int and value >= 1000]
    assert len(codes) > 5
    for code in codes:
        assert f"| {code} |" in PAGE


def test_the_bounds_are_those_that_are_told(server: Hosted) -> None:
    with talk(server) as client:
        told = json.loads(WELCOME)
        assert set(client.welcome) == set(told)
        for name in ("limits", "heartbeat", "silence", "caller", "version", "protocol"):
            assert client.welcome[name] == told[name]
    assert SocketRules().close_timeout == 5.0


@pytest.mark.parametrize("form", [MSGPACK, JSON])
def test_both_forms_are_told(form: object) -> None:
    assert getattr(form, "subprotocol") in PAGE  # noqa: B009


def test_requests_of_the_page_are_requests() -> None:
    asked = [found for found in EXAMPLES if found["type"] not in ("reply", "error", "events")]
    assert len(asked) >= 4
    for message in asked:
        read_request(message)
