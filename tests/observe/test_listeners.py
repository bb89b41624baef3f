"""Several listeners of one run."""

from __future__ import annotations

import logging

import pytest

from nodegraph.core.events import Event, EventStream
from nodegraph.observe.progress import combine_listeners


def test_each_listener_is_told_every_event_in_order() -> None:
    first: list[Event] = []
    second: list[Event] = []
    stream = EventStream(combine_listeners([first.append, None, second.append]))
    stream.emit("job.started", nodes=1)
    stream.emit("job.finished")
    assert first == second
    assert [event.kind for event in first] == ["job.started", "job.finished"]


def test_nobody_to_tell_is_no_listener() -> None:
    assert combine_listeners([]) is None
    assert combine_listeners([None]) is None
    assert not EventStream(combine_listeners([None])).has_listener


def test_one_that_raises_is_told_no_more_and_the_others_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []
    heard: list[Event] = []

    def fails(event: Event) -> None:
        told.append(event.kind)
        raise ValueError("no")

    stream = EventStream(combine_listeners([fails, heard.append]))
    with caplog.at_level(logging.ERROR):
        stream.emit("job.started", nodes=1)
        stream.emit("job.finished")
    assert told == ["job.started"]
    assert len(heard) == 2
    assert "a listener failed at job.started" in caplog.text
