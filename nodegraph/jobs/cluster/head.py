"""Whether the head of a cluster is there, as a connection to its port tells."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from time import monotonic

LOOK_EVERY = 5.0
"""Seconds between two looks. Ray closes a connection that says nothing after 120."""
_SILENCE = 30.0
"""Seconds without an answer, after which it counts as gone. Busy ones are slow, and what keeps this
machine from asking, such as a name that can't be resolved for a moment, tells nothing of it."""
_ANSWER = 5.0
_REFUSALS = (ConnectionRefusedError, ConnectionResetError)
"""Of a machine that is there, whose head isn't."""


class HeadGone(ConnectionError):
    """Who keeps a cluster together can't be reached."""


class ClusterHead:
    """Where a cluster is joined, until that ends.

    Ray itself waits a minute for a head that is gone, in calls that keep the event loop, and then
    ends the whole process. One that is back at once it even takes for the one before, whose answers
    it goes on waiting for; so the connection of each look is kept until the next one, as the system
    closes it when the head's process ends.

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
        self._line: asyncio.Transport | None = None

    def __str__(self) -> str:
        return f"{self._host}:{self._port}"

    @property
    def is_lost(self) -> bool:
        """Whether it was gone, so that whatever is there now has to be joined anew."""
        return self.lost.done()

    def leave(self) -> None:
        """Keep no connection to it any more."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def probe(self) -> bool:
        """Whether it can be spoken to now."""
        try:
            line = await self._ask_within(_ANSWER)
        except _REFUSALS:
            self.mark_lost()
            return False
        except (OSError, asyncio.TimeoutError):
            if self._clock() - self._heard > _SILENCE:
                self.mark_lost()
            return False
        self.leave()
        self._line = line
        self._heard = self._clock()
        return True

    async def _ask_within(self, seconds: float) -> asyncio.Transport:
        """As `_ask`, which may take so long.

        Raises:
            OSError: None answers; a refusal, if one of them refuses.
            TimeoutError: None has answered in time.
        """
        # Not `asyncio.wait_for`: before Python 3.12 it ignores that it is cancelled where the
        # answer has just come, and whoever joins a cluster would go on with it for ever.
        connecting = asyncio.ensure_future(self._ask())
        try:
            await asyncio.wait({connecting}, timeout=seconds)
        except asyncio.CancelledError:
            if (
                not connecting.cancel()
                and not connecting.cancelled()
                and not connecting.exception()
            ):
                connecting.result().close()
            raise
        if not connecting.done():
            connecting.cancel()
            raise asyncio.TimeoutError
        return connecting.result()

    async def _ask(self) -> asyncio.Transport:
        """Connect to one of its addresses.

        Raises:
            OSError: None answers; a refusal, if one of them refuses.
        """
        # One by one, as asyncio makes of several refusals an error that is none.
        faults: list[OSError] = []
        kind = socket.SOCK_STREAM
        loop = asyncio.get_running_loop()
        for *_, sockaddr in await loop.getaddrinfo(self._host, self._port, type=kind):
            try:
                transport, _ = await loop.create_connection(
                    lambda: _Line(self.mark_lost), str(sockaddr[0]), self._port
                )
            except OSError as error:
                faults.append(error)
            else:
                return transport
        raise next((each for each in faults if isinstance(each, _REFUSALS)), faults[0])

    def mark_lost(self) -> None:
        """Count it as gone."""
        if not self.lost.done():
            self.lost.set_result(None)


class _Line(asyncio.Protocol):
    """A connection over which nothing is said.

    Args:
        ended: Is called when the other side has ended it.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended

    def eof_received(self) -> None:
        self._ended()

    def connection_lost(self, error: Exception | None) -> None:
        # Other errors are of this machine's network, and tell nothing of the head.
        if isinstance(error, _REFUSALS):
            self._ended()
