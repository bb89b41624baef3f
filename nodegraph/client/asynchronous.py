"""Doing the steps of a client within an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from nodegraph.client.asynchronous_socket import Socket, opened
from nodegraph.client.connection import Connection, headers_of, unreadable
from nodegraph.client.requests import Answer
from nodegraph.client.steps import Exchange, Hear, Open, Pause, Say, Step, Steps, Tell
from nodegraph.errors import NodegraphError

T = TypeVar("T")
_CHUNK = 1 << 18


class Asynchronous:
    """Does steps; for one event loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._http = httpx.AsyncClient(**connection.options())

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def done(self, steps: Steps[T]) -> T:
        """What came of some steps, which tell nothing on their way."""
        results: list[T] = []
        async for _ in self._all(steps, results):
            pass
        return results[0]

    def told(self, steps: Steps[None]) -> AsyncGenerator[Any, None]:
        """What some steps tell."""
        return self._all(steps, [])

    async def _all(self, steps: Steps[T], results: list[T]) -> AsyncGenerator[Any, None]:
        doing = _Doing(self._connection, self._http)
        outcome: Any = None
        fault: NodegraphError | None = None
        try:
            while True:
                try:
                    step = steps.send(outcome) if fault is None else steps.throw(fault)
                except StopIteration as end:
                    results.append(end.value)
                    return
                outcome = fault = None
                if isinstance(step, Tell):
                    for item in step.items:
                        yield item
                    continue
                try:
                    outcome = await doing.do(step)
                except NodegraphError as error:
                    fault = error
        finally:
            steps.close()
            await doing.close()


class _Doing:
    """Does one sequence of steps, which has a websocket at most."""

    def __init__(self, connection: Connection, http: httpx.AsyncClient) -> None:
        self._connection = connection
        self._http = http
        self._socket: Socket | None = None

    async def do(self, step: Step) -> Any:
        """What comes of a step.

        Raises:
            NodegraphError: What goes wrong with it.
        """
        if isinstance(step, Exchange):
            return await self._exchange(step)
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        elif isinstance(step, Open):
            await self.close()
            self._socket = await opened(self._connection, step.seconds)
        elif isinstance(step, (Say, Hear)):
            assert self._socket is not None, "there is no websocket"
            if isinstance(step, Hear):
                return await self._socket.hear(step.seconds)
            await self._socket.say(step.message)
        return None

    async def close(self) -> None:
        """Close the websocket, if there is one."""
        if self._socket is not None:
            closing, self._socket = self._socket, None
            await closing.close()

    async def _exchange(self, step: Exchange) -> Answer:
        request = step.request
        body = request.body
        try:
            async with self._http.stream(
                request.method,
                request.path,
                params=request.query,
                headers=headers_of(request),
                content=_chunks(body) if isinstance(body, Path) else body,
                timeout=self._connection.timeout(request.seconds),
            ) as response:
                head = self._connection.head(request, response)
                if step.sink is not None and await asyncio.to_thread(step.sink.begin, head):
                    async for data in response.aiter_bytes():
                        await asyncio.to_thread(step.sink.write, data)
                    return head
                return self._connection.whole(head, await response.aread())
        except httpx.RequestError as error:
            raise self._connection.fault(error) from error


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    try:
        file = await asyncio.to_thread(path.open, "rb")
        with file:
            while data := await asyncio.to_thread(file.read, _CHUNK):
                yield data
    except OSError as error:
        raise unreadable(path, error) from error
