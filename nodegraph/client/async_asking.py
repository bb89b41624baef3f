"""What all parts of a client do within an event loop: ask the server one thing."""

from __future__ import annotations

from typing import TypeVar

from nodegraph.client.asynchronous import Asynchronous
from nodegraph.client.calls import Call
from nodegraph.client.retries import Retries
from nodegraph.client.sending import sent

T = TypeVar("T")


class AsyncAsks:
    """A part of a client within an event loop."""

    def __init__(self, doer: Asynchronous, retries: Retries) -> None:
        self._doer = doer
        self._retries = retries

    async def _asked(self, call: Call[T]) -> T:
        return await self._doer.done(sent(call, self._retries))
