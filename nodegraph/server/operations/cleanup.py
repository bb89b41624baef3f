"""Periodic deletion of old jobs, uploads and artifact entries."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from nodegraph.errors import NodegraphError
from nodegraph.server.rules import retention_rules
from nodegraph.server.services import Services

_LOG = logging.getLogger(__name__)
_FIRST = 60.0
"""Seconds after the start; one that is started anew every hour must forget, too."""
_LEAP = 3_600.0
"""Seconds by which the machine's clock may be off after a round; a suspended laptop's always is."""


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What a round has deleted.

    Attributes:
        artifacts: Jobs whose files are listed no more.
    """

    jobs: int = 0
    uploads: int = 0
    artifacts: int = 0


class Cleanup:
    """Keeps history, uploads and the catalogue of artifacts within their rules.

    How old something is only the machine's clock can say, and that one may jump. After a jump a
    round is left out, so that what a wrong clock calls old isn't gone before somebody has mended
    it.

    Args:
        services: Of the server; their settings are read anew for each round.
        clock: Unix time.
        steady: Seconds that no jump changes.
    """

    def __init__(
        self,
        services: Services,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = services
        self._clock = clock
        self._steady = steady
        self._offset = clock() - steady()
        self._is_untidy = False

    async def run(self) -> None:
        """Do so until it is cancelled."""
        delay = _FIRST
        while True:
            await asyncio.sleep(min(delay, self._services.server.retention.every))
            delay = self._services.server.retention.every
            await self.round()

    async def round(self) -> CleanupReport:
        """Delete once what isn't to be kept; a fault is logged, and the next round tries again."""
        if self._has_jumped():
            _LOG.warning("the machine's clock has jumped; nothing is deleted by age this time")
            return CleanupReport()
        services = self._services
        # Half of what a client may have, so that nobody who just works on is ever told to delete.
        size = services.server.clients.bytes // 2
        rules = replace(retention_rules(services.server.retention), bytes=size)
        jobs = await self._deleted("jobs", partial(services.queue.prune, rules))
        uploads = await self._deleted("uploads", services.uploads.prune)
        # Also of jobs that were deleted before a fault, and of a round that didn't come so far.
        self._is_untidy = self._is_untidy or jobs != 0
        artifacts: int | None = 0
        if self._is_untidy:
            artifacts = await self._deleted("entries of artifacts", services.artifacts.tidy)
            self._is_untidy = artifacts is None
        if jobs or uploads:
            _LOG.info("deleted %d old jobs and %d old uploads", jobs or 0, uploads or 0)
        return CleanupReport(jobs or 0, uploads or 0, artifacts or 0)

    async def _deleted(self, what: str, delete: Callable[[], int]) -> int | None:
        """How many were deleted; None if that failed, which keeps nothing else from being done."""
        try:
            return await self._services.run_in_thread(delete)
        except (NodegraphError, OSError) as error:
            _LOG.warning("old %s could not be deleted: %s", what, error)
            return None

    def _has_jumped(self) -> bool:
        before, self._offset = self._offset, self._clock() - self._steady()
        return abs(self._offset - before) > _LEAP
