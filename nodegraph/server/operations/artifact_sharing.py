"""Sharing what this server's workers write with the queue's other servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic

from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import JobEvent
from nodegraph.server.content.artifacts import Artifacts

_LOG = logging.getLogger(__name__)
_OUTPUT_EVENTS = frozenset({"node.wrote", "job.finished"})
_EVERY = 60.0
"""Seconds after which it is looked again without a reason."""
_AGAIN = 3.0
"""Seconds after which what went wrong is tried again."""


class ArtifactSharing:
    """Shares files as soon as it is told of them, for an event loop.

    A server that was killed in between, or couldn't reach the place, does so later: what isn't
    shared yet stands in the catalogue.
    """

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._wanted = asyncio.Event()

    def handle_events(self, events: Sequence[JobEvent]) -> None:
        """Look at what happened in the queue."""
        if any(event.kind in _OUTPUT_EVENTS for event in events):
            self._wanted.set()

    async def run(self) -> None:
        """Do so until it is cancelled."""
        is_well = True
        looked = monotonic()
        while True:
            self._wanted.clear()
            try:
                await asyncio.to_thread(self._artifacts.share)
                is_well = True
            except (NodegraphError, OSError) as error:
                if is_well:
                    _LOG.warning("output files of jobs cannot be shared now: %s", error)
                is_well = False
            is_due = monotonic() - looked >= _EVERY  # however much happens meanwhile
            # Not `asyncio.wait_for`: before Python 3.12 it ignores a cancellation where what it
            # waits for happens at the same moment, and this would go on for ever.
            waiting = asyncio.ensure_future(self._wanted.wait())
            try:
                done, _ = await asyncio.wait({waiting}, timeout=_EVERY if is_well else _AGAIN)
            finally:
                waiting.cancel()
            is_due = is_due or not done
            if is_due:
                self._artifacts.retry_missing()
                looked = monotonic()
