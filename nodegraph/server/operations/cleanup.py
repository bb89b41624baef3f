"""Periodic deletion of old jobs, uploads and artifact entries."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import JobNotFound, RetentionRules, WrongState
from nodegraph.server.content.artifacts import Artifact
from nodegraph.server.content.artifacts.annotations import ResultAnnotation
from nodegraph.server.rules import retention_rules
from nodegraph.server.services import Services

_LOG = logging.getLogger(__name__)
_FIRST = 60.0
"""Seconds after the start; one that is started anew every hour must forget, too."""
_DAY = 86_400.0
_AT_ONCE = 200
"""Results that are deleted together."""
_LEAP = 3_600.0
"""Seconds by which the machine's clock may be off after a round; a suspended laptop's always is."""


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What a round has deleted.

    Attributes:
        artifacts: Jobs whose files are listed no more.
        trashed: Results that were in the trash.
    """

    jobs: int = 0
    uploads: int = 0
    artifacts: int = 0
    trashed: int = 0


async def empty_trash(services: Services, client: str | None, before: float | None = None) -> int:
    """Delete what is in the trash for good; how many results that were.

    Killed in between, it deletes the rest another time: a result leaves the trash last. Results of
    jobs that haven't ended stay there.

    Args:
        client: Whose; None for everybody's.
        before: Unix time; only what was put there before.
    """
    artifacts, deleted = services.artifacts, 0
    entries = await services.read_queue(artifacts.library.trashed, client, before)
    for start in range(0, len(entries), _AT_ONCE):
        part = entries[start : start + _AT_ONCE]
        # Who restores one meanwhile waits for a part, and keeps it if it is of a later one.
        async with artifacts.emptying:
            deleted += await _delete_trashed(services, part)
    if deleted:
        services.hub.notify("library.changed")
        services.hub.notify("artifacts.deleted")
    return deleted


async def _delete_trashed(services: Services, part: Sequence[ResultAnnotation]) -> int:
    """Delete some of what is in the trash; how many results that were."""
    artifacts = services.artifacts
    listed = await services.read_queue(artifacts.in_trash, part)
    forgotten = await asyncio.gather(*(_forgotten(services, files) for _, files in listed))
    gone = [each for each, is_gone in zip(listed, forgotten, strict=True) if is_gone]
    files = chain.from_iterable(files for _, files in gone)
    await services.run_file_task(artifacts.delete, [*files])
    await services.read_queue(artifacts.leave_trash, [noted for noted, _ in gone])
    return len(gone)


async def _forgotten(services: Services, artifacts: Sequence[Artifact]) -> bool:
    """Have jobs no longer list some bytes; False if one of them has not ended."""
    for job in dict.fromkeys(each.job for each in artifacts):
        try:
            await services.queue_reads.changed(services.queue.forget_file(job, artifacts[0].digest))
        except JobNotFound:
            continue
        except WrongState:
            return False
    return True


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
        # First, as the files of jobs that are gone stay.
        trashed = await self._emptied()
        # Half of what a client may have, so that nobody who just works on is ever told to delete.
        size = services.server.clients.bytes // 2
        rules = replace(retention_rules(services.server.retention), bytes=size)
        jobs = await self._deleted("jobs", partial(self._prune, rules))
        uploads = await self._deleted("uploads", services.uploads.prune)
        # Also of jobs that were deleted before a fault, and of a round that didn't come so far.
        self._is_untidy = self._is_untidy or jobs != 0
        artifacts: int | None = 0
        if self._is_untidy:
            artifacts = await self._deleted("entries of artifacts", services.artifacts.tidy)
            self._is_untidy = artifacts is None
        if jobs or uploads:
            _LOG.info("deleted %d old jobs and %d old uploads", jobs or 0, uploads or 0)
        return CleanupReport(jobs or 0, uploads or 0, artifacts or 0, trashed or 0)

    def _prune(self, rules: RetentionRules) -> int:
        """Delete old jobs, but for those with results about which somebody noted something."""
        kept = self._services.artifacts.annotated_jobs()
        return self._services.queue.prune(rules, kept=kept)

    async def _emptied(self) -> int:
        """How many results that were in the trash for long were deleted."""
        days = self._services.server.retention.trash_days
        if days is None:
            return 0
        try:
            return await empty_trash(self._services, None, self._clock() - days * _DAY)
        except (NodegraphError, OSError) as error:
            _LOG.warning("old results in the trash could not be deleted: %s", error)
            return 0

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
