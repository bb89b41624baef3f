"""Runs as traces for Perfetto and Chrome."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.events import Event
from nodegraph.errors import OutputError
from nodegraph.observe.trace import LanePlaces, Trace
from tests.messages import raises
from tests.observe.conftest import Told


def events_in(path: Path) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    return events


def of_phase(events: list[dict[str, Any]], phase: str) -> list[dict[str, Any]]:
    return [event for event in events if event["ph"] == phase]


def tracks(events: list[dict[str, Any]]) -> dict[tuple[int, int], str]:
    """Titles of the tracks, by process and track."""
    return {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in of_phase(events, "M")
        if event["name"] == "thread_name"
    }


def slices(events: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {event["name"]: event for event in of_phase(events, "X")}


def test_lanes_are_tracks_and_calls_are_slices(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with Trace(path) as trace:
        tell = Told(trace.run("fox"))
        tell(0.0, "job.started", nodes=3)
        tell(0.1, "node.started", "load", type="LoadModel", lane="io")
        tell(0.5, "call.ended", "load", seconds=0.4, lane="io")
        tell(0.5, "node.finished", "load", seconds=0.4, calls=1, cached=0)
        tell(0.5, "node.started", "sample", type="Sample", lane="cuda:0")
        tell(0.75, "node.progress", "sample", step=1, total=2)
        tell(1.0, "call.ended", "sample", seconds=0.5, lane="cuda:0")
        tell(1.0, "node.finished", "sample", seconds=0.5, calls=1, cached=0)
        tell(1.0, "nodes.cached", nodes=["save"], source="disk", saved=0.5)
        tell(1.0, "job.finished", seconds=1.0)
    events = events_in(path)
    names = tracks(events)
    found = slices(events)
    load, sample, run = found["load"], found["sample"], found["fox"]
    assert (names[1, load["tid"]], names[1, sample["tid"]]) == ("io", "cuda:0")
    assert load["dur"] == pytest.approx(0.4e6)
    assert sample["ts"] - load["ts"] == pytest.approx(0.4e6)
    assert (sample["cat"], sample["args"]) == ("Sample", {"type": "Sample", "seconds": 0.5})
    assert (run["dur"], run["args"]) == (pytest.approx(1e6), {"status": "finished"})
    (step,) = [event for event in of_phase(events, "i") if event["name"] == "step 1 of 2"]
    assert step["tid"] == sample["tid"]
    assert sample["ts"] < step["ts"] < sample["ts"] + sample["dur"]
    (hit,) = [event for event in of_phase(events, "i") if event["name"] == "save"]
    assert names[1, hit["tid"]] == "from the cache"
    assert hit["args"] == {"cached": True, "source": "disk"}


def test_calls_at_once_in_a_lane_have_tracks_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with Trace(path) as trace:
        tell = Told(trace.run())
        tell(0.0, "job.started", nodes=1)
        tell(0.0, "node.started", "make[0]", type="Make", lane="cpu")
        tell(0.1, "node.started", "make[1]", type="Make", lane="cpu")
        tell(0.2, "call.ended", "make[0]", seconds=0.2, lane="cpu")
        tell(0.3, "node.started", "make[2]", type="Make", lane="cpu")
        tell(0.4, "call.ended", "make[1]", seconds=0.3, lane="cpu")
        tell(0.5, "call.ended", "make[2]", seconds=0.2, lane="cpu")
        tell(0.5, "job.finished", seconds=0.5)
    events = events_in(path)
    names, found = tracks(events), slices(events)
    shown = [names[1, found[f"make[{at}]"]["tid"]] for at in range(3)]
    assert shown == ["cpu", "cpu 2", "cpu"]


def test_runs_are_processes_one_after_the_other(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with Trace(path) as trace:
        for title in ("first", "second"):
            tell = Told(trace.run(title))
            tell(0.0, "job.started", nodes=0)
            tell(0.0, "job.finished", seconds=0.0)
    events = events_in(path)
    titles = {
        event["pid"]: event["args"]["name"] for event in events if "process_name" in event["name"]
    }
    assert titles == {1: "first", 2: "second"}
    found = slices(events)
    assert found["first"]["ts"] <= found["second"]["ts"]


def test_what_a_cancelled_run_leaves_open_is_told(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with Trace(path) as trace:
        tell = Told(trace.run("fox"))
        tell(0.0, "job.started", nodes=2)
        tell(0.1, "node.started", "sample", type="Sample", lane="cuda:0")
        tell(0.2, "node.queued", "decode", lane="cuda:0")
        tell(0.6, "job.cancelled", seconds=0.6)
    events = events_in(path)
    found = slices(events)
    assert found["sample"]["args"]["unfinished"] is True
    assert found["sample"]["dur"] == pytest.approx(0.5e6)
    assert found["fox"]["args"] == {"status": "cancelled"}
    begin, end = of_phase(events, "b") + of_phase(events, "e")
    assert begin["id"] == end["id"]
    assert end["ts"] - begin["ts"] == pytest.approx(0.4e6)


def test_a_failure_stands_on_its_call(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with Trace(path) as trace:
        tell = Told(trace.run())
        tell(0.0, "job.started", nodes=1)
        tell(0.1, "node.started", "sample", type="Sample", lane="cpu")
        tell(0.2, "node.failed", "sample", message="it broke")
        tell(0.2, "job.failed", seconds=0.2)
    events = events_in(path)
    assert slices(events)["sample"]["args"]["failed"] is True
    (told,) = [event for event in of_phase(events, "i") if event["name"] == "sample failed"]
    assert told["args"]["message"] == "it broke"


def test_memory_is_a_counter_and_pictures_are_sizes(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with Trace(path) as trace:
        tell = Told(trace.run())
        tell(0.0, "job.started", nodes=1)
        tell(0.1, "memory", device="cuda:0", used=3, free=5)
        tell(0.2, "node.preview", "sample", image=b"\x89PNG", mime="image/png")
        tell(0.2, "job.finished", seconds=0.2)
    (counter,) = of_phase(events_in(path), "C")
    assert (counter["name"], counter["args"]) == ("memory cuda:0", {"used": 3, "free": 5})
    (preview,) = [event for event in of_phase(events_in(path), "i") if event["name"] == "preview"]
    assert preview["args"]["image"] == "4 bytes"


def test_a_trace_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with raises(OutputError):
        Trace(tmp_path / "taken" / "out.json")


KILLED = """
import os, signal, sys
from pathlib import Path
from nodegraph.core.events import EventStream
from nodegraph.observe.trace import Trace

