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


def test_cached_nodes_in_a_row_are_told_as_one_before_whatever_comes_next() -> None:
    told: list[Event] = []
    stream = EventStream(told.append)
    for at in range(3):
        stream.emit_cached(f"n{at}", "memory", 0.5)
    stream.emit_cached("n3", "disk", 0.25)
    assert [event.kind for event in told] == ["nodes.cached"], "n3 may not stand alone"
    stream.emit("node.started", "a")
    stream.emit_cached("n4", "disk", 0.0)
    stream.flush()
    stream.flush()
    assert [(event.number, event.kind, event.data) for event in told] == [
        (0, "nodes.cached", {"nodes": ["n0", "n1", "n2"], "source": "memory", "saved": 1.5}),
        (1, "nodes.cached", {"nodes": ["n3"], "source": "disk", "saved": 0.25}),
        (2, "node.started", {}),
        (3, "nodes.cached", {"nodes": ["n4"], "source": "disk", "saved": 0.0}),
    ]


def test_thousands_of_cached_nodes_are_several_events() -> None:
    told: list[Event] = []
    stream = EventStream(told.append)
    names = [f"n{at}" for at in range(2500)]
    for name in names:
        stream.emit_cached(name, "memory", 0.0)
    stream.flush()
    assert [len(event.data["nodes"]) for event in told] == [1000, 1000, 500]
    assert [name for event in told for name in event.data["nodes"]] == names


def test_without_a_listener_nothing_is_told() -> None:
    stream = EventStream()
    assert not stream.has_listener
    stream.emit("log")
    assert EventStream(print).has_listener


def test_who_listens_may_have_no_use_for_previews() -> None:
    assert EventStream(print).wants_previews
    assert not EventStream(print, previews=False).wants_previews
    assert not EventStream().wants_previews
