"""Watching a job of a server as if it ran here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, cast

from nodegraph.cli.output import to_json
from nodegraph.cli.progress import Silent
from nodegraph.cli.watching import progress_for
from nodegraph.core.events import Event as RunEvent
from nodegraph.core.events import EventKind

if TYPE_CHECKING:
    from nodegraph.client import Client, Event, Job


_REASONS = {
    "released": "its worker gave it back",
    "died": "its worker died",
    "recovered": "the server was started anew",
}


class JobLines:
    """Writes each event of a job as a line of JSON as it comes."""

    def show(self, event: Event) -> None:
        """Write an event."""
        line = {
            "seq": event.seq,
            "job": event.job,
            "attempt": event.attempt,
            "number": event.number,
            "kind": event.kind,
            "at": event.at,
            "node": event.node,
            "seconds": event.seconds,
            "data": event.data,
        }
        print(to_json(line), flush=True)


def followed(
    client: Client, id: str, types: Mapping[str, str], *, events: bool, quiet: bool
) -> Job:
    """A job once it has ended; until then it is shown how it goes on.

    Args:
        types: Node types by node.
        events: Print events as lines of JSON instead.
        quiet: Show nothing.
    """
    lines = JobLines() if events else None
    with ExitStack() as stack:
        shown = stack.enter_context(progress_for(sys.stderr, types, quiet=quiet or events))
        display = _Display(shown)
        for event in client.watch(id, live=lines is not None or not quiet):
            if lines is not None:
                lines.show(event)
            display.show(event)
    return client.get(id)


class _Display:
    """Hands a job's events to what shows a run."""

    def __init__(self, shown: Silent) -> None:
        self._shown = shown
        self._attempt: int | None = None

    def show(self, event: Event) -> None:
        """Show an event."""
        if event.number is None:
            self._of_queue(event)
            return
        if event.attempt != self._attempt:
            again = "" if self._attempt is None else f"attempt {event.attempt}"
            self._shown.start(again)
            self._attempt = event.attempt
        kind = cast(EventKind, event.kind)
        seconds = event.seconds or 0.0
        self._shown.show(RunEvent(event.number, kind, event.node, seconds, event.data))

    def _of_queue(self, event: Event) -> None:
        if event.kind == "job.requeued":
            reason = str(event.data.get("reason"))
            self._shown.say(f"it waits again: {_REASONS.get(reason, reason)}")
        elif event.kind == "job.held":
            self._shown.say("held until it is let go")
