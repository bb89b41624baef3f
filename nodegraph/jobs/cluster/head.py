"""Whether the head of a cluster is there, as its port tells."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from time import monotonic

_EVERY = 1.0
"""Seconds between two looks."""
_SILENCE = 30.0
"""Seconds without an answer, after which it counts as gone. Busy ones are slow, and what keeps this
machine from asking, such as a name that can't be resolved for a moment, tells nothing of it."""
_ANSWER = 5.0
_REFUSALS = (ConnectionRefusedError, ConnectionResetError)
"""Of a machine that is there, whose head isn't."""


class HeadGone(ConnectionError):
    """Who keeps a cluster together can't be reached."""


class ClusterHead:
    """Where a cluster is joined.

    Ray itself waits a minute for a head that is gone, in calls that keep the event loop, and then
    ends the whole process.

    Args:
        clock: Seconds, from any start.
    Attributes:
        lost: Is done once it was gone: then all that was asked of it is lost.
    """

    def __init__(self, host: str, port: int, *, clock: Callable[[], float] = monotonic) -> None:
        self._host = host
        self._port = port
        self._clock = clock
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heard = self._clock()

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
        self._heard = self._clock()

    async def answers(self) -> bool:
        """Whether it can be spoken to now."""
        try:
            await asyncio.wait_for(self._ask(), _ANSWER)
        except _REFUSALS:
            self._gone()
            return False
        except (OSError, asyncio.TimeoutError):
            if self._clock() - self._heard > _SILENCE:
                self._gone()
            return False
        self._heard = self._clock()
        return True

    async def _ask(self) -> None:
        """Connect to one of its addresses.

        Raises:
            OSError: None answers; a refusal, if one of them refuses.
        """
        # One by one, as asyncio makes of several refusals an error that is none.
        faults: list[OSError] = []
        kind = socket.SOCK_STREAM
        loop = asyncio.get_running_loop()
        for *_, place in await loop.getaddrinfo(self._host, self._port, type=kind):
            try:
                _, writer = await asyncio.open_connection(str(place[0]), self._port)
            except OSError as error:
                faults.append(error)
            else:
                writer.close()
                return
        raise next((each for each in faults if isinstance(each, _REFUSALS)), faults[0])

    async def watch(self) -> None:
        """Look every now and then, for ever."""
        while True:
            await self.answers()
            await asyncio.sleep(_EVERY)

    def _gone(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
