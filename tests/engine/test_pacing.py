"""Previews take a small share of a call's time, whatever one of them costs."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image as Picture

from nodegraph import InvalidValue, Plot, Series
from nodegraph.core.context import Environment, Preview
from nodegraph.core.events import Event, EventStream
from nodegraph.core.plots import plot_to_plain
from nodegraph.engine.node_context import LEAST, SHARE, NodeContext, PreviewPace
from nodegraph.engine.options import CancelToken
from tests.messages import raises

HERE = Path()


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Node:
    """Works in steps that each take some time, with previews that take some, too."""

    def __init__(self, events: EventStream, cost: float = 0.0) -> None:
        self.clock = Clock()
        self.made: list[float] = []
        self._cost = cost
        self.ctx = NodeContext(
            "node",
            device="cpu",
            environment=Environment((), HERE, HERE, HERE),
            workflow={},
            events=events,
            cancel=CancelToken(),
            weights=None,
            files=[],
            pace=PreviewPace(self.clock),
        )

    def work(self, steps: int, seconds: float) -> None:
        for step in range(steps):
            self.clock.seconds += seconds
            self.ctx.progress(step + 1, steps, preview=self._preview)

    def _preview(self) -> Preview:
        self.made.append(self.clock.seconds)
        self.clock.seconds += self._cost
        return Preview(b"picture")


def listening(events: list[Event]) -> EventStream:
    return EventStream(events.append)


def test_cheap_previews_come_a_few_times_a_second() -> None:
    node = Node(listening([]))
    node.work(1_000, 0.01)
    assert len(node.made) == pytest.approx(10 / LEAST, abs=3)
    gaps = [after - before for before, after in zip(node.made, node.made[1:], strict=False)]
    assert min(gaps) >= LEAST - 1e-6


def test_nothing_is_shown_of_what_is_over_in_a_moment() -> None:
    node = Node(listening([]))
    node.work(9, LEAST / 10)
    assert node.made == []


@pytest.mark.parametrize("cost", [0.02, 0.3, 4.0])
def test_costly_previews_are_rare(cost: float) -> None:
    node = Node(listening([]), cost)
    node.work(10_000, 0.05)
    taken = cost * len(node.made)
    # The first one's cost isn't known beforehand.
    assert 0.8 * SHARE * node.clock.seconds <= taken <= SHARE * node.clock.seconds + cost


def test_the_first_preview_of_slow_steps_comes_with_the_first_step() -> None:
    node = Node(listening([]), 0.1)
    node.work(3, 20)
    assert node.made == [20, 40.1, 60.2]


@pytest.mark.parametrize("events", [EventStream(), EventStream(print, previews=False)])
def test_nothing_is_made_for_nobody(events: EventStream) -> None:
    node = Node(events)
    node.work(10, 1)
    assert node.made == []


def test_a_preview_that_fails_counts_too() -> None:
    clock = Clock()
    pace = PreviewPace(clock)
    clock.seconds = 1

    def fail() -> None:
        with pace.making():
            clock.seconds += 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not pace.is_due
    clock.seconds += 1 / SHARE
    assert pace.is_due


def test_of_plots_and_pictures_the_newest_stay() -> None:
    events: list[Event] = []
    node = Node(listening(events))
    plot = Plot("Loss", series=(Series("training", (1, 2), (0.5, 0.25)),))
    node.ctx.preview(Preview(b"first", "image/png"))
    node.ctx.preview(plot)
    node.ctx.preview(torch.zeros(2, 8, 8, 1))

    first, second, third = (event.data for event in events)
    assert first == {"image": b"first", "mime": "image/png"}
    assert second == {**first, "plot": plot_to_plain(plot)}
    assert third["plot"] == second["plot"]
    assert third["mime"] == "image/jpeg"
    with Picture.open(BytesIO(third["image"])) as picture:
        assert picture.size == (16, 8)


def test_what_cannot_be_shown_is_told() -> None:
    with raises(InvalidValue, given="'words'"):
        Node(listening([])).ctx.preview("words")  # type: ignore[arg-type]
    Node(EventStream()).ctx.preview("words")  # type: ignore[arg-type] # nobody watches


@pytest.mark.parametrize(
    ("make", "told"), [(lambda: None, []), (lambda: Preview(b"x"), ["node.preview"])]
)
def test_a_node_may_find_nothing_to_show(
    make: Callable[[], Preview | None], told: list[str]
) -> None:
    events: list[Event] = []
    clock = Clock()
    ctx = NodeContext(
        "node",
        device="cpu",
        environment=Environment((), HERE, HERE, HERE),
        workflow={},
        events=listening(events),
        cancel=CancelToken(),
        weights=None,
        files=[],
        pace=PreviewPace(clock),
    )
    clock.seconds = 1
    ctx.progress(1, 2, preview=make)
    assert [event.kind for event in events] == ["node.progress", *told]
