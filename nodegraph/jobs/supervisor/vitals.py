"""How a worker's process is doing, and whether that is a reason to end it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import psutil

from nodegraph.core.events import Event
from nodegraph.jobs.supervisor.platforms import held_memory
from nodegraph.jobs.supervisor.rules import SupervisionRules

_ENDS = frozenset({"call.ended", "node.finished", "node.failed", "node.skipped"})

_MORE_GRACE = 5.0
"""Seconds beyond the grace in which whoever asked a process to end may end it by other means."""


class Vitals:
    """Signs of life of one process.

    Its clock is moved on by `breathe`, at most so far at a time: while the server itself was held
    up, nothing of what a worker said was heard.

    Attributes:
        memory, device_memory: Bytes, as last known.
        node: That began last in its job.
        stuck: What code of a pack has been doing for too long, as it told last.
        has_stubborn_job: Whether it must end only as its job doesn't.
        is_past_deadline: Whether that is so as the job's deadline has passed.
    """

    def __init__(self, rules: SupervisionRules) -> None:
        self._rules = rules
        self._age = 0.0
        self._heard: float | None = None
        self._is_ready = False
        self._asked_to_end: float | None = None
        self._running: dict[str, float] = {}
        self._types: dict[str, str] = {}
        self._stalls: Mapping[str, Any] = {}
        self._must_have_ended: float | None = None
        self._deadline: float | None = None
        self._process: psutil.Process | None = None
        self.memory: int | None = None
        self.device_memory: int | None = None
        self.node: str | None = None
        self.stuck: str | None = None
        self.has_stubborn_job = False
        self.is_past_deadline = False

    def born(self, pid: int) -> None:
        """The process has started."""
        try:
            self._process = psutil.Process(pid)
        except psutil.Error:
            self._process = None  # it is dead already

    def ready(self) -> None:
        """It has started up."""
        self._is_ready = True
        self.heard()

    def heard(self) -> None:
        """It has told something."""
        self._heard = self._age

    def asked_to_end(self) -> None:
        """It is to end by itself."""
        self._asked_to_end = self._age

    def measured(self, memory: int, device_memory: int | None) -> None:
        """It has told how much memory it has."""
        self.memory = memory
        self.device_memory = device_memory

    @property
    def silence(self) -> float | None:
        """Seconds since it told something; None if it never did."""
        return None if self._heard is None else self._age - self._heard

    def job_began(self, options: Mapping[str, Any]) -> None:
        """It has a job.

        Args:
            options: Of the job, `stall_seconds` and `deadline` among them.
        """
        self.job_ended()
        deadline = options.get("deadline")
        if isinstance(deadline, int | float):
            self._deadline = self._age + deadline
        given = options.get("stall_seconds")
        self._stalls = given if isinstance(given, Mapping) else {"*": given}

    def job_ended(self) -> None:
        """It has none any more."""
        self._deadline = self._must_have_ended = None
        self._running.clear()
        self._types.clear()
        self.node = None

    def job_cancelled(self) -> None:
        """It was asked to stop its job."""
        if self._must_have_ended is None:
            self._must_have_ended = self._age + self._rules.cancel_seconds

    def happened(self, events: Iterable[Event]) -> None:
        """Its job's run told something."""
        for event in events:
            node = event.node
            if event.kind == "nodes.cached" and self._running:
                for name in event.data["nodes"]:
                    self._node_ended(name)
            if node is None:
                continue
            if event.kind == "node.started":
                self._running[node] = self._age
                self._types[node] = str(event.data.get("type", ""))
                self.node = node
            elif event.kind in _ENDS:
                self._node_ended(node)
            elif node in self._running:
                self._running[node] = self._age

    def _node_ended(self, node: str) -> None:
        # A node that is mapped over a list runs as `node[0]`, `node[1]`, ….
        items = f"{node}["
        for name in [name for name in self._running if name == node or name.startswith(items)]:
            del self._running[name]

    def breathe(self, seconds: float) -> None:
        """Time has passed."""
        self._age += seconds
        if self._process is not None:
            try:
                # A dead one that isn't buried yet has none: what it had before is what counts.
                self.memory = held_memory(self._process) or self.memory
            except psutil.Error:
                self._process = None

    def illness(self) -> str | None:
        """Why the process must end; None if it needn't."""
        rules = self._rules
        if self._asked_to_end is not None:
            if self._age - self._asked_to_end > rules.shutdown_grace + _MORE_GRACE:
                return "it didn't end when it was asked to"
            return self._greed()
        if not self._is_ready:
            if self._age > rules.start_seconds:
                return f"it wasn't ready after {rules.start_seconds:g} s"
            return self._greed()
        silence = self.silence
        if silence is not None and silence > rules.heartbeat_seconds:
            return f"it gave no heartbeat for {rules.heartbeat_seconds:g} s"
        return self._greed() or self._stubbornness() or self._stall()

    def _greed(self) -> str | None:
        limit = self._rules.memory_limit
        if limit is None or self.memory is None or self.memory <= limit:
            return None
        return f"it used {_megabytes(self.memory)} of memory, more than {_megabytes(limit)}"

    def _stubbornness(self) -> str | None:
        grace = self._rules.cancel_seconds
        why = None
        if self._must_have_ended is not None and self._age >= self._must_have_ended:
            why = "it was cancelled"
        elif self._deadline is not None and self._age >= self._deadline + grace:
            why, self.is_past_deadline = "its deadline had passed", True
        self.has_stubborn_job = why is not None
        return why and f"its job didn't stop within {grace:g} s when {why}"

    def _stall(self) -> str | None:
        for node, since in self._running.items():
            limit = self._limit(node)
            if limit is not None and self._age - since > limit:
                return f"its node `{node}` told nothing for {limit:g} s"
        return None

    def _limit(self, node: str) -> float | None:
        name = node.partition("[")[0]
        for key in (name, self._types.get(node, ""), "*"):
            found = self._stalls.get(key)
            if isinstance(found, int | float) and found > 0:
                return float(found)
        return self._rules.node_stall_seconds


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
