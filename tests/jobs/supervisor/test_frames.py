"""Frames: what is sent arrives whole, however it is cut; and what is none is refused."""

from __future__ import annotations

import os
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.jobs.supervisor import protocol as frames
from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.jobs.supervisor.protocol import Decoder, FrameReader, FrameWriter, encode
from tests.messages import raises

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
MESSAGES = st.dictionaries(st.text(), PLAIN, max_size=5)


@given(st.lists(MESSAGES, max_size=5), st.lists(st.integers(1, 30), max_size=40))
def test_messages_arrive_whole_however_they_are_cut(
    messages: list[dict[str, Any]], cuts: list[int]
) -> None:
    data = b"".join(map(encode, messages))
    decoder, found = Decoder(), []
    for cut in (*cuts, len(data)):
        found += decoder.feed(data[:cut])
        data = data[cut:]
    assert found == messages
    assert decoder.is_between_frames


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = Decoder().feed(data)
    except ProtocolFault:
        return
    assert all(isinstance(message, dict) for message in found)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x01\x05",
        b"\x00\x00\x00\x03abc",
        b"\x00\x00\x00\x05\x81\xa4kind",
        b"\x00\x00\x20\x00" + b"\x91" * (1 << 13),
    ],
)
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with raises(ProtocolFault):
        Decoder().feed(data)


def test_what_cannot_be_sent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with raises(ProtocolFault):
        encode({"a": object()})
    nested: list[Any] = []
    for _ in range(2000):
        nested = [nested]
    with raises(ProtocolFault):
        encode({"a": nested})
    monkeypatch.setattr(frames, "LIMIT", 100)
    assert encode({"a": b"x" * 90})
    with raises(ProtocolFault, given="105 B"):
        encode({"a": b"x" * 100})


def test_of_messages_that_are_sent_together_all_arrive_or_none() -> None:
    ours, theirs = os.pipe()
    writer = FrameWriter(theirs)
    writer.write({"a": 1}, {"b": 2})
    with pytest.raises(ProtocolFault):
        writer.write({"c": 3}, {"d": object()})
    os.close(theirs)
    reader = FrameReader(ours)
    assert [reader.read() for _ in range(3)] == [{"a": 1}, {"b": 2}, None]
    os.close(ours)


def test_threads_write_to_one_pipe_without_mixing(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    writer, reader = FrameWriter(theirs), FrameReader(ours)
    texts = [letter * 100_000 for letter in "abcd"]

    def write(text: str) -> None:
        for number in range(10):
            writer.write({"text": text, "number": number})

    threads = [Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    found = [reader.read() for _ in range(40)]
    for thread in threads:
        thread.join()
    os.close(theirs)
    assert reader.read() is None
    os.close(ours)
    for text in texts:
        numbers = [message["number"] for message in found if message and message["text"] == text]
        assert numbers == list(range(10))


def test_a_frame_that_is_broken_off_is_told_from_an_end() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, encode({"a": 1})[:-1])
    os.close(theirs)
    with raises(ProtocolFault):
        FrameReader(ours).read()
    os.close(ours)
