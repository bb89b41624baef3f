"""Runs as a trace that Perfetto and Chrome show: a process per run, a track per lane.

A lane that works on several calls at once has a track for each of them. What a call did on its way
stands on its track, too; waiting for a place, cache hits and memory have tracks of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

from nodegraph.core.events import Event, Listener
from nodegraph.errors import OutputError
from nodegraph.observe.progress import node_of

_START = b'{"displayTimeUnit":"ms","traceEvents":['
_END = b"\n]}\n"
_HELD_BYTES = 1 << 16
_HELD_SECONDS = 1.0


class TraceFile:
    """Trace events in the JSON object format, written as they come, from any thread.

    Each write ends the document, and the next one goes on where its end began, so that there is
    valid JSON in the file after every write and little of a long run in memory.

    Args:
        path: Overwritten.
    Raises:
        OutputError: It can't be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise OutputError(
                f"cannot write the trace {path}: {error.strerror or error}"
            ) from error
        self._held = bytearray(_START)
        self._separator = b"\n"
        self._end = 0
        self._written = monotonic()
        self._fault: OSError | None = None
        self._lock = Lock()

    def add(self, event: Mapping[str, Any]) -> None:
        """Add an event; it reaches the file within about a second of other events."""
        text = json.dumps(event, separators=(",", ":"), default=str).encode()
        with self._lock:
            self._held += self._separator + text
            self._separator = b",\n"
            if len(self._held) >= _HELD_BYTES or monotonic() - self._written >= _HELD_SECONDS:
                self._write()

    def flush(self) -> None:
        """Write what was added."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        if self._held and self._fault is None:
            try:
                self._put(self._held + _END)
            except OSError as error:
                # Whoever is watched has no part in it: told once, when the file is closed.
                self._fault = error
                self._mend()
            else:
                self._end += len(self._held)
        self._held.clear()
        self._written = monotonic()

    def _put(self, data: bytes | bytearray) -> None:
        self._file.seek(self._end)
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def _mend(self) -> None:
        """Leave what was whole before; it had room."""
        with suppress(OSError):
            self._file.truncate(self._end)
            if self._end:
                self._put(_END)

    def close(self) -> None:
        """Write the rest.

        Raises:
            OSError: Something couldn't be written; what stands in the file is whole.
        """
        if not self._file.closed:
            self.flush()
            self._file.close()
            if self._fault is not None:
                raise self._fault


_RUN_TRACK, _CACHE_TRACK, _FIRST_LANE_TRACK = 0, 1, 2
_OTHER_LANE = "calls"
"""Lane of calls of which none was told."""
_SHORTEST_WAIT = 0.001
"""Seconds; what waited less didn't wait."""


class Trace:
    """A trace file that runs are written into while they go on.

    Args:
        path: Overwritten.
    Raises:
        OutputError: It can't be written.
    """

    def __init__(self, path: Path) -> None:
        self._file = TraceFile(path)
        self._start = monotonic()
        self._runs = 0
        self._lock = Lock()

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, title: str = "") -> Listener:
        """A listener that writes one run, as a process of that title."""
        with self._lock:
            self._runs += 1
            return _RunTrace(self._file, self._runs, title or "run", self._start)

    def close(self) -> None:
        """Write the rest.

        Raises:
            OSError: The disk takes no more.
        """
        self._file.close()


class LanePlaces:
    """Gives calls the lowest free place of their lane, and takes it back: each has a track."""

    def __init__(self) -> None:
        self._free: dict[str, list[int]] = {}
        self._count: dict[str, int] = {}

    def take(self, lane: str) -> int:
        """The lowest free place of a lane, from 0."""
        free = self._free.setdefault(lane, [])
        if free:
            return heappop(free)
        slot = self._count.get(lane, 0)
        self._count[lane] = slot + 1
        return slot

    def leave(self, lane: str, slot: int) -> None:
        """A place is free again."""
        heappush(self._free[lane], slot)


@dataclass(frozen=True)
class _OpenCall:
    """A call that has started and not ended."""

    lane: str
    slot: int
    track: int
    start: float
    type: str


