"""The way to a server: requests, sent as often as it takes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO, TypeVar

import httpx

from nodegraph.client.async_wire import AsyncHttp, in_thread, pause
from nodegraph.client.connection import Connection, unreadable_file
from nodegraph.client.downloads import PartialFile
from nodegraph.client.errors import TRANSIENT_STATUSES, ConnectionLost, NotReachable
from nodegraph.client.problems import error_from_reply
from nodegraph.client.reading import page
from nodegraph.client.requests import Query, Reply, Request
from nodegraph.client.retries import Backoff, Retries

T = TypeVar("T")
_CHUNK = 1 << 18


class AsyncTransport:
    """The way to a server, for all parts of a client."""

    def __init__(self, connection: Connection, retries: Retries) -> None:
        self.connection = connection
        self.retries = retries
        self._http = AsyncHttp(**connection.options())

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def exchange(self, request: Request, part: PartialFile | None = None) -> Reply:
        """The answer to a request that is sent once, whatever it is.

        Args:
            part: Takes the body of the answer, if it wants it.
        Raises:
            NotReachable, ConnectionLost, UnexpectedAnswer: There is none.
        """
        body = request.body
        try:
            async with self._http.stream(
                **self.connection.request_arguments(request),
                content=_chunks(body) if isinstance(body, Path) else body,
            ) as response:
                head = self.connection.head(request, response)
                if part is not None and await in_thread(part.begin, head):
                    async for data in response.aiter_bytes():
                        await in_thread(part.write, data)
                    return head
                return self.connection.whole(head, await response.aread())
        except httpx.RequestError as error:
            raise self.connection.fault(error) from error

    async def send(self, request: Request, retries: Retries | None = None) -> Reply:
        """What the server says to a request.

        Where no connection could be made, nothing was sent, and anything is tried again. Where it
        broke, or the server is too busy, only what does no harm if it is done twice.

        Raises:
            NodegraphError: Why nothing comes of it.
        """
        retries = retries or self.retries
        trouble = Backoff(retries, retries.seconds)
        reaching = Backoff(retries, retries.connecting)
        was_lost = False
        while True:
            try:
                answer = await self.exchange(request)
            except NotReachable:
                wait = reaching.delay()
                if wait is None:
                    raise
            except ConnectionLost as error:
                wait = trouble.delay() if request.is_repeatable else None
                if wait is None:
                    raise _given_up(request, error) from error
                was_lost = True
            else:
                is_done = was_lost and answer.status == request.already_done_status
                if is_done or 200 <= answer.status < 300:
                    return answer
                is_passing = request.is_repeatable and answer.status in TRANSIENT_STATUSES
                wait = trouble.delay(answer.retry_after) if is_passing else None
                if wait is None:
                    raise error_from_reply(answer)
            await pause(wait)

    async def items(
        self, kind: type[T], path: str, query: Query = (), most: int | None = None
    ) -> AsyncGenerator[T, None]:
        """The items of a list that comes in parts, each asked for when it is needed.

        Args:
            most: How many.
        """
        cursor: Query = ()
        left = most
        while True:
            part = page(kind, await self.send(Request("GET", path, (*query, *cursor))))
            for item in part.items[:left]:
                yield item
            left = None if left is None else left - len(part.items[:left])
            if part.next is None or left == 0:
                return
            cursor = (("cursor", part.next),)


class AsyncClientPart:
    """A part of a client."""

    def __init__(self, channel: AsyncTransport) -> None:
        self._channel = channel


def _given_up(request: Request, error: ConnectionLost) -> ConnectionLost:
    if request.method == "GET":
        return error
    hint = "What was asked for may have been done all the same."
    return ConnectionLost(error.problem.message, hint=hint)


async def _chunks(path: Path) -> AsyncGenerator[bytes, None]:
    try:
        file = await in_thread(_opened, path)
        with file:
            while data := await in_thread(file.read, _CHUNK):
                yield data
    except OSError as error:
        raise unreadable_file(path, error) from error


def _opened(path: Path) -> BinaryIO:
    return path.open("rb")
