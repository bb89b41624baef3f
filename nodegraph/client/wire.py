"""Blocking network, thread and clock functions of the client."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import contextmanager
from threading import Thread, current_thread
from typing import Any, TypeVar

import httpx

from nodegraph.client import async_wire
from nodegraph.client.connection import Connection

T = TypeVar("T")
Http = httpx.Client
_LAST_SECONDS = 2.0
"""Seconds to close a connection to a server, which no caller waits for."""


def pause(seconds: float) -> None:
    """Sleep for some seconds."""
    time.sleep(seconds)


def in_thread(run: Callable[..., T], *arguments: Any) -> T:
    """Run a slow function and return its result."""
    return run(*arguments)


class _Loop:
    """An event loop in a separate thread, as the caller's thread may already run one.

    The blocking websockets of `websockets` read and write in two threads. With TLS that may stop
    both for good: OpenSSL allows no two threads in one connection.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, name="websocket", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    @property
    def can_be_waited_for(self) -> bool:
        """Whether the caller may wait for work in this loop.

        Not at the end of the interpreter, when the thread has ended, nor in the child of a fork,
        nor in the thread itself: garbage collection may close a generator in any thread.
        """
        is_own = current_thread() is self._thread
        return self._thread.is_alive() and not is_own and not sys.is_finalizing()

    def done(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine and return its result."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C ends only the wait
            raise

    def close(self) -> None:
        """Stop the thread and its tasks."""
        if self.can_be_waited_for:
            self.done(_cancel_tasks())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        elif current_thread() is self._thread:
            # Open connections are closed when the loop is garbage collected.
            self._loop.call_later(_LAST_SECONDS, self._loop.stop)


async def _cancel_tasks() -> None:
    """Cancel all other tasks of this event loop."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Socket:
    """An open websocket."""

    def __init__(self, loop: _Loop, opened: async_wire.AsyncSocket) -> None:
        self._loop = loop
        self._opened = opened

    def send(self, message: Mapping[str, Any]) -> None:
        """See `async_wire.AsyncSocket.send`."""
        self._loop.done(self._opened.send(message))

    def receive(self, seconds: float) -> Mapping[str, Any] | None:
        """See `async_wire.AsyncSocket.receive`."""
        return self._loop.done(self._opened.receive(seconds))


@contextmanager
def opened_socket(connection: Connection, seconds: float) -> Generator[Socket, None, None]:
    """A websocket to the server, closed at the end of the `with`.

    Args:
        seconds: That opening it may take.
    Raises:
        SocketRefused, NotReachable, ConnectionLost: There is none.
    """
    loop = _Loop()
    try:
        opening = async_wire.opened_socket(connection, seconds)
        opened = loop.done(opening.__aenter__())
        try:
            yield Socket(loop, opened)
        finally:
            if loop.can_be_waited_for:
                loop.done(opening.__aexit__(None, None, None))
    finally:
        loop.close()
