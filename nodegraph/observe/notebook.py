"""How a run goes on, in a notebook: one display that is written anew in its place.

IPython is used where it is at work already, and never imported: nothing here needs it.
"""

from __future__ import annotations

import sys
import warnings
from base64 import b64encode
from collections.abc import Callable, Mapping
from html import escape
from threading import Lock
from time import monotonic
from typing import Any

from nodegraph.core.events import Event
from nodegraph.core.words import format_seconds, strip_control_characters
from nodegraph.observe.lines import Silent, log_line, restored_line, waiting_line
from nodegraph.observe.names import node_of

_BETWEEN = 0.2
"""Seconds between two pictures of how far it is; each is sent to the browser."""
_MOST_SAID = 50
_ENDED = {"node.finished", "node.failed", "node.skipped"}

Display = Callable[..., Any]
"""`IPython.display.display`, or what does as it does."""


class NotebookBars(Silent):
    """A bar for all nodes, one for each that runs, and the latest picture of unfinished work.

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
            return self._told(event)
        return event.kind == "node.preview"

    def _note_outcome(self, event: Event, name: str) -> None:
        if event.kind == "node.failed":
            self._outcome = "failed: "
        elif event.kind == "node.skipped":
            self._skipped.add(name)
            if event.data.get("reason") == "cancelled":
                self._outcome = "stopped: "

    def _told(self, event: Event) -> bool:
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
