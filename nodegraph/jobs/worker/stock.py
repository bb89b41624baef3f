"""What this worker holds in memory, told to the server so that plans know of it."""

from __future__ import annotations

from nodegraph.core.keys import Key
from nodegraph.engine.cache import place_of
from nodegraph.engine.planning.stock import packed
from nodegraph.jobs.supervisor.messages import Stock
from nodegraph.session.session import Session

_MOST = 4096
"""Results that are told of, those that were kept last."""


class Telling:
    """Finds what has changed since it was told last. It costs by what has changed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._memory = session.engine.shared.cache.memory
        self._memory.changed()
        self._told: dict[Key, None] = {}
        self._weights: list[str] = []

    def news(self) -> Stock | None:
        """What has changed; None if nothing has."""
        results, gone = {}, []
        for key in self._memory.changed():
            was_told = self._told.pop(key, ...) is None
            entry = self._memory.peek(key)
            if entry is not None and place_of(entry) == "memory":
                self._told[key] = None
                results[key] = packed(entry)
            elif was_told:
                gone.append(key)
        while len(self._told) > _MOST:
            key = next(iter(self._told))
            del self._told[key]
            if results.pop(key, None) is None:
                gone.append(key)
        weights = self._session.resident()
        if not results and not gone and weights == self._weights:
            return None
        self._weights = weights
        return Stock(results, gone, weights)
