"""Whether the head of a cluster is there, as its port tells."""

from __future__ import annotations

import asyncio
from time import monotonic

_EVERY = 1.0
"""Seconds between two looks."""
_SILENCE = 30.0
"""Seconds without an answer of any kind, after which it counts as gone. Busy ones are slow."""
_ANSWER = 5.0


class HeadGone(ConnectionError):
    """Who keeps a cluster together can't be reached."""


class ClusterHead:
    """Where a cluster is joined.

    Ray itself waits a minute for a head that is gone, in calls that keep the event loop, and then
    ends the whole process.

    Attributes:
        lost: Is done once it was gone: then all that was asked of it is lost.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heard = monotonic()

    def __str__(self) -> str:
        return f"{self._host}:{self._port}"

    @property
    def is_lost(self) -> bool:
        """Whether it was gone, so that it has to be joined again."""
        return self.lost.done()

    def found(self, host: str, port: int) -> None:
        """It, or another one in its place, was joined."""
        self._host, self._port = host, port
        if self.lost.done():
            self.lost = asyncio.get_running_loop().create_future()
        self._heard = monotonic()

    async def answers(self) -> bool:
        """Whether it can be spoken to now."""
        try:
            opening = asyncio.open_connection(self._host, self._port)
            _, writer = await asyncio.wait_for(opening, _ANSWER)
        except asyncio.TimeoutError:
            if monotonic() - self._heard > _SILENCE:
                self._gone()
            return False
        except OSError:
            self._gone()
            return False
        writer.close()
        self._heard = monotonic()
        return True

    async def watch(self) -> None:
        """Look every now and then, for ever."""
        while True:
            await self.answers()
            await asyncio.sleep(_EVERY)

    def _gone(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
