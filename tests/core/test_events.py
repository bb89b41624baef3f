"""One ordered stream of events."""

from __future__ import annotations

from threading import Thread

from nodegraph.core.events import Event, EventStream


def test_events_are_numbered_in_the_order_they_are_told() -> None:
    told: list[Event] = []
    stream = EventStream(told.append)
    stream.emit("job.started")
    stream.emit("node.finished", "a", seconds=1)
    assert [(event.number, event.kind, event.node) for event in told] == [
        (0, "job.started", None),
        (1, "node.finished", "a"),
    ]
    assert told[1].data == {"seconds": 1}
    assert told[1].seconds >= told[0].seconds


def test_threads_do_not_mix_up_the_numbers() -> None:
    told: list[Event] = []
    stream = EventStream(told.append)
    threads = [Thread(target=lambda: [stream.emit("log") for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.number for event in told] == list(range(800))


def test_without_a_listener_nothing_is_told() -> None:
    stream = EventStream()
    assert not stream.is_watched
    stream.emit("log")
    assert EventStream(print).is_watched


def test_who_listens_may_have_no_use_for_previews() -> None:
    assert EventStream(print).wants_previews
    assert not EventStream(print, previews=False).wants_previews
    assert not EventStream().wants_previews
