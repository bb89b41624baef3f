"""Events of a run that are of the moment only: they are shown, and not kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodegraph.core.events import Event
from nodegraph.jobs.queue.events import NOT_KEPT

LIVE = frozenset({"node.progress", "node.preview"})


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """Progress or a preview.

    Attributes:
        after: The number of the run's last event before it that is kept; -1 for none. Whoever
            shows it should have shown that one.
    """

    job: str
    client: str
    attempt: int
    after: int
    event: Event


def split_events(
    events: Sequence[Event], after: int
) -> tuple[list[Event], list[tuple[int, Event]]]:
    """The events that are kept, and the live ones, each with the number of the one it comes after.

    Args:
        after: Of the last one that was kept before.
    """
    kept: list[Event] = []
    live: list[tuple[int, Event]] = []
    for event in events:
        if event.kind in LIVE:
            live.append((after, event))
        elif event.kind not in NOT_KEPT:
            kept.append(event)
            after = event.number
    return kept, live
