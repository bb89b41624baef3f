"""Event messages for clients, and progress messages that are throttled."""

from __future__ import annotations

import asyncio
import json
import math
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import msgpack

from nodegraph.core.text_format import to_well_formed
from nodegraph.jobs.queue import JobEvent
from nodegraph.jobs.queue.events import LiveEvent
from nodegraph.server.workflows.job_entries import artifact_links

_OVERHEAD = 300
"""Bytes that a message takes besides its content."""


def to_msgpack(value: Any) -> bytes:
    """Pack a value; whole numbers beyond 64 bits become text, and so do paths.

    Half a surrogate pair, which has no UTF-8, becomes U+FFFD.
    """
    packed: bytes
    try:
        packed = msgpack.packb(value, default=_packable)
    except UnicodeEncodeError:
        packed = msgpack.packb(to_well_formed(value), default=_packable)
    return packed


def to_json(value: Any) -> str:
    """Plain ASCII JSON; bytes become ``{"base64": "…"}``, and what is no number null."""
    try:
        return _encode(value)
    except (TypeError, ValueError):
        return _encode(_plain(value))


def _packable(value: Any) -> Any:
    # Also asked about integers that are too long for msgpack.
    if isinstance(value, (int, PurePath)):
        return str(value)
    raise TypeError(f"{type(value).__qualname__} is not a plain value")


def _jsonable(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"base64": b64encode(value).decode()}
    return _packable(value)


_encode = json.JSONEncoder(default=_jsonable, allow_nan=False, separators=(",", ":")).encode


def _plain(value: Any) -> Any:
    """A value that JSON can hold, as near as it can be."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float)):
        return value
    return _plain(_jsonable(value))


class HubMessage:
    """An event of a job.

    Attributes:
        seq: Its number; None if it is of the moment only.
        packed: As msgpack.
        size: Bytes that it takes in memory, more or less.
    """

    __slots__ = ("_json", "client", "job", "kind", "node", "packed", "seq", "size")

    def __init__(
        self, event: JobEvent | LiveEvent, seq: int | None, content: Mapping[str, Any]
    ) -> None:
        self.seq = seq
        self.job = event.job
        self.client = event.client
        self.kind: str = content["kind"]
        self.node: str | None = content["node"]
        self.packed = to_msgpack(content)
        self.size = len(self.packed) + _OVERHEAD
        self._json: str | None = None

    @property
    def json(self) -> str:
        """As JSON."""
        if self._json is None:
            content = msgpack.unpackb(self.packed, strict_map_key=False)
            self._json = to_json(content)
        return self._json


def first_within(messages: Iterable[HubMessage], most_bytes: int) -> list[HubMessage]:
    """The first messages, of so many bytes or one."""
    chosen: list[HubMessage] = []
    size = 0
    for message in messages:
        size += message.size
        if chosen and size > most_bytes:
            break
        chosen.append(message)
    return chosen


def event_message(event: JobEvent) -> HubMessage:
    """The message of an event that is kept."""
    content = {
        "seq": event.seq,
        "job": event.job,
        "client": event.client,
        "attempt": event.attempt,
        "number": event.number,
        "kind": event.kind,
        "at": event.at,
        "node": event.node,
        "seconds": event.seconds,
        "data": _shown(event),
    }
    return HubMessage(event, event.seq, content)


def _shown(event: JobEvent) -> Mapping[str, Any]:
    """What an event says, without places on this machine: those are nobody's business."""
    data = event.data
    if event.kind != "node.wrote" or "path" not in data:
        return data
    remaining = {name: value for name, value in data.items() if name != "path"}
    shown = {"name": PurePath(str(data["path"])).name, **remaining}
    if "digest" not in data:  # a large file, which is digested when the job ends
        return shown
    links = artifact_links(data["digest"], data.get("media_type", ""), data.get("file"))
    return {**shown, **links}


def live_message(live_event: LiveEvent, after: int) -> HubMessage:
    """The message of progress or a preview.

    Args:
        after: The number of the last event before it.
    """
    event = live_event.event
    content = {
        "after": after,
        "job": live_event.job,
        "client": live_event.client,
        "attempt": live_event.attempt,
        "number": event.number,
        "kind": event.kind,
        "node": event.node,
        "seconds": event.seconds,
        "data": event.data,
    }
    return HubMessage(live_event, None, content)


