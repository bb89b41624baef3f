"""Messages: each comes out as it went in, and a wrong one is refused with what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.events import Event
from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.jobs.supervisor.messages import (
    Answer,
    Ask,
    BatchingUpdate,
    Cancel,
    Ended,
    Heartbeat,
    Help,
    HelpUpdate,
    Ready,
    Release,
    RunEvents,
    RunJob,
    Shutdown,
    StopHelp,
    read_order,
    read_report,
)
from nodegraph.jobs.supervisor.protocol import Decoder, Message, encode
from tests.messages import raises

EVENTS = (
    Event(0, "job.started", None, 0.0, {"nodes": 3, "targets": ["a"]}),
    Event(1, "node.preview", "a", 0.25, {"image": b"\x00\xff", "mime": "image/png"}),
)
ORDERS: list[Message] = [
    RunJob("job_1", 2, "{}", {"seed": 1 << 80}, ["a"], {"deadline": 1.5}, "ann", -3),
    RunJob("job_1", 1, "{}"),
    RunJob("job_1", 1, "{}", models=["xl"], sampling="512 px", beside=True),
    Cancel("job_1", 1, "no"),
    Release("job_1", 1),
    Help("job_1", 2, {"workflow": "{}", "parameters": {"seed": 1 << 80}}),
    StopHelp("job_1", 2, "a job is running"),
    Ask(7, "plan", {"workflow": "{}"}),
    Shutdown(),
]
REPORTS: list[Message] = [
    Ready(12, "planner", "cuda:0", {"nodegraph": "1"}),
    Ready(13, "worker", "cuda:0", {}, {"total": 1 << 40, "free": 5, "budget": None, "rate": 1.5}),
    Heartbeat("job_1", "a", 1 << 40, None, 5),
    Heartbeat(None, None, 1, 2, 0),
    RunEvents("job_1", 1, EVENTS),
    Ended("job_1", 1, "finished", {"files": []}, None, EVENTS),
    Ended("job_1", 1, "failed", None, {"code": "x"}, ()),
    HelpUpdate("job_1", 2, "begun"),
    BatchingUpdate(4, 1 << 40, 17),
    Answer(7, {"valid": True}),
    Answer(8, None, {"code": "x"}),
]


def sent(message: Message) -> dict[str, Any]:
    (found,) = Decoder().feed(encode(message.as_dict()))
    return found


@pytest.mark.parametrize("message", ORDERS, ids=lambda message: message.kind)
def test_orders_come_out_as_they_went_in(message: Message) -> None:
    assert read_order(sent(message)) == message


@pytest.mark.parametrize("message", REPORTS, ids=lambda message: message.kind)
def test_reports_come_out_as_they_went_in(message: Message) -> None:
    assert read_report(sent(message)) == message


@pytest.mark.parametrize("message", ORDERS, ids=lambda message: message.kind)
def test_orders_are_no_reports(message: Message) -> None:
    with raises(ProtocolFault):
        read_report(message.as_dict())


@pytest.mark.parametrize(
    ("change", "given"),
    [
        ({"pid": "12"}, "`pid` of type str"),
        ({"pid": True}, "`pid` of type bool"),
        ({"role": "boss"}, "`role` 'boss'"),
        ({"more": 1}, "fields kind, pid, role, device, versions, room, more"),
        ({"kind": ["ready"]}, "['ready']"),
    ],
)
def test_a_wrong_field_is_told(change: dict[str, Any], given: str) -> None:
    with pytest.raises(ProtocolFault) as refusal:
        read_report({**REPORTS[0].as_dict(), **change})
    assert refusal.value.problem.given == given


def test_a_missing_field_is_told() -> None:
    message = sent(Cancel("job_1", 1))
    del message["reason"]
    with raises(ProtocolFault, given="fields kind, job, attempt"):
        read_order(message)
    message["else"] = ""
    with raises(ProtocolFault, given="no `reason`"):
        read_order(message)


@pytest.mark.parametrize(
    "row", [1, [0, "log", None, 0.0], [0, 1, None, 0.0, {}], ["0", "log", None, 0.0, {}]]
)
def test_a_wrong_event_is_refused(row: Any) -> None:
    with raises(ProtocolFault):
        read_report({"kind": "events", "job": "job_1", "attempt": 1, "events": [row]})


@given(st.dictionaries(st.sampled_from(["kind", "job", "attempt", "events", "id"]), st.integers()))
def test_any_map_is_read_or_refused(message: dict[str, Any]) -> None:
    with pytest.raises(ProtocolFault):
        read_report(message)
