"""What becomes of jobs, in the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import monotonic
from typing import Any

from nodegraph.jobs.queue import JobEvent

_LOG = logging.getLogger("nodegraph.server.jobs")
_LEVELS = {
    "job.finished": logging.INFO,
    "job.cancelled": logging.INFO,
    "job.requeued": logging.INFO,
    "job.failed": logging.WARNING,
}
_LONGEST = 300


class JobLog:
    """Has a line for each job that ends or has to wait again; a listener of `EventTail`."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[str, float]] = {}

    def handle_events(self, events: Sequence[JobEvent]) -> None:
        """Tell of some events, in order."""
        for event in events:
            if event.kind == "job.claimed":
                self._running[event.job] = str(event.data.get("worker", "")), monotonic()
            elif event.kind in _LEVELS:
                self._tell(event)

    def _tell(self, event: JobEvent) -> None:
        worker, since = self._running.pop(event.job, ("", None))
        if not _LOG.isEnabledFor(_LEVELS[event.kind]):
            return
        fields: dict[str, Any] = {
            "event": event.kind,
            "job": event.job,
            "client": event.client,
            "attempt": event.attempt,
        }
        text = f"{event.job} {'waits again' if event.kind == 'job.requeued' else event.kind[4:]}"
        if since is not None:
            fields |= {"worker": worker, "seconds": round(monotonic() - since, 6)}
            text += f" after {fields['seconds']:.3f} s on {worker}"
        if why := _reason(event):
            fields["reason"] = why
            text += f": {why}"
        # The text may hold anything that a node or a client wrote.
        _LOG.log(_LEVELS[event.kind], "%s", text, extra={"fields": fields})


def _reason(event: JobEvent) -> str:
    error = event.data.get("error")
    message = error.get("message") if isinstance(error, dict) else event.data.get("reason")
    return str(message or "")[:_LONGEST]