class _RunTrace:
    """Writes one run; see `Trace.run`."""

    def __init__(self, file: TraceFile, process: int, title: str, start: float) -> None:
        self._file = file
        self._process = process
        self._title = title
        self._trace_start = start
        self._offset = 0.0
        self._places = LanePlaces()
        self._tracks: dict[tuple[str, int], int] = {}
        self._lanes: list[str] = []
        self._open: dict[str, _OpenCall] = {}
        self._waiting: dict[str, Event] = {}
        self._calls: dict[str, set[str]] = {}
        self._has_cache_track = False

    def __call__(self, event: Event) -> None:
        show = _SHOWN.get(event.kind)
        if show is not None:
            show(self, event)

    # The run as a whole

    def _run_started(self, event: Event) -> None:
        self._offset = monotonic() - self._trace_start - event.seconds
        self._metadata("process_name", _RUN_TRACK, name=self._title)
        self._metadata("process_sort_index", _RUN_TRACK, sort_index=self._process)
        self._metadata("thread_name", _RUN_TRACK, name="run")
        self._metadata("thread_sort_index", _RUN_TRACK, sort_index=_RUN_TRACK)

    def _run_ended(self, event: Event) -> None:
        for call in tuple(self._waiting):
            self._waited(call, event)
        for call in tuple(self._open):
            self._close(call, event, unfinished=True)
        status = event.kind.partition(".")[2]
        first = self._offset * 1e6
        self._write(
            "X",
            self._title,
            _RUN_TRACK,
            first,
            dur=self._time(event) - first,
            args={"status": status},
        )
        self._file.flush()

    def _run_instant(self, event: Event) -> None:
        self._write("i", event.kind, _RUN_TRACK, self._time(event), s="p", args=_plain(event.data))

    # Calls

    def _call_waits(self, event: Event) -> None:
        call = event.node or ""
        self._waited(call, event)
        self._waiting[call] = event
        self._note(call)

    def _waited(self, call: str, end: Event) -> None:
        start = self._waiting.pop(call, None)
        if start is None or end.seconds - start.seconds < _SHORTEST_WAIT:
            return
        name = f"{call}: {_WAITING[start.kind]}"
        identity = {"cat": "waiting", "id": f"{self._process}:{call}"}
        data = _plain(start.data)
        self._write("b", name, _RUN_TRACK, self._time(start), args=data, **identity)
        self._write("e", name, _RUN_TRACK, self._time(end), **identity)

    def _note(self, call: str) -> None:
        self._calls.setdefault(node_of(call), set()).add(call)

    def _call_started(self, event: Event) -> None:
        call = event.node or ""
        self._waited(call, event)
        if call in self._open:  # it is tried once more
            self._close(call, event, retried=True)
        lane = str(event.data.get("lane") or _OTHER_LANE)
        slot = self._places.take(lane)
        track = self._track(lane, slot)
        start = self._time(event)
        self._note(call)
        self._open[call] = _OpenCall(lane, slot, track, start, str(event.data.get("type", "")))

    def _call_ended(self, event: Event) -> None:
        details = {key: value for key, value in _plain(event.data).items() if key != "lane"}
        self._close(event.node or "", event, **details)

    def _close(self, call: str, event: Event, **details: Any) -> None:
        open_call = self._open.pop(call, None)
        if open_call is None:
            return
        self._places.leave(open_call.lane, open_call.slot)
        end = self._time(event)
        self._write(
            "X",
            call,
            open_call.track,
            open_call.start,
            dur=max(end - open_call.start, 0.0),
            cat=open_call.type or "call",
            args={"type": open_call.type, **details},
        )

    def _call_instant(self, event: Event) -> None:
        call = event.node or ""
        open_call = self._open.get(call)
        self._write(
            "i",
            _described(event),
            open_call.track if open_call else _RUN_TRACK,
            self._time(event),
            s="t",
            args={"call": call, **_plain(event.data)},
        )

    # Nodes

    def _cached(self, event: Event) -> None:
        if not self._has_cache_track:
            self._has_cache_track = True
            self._metadata("thread_name", _CACHE_TRACK, name="from the cache")
            self._metadata("thread_sort_index", _CACHE_TRACK, sort_index=_CACHE_TRACK)
        for node in event.data["nodes"]:
            args = {"cached": True, "source": event.data["source"]}
            self._write("i", node, _CACHE_TRACK, self._time(event), s="t", args=args)
            self._close_node(node, event)

    def _failed(self, event: Event) -> None:
        self._close_node(event.node or "", event, failed=True)
        name = f"{event.node} failed"
        self._write("i", name, _RUN_TRACK, self._time(event), s="p", args=_plain(event.data))

    def _node_ended(self, event: Event) -> None:
        self._close_node(event.node or "", event)

    def _close_node(self, node: str, event: Event, **details: Any) -> None:
        """End what is still open of a node that has ended."""
        for call in self._calls.pop(node, ()):
            self._waited(call, event)
            self._close(call, event, **details)

    def _memory(self, event: Event) -> None:
        numbers = {key: value for key, value in event.data.items() if _is_number(value)}
        words = [str(value) for value in event.data.values() if isinstance(value, str)]
        if numbers:
            name = " ".join(["memory", *words])
            self._write("C", name, _RUN_TRACK, self._time(event), args=numbers)

    # Writing

    def _track(self, lane: str, slot: int) -> int:
        track = self._tracks.get((lane, slot))
        if track is None:
            if lane not in self._lanes:
                self._lanes.append(lane)
            track = self._tracks[lane, slot] = _FIRST_LANE_TRACK + len(self._tracks)
            name = f"{lane} {slot + 1}" if slot else lane
            self._metadata("thread_name", track, name=name)
            # Places that a lane takes later stand below its first one all the same.
            order = _FIRST_LANE_TRACK + 1000 * self._lanes.index(lane) + slot
            self._metadata("thread_sort_index", track, sort_index=order)
        return track

    def _metadata(self, kind: str, track: int, **args: Any) -> None:
        self._file.add({"ph": "M", "name": kind, "pid": self._process, "tid": track, "args": args})

    def _write(self, phase: str, name: str, track: int, time: float, **more: Any) -> None:
        self._file.add(
            {
                "ph": phase,
                "name": name,
                "pid": self._process,
                "tid": track,
                "ts": round(time, 3),
                **{key: round(value, 3) if key == "dur" else value for key, value in more.items()},
            }
        )

    def _time(self, event: Event) -> float:
        """Microseconds since the trace began."""
        return (self._offset + event.seconds) * 1e6


