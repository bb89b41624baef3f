"""Questions of which only the newest is of interest, such as what the graph being edited means."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nodegraph.server.http.errors import Conflict

T = TypeVar("T")


class Superseded(Conflict):
    """A question that a newer one has made void."""

    code = "superseded"


class Newest:
    """One question at a time; of those that wait, the newest stays."""

    def __init__(self) -> None:
        self._is_busy = False
        self._waiting: asyncio.Future[None] | None = None

    async def answer(self, find: Callable[[], Awaitable[T]]) -> T:
        """The answer, once there is nobody before.

        Raises:
            Superseded: Another question came while this one waited.
        """
        if self._is_busy:
            await self._turn()
        self._is_busy = True
        try:
            return await find()
        finally:
            self._is_busy = False
            if self._waiting is not None and not self._waiting.done():
                # Nobody may come between: whoever waits is next.
                self._is_busy = True
                self._waiting.set_result(None)

    async def _turn(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            error = Superseded("a newer question came before this one was looked at")
            self._waiting.set_exception(error)
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        await waiting
