"""Events as a run would tell them, at times that the test says."""

from __future__ import annotations

from typing import Any

from nodegraph.core.events import Event, EventKind, Listener


class Told:
    """Tells a listener events; the time is what the test says."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._number = 0

    def __call__(
        self, time: float, kind: EventKind, node: str | None = None, /, **data: Any
    ) -> None:
        self._listener(Event(self._number, kind, node, time, data))
        self._number += 1
