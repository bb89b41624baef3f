"""Events of a run: one ordered stream for progress bars, websockets and metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Any, Literal

from nodegraph.core.call_context import NESTING

_LOG = logging.getLogger(__name__)

EventKind = Literal[
    "job.started",
    "job.finished",
    "job.failed",
    "job.cancelled",
    "job.paused",
    "job.resumed",
    "node.queued",
    "node.waiting",
    "node.started",
    "call.ended",
    "node.restored",
    "node.retried",
    "nodes.cached",
    "node.progress",
    "node.preview",
    "node.expanded",
    "node.wrote",
    "node.finished",
    "node.failed",
    "node.skipped",
    "memory",
    "log",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes:
        number: Counts up from 0 without gaps within a run.
        kind: What happened.
        node: The node it happened to, if any.
        seconds: Since the run started.
        data: What else there is to say, plain values only (a preview's bytes among them).
    """

    number: int
    kind: EventKind
    node: str | None
    seconds: float
    data: Mapping[str, Any] = field(default_factory=dict)


_MOST_CACHED = 1000
"""Nodes in one event."""


Listener = Callable[[Event], None]


class EventStream:
    """Numbers the events of one run and hands each to a listener, in order, from any thread.

    Args:
        previews: Whether the listener has a use for images of unfinished work.
    """

    def __init__(self, listener: Listener | None = None, *, previews: bool = True) -> None:
        self._listener = listener
        self._previews = previews
        self._count = 0
        self._start = monotonic()
        self._lock = Lock()
        self._cached: list[str] = []
        self._source = ""
        self._saved = 0.0
        self._nesting = NESTING.get()

    @property
    def has_listener(self) -> bool:
        """Whether anybody listens; what is costly to tell can then be left out."""
        return self._listener is not None

    @property
    def wants_previews(self) -> bool:
        """Whether images of unfinished work are worth making."""
        return self._previews and self.has_listener

    def emit(self, kind: EventKind, node: str | None = None, **data: Any) -> None:
        """Tell the listener. It is called within a lock, so it must be quick."""
        if self._listener is None:
            return
        with self._lock:
            self._send_cached()
            self._send(kind, node, data)

    def emit_cached(self, node: str, source: str, saved: float) -> None:
        """A node's result was there already; told before anything else is, or at `flush`.

        Those that come one after the other are told as one: there may be thousands.

        Args:
            source: Where it was.
            saved: Seconds that computing it took then.
        """
        if self._listener is None:
            return
        with self._lock:
            if source != self._source or len(self._cached) >= _MOST_CACHED:
                self._send_cached()
            self._source = source
            self._cached.append(node)
            self._saved += saved

    def flush(self) -> None:
        """Tell what isn't told yet."""
        if self._cached:
            with self._lock:
                self._send_cached()

    def _send_cached(self) -> None:
        if not self._cached:
            return
        data = {"nodes": self._cached, "source": self._source, "saved": round(self._saved, 6)}
        self._cached, self._saved = [], 0.0
        self._send("nodes.cached", None, data)

    def _send(self, kind: EventKind, node: str | None, data: Mapping[str, Any]) -> None:
        if self._listener is None:
            return
        event = Event(self._count, kind, node, round(monotonic() - self._start, 6), data)
        self._count += 1
        nesting = NESTING.set(self._nesting)
        try:
            self._listener(event)
        except Exception:  # noqa: BLE001 - it is the watcher's code, whatever it raises
            # Who watches a run must not be able to break it.
            _LOG.exception("a listener failed at %s and receives no more events", event.kind)
            self._listener = None
        finally:
            NESTING.reset(nesting)
