"""How runs are shown while they go on."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from nodegraph.cli.progress import progress_for
from nodegraph.cli.runner import EventLines
from nodegraph.core.events import Event, EventKind
from nodegraph.observe import progress as progress
from nodegraph.observe.bars import Bars
from nodegraph.observe.progress import Lines, Silent, node_of
from tests.cli.conftest import PATIENCE, WORKFLOW, changed, process_arguments, saved
from tests.cli.test_output import Terminal


def event(kind: EventKind, name: str | None = None, **data: Any) -> Event:
    return Event(0, kind, name, 0.0, data)


RUN = [
    event("job.started", nodes=4, targets=["save"]),
    event("nodes.cached", nodes=["load"]),
    event("node.started", "decode[0]", type="Decode"),
    event("node.started", "decode[1]", type="Decode"),
    event("node.progress", "decode[1]", step=1, total=3),
    event("log", "decode[1]", message="rather dark", level="warning"),
    event("node.expanded", "decode[1]", nodes=["decode[1]/inner"]),
    event("node.finished", "decode", seconds=1.25, calls=2, cached=1),
    event("node.preview", "decode[1]", image=b"1234", mime="image/png"),
    event("node.failed", "save", code="x", message="disk full"),
    event("node.skipped", "mail", reason="skipped"),
    event("job.failed", seconds=2.0),
]


def test_lines_tell_how_each_node_fared(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Lines({"load": "LoadModel", "save": "Save"})
    shown.start("run 1 of 2")
    for item in RUN:
        shown.show(item)
    assert capsys.readouterr().err.splitlines() == [
        "run 1 of 2",
        "[1/4] load (LoadModel): from the cache",
        "warning: decode[1]: rather dark",
        "[2/5] decode (Decode): 1.2 s, 2 times, 1 cached",
        "[3/5] save (Save): failed: disk full",
        "[4/5] mail: skipped",
    ]


def test_a_long_node_is_heard_of_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    shown = Lines({})
    shown.show(event("node.started", "sample", type="KSampler"))
    for step in range(1, 31):
        now[0] += 1.0
        shown.show(event("node.progress", "sample", step=step, total=30))
    assert capsys.readouterr().err.splitlines() == [
        f"sample: step {step} of 30" for step in (10, 20, 30)
    ]


TWICE = [
    event("job.started", nodes=2, targets=["save"]),
    event("node.waiting", "load"),
    event("node.waiting", "other"),
    event("nodes.cached", nodes=["load"]),
    event("node.started", "load", type="LoadModel"),
    event("node.finished", "load", seconds=0.5),
    event("node.finished", "save", seconds=0.5),
]


def test_a_node_that_runs_after_all_counts_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Lines({})
    for item in TWICE:
        shown.show(item)
    assert capsys.readouterr().err.splitlines() == [
        "load: another process computes the same result; waiting for it",
        "[1/2] load: from the cache",
        "[1/2] load (LoadModel): 0.5 s",
        "[2/2] save: 0.5 s",
    ]


def test_the_bar_of_a_run_ends_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    shown = Bars({})
    shown.start("")
    for item in TWICE:
        shown.show(item)
    (everything,) = shown._progress.tasks
    assert everything.fields["count"] == "2/2"
    assert sys.stderr.getvalue().count("another process computes the same result") == 1  # type: ignore[attr-defined]


RESUMED = [
    event("job.started", nodes=1, targets=["sample"]),
    event("node.started", "sample", type="KSampler"),
    event("node.restored", "sample", step=12, total=20),
]


def test_lines_tell_from_which_step_a_node_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Lines({})
    for item in RESUMED:
        shown.show(item)
    assert capsys.readouterr().err == "sample: continues from step 12 of 20\n"


def test_a_bar_starts_at_the_step_that_a_node_goes_on_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    shown = Bars({})
    shown.start("")
    for item in RESUMED:
        shown.show(item)
    _, sample = shown._progress.tasks
    assert (sample.completed, sample.total, sample.fields["count"]) == (12, 20, "12/20")
    shown.show(event("node.progress", "sample", step=13, total=20))
    assert (sample.completed, sample.fields["count"]) == (13, "13/20")
    assert "continues from step 12 of 20" in sys.stderr.getvalue()  # type: ignore[attr-defined]


def test_silence_shows_nothing_but_what_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Silent()
    for item in RUN:
        shown.show(item)
    shown.say("stopping")
    assert capsys.readouterr().err == "stopping\n"


@pytest.mark.parametrize(
    ("call", "name"), [("a", "a"), ("a[2]", "a"), ("a[1][20]", "a"), ("[x]", "[x]")]
)
def test_calls_belong_to_nodes(call: str, name: str) -> None:
    assert node_of(call) == name


def test_the_stream_decides_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert type(progress_for(Terminal(), {}, quiet=False)) is Bars
    assert type(progress_for(io.StringIO(), {}, quiet=False)) is Lines
    assert type(progress_for(Terminal(), {}, quiet=True)) is Silent
    monkeypatch.setenv("TERM", "dumb")
    assert type(progress_for(Terminal(), {}, quiet=False)) is Lines


def test_bars_count_nodes_and_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    shown = Bars({})
    shown.start("run 1 of 2")
    for item in RUN[:6]:
        shown.show(item)
    nodes, decode = shown._progress.tasks
    assert (nodes.completed, nodes.total, nodes.fields["count"]) == (1, 4, "1/4")
    assert (decode.description, decode.fields["count"]) == ("decode (Decode)", "1/3")
    for item in RUN[6:]:
        shown.show(item)
    (nodes,) = shown._progress.tasks
    assert (nodes.completed, nodes.total) == (4, 5)
    printed = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "warning: decode[1]: rather dark" in printed
    assert "save failed: disk full" in printed


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
def test_a_terminal_sees_bars_and_then_the_summary(
    pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    saved(changed(WORKFLOW, "wait", steps=30))
    code, seen = in_terminal(process_arguments("run", "wf.json", "--pack", pack))
    assert code == 0
    assert "wait (toys:Wait)" in seen
    assert "/30" in seen
    assert " left" in seen
    assert "5 nodes run." in seen.rpartition("Finished")[2]
    assert seen.rpartition("\x1b[?25")[2].startswith("h"), "the cursor stays hidden"


def in_terminal(arguments: list[str]) -> tuple[int, str]:
    """Exit code and output of a command in a pseudo-terminal."""
    import subprocess

    ours, theirs = os.openpty()  # type: ignore[attr-defined]
    process = subprocess.Popen(arguments, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    with os.fdopen(ours, "rb", buffering=0) as stream:
        try:
            while data := stream.read(65536):
                seen += data
        except OSError:
            pass  # how Linux tells that the other side is closed
    return process.wait(PATIENCE), seen.decode("utf-8", "replace")


def test_events_tell_of_pictures_by_their_size(capsys: pytest.CaptureFixture[str]) -> None:
    lines = EventLines()
    lines.show(event("node.preview", "decode", image=b"1234", mime="image/png"))
    assert '"data": {"image": "4 bytes", "mime": "image/png"}' in capsys.readouterr().out


def test_events_without_a_reader_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        writes = 0

        def write(self, text: str) -> int:
            Gone.writes += 1
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Gone())
    lines = EventLines()
    for item in RUN:
        lines.show(item)
    assert Gone.writes == 1
