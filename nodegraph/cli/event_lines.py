"""A run's events as lines of JSON on stdout."""

from __future__ import annotations

import sys
from typing import Any

from nodegraph.cli.output import to_json
from nodegraph.core.events import Event


class EventLines:
    """Writes each event as a line of JSON as it comes.

    Attributes:
        run: Which of several runs the events are of, from 0.
    """

    def __init__(self) -> None:
        self.run = 0
        self._stream = sys.stdout
        self._has_reader = True

    def show(self, event: Event) -> None:
        """Write an event."""
        if not self._has_reader:
            return
        line = {
            "run": self.run,
            "number": event.number,
            "kind": event.kind,
            "node": event.node,
            "seconds": event.seconds,
            "data": {key: _plain(value) for key, value in event.data.items()},
        }
        try:
            print(to_json(line), file=self._stream, flush=True)
        except BrokenPipeError:
            # Raised here it would be taken for a fault of the node that was just running.
            self._has_reader = False


def _plain(value: Any) -> Any:
    """A value that JSON has; a picture is told of by its size."""
    return f"{len(value)} bytes" if isinstance(value, bytes) else value
