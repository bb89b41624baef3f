"""Send requests with retries, and stream job events over breaking connections.

Events are numbered. A client that reconnects names the last number it knows, so it misses no event
and gets none twice. Where no websocket can be opened, the events are polled.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import httpx

from nodegraph.client.answers import (
    convert,
    error_from_document,
    error_from_reply,
    page,
    parse_answer,
)
from nodegraph.client.async_wire import AsyncHttp, AsyncSocket, in_thread, opened_socket, pause
from nodegraph.client.connection import Connection, SocketRefused, unreadable_file
from nodegraph.client.downloads import PartialFile
from nodegraph.client.errors import (
    TRANSIENT_STATUSES,
    ConnectionLost,
    NotFound,
    NotReachable,
    ServerError,
    UnexpectedAnswer,
)
from nodegraph.client.requests import (
    NEVER,
    Backoff,
    Deadline,
    Query,
    Reply,
    Request,
    Retries,
    query,
    url_path,
)
from nodegraph.client.shapes import Event, EventPage, Job
from nodegraph.errors import NodegraphError

IsOver = Callable[[str, int | None], Awaitable[bool]]
"""Returns whether a job has ended for good.

It takes the job and the number of the event that ended it, or None if no such event came."""
_OPEN_SECONDS = 10.0
_SILENCE = 45.0
"""Seconds without a message, if the server does not name its heartbeat interval."""
_BEYOND = 1 << 62
"""A number larger than that of any event."""
_FIRST_POLL, _SLOWEST_POLL = 0.2, 2.0


class AsyncEventStream:
    """A stream of the events of jobs until they end.

    Args:
        jobs: Ids of the jobs; None for all visible jobs, without an end.
        after: Number of the last known event. None for all events of the given jobs, or only new
            events if no jobs are given.
        live: Whether to include progress events.
        previews: Whether to include previews.
        is_over: Returns whether a job has ended; by default a request to the server.
    """

    def __init__(
        self,
        channel: AsyncTransport,
        jobs: Collection[str] | None,
        *,
        after: int | None = None,
        live: bool = True,
        previews: bool = False,
        deadline: Deadline | None = None,
        is_over: IsOver | None = None,
    ) -> None:
        self._channel = channel
        self._jobs = jobs
        self._live, self._previews = live, previews
        self._deadline = deadline or Deadline(None)
        self._is_over = is_over or self._has_ended
        self._last = 0 if after is None and jobs is not None else after
        self._pending = set(jobs or ())
        # Events that may have ended jobs: no proof, as they may have been retried since. What ended
        # them before what is asked for would never be heard of.
        self._doubtful: dict[str, int | None] = (
            {} if after is None else dict.fromkeys(self._pending)
        )
        # A server that never answered is rather a wrong address than one that starts anew.
        self._trouble = Backoff(channel.retries, channel.retries.connecting)
        self._is_met = False
        self._polls = self._has_doubts = self._is_answering = False

    async def events(self) -> AsyncGenerator[Event, None]:
        """Iterate over the events until all jobs have ended.

        Raises:
            NodegraphError: The events can no longer be received.
            TookTooLong: The deadline has passed.
        """
        while True:
            try:
                await self._check_ended()
                if self._is_done:
                    return
                async with aclosing(self._stream()) as events:
                    async for event in events:
                        yield event
            except (NotReachable, ConnectionLost, SocketRefused, ServerError) as error:
                await self._wait_or_raise(error)

    def _stream(self) -> AsyncGenerator[Event, None]:
        if self._polls:
            return self._polled()
        return self._fetch_once() if self._has_doubts else self._stream_socket()

    @property
    def _is_done(self) -> bool:
        return not self._pending and self._jobs is not None

    # By a websocket.

    async def _stream_socket(self) -> AsyncGenerator[Event, None]:
        self._has_doubts = True  # until the server has said something
        opening = opened_socket(self._channel.connection, self._deadline.bound(_OPEN_SECONDS))
        async with opening as socket:
            welcome = await self._next(socket, _OPEN_SECONDS)
            if welcome.get("type") != "welcome":
                raise _malformed_message(welcome)
            self._has_doubts = self._is_answering = False
            self._meet()
            announced = welcome.get("silence")
            silence = announced if isinstance(announced, (int, float)) else _SILENCE
            await socket.send(self._subscription())
            while not self._is_done:
                for event in await self._take(socket, await self._next(socket, silence)):
                    yield event
                await self._check_ended()

    def _subscription(self) -> dict[str, Any]:
        message: dict[str, Any] = {"type": "subscribe", "id": 1}
        if self._jobs is not None:
            message["jobs"] = sorted(self._pending)
        if self._last is not None:
            message["after"] = self._last
        return {**message, "live": self._live, "previews": self._previews}

    async def _next(self, socket: AsyncSocket, seconds: float) -> Mapping[str, Any]:
        message = await socket.receive(self._deadline.bound(seconds))
        if message is None:
            self._deadline.bound(seconds)
            raise ConnectionLost("the server sent nothing for too long")
        return message

    async def _take(self, socket: AsyncSocket, message: Mapping[str, Any]) -> Sequence[Event]:
        """Return the events in a message, which may be of another kind."""
        kind = message.get("type")
        if kind == "events":
            return self._new(*_events_in(message))
        if kind == "heartbeat":
            self._trouble.reset()
            await socket.send({"type": "heartbeat"})
        elif kind == "reply":
            result = message.get("result", {})
            if result.get("reset"):
                self._start_over(int(result["after"]))
            elif self._last is None:
                self._last = result.get("after")
        elif kind == "error":
            problem = message.get("problem", {})
            raise error_from_document(problem, status=int(problem.get("status", 500)))
        elif kind == "ended":
            raise ConnectionLost("the server has ended the subscription")
        return ()

    # By asking.

    async def _polled(self) -> AsyncGenerator[Event, None]:
        wait = _FIRST_POLL
        while not self._is_done:
            events = await self._page()
            for event in events:
                yield event
            await self._check_ended()
            if events:
                wait = _FIRST_POLL
            if not self._is_done:
                await pause(self._deadline.bound(wait))
            wait = min(wait * 2, _SLOWEST_POLL)

    async def _fetch_once(self) -> AsyncGenerator[Event, None]:
        for event in await self._page():
            yield event
        await self._check_ended()
        self._is_answering, self._has_doubts = True, False

    async def _page(self) -> Sequence[Event]:
        """Return the events since the last poll."""
        self._deadline.bound(1.0)
        if self._last is None:
            self._last = (await self._events(_BEYOND, limit=1)).last
        jobs: list[str] | list[None] = sorted(self._pending) or [None]
        pages = [await self._events(self._last, job) for job in jobs]
        # Beyond the end of the shortest page, other jobs may have more events.
        last = min(page.last for page in pages)
        events = [each for page in pages for each in page.items if (each.seq or 0) <= last]
        events.sort(key=lambda event: event.seq or 0)
        self._meet()
        self._trouble.reset()
        if last < self._last:
            self._start_over(last)
        return self._new(events, last)

    async def _events(self, after: int, job: str | None = None, limit: int = 1_000) -> EventPage:
        path = "/events" if job is None else f"/jobs{url_path(job)}/events"
        request = Request("GET", path, query(after=after, limit=limit))
        return parse_answer(EventPage, await self._channel.send(request, NEVER))

    # Either way.

    def _new(self, events: Sequence[Event], last: int) -> Sequence[Event]:
        """Return the events that are new."""
        known = self._last or 0
        new: list[Event] = []
        for event in events:
            if event.seq is None:
                new.append(event)
            elif event.seq > known:
                known = event.seq
                new.append(event)
                if event.ends_job and event.job in self._pending:
                    self._doubtful[event.job] = event.seq
        self._last = max(known, last)
        if new:
            self._trouble.reset()
        return new

    def _start_over(self, last: int) -> None:
        """Reset after the server's history changed: earlier ends of jobs are not sent again."""
        self._last = last
        self._doubtful = dict.fromkeys(self._pending)

    async def _check_ended(self) -> None:
        """Find which of the jobs that may have ended have ended."""
        while self._doubtful:
            job, seq = next(iter(self._doubtful.items()))
            if await self._is_over(job, seq):
                self._pending.discard(job)
            del self._doubtful[job]

    async def _has_ended(self, job: str, seq: int | None) -> bool:
        try:
            if seq is None:
                request = Request("GET", f"/jobs{url_path(job)}")
                if not parse_answer(Job, await self._channel.send(request, NEVER)).is_over:
                    return False
            known = (self._last or 0) if seq is None else seq
            return not (await self._events(known, job, limit=1)).items
        except NotFound:
            if seq is None:
                raise
            return True  # it was deleted since, which only what has ended can be

    def _meet(self) -> None:
        if not self._is_met:
            self._is_met = True
            retries = self._channel.retries
            self._trouble = Backoff(retries, retries.following)

    async def _wait_or_raise(self, error: NodegraphError) -> None:
        """Wait before the next attempt, if one is useful.

        Raises:
            NodegraphError: Another attempt is not useful.
        """
        wanted: float | None = None
        if isinstance(error, SocketRefused):
            wanted = error.retry_after
            if error.status not in TRANSIENT_STATUSES:
                self._polls = True  # polling reveals any other problem
                return
        elif isinstance(error, ServerError):
            wanted = error.retry_after
            if not error.is_passing:
                raise error
        if self._has_doubts and self._is_answering:
            # Requests are answered, and websockets aren't.
            self._polls = True
            return
        wait = self._trouble.delay(wanted)
        if wait is None:
            raise error
        await pause(self._deadline.bound(wait))


