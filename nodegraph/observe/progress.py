"""Progress of runs as lines of text or in a notebook; several listeners as one.

IPython is used only where it already runs, and is never imported.
"""

from __future__ import annotations

import logging
import re
import sys
import warnings
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from html import escape
from threading import Lock
from time import monotonic
from typing import Any

from nodegraph.core.events import Event, Listener
from nodegraph.core.text_format import format_seconds, strip_control_characters

_BETWEEN = 0.2
"""Seconds between two images of how far it is; each is sent to the browser."""
_MOST_SAID = 50
_ENDED = {"node.finished", "node.failed", "node.skipped"}
Display = Callable[..., Any]
"""`IPython.display.display`, or what does as it does."""


class _Page:
    """HTML, with a text for what shows none."""

    def __init__(self, html: str) -> None:
        self._html = html

    def __repr__(self) -> str:
        return "<nodegraph progress>"

    def _repr_html_(self) -> str:
        return self._html


def _bar(label: str, done: int, total: int, count: str) -> str:
    share = f'value="{done}" max="{total}"' if total else ""
    name = escape(strip_control_characters(label))
    return f"<tr><td>{name}</td><td><progress {share}></progress></td><td>{escape(count)}</td></tr>"


def notebook_shell() -> Any:
    """IPython's shell of the notebook that this process computes for; None if there is none.

    A terminal of IPython is none: it shows no HTML.
    """
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell if getattr(shell, "kernel", None) is not None else None


def notebook_display() -> Display | None:
    """What shows something in the notebook; None if there is none."""
    if notebook_shell() is None:
        return None
    display: Display = sys.modules["IPython"].display.display
    return display


def silence_widget_warnings() -> None:
    """Have libraries not warn that widgets for bars of their own lack; these are in a notebook."""
    if notebook_shell() is not None:
        warnings.filterwarnings("ignore", "IProgress not found")


_LOG = logging.getLogger(__name__)


def combine_listeners(listeners: Iterable[Listener | None]) -> Listener | None:
    """One listener that hands each event on to all of them, in this order.

    One that raises is told no more; the others are. None if there is nobody to tell.
    """
    active = [listener for listener in listeners if listener is not None]
    if len(active) < 2:
        return active[0] if active else None

    def tell(event: Event) -> None:
        for listener in tuple(active):
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - it is the watcher's code, whatever it raises
                _LOG.exception("a listener failed at %s and receives no more events", event.kind)
                active.remove(listener)

    return tell


_PLACE_IN_LISTS = re.compile(r"(\[\d+\])+$")


def node_of(call: str) -> str:
    """The node that a call belongs to; mapped over a list, its calls are ``decode[2]``."""
    return _PLACE_IN_LISTS.sub("", call)


_SECONDS_BETWEEN_STEPS = 10.0


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


