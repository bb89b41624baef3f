"""Write measured costs to the store periodically, in a process that lives long."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from time import monotonic

from nodegraph.session.session import Session

_LOG = logging.getLogger(__name__)

PERIOD = 5.0
"""Seconds."""


class StoreFlusher:
    """Writes what calls took into the store, and reads what other processes wrote.

    So plans made elsewhere know of it, and it doesn't pile up here.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._last = monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def plan(self, loop: asyncio.AbstractEventLoop) -> None:
        """Do it soon, in a thread of its own, if it isn't planned yet."""
        if self._timer is None and (self._task is None or self._task.done()):
            self._timer = loop.call_later(PERIOD, self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self._task = loop.create_task(asyncio.to_thread(self._work))

    async def end(self) -> None:
        """Plan no more, and wait for what goes on."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            await self._task

    def if_due(self) -> None:
        """Do it now, unless it was done a moment ago."""
        if monotonic() - self._last >= PERIOD:
            self._work()

    def _work(self) -> None:
        kept = self._session.persistence
        if kept is None:
            return
        try:
            kept.costs.flush()
        except sqlite3.Error as error:
            _LOG.warning("cannot record the cost of calls: %s", error)
        self._last = monotonic()
