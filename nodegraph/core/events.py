"""Events of a run: one ordered stream for progress bars, websockets and metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic
from typing import Any, Literal

from nodegraph.core.context import NESTING

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
    """An event of a run.

    Attributes:
        number: Number of the event in its run: 0, 1, 2, … without gaps.
        kind: Type of the event, such as ``node.started``.
        node: Name of the node that the event concerns. None if it does not concern a node.
        seconds: Time since the start of the run, in seconds.
        data: Details of the event as plain values. The bytes of a preview are included.
    """

    number: int
    kind: EventKind
    node: str | None
    seconds: float
    data: Mapping[str, Any] = field(default_factory=dict)


_MOST_CACHED = 1000
"""Largest number of nodes in one ``nodes.cached`` event."""


Listener = Callable[[Event], None]


class EventStream:
    """Numbers the events of one run and passes each to a listener, in order, from any thread.

    Args:
        listener: Function that receives each event. None for no listener.
        previews: Whether the listener uses previews.
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
        """Whether there is a listener. If not, costly event data can be left out."""
        return self._listener is not None

    @property
    def wants_previews(self) -> bool:
        """Whether the listener uses previews."""
        return self._previews and self.has_listener

    def emit(self, kind: EventKind, node: str | None = None, **data: Any) -> None:
        """Pass an event to the listener, which is called within a lock and must be quick."""
        if self._listener is None:
            return
        with self._lock:
            self._send_cached()
            self._send(kind, node, data)

    def emit_cached(
        self, node: str, source: str, saved: float, ui: Mapping[str, Any] | None = None
    ) -> None:
        """Record that a node's result came from a cache.

        Consecutive nodes with the same source become one event, as there may be thousands. It is
        emitted before the next other event, or at `flush`.

        Args:
            source: Cache that held the result.
            saved: Seconds that computing the result took.
            ui: What clients show for it, by the name of the node: it may have returned a graph.
        """
        if self._listener is None:
            return
        with self._lock:
            if source != self._source or len(self._cached) >= _MOST_CACHED:
                self._send_cached()
            self._source = source
            self._cached.append(node)
            self._saved += saved
            if ui:
                # Ends the event, so that each stays small.
                self._send_cached(ui=ui)

    def flush(self) -> None:
        """Emit the cached nodes that are recorded but not yet emitted."""
        if self._cached:
            with self._lock:
                self._send_cached()

    def _send_cached(self, **more: Any) -> None:
        if not self._cached:
            return
        data = {"nodes": self._cached, "source": self._source, "saved": round(self._saved, 6)}
        data |= more
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