_ATTEMPT_ENDS = frozenset({"job.finished", "job.failed", "job.cancelled", "job.requeued"})
_MOST_OVER = 1_000
"""Jobs of which it is remembered that they are over."""
NODE_ENDS = frozenset({"node.finished", "node.failed", "node.skipped"})
PROGRESS = "node.progress"
_PREVIEW = "node.preview"

_Key = tuple[str | None, str]
"""Node and kind: of each, only the newest is of interest."""


@dataclass(slots=True)
class _Run:
    """An attempt that goes on.

    Attributes:
        last_published: Number of its run's last event that was published.
        early: What comes after events that weren't published yet.
        due: What waits for its time.
        shown: What was published last, while its node runs.
    """

    attempt: int
    last_published: int = -1
    early: dict[_Key, LiveEvent] = field(default_factory=dict)
    due: dict[_Key, LiveEvent] = field(default_factory=dict)
    shown: dict[_Key, HubMessage] = field(default_factory=dict)


class LiveEvents:
    """Holds live events until they may be shown; newer ones take the place of older ones.

    Args:
        publish: Shows one.
        newest: The number of the last event that was published.
        interval: Seconds between two times that live events are shown.
    """

    def __init__(
        self,
        publish: Callable[[HubMessage], None],
        newest: Callable[[], int],
        interval: Callable[[], float],
    ) -> None:
        self._publish = publish
        self._newest = newest
        self._interval = interval
        self._runs: dict[str, _Run] = {}
        self._over: dict[str, int] = {}
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, live_event: LiveEvent) -> None:
        """Take in a live event."""
        run = self._run(live_event.job, live_event.attempt)
        if run is None:
            return
        if run.last_published < live_event.after:
            run.early[live_event.event.node, live_event.event.kind] = live_event
        else:
            self._show(run, live_event)

    def before_event(self, event: JobEvent) -> None:
        """An event will be published."""
        run = self._runs.get(event.job)
        if run is None or event.kind not in NODE_ENDS:
            return
        preview = run.due.pop((event.node, _PREVIEW), None)
        if preview is not None:
            self._publish_now(run, preview)
        for kept in (run.early, run.due, run.shown):
            for kind in (PROGRESS, _PREVIEW):
                kept.pop((event.node, kind), None)

    def after_event(self, event: JobEvent) -> None:
        """An event was published."""
        if event.kind in _ATTEMPT_ENDS:
            self._runs.pop(event.job, None)
            self._is_over(event.job, event.attempt)
            return
        if event.number is None:
            return
        run = self._run(event.job, event.attempt)
        if run is None:
            return
        run.last_published = max(run.last_published, event.number)
        for key, live_event in list(run.early.items()):
            if live_event.after <= run.last_published:
                del run.early[key]
                self._show(run, live_event)

    def current_messages(self, job: str | None) -> list[HubMessage]:
        """What was shown last of each node that runs, of a job or of all."""
        runs = self._runs.values() if job is None else filter(None, [self._runs.get(job)])
        return [message for run in runs for message in run.shown.values()]

    def close(self) -> None:
        """Show no more."""
        self._runs.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _is_over(self, job: str, attempt: int) -> None:
        """Remember an end: what another server tells may come after it."""
        self._over.pop(job, None)
        self._over[job] = attempt
        while len(self._over) > _MOST_OVER:
            del self._over[next(iter(self._over))]

    def _run(self, job: str, attempt: int) -> _Run | None:
        """What is known of an attempt; None if it is over."""
        if attempt <= self._over.get(job, -1):
            return None
        run = self._runs.get(job)
        if run is None or run.attempt < attempt:
            run = self._runs[job] = _Run(attempt)
        return run if run.attempt == attempt else None

    def _show(self, run: _Run, live_event: LiveEvent) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._timer is None and now >= self._next:
            self._next = now + self._interval()
            self._publish_now(run, live_event)
            return
        run.due[live_event.event.node, live_event.event.kind] = live_event
        if self._timer is None:
            self._timer = loop.call_at(self._next, self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._next = asyncio.get_running_loop().time() + self._interval()
        for run in list(self._runs.values()):
            due, run.due = run.due, {}
            for live_event in due.values():
                self._publish_now(run, live_event)

    def _publish_now(self, run: _Run, live_event: LiveEvent) -> None:
        message = live_message(live_event, self._newest())
        run.shown[live_event.event.node, live_event.event.kind] = message
        self._publish(message)
