"""How one of a worker's jobs is doing, and whether it has to be ended with its worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nodegraph.core.events import Event
from nodegraph.jobs.supervisor.rules import SupervisionRules

_ENDS = frozenset({"call.ended", "node.finished", "node.failed", "node.skipped"})


class JobVitals:
    """Signs of life of one job; all times are its worker's.

    Args:
        options: Of the job, `stall_seconds` and `deadline` among them.
        now: When it began.

    Attributes:
        node: That began last.
        is_overdue: Whether it has to be ended as its deadline has passed.
    """

    def __init__(self, rules: SupervisionRules, options: Mapping[str, Any], now: float) -> None:
        self._rules = rules
        deadline, stalls = options.get("deadline"), options.get("stall_seconds")
        self._deadline = now + deadline if isinstance(deadline, int | float) else None
        self._stalls = stalls if isinstance(stalls, Mapping) else {"*": stalls}
        self._must_have_ended: float | None = None
        self._running: dict[str, float] = {}
        self._types: dict[str, str] = {}
        self.node: str | None = None
        self.is_overdue = False

    def cancelled(self, now: float) -> None:
        """Its worker was asked to stop it."""
        if self._must_have_ended is None:
            self._must_have_ended = now + self._rules.cancel_seconds

    def happened(self, events: Iterable[Event], now: float) -> None:
        """Its run told something."""
        for event in events:
            node = event.node
            if event.kind == "nodes.cached" and self._running:
                for name in event.data["nodes"]:
                    self._node_ended(name)
            if node is None:
                continue
            if event.kind == "node.started":
                self._running[node] = now
                self._types[node] = str(event.data.get("type", ""))
                self.node = node
            elif event.kind in _ENDS:
                self._node_ended(node)
            elif node in self._running:
                self._running[node] = now

    def _node_ended(self, node: str) -> None:
        # A node that is mapped over a list runs as `node[0]`, `node[1]`, ….
        items = f"{node}["
        for name in [name for name in self._running if name == node or name.startswith(items)]:
            del self._running[name]

    def stubbornness(self, now: float) -> str | None:
        """Why it should have stopped and hasn't; None if it needn't."""
        grace = self._rules.cancel_seconds
        why = None
        if self._must_have_ended is not None and now >= self._must_have_ended:
            why = "it was cancelled"
        elif self._deadline is not None and now >= self._deadline + grace:
            why, self.is_overdue = "its deadline had passed", True
        return why and f"its job didn't stop within {grace:g} s when {why}"

    def stall(self, now: float) -> str | None:
        """Which node has told nothing for too long; None if none has."""
        for node, since in self._running.items():
            limit = self._limit(node)
            if limit is not None and now - since > limit:
                return f"its node `{node}` told nothing for {limit:g} s"
        return None

    def _limit(self, node: str) -> float | None:
        name = node.partition("[")[0]
        for key in (name, self._types.get(node, ""), "*"):
            found = self._stalls.get(key)
            if isinstance(found, int | float) and found > 0:
                return float(found)
        return self._rules.node_stall_seconds
