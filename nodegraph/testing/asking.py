"""Notices how often nodes ask whether their run goes on, and stops it at the first time."""

from __future__ import annotations

from collections.abc import Collection

from nodegraph.core.events import Event
from nodegraph.engine.cancel import CancelToken


class AskedToken(CancelToken):
    """Control of a run that counts, with no clock, what some of its nodes ask.

    Args:
        nodes: Their names.
        stops: Whether the first time that one asks cancels the run.

    Attributes:
        asked: How often they did.
        is_heeded: No node has ended as if nothing were.
    """

    def __init__(self, nodes: Collection[str], *, stops: bool = False) -> None:
        super().__init__()
        self._nodes = frozenset(nodes)
        self._stops = stops
        self._running = 0
        self.asked = 0
        self.is_heeded = True

    def hear(self, event: Event) -> None:
        """A listener for the run's events."""
        if event.node is None or event.node.partition("/")[0] not in self._nodes:
            return
        if event.kind == "node.started":
            self._running += 1
        elif event.kind in ("node.finished", "node.failed"):
            self._running = 0
            self.is_heeded = self.is_heeded and not self.is_set

    @property
    def is_interrupted(self) -> bool:
        if self._running:
            self.asked += 1
            if self._stops:
                self.cancel("a check of whether it is heeded")
        return super().is_interrupted