_WAITING = {"node.queued": "waits for a free slot", "node.waiting": "waits for another process"}

_SHOWN: Mapping[str, Callable[[_RunTrace, Event], None]] = {
    "job.started": _RunTrace._run_started,
    "job.finished": _RunTrace._run_ended,
    "job.failed": _RunTrace._run_ended,
    "job.cancelled": _RunTrace._run_ended,
    "job.paused": _RunTrace._run_instant,
    "job.resumed": _RunTrace._run_instant,
    "node.queued": _RunTrace._call_waits,
    "node.waiting": _RunTrace._call_waits,
    "node.started": _RunTrace._call_started,
    "call.ended": _RunTrace._call_ended,
    "node.restored": _RunTrace._call_instant,
    "node.retried": _RunTrace._call_instant,
    "node.progress": _RunTrace._call_instant,
    "node.preview": _RunTrace._call_instant,
    "node.wrote": _RunTrace._call_instant,
    "node.expanded": _RunTrace._call_instant,
    "log": _RunTrace._call_instant,
    "nodes.cached": _RunTrace._cached,
    "node.finished": _RunTrace._node_ended,
    "node.skipped": _RunTrace._node_ended,
    "node.failed": _RunTrace._failed,
    "memory": _RunTrace._memory,
}


def _described(event: Event) -> str:
    if event.kind == "node.progress":
        return f"step {event.data.get('step')} of {event.data.get('total')}"
    if event.kind == "log":
        return str(event.data.get("message", "log"))
    return event.kind.partition(".")[2]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """What an event tells; an image by its size."""
    return {
        key: f"{len(value)} bytes" if isinstance(value, bytes) else value
        for key, value in data.items()
    }
