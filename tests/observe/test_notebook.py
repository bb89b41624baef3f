"""How a run goes on, in a notebook."""

from __future__ import annotations

import io
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from nodegraph.core.events import Event, EventKind
from nodegraph.observe.bars import Bars
from nodegraph.observe.progress import NotebookBars, Silent
from nodegraph.session.scripts import display_for
from tests.cli.test_output import Terminal


class Cell:
    """What a notebook shows: the displays of a cell, as they are now."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.updates: list[str] = []

    def display(self, page: Any, *, display_id: bool) -> Cell:
        self.shown.append(page._repr_html_())
        return self

    def update(self, page: Any) -> None:
        self.shown[-1] = page._repr_html_()
        self.updates.append(self.shown[-1])


def event(kind: EventKind, name: str | None = None, **data: Any) -> Event:
    return Event(0, kind, name, 0.0, data)


BEGIN = [
    event("job.started", nodes=3, targets=["save"]),
    event("nodes.cached", nodes=["load"]),
    event("node.started", "sample", type="KSampler"),
    event("node.progress", "sample", step=3, total=20),
    event("node.preview", "sample", image=b"1234", mime="image/png"),
]


def test_one_display_shows_nodes_steps_and_the_picture() -> None:
    cell = Cell()
    with NotebookBars({}, cell.display) as shown:
        for each in BEGIN:
            shown.show(each)
        page = cell.shown[0]
    assert len(cell.shown) == 1
    assert "sample (KSampler)" in page
    assert "3/20" in page
    assert 'value="1" max="3"' in page
    assert 'src="data:image/png;base64,MTIzNA=="' in page


def test_it_ends_as_one_quiet_line() -> None:
    cell = Cell()
    with NotebookBars({}, cell.display) as shown:
        for each in BEGIN:
            shown.show(each)
        shown.show(event("node.finished", "sample", seconds=1.0))
        shown.show(event("node.finished", "save", seconds=0.1))
    assert cell.shown[0].startswith("<small>3/3 nodes, 1 cached, ")
    assert "<img" not in cell.shown[0]


def test_a_run_that_was_stopped_says_how_far_it_came() -> None:
    cell = Cell()
    with NotebookBars({}, cell.display) as shown:
        for each in BEGIN:
            shown.show(each)
        shown.show(event("node.skipped", "sample", reason="cancelled"))
        shown.show(event("node.skipped", "save", reason="cancelled"))
    assert cell.shown[0].startswith("<small>stopped: 1/3 nodes, 1 cached, ")


def test_what_never_began_counts_no_nodes() -> None:
    cell = Cell()
    with NotebookBars({}, cell.display) as shown:
        shown.start("")
    assert cell.shown[0].startswith("<small>nothing was run, ")


def test_what_is_said_stays_and_is_escaped() -> None:
    cell = Cell()
    with NotebookBars({}, cell.display) as shown:
        shown.show(event("log", "a<b", message="rather <dark>", level="warning"))
    assert "warning: a&lt;b: rather &lt;dark&gt;" in cell.shown[0]


def test_many_steps_are_few_updates() -> None:
    cell = Cell()
    with NotebookBars({}, cell.display) as shown:
        for step in range(10_000):
            shown.show(event("node.progress", "sample", step=step, total=10_000))
    assert len(cell.updates) < 1_000


def test_a_kernel_gets_a_display_and_a_terminal_of_ipython_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for shell, kind in (
        (SimpleNamespace(kernel=object()), NotebookBars),
        (SimpleNamespace(), Silent),
        (None, Silent),
    ):
        module = SimpleNamespace(
            get_ipython=lambda shell=shell: shell, display=SimpleNamespace(display=Cell().display)
        )
        monkeypatch.setitem(sys.modules, "IPython", module)
        assert type(display_for({}, is_wanted=True)) is kind


def test_scripts_show_bars_on_terminals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for stream, kind in ((Terminal(), Bars), (io.StringIO(), Silent)):
        monkeypatch.setattr(sys, "stderr", stream)
        assert type(display_for({}, is_wanted=True)) is kind
        assert type(display_for({}, is_wanted=False)) is Silent