class NotebookBars(Silent):
    """A bar for all nodes, one for each that runs, and the latest image of unfinished work.

    At the end a line stays that says how many nodes there were, and how long it took.

    Args:
        types: Node types by node.
        display: Shows an object, and gives a handle whose `update` shows another one instead.
    """

    def __init__(self, types: Mapping[str, str], display: Display) -> None:
        self._types = dict(types)
        self._display = display
        self._handle: Any = None
        self._lock = Lock()
        self._begun = self._drawn = monotonic()
        self._title = ""
        self._total = 0
        self._ended: set[str] = set()
        self._skipped: set[str] = set()
        self._cached = 0
        self._running: dict[str, tuple[int, int]] = {}
        self._preview = ""
        self._said: list[str] = []
        self._outcome = ""
        self._has_waited = False

    def __enter__(self) -> NotebookBars:
        self._begun = monotonic()
        self._handle = self._display(_Page(self._whole()), display_id=True)
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._running.clear()
            self._preview = ""
            self._draw(self._closing())

    def start(self, title: str) -> None:
        with self._lock:
            self._title = title
            self._total, self._cached = 0, 0
            self._ended.clear()
            self._skipped.clear()
            self._running.clear()

    def say(self, text: str) -> None:
        with self._lock:
            self._tell(text)
            self._draw(self._whole())

    def show(self, event: Event) -> None:
        with self._lock:
            is_urgent = self._take(event)
            if is_urgent or monotonic() - self._drawn >= _BETWEEN:
                self._draw(self._whole())

    def _take(self, event: Event) -> bool:
        """Note what happened; whether it is to be shown at once."""
        name = node_of(event.node or "")
        if event.kind == "job.started":
            self._total = event.data["nodes"]
        elif event.kind == "node.expanded":
            self._total += len(event.data["nodes"])
        elif event.kind == "node.started":
            self._types[name] = event.data["type"]
            self._running.setdefault(name, (0, 0))
        elif event.kind == "node.progress":
            self._running[name] = event.data["step"], event.data["total"]
        elif event.kind == "node.preview" and "image" in event.data:
            mime, data = event.data["mime"], b64encode(event.data["image"]).decode()
            self._preview = f'<img alt="{escape(name)}" src="data:{escape(mime)};base64,{data}">'
        elif event.kind == "nodes.cached":
            self._cached += len(event.data["nodes"])
            self._ended.update(event.data["nodes"])
        elif event.kind in _ENDED:
            self._ended.add(name)
            self._running.pop(name, None)
            self._note_outcome(event, name)
        else:
            return self._print_message(event)
        return event.kind == "node.preview"

    def _note_outcome(self, event: Event, name: str) -> None:
        if event.kind == "node.failed":
            self._outcome = "failed: "
        elif event.kind == "node.skipped":
            self._skipped.add(name)
            if event.data.get("reason") == "cancelled":
                self._outcome = "stopped: "

    def _print_message(self, event: Event) -> bool:
        """Note what is said in words."""
        if event.kind == "node.waiting" and not self._has_waited:
            self._has_waited = True  # once: where one waits, so do many
            self._tell(waiting_line(event))
        elif event.kind == "node.restored":
            self._tell(restored_line(event))
        elif event.kind == "log":
            self._tell(log_line(event))
        else:
            return False
        return True

    def _tell(self, text: str) -> None:
        self._said.append(text)
        del self._said[:-_MOST_SAID]

    def _draw(self, html: str) -> None:
        self._drawn = monotonic()
        if self._handle is not None:
            self._handle.update(_Page(html))

    def _whole(self) -> str:
        rows = [_bar(self._title or "nodes", len(self._ended), self._total, self._time)]
        for name, (step, total) in self._running.items():
            label = f"{name} ({self._types[name]})" if name in self._types else name
            rows.append(_bar(label, step, total, f"{step}/{total}" if total else ""))
        return f"<table>{''.join(rows)}</table>{self._preview}{self._words}"

    def _closing(self) -> str:
        cached = f", {self._cached} cached" if self._cached else ""
        title = f"{self._title}: " if self._title else ""
        nodes = f"{len(self._ended - self._skipped)}/{self._total} nodes{cached}"
        line = f"{title}{self._outcome}{nodes if self._total else 'nothing was run'}, {self._time}"
        return f"<small>{escape(strip_control_characters(line))}</small>{self._words}"

    @property
    def _time(self) -> str:
        return format_seconds(monotonic() - self._begun)

    @property
    def _words(self) -> str:
        joined = "\n".join(escape(strip_control_characters(text)) for text in self._said)
        return f"<pre>{joined}</pre>" if joined else ""


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
    return f"{event.node}: another process computes the same result; waiting for it"


def restored_line(event: Event) -> str:
    """That a node goes on where an earlier attempt stopped, as a line."""
    return f"{event.node}: continues from step {event.data['step']} of {event.data['total']}"


def log_line(event: Event) -> str:
    """What a node said, as a line."""
    level = event.data.get("level", "info")
    start = "" if level == "info" else f"{level}: "
    return f"{start}{event.node}: {event.data['message']}"
