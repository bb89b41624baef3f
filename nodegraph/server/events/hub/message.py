"""An event as clients get it, written once for all of them."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

import msgpack

from nodegraph.core.words import to_well_formed
from nodegraph.jobs.queue import JobEvent
from nodegraph.jobs.supervisor.live import LiveEvent
from nodegraph.server.content.artifacts.links import artifact_links

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
    raise TypeError(f"{type(value).__qualname__} is no plain value")


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
