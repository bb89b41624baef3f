"""Events go out in order, each once, in few frames."""

from __future__ import annotations

import os
from collections.abc import Iterator
from threading import Thread
from time import monotonic, sleep
from typing import Any

import pytest

from nodegraph.core.events import Event, EventKind
from nodegraph.jobs.supervisor import protocol as frames
from nodegraph.jobs.supervisor.messages import RunEvents, read_report
from nodegraph.jobs.supervisor.protocol import FrameReader
from nodegraph.jobs.worker.pipes import EventSender, Outbox

PATIENCE = 60.0


class Notes:
    """Notes what a sender says that a worker does."""

    def __init__(self, noted: list[tuple[str, ...]]) -> None:
        self._noted = noted

    def begin(self, job: str) -> None:
        self._noted.append(("begin", job))

    def note(self, job: str, node: str) -> None:
        self._noted.append(("note", job, node))

    def end(self, job: str) -> None:
        self._noted.append(("end", job))


class Wire:
    """A sender, and a server that notes what it is sent."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, ...]] = []
        self.frames: list[RunEvents] = []
        self.is_broken = False
        self._ours, theirs = os.pipe()
        self._theirs = theirs
        self.outbox = Outbox(theirs, self._broke)
        self.sender = EventSender(self.outbox, Notes(self.noted))
        self.sender.start()
        self._thread = Thread(target=self._read, daemon=True)

    def _broke(self) -> None:
        self.is_broken = True

    def _read(self) -> None:
        reader = FrameReader(self._ours)
        while (message := reader.read()) is not None:
            found = read_report(message)
            assert isinstance(found, RunEvents)
            self.frames.append(found)

    def listen(self) -> None:
        self._thread.start()

    def close(self) -> None:
        os.close(self._theirs)
        if self._thread.ident is not None:
            self._thread.join(PATIENCE)
        os.close(self._ours)

    @property
    def events(self) -> list[Event]:
        return [event for frame in tuple(self.frames) for event in frame.events]

    def until(self, count: int) -> None:
        end = monotonic() + PATIENCE
        while len(self.events) < count:
            assert monotonic() < end, f"only {len(self.events)} events came"
            sleep(0.001)

    def until_number(self, number: int) -> None:
        end = monotonic() + PATIENCE
        while not self.events or self.events[-1].number != number:
            assert monotonic() < end, f"{number} never came"
            sleep(0.001)


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


def event(number: int, kind: EventKind = "log", node: str | None = None, **data: Any) -> Event:
    return Event(number, kind, node, 0.5, data)


def test_every_event_arrives_once_and_in_order_from_any_thread(wire: Wire) -> None:
    wire.listen()
    take = wire.sender.begin("job_1", 3)
    for number in range(2000):
        thread = Thread(target=take, args=(event(number),))
        thread.start()
        thread.join()
        if number % 100 == 0:
            sleep(0.003)
    left = take.end()
    wire.until(2000 - len(left))
    assert [item.number for item in (*wire.events, *left)] == list(range(2000))
    assert {(frame.job, frame.attempt) for frame in wire.frames} == {("job_1", 3)}
    assert wire.sender.alive == 2000


def test_what_comes_in_a_quick_row_is_left_for_the_end(wire: Wire) -> None:
    take = wire.sender.begin("job_1", 1)
    events = [event(number) for number in range(5)]
    for item in events:
        take(item)
    left = take.end()
    wire.listen()
    wire.until(5 - len(left))
    assert [*wire.events, *left] == events


def test_nothing_waits_for_what_may_never_come(wire: Wire) -> None:
    wire.listen()
    take = wire.sender.begin("job_1", 1)
    for number in range(3):
        take(event(number))
    wire.until(3)
    # And once more, after its thread has gone to sleep.
    sleep(0.2)
    for number in range(3, 6):
        take(event(number))
    wire.until(6)


def test_the_last_node_is_noted_before_it_may_do_harm(wire: Wire) -> None:
    take = wire.sender.begin("job_1", 1)
    take(event(0, "node.started", "a"))
    assert wire.noted == [("begin", "job_1"), ("note", "job_1", "a")]
    assert wire.sender.node == "a"
    take.end()
    assert wire.sender.node is None
    assert wire.noted[2:] == [("end", "job_1")]


def test_events_of_jobs_beside_each_other_go_out_as_each_ones_own(wire: Wire) -> None:
    wire.listen()
    one, other = wire.sender.begin("job_1", 1), wire.sender.begin("job_2", 3)
    for number in range(3):
        one(event(number))
        other(event(number, "node.started", "b"))
    assert wire.sender.node == "b"
    left = one.end()
    other(event(3))
    wire.until(7 - len(left))
    of = {("job_1", 1): list(left), ("job_2", 3): []}
    for frame in wire.frames:
        of[frame.job, frame.attempt] += frame.events
    assert sorted(item.number for item in of["job_1", 1]) == [0, 1, 2]
    assert [item.number for item in of["job_2", 3]] == [0, 1, 2, 3]


def test_of_a_server_that_does_not_read_only_what_is_shown_is_thinned_out(wire: Wire) -> None:
    take = wire.sender.begin("job_1", 1)
    kept = [event(0, image=bytes(1 << 20))]
    kept += [event(number, "node.started", f"n{number}") for number in range(1, 400)]
    shown = [event(number, "node.progress", "a") for number in range(400, 3000)]
    # Nobody reads, and whoever tells isn't held up by it.
    for item in (*kept, *shown):
        take(item)
    wire.listen()
    wire.until(len(kept) + 1)
    left = take.end()
    # What was sent until then has been read once what comes after it was.
    take.send([event(9999)])
    wire.until_number(9999)
    found = [*wire.events[:-1], *left]
    numbers = [item.number for item in found]
    assert numbers == sorted(numbers)
    assert [item for item in found if item.kind != "node.progress"] == kept
    assert numbers[-1] == shown[-1].number
    assert len(found) < len(kept) + 600


def test_of_previews_that_wait_the_newest_one_is_sent(wire: Wire) -> None:
    take = wire.sender.begin("job_1", 1)
    wire.sender.sending.acquire()
    for number in range(10):
        take(event(number, "node.preview", "ab"[number % 2], image=b"x"))
    wire.sender.sending.release()
    wire.listen()
    wire.until(2)
    assert [item.number for item in (*wire.events, *take.end())] == [8, 9]


def test_an_event_too_large_costs_itself_alone(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "LIMIT", 10_000)
    wire.listen()
    take = wire.sender.begin("job_1", 1)
    sizes = [6000, 6000, 20_000, 10, 10]
    events = [event(number, "node.preview", image=bytes(size)) for number, size in enumerate(sizes)]
    take.send([*events, event(5, "log", data={1, 2})])
    wire.until(6)
    assert [item.number for item in wire.events] == list(range(6))
    assert ["omitted" in item.data for item in wire.events] == [
        False,
        False,
        True,
        False,
        False,
        True,
    ]


def test_what_a_node_tells_after_its_job_is_nobodys(wire: Wire) -> None:
    wire.listen()
    late = wire.sender.begin("job_1", 1)
    assert not late.end()
    late(event(0))
    take = wire.sender.begin("job_2", 1)
    late(event(1))
    take(event(0))
    wire.until(1)
    assert [(frame.job, len(frame.events)) for frame in wire.frames] == [("job_2", 1)]


def test_a_server_that_is_gone_is_told_of_once(wire: Wire) -> None:
    os.close(wire._ours)
    take = wire.sender.begin("job_1", 1)
    for number in range(3):
        take.send([event(number)])
    assert wire.is_broken
    wire.is_broken = False
    take.send([event(4)])
    assert not wire.is_broken
    wire._ours = os.open(os.devnull, os.O_RDONLY)
