"""Several listeners of one run."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from nodegraph.core.events import Event, Listener

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
                _LOG.exception("a listener failed at %s and is told no more", event.kind)
                active.remove(listener)

    return tell
