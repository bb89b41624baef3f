"""Jobs that count as running though nobody runs them, given back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from nodegraph.jobs.queue import JobQueue
from nodegraph.jobs.supervisor.delays import DATABASE_FAULTS, Delays

_LOG = logging.getLogger(__name__)
_EVERY = 30.0
"""Seconds between two looks."""

_Attempt = tuple[str, int]


class Recovery:
    """Puts back what ran when this server was last there, and what is lost track of later.

    The latter should never happen: it is for a disk that has kept a claim and said that it hasn't.

    Args:
        is_known: Whether somebody cares for an attempt.
        give_back: Puts an attempt's job back.
    """

    def __init__(
        self,
        queue: JobQueue,
        is_known: Callable[[str, int], bool],
        give_back: Callable[[str, int], None],
        *,
        every: float = _EVERY,
    ) -> None:
        self._queue = queue
        self._is_known = is_known
        self._give_back = give_back
        self._every = every
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Recover, and look after the queue from now on; a queue that can't be written comes later.

        A fault only delays what is put back; new jobs are none the worse for it.
        """
        is_done = await self._recovered()
        self._task = asyncio.create_task(self._look_after(is_done), name="nodegraph-recovery")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _recovered(self) -> bool:
        try:
            found = await asyncio.wrap_future(self._queue.recover())
        except DATABASE_FAULTS as error:
            _LOG.error("jobs that ran before the start can't be put back yet: %s", error)
            return False
        for job in found:
            _LOG.warning("%s ran when the server ended; it is %s now", job.id, job.state)
        return True

    async def _look_after(self, is_recovered: bool) -> None:
        delays = Delays()
        while not is_recovered:
            await asyncio.sleep(delays.next())
            is_recovered = await self._recovered()
        before: set[_Attempt] = set()
        while True:
            await asyncio.sleep(self._every)
            running = await asyncio.to_thread(self._running)
            now = {each for each in running if not self._is_known(*each)}
            # Twice in a row, as a claim may be on its way to whoever made it.
            for job, attempt in sorted(now & before):
                _LOG.error("%s counts as running, but nobody runs it; it is put back", job)
                self._give_back(job, attempt)
            before = now - before

    def _running(self) -> set[_Attempt]:
        try:
            return set(self._queue.running_here())
        except DATABASE_FAULTS:
            return set()
