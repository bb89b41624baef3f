"""What clients send is read within bounds, whatever it is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from typing import Any

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgpack.fallback import Unpacker

from nodegraph.server.events.hub.messages import to_json, to_msgpack
from nodegraph.server.events.sockets import JSON, MSGPACK, Codec, SocketRules
from nodegraph.server.events.sockets.codec import Closing, UnreadableMessage, check_packed
from nodegraph.server.events.sockets.commands import (
    InvalidMessage,
    LatestOnly,
    Superseded,
    parse_message,
)
from tests.jobs.supervisor.dispatching import run
from tests.messages import raises
from tests.properties import examples

RULES = SocketRules(depth=8, values=200, frame=4096)
NUMBERS = st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=300),
    lambda inside: (
        st.lists(inside, max_size=20) | st.dictionaries(st.text(max_size=40), inside, max_size=20)
    ),
    max_leaves=30,
)


@given(PLAIN)
def test_plain_values_come_through(value: Any) -> None:
    data = msgpack.packb({"it": value})
    check_packed(data, 64, 10_000)
    assert MSGPACK.read({"bytes": data}, SocketRules()) == {"it": value}
    assert JSON.read({"text": json.dumps({"it": value})}, SocketRules()) == {"it": value}


def test_msgpack_without_its_extension_does_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodegraph.server.events.sockets.codec.msgpack.unpackb", fallback)
    assert MSGPACK.read({"bytes": msgpack.packb({"it": {"a": 1}})}, RULES) == {"it": {"a": 1}}
    with raises(UnreadableMessage):
        MSGPACK.read({"bytes": b"\x82\xa1a\x01\xa1a\x02"}, RULES)


def fallback(data: bytes, **options: Any) -> Any:
    unpacker = Unpacker(None, max_buffer_size=len(data), **options)
    unpacker.feed(data)
    return unpacker.unpack()


@given(st.binary(max_size=200))
@example(b"\x81\xa1a\xca\x7f\x80\x00\x00")
@example(b"\x81\xa1a\xcb\xff\xf8\x00\x00\x00\x00\x00\x00")
def test_what_is_let_through_can_be_unpacked(data: bytes) -> None:
    try:
        check_packed(data, 8, 200)
    except UnreadableMessage:
        return
    try:
        found = msgpack.unpackb(data, strict_map_key=False)
    except (UnicodeDecodeError, TypeError):
        return  # the bytes of a text, or a list as a member's name
    json.dumps(found, allow_nan=False)


@given(st.integers(0, 9), st.integers(0, 9), st.sampled_from([b"\x91", b"\x81\xa1a"]))
def test_levels(levels: int, limit: int, opening: bytes) -> None:
    data = opening * levels + b"\x01"
    if levels <= limit:
        check_packed(data, limit, 1000)
    else:
        with pytest.raises(UnreadableMessage, match="levels"):
            check_packed(data, limit, 1000)


@given(st.integers(1, 300))
def test_values(count: int) -> None:
    data = msgpack.packb([0] * count)
    if count < 200:
        check_packed(data, 8, 200)
    else:
        with pytest.raises(UnreadableMessage, match="too many values"):
            check_packed(data, 8, 200)


KEYS = st.sampled_from(["type", "id", "job", "jobs", "after", "workflow", "parameters", "x"])
KINDS = st.sampled_from(["ping", "subscribe", "unsubscribe", "cancel", "submit", "plan", "nodes"])
MESSAGES = st.dictionaries(KEYS, KINDS | PLAIN, max_size=6)


@settings(max_examples=examples(150))
@given(st.sampled_from([MSGPACK, JSON]), MESSAGES)
def test_messages_are_requests_or_say_what_is_wrong(codec: Codec, message: Any) -> None:
    is_json = codec is JSON
    packed = {"text": json.dumps(message)} if is_json else {"bytes": msgpack.packb(message)}
    wrong = None
    try:
        parse_message(packed, codec, SocketRules())
    except InvalidMessage as error:
        wrong = error
    if wrong is not None:
        assert wrong.id is None or wrong.id == message["id"]
        assert wrong.refusal.problems


@settings(max_examples=examples(150))
@given(st.binary(max_size=300) | st.text(max_size=300))
def test_anything_else_is_unreadable(data: bytes | str) -> None:
    codec = JSON if isinstance(data, str) else MSGPACK
    received = {"text" if isinstance(data, str) else "bytes": data}
    with contextlib.suppress(UnreadableMessage, InvalidMessage):
        assert parse_message(received, codec, RULES) is None


def test_the_reason_of_a_close_frame_fits() -> None:
    reason = Closing(1007, "é" * 200 + "\ud800").reason
    assert len(reason.encode()) <= 123
    assert set(reason) == {"é"}


@given(PLAIN)
def test_what_is_sent_can_be_read(value: Any) -> None:
    assert msgpack.unpackb(to_msgpack(value)) == value
    assert json.loads(to_json(value)) == value


def test_what_has_no_form_of_its_own() -> None:
    value = {"n": math.nan, "b": b"\0", "t": (1, math.inf), "big": 1 << 80, 3: "k"}
    told = {"n": None, "b": {"base64": "AA=="}, "t": [1, None], "big": 1 << 80, "3": "k"}
    assert json.loads(to_json(value)) == told
    found = msgpack.unpackb(to_msgpack({"big": 1 << 80, "half": "a\ud800b"}))
    assert found == {"big": str(1 << 80), "half": "a\ufffdb"}
    assert json.loads(to_json({"half": "\ud800"})) == {"half": "\ud800"}


def test_only_the_newest_question_waits() -> None:
    async def test() -> None:
        newest = LatestOnly()
        free = asyncio.Event()
        begun = []

        async def find(value: int) -> int:
            begun.append(value)
            await free.wait()
            if value == 3:
                raise ValueError(value)
            return value

        asked = [asyncio.create_task(newest.run(lambda at=at: find(at))) for at in range(4)]
        await asyncio.sleep(0)
        free.set()
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert answers[0] == 0
        assert [type(each) for each in answers[1:]] == [Superseded, Superseded, ValueError]
        assert begun == [0, 3]
        assert await newest.run(lambda: find(7)) == 7

    run(test())


def test_a_question_that_is_given_up_lets_the_next_one_pass() -> None:
    async def test() -> None:
        newest = LatestOnly()
        never = asyncio.Event()

        async def find(value: int) -> int:
            if value < 2:
                await never.wait()
            return value

        first = asyncio.create_task(newest.run(lambda: find(0)))
        second = asyncio.create_task(newest.run(lambda: find(1)))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        third = asyncio.create_task(newest.run(lambda: find(2)))
        await asyncio.sleep(0)
        first.cancel()
        assert await third == 2

    run(test())
