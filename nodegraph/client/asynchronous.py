"""Doing the steps of a client within an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from nodegraph.client.asynchronous_socket import Socket, opened
from nodegraph.client.connection import Connection, unreadable
from nodegraph.client.requests import Answer
from nodegraph.client.steps import Course, Exchange, Hear, Open, Pause, Say, Step, Steps, Tell
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
        course = Course(steps)
        async for _ in self._told(course):
            pass
        return course.result

    def told(self, steps: Steps[None]) -> AsyncGenerator[Any, None]:
        """What some steps tell."""
        return self._told(Course(steps))

    async def _told(self, course: Course[Any]) -> AsyncGenerator[Any, None]:
        doing = _Doing(self._connection, self._http)
        try:
            for step in course:
                if isinstance(step, Tell):
                    for item in step.items:
                        yield item
                    continue
                try:
                    course.outcome = await doing.do(step)
                except NodegraphError as error:
                    course.fault = error
        finally:
            course.close()
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
                **self._connection.sent(request),
                content=_chunks(body) if isinstance(body, Path) else body,
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