def _events_in(message: Mapping[str, Any]) -> tuple[list[Event], int]:
    try:
        events = [convert(Event, each) for each in message["events"]]
        return events, int(message["last"])
    except (KeyError, TypeError, ValueError) as error:
        raise _malformed_message(message) from error


def _malformed_message(message: Mapping[str, Any]) -> UnexpectedAnswer:
    return UnexpectedAnswer(
        "a message of the server is not understood",
        given=ascii(message.get("type"))[:80],
        hint="The server may have another version.",
    )


T = TypeVar("T")
_CHUNK = 1 << 18


class AsyncTransport:
    """The HTTP connection of all parts of a client to a server."""

    def __init__(self, connection: Connection, retries: Retries) -> None:
        self.connection = connection
        self.retries = retries
        self._http = AsyncHttp(**connection.options())

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def exchange(self, request: Request, part: PartialFile | None = None) -> Reply:
        """Send a request once and return any answer, also an error.

        Args:
            part: Receives the body of the answer, if it accepts it.
        Raises:
            NotReachable, ConnectionLost, UnexpectedAnswer: There is no valid answer.
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
        """Send a request, with retries, and return the successful answer.

        If no connection can be made, nothing was sent, and any request is repeated. If the
        connection breaks or the server is too busy, only repeatable requests are sent again.

        Raises:
            NodegraphError: The request failed for good.
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
        """Iterate over the items of a list; its pages are requested as needed.

        Args:
            most: Largest number of items.
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
    """A group of methods of a client."""

    def __init__(self, channel: AsyncTransport) -> None:
        self._channel = channel


def _given_up(request: Request, error: ConnectionLost) -> ConnectionLost:
    if request.method == "GET":
        return error
    hint = "The request may still have been carried out."
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
