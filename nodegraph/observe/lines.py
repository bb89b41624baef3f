"""How a run goes on, as lines of text or as nothing; `bars` and `notebook` show it moving."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from time import monotonic

from nodegraph.core.events import Event
from nodegraph.core.words import format_seconds, strip_control_characters
from nodegraph.observe.names import node_of

_SECONDS_BETWEEN_STEPS = 10.0
_ENDED = {"node.finished", "node.failed", "node.skipped"}


class Silent:
    """Shows nothing but errors."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None: ...

    def start(self, title: str) -> None:
        """A run starts; `title` says which, where there are several."""

    def show(self, event: Event) -> None:
        """Something happened; may be called from any thread."""

    def say(self, text: str) -> None:
        """Tell the user something; may be called from any thread."""
        sys.stderr.write(f"{strip_control_characters(text)}\n")


class Lines(Silent):
    """A line for each node, for logs and for terminals that can't move the cursor.

    Args:
        types: Node types by node.
    """

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = dict(types)
        self._total = 0
        self._ended: set[str] = set()
        self._told: dict[str, float] = {}
        self._has_waited = False

    def start(self, title: str) -> None:
        self._total = 0
        self._ended.clear()
        self._has_waited = False
        self._told.clear()
        if title:
            self.say(title)

    def show(self, event: Event) -> None:
        if event.kind == "job.started":
            self._total = event.data["nodes"]
        elif event.kind == "node.expanded":
            self._total += len(event.data["nodes"])
        elif event.kind == "node.started" and event.node:
            self._types[node_of(event.node)] = event.data["type"]
            self._told[event.node] = monotonic()
        elif event.kind == "node.waiting" and not self._has_waited:
            self._has_waited = True  # once: where one waits, so do many
            self.say(waiting_line(event))
        elif event.kind == "node.restored":
            self.say(restored_line(event))
        elif event.kind == "node.progress":
            self._step(event)
        elif event.kind == "nodes.cached":
            for node in event.data["nodes"]:
                self._end(node, "from the cache")
        elif event.kind in _ENDED:
            self._end(event.node or "", outcome_text(event))
        elif event.kind == "log":
            self.say(log_line(event))

    def _end(self, node: str, how: str) -> None:
        # One that was answered may run after all, as its value is needed and gone.
        self._ended.add(node)
        self.say(f"[{len(self._ended)}/{self._total}] {self._name(node)}: {how}")

    def _step(self, event: Event) -> None:
        node = event.node or ""
        if monotonic() - self._told.get(node, 0.0) >= _SECONDS_BETWEEN_STEPS:
            self._told[node] = monotonic()
            self.say(f"{node}: step {event.data['step']} of {event.data['total']}")

    def _name(self, node: str) -> str:
        return f"{node} ({self._types[node]})" if node in self._types else node


def outcome_text(event: Event) -> str:
    """How a node fared, in a few words."""
    if event.kind == "node.failed":
        return f"failed: {event.data['message']}"
    if event.kind == "node.skipped":
        return "cancelled" if event.data.get("reason") == "cancelled" else "skipped"
    calls, cached = event.data.get("calls", 1), event.data.get("cached", 0)
    times = f", {calls} times" if calls != 1 else ""
    return format_seconds(event.data["seconds"]) + times + (f", {cached} cached" if cached else "")


def waiting_line(event: Event) -> str:
    """That a node waits for another process, as a line."""
    return f"{event.node}: another process works on the same; waiting for its result"


def restored_line(event: Event) -> str:
    """That a node goes on where an earlier attempt stopped, as a line."""
    return f"{event.node}: goes on from step {event.data['step']} of {event.data['total']}"


def log_line(event: Event) -> str:
    """What a node said, as a line."""
    level = event.data.get("level", "info")
    start = "" if level == "info" else f"{level}: "
    return f"{start}{event.node}: {event.data['message']}"
