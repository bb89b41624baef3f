"""Doing the steps of a client one after the other, while the caller waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx

from nodegraph.client.blocking_socket import Socket
from nodegraph.client.connection import Connection, unreadable
from nodegraph.client.requests import Answer
from nodegraph.client.steps import Course, Exchange, Hear, Open, Pause, Say, Step, Steps, Tell
from nodegraph.errors import NodegraphError

T = TypeVar("T")
_CHUNK = 1 << 18


class Blocking:
    """Does steps; safe to use from several threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._http = httpx.Client(**connection.options())

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def done(self, steps: Steps[T]) -> T:
        """What came of some steps, which tell nothing on their way."""
        course = Course(steps)
        for _ in self._told(course):
            pass
        return course.result

    def told(self, steps: Steps[None]) -> Iterator[Any]:
        """What some steps tell."""
        return self._told(Course(steps))

    def _told(self, course: Course[Any]) -> Iterator[Any]:
        doing = _Doing(self._connection, self._http)
        try:
            for step in course:
                if isinstance(step, Tell):
                    yield from step.items
                    continue
                try:
                    course.outcome = doing.do(step)
                except NodegraphError as error:
                    course.fault = error
        finally:
            course.close()
            doing.close()


class _Doing:
    """Does one sequence of steps, which has a websocket at most."""

    def __init__(self, connection: Connection, http: httpx.Client) -> None:
        self._connection = connection
        self._http = http
        self._socket: Socket | None = None

    def do(self, step: Step) -> Any:
        """What comes of a step.

        Raises:
            NodegraphError: What goes wrong with it.
        """
        if isinstance(step, Exchange):
            return self._exchange(step)
        if isinstance(step, Pause):
            time.sleep(step.seconds)
        elif isinstance(step, Open):
            self.close()
            self._socket = Socket(self._connection, step.seconds)
        elif isinstance(step, Say):
            self._opened.say(step.message)
        elif isinstance(step, Hear):
            return self._opened.hear(step.seconds)
        return None

    @property
    def _opened(self) -> Socket:
        assert self._socket is not None, "there is no websocket"
        return self._socket

    def close(self) -> None:
        """Close the websocket, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _exchange(self, step: Exchange) -> Answer:
        request = step.request
        body = request.body
        try:
            with self._http.stream(
                **self._connection.sent(request),
                content=_chunks(body) if isinstance(body, Path) else body,
            ) as response:
                head = self._connection.head(request, response)
                if step.sink is not None and step.sink.begin(head):
                    for data in response.iter_bytes():
                        step.sink.write(data)
                    return head
                return self._connection.whole(head, response.read())
        except httpx.RequestError as error:
            raise self._connection.fault(error) from error


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while data := file.read(_CHUNK):
                yield data
    except OSError as error:
        raise unreadable(path, error) from error