stream = EventStream(Trace(Path(sys.argv[1])).run("long"))
stream.emit("job.started", nodes=100000)
for number in range(5000):
    stream.emit("node.started", f"node{number}", type="Work", lane="cpu")
    stream.emit("call.ended", f"node{number}", seconds=0.0, lane="cpu")
    stream.emit("node.finished", f"node{number}", seconds=0.0, calls=1, cached=0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_a_killed_process_leaves_a_whole_trace(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert len(slices(events_in(path))) > 1000
    assert path.stat().st_size < 5_000_000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no device that is full")
def test_a_full_disk_is_told_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.symlink_to("/dev/full")
    trace = Trace(path)
    tell = trace.run()
    for number in range(3):
        tell(Event(number, "job.started", None, 0.0, {"nodes": 0}))
        tell(Event(number, "job.finished", None, 1.0, {"seconds": 1.0}))
    with raises(OSError):
        trace.close()
    trace.close()


@given(
    st.lists(
        st.tuples(st.sampled_from(["cpu", "io", "cuda:0"]), st.integers(0, 50), st.integers(0, 50)),
        max_size=30,
    )
)
def test_no_two_calls_of_a_track_overlap(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[str, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("trace") / "out.json"
    # Ends before starts at the same moment: the place is free by then.
    moments = sorted(
        [(start, 1, at, lane) for at, (lane, start, _) in enumerate(calls)]
        + [(start + took + 1, 0, at, lane) for at, (lane, start, took) in enumerate(calls)]
    )
    with Trace(path) as trace:
        tell = Told(trace.run())
        tell(0.0, "job.started", nodes=len(calls))
        for moment, starts, at, lane in moments:
            if starts:
                tell(float(moment), "node.started", f"n{at}", type="N", lane=lane)
            else:
                tell(float(moment), "call.ended", f"n{at}", seconds=0.0, lane=lane)
        tell(102.0, "job.finished", seconds=102.0)
    events = events_in(path)
    names, by_track = tracks(events), dict[int, list[tuple[float, float]]]()
    found = [event for event in of_phase(events, "X") if event["name"].startswith("n")]
    assert len(found) == len(calls)
    for event in found:
        lane = calls[int(event["name"][1:])][0]
        assert names[1, event["tid"]].split()[0] == lane
        by_track.setdefault(event["tid"], []).append((event["ts"], event["ts"] + event["dur"]))
    for spans in by_track.values():
        assert all(end <= start + 0.01 for (_, end), (start, _) in pairwise(sorted(spans)))


def test_the_lowest_free_place_is_taken() -> None:
    places = LanePlaces()
    assert [places.take("cpu"), places.take("cpu"), places.take("io")] == [0, 1, 0]
    places.leave("cpu", 0)
    assert [places.take("cpu"), places.take("cpu")] == [0, 2]
