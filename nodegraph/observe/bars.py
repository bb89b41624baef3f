"""Progress of runs as bars on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from nodegraph.core.events import Event
from nodegraph.core.text_format import format_seconds, strip_control_characters
from nodegraph.observe.progress import Silent, log_line, node_of, restored_line, waiting_line

_ENDED = {"node.finished", "node.failed", "node.skipped"}


class Bars(Silent):
    """Bars that vanish when the runs are over.

    Args:
        types: Node types by node.
    """

    def __init__(self, types: Mapping[str, str]) -> None:
        self._types = dict(types)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.fields[count]}", justify="right"),
            _Time(),
            console=Console(stderr=True),
            transient=True,
        )
        self._title = ""
        self._all: TaskID | None = None
        self._running: dict[str, TaskID] = {}
        self._ended: set[str] = set()
        self._has_waited = False

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def start(self, title: str) -> None:
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
        self._running.clear()
        self._ended.clear()
        self._has_waited = False
        self._title = title
        self._all = self._progress.add_task(escape(title or "nodes"), total=None, count="")

    def say(self, text: str) -> None:
        self._progress.console.print(Text(strip_control_characters(text)))

    def show(self, event: Event) -> None:
        if event.kind == "job.started":
            self._count(total=event.data["nodes"])
        elif event.kind == "node.expanded":
            self._count(more=len(event.data["nodes"]))
        elif event.kind == "node.started":
            self._begin(event)
        elif event.kind == "node.waiting" and not self._has_waited:
            self._has_waited = True
            self.say(waiting_line(event))
        elif event.kind == "node.restored":
            self._restore(event)
        elif event.kind == "node.progress":
            self._step(event)
        elif event.kind == "nodes.cached":
            for node in event.data["nodes"]:
                self._end(node)
        elif event.kind in _ENDED:
            self._end(event.node or "")
            if event.kind == "node.failed":
                self.say(f"{event.node} failed: {event.data['message']}")
        elif event.kind == "log":
            self.say(log_line(event))

    def _count(self, *, total: int | None = None, more: int = 0, done: int = 0) -> None:
        if self._all is None:
            return
        task = self._progress.tasks[self._progress.task_ids.index(self._all)]
        total = (int(task.total or 0) if total is None else total) + more
        completed = int(task.completed) + done
        count = f"{completed}/{total}"
        self._progress.update(self._all, total=total, completed=completed, count=count)

    def _begin(self, event: Event) -> None:
        call = event.node or ""
        if node_of(call) in self._running:
            return  # another call of a node that is mapped over a list: they share a bar
        name = f"{strip_control_characters(node_of(call))} ({event.data['type']})"
        task = self._progress.add_task(escape(name), total=None, count="", node=True)
        self._running[node_of(call)] = task

    def _step(self, event: Event) -> None:
        task = self._running.get(node_of(event.node or ""))
        if task is not None:
            step, total = event.data["step"], event.data["total"]
            self._progress.update(task, completed=step, total=total, count=f"{step}/{total}")

    def _restore(self, event: Event) -> None:
        task = self._running.get(node_of(event.node or ""))
        if task is not None:
            step, total = event.data["step"], event.data["total"]
            # Reset, so that the steps of the attempt before don't count as done in no time.
            self._progress.reset(task, completed=step, total=total, count=f"{step}/{total}")
        self.say(restored_line(event))

    def _end(self, node: str) -> None:
        if node not in self._ended:
            self._ended.add(node)
            self._count(done=1)
        task = self._running.pop(node, None)
        if task is not None:
            self._progress.remove_task(task)


class _Time(ProgressColumn):
    """Time left of a node's steps; of the whole run, time gone."""

    def render(self, task: Task) -> Text:
        if "node" not in task.fields:
            return Text(format_seconds(task.elapsed or 0.0), style="dim")
        left = task.time_remaining
        if left is None:
            return Text("")
        shown = f"{left:.0f} s" if left < 60 else format_seconds(left)
        return Text(f"{shown} left", style="cyan")
