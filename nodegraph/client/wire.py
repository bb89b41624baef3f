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
"""For saying goodbye to a server, where nobody waits for it."""


def pause(seconds: float) -> None:
    """Do nothing for some seconds."""
    time.sleep(seconds)


def in_thread(run: Callable[..., T], *arguments: Any) -> T:
    """What comes of something that takes its time, for which the caller waits."""
    return run(*arguments)


class _Loop:
    """An event loop in a thread of its own, as the caller's may be at work in one.

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
        """Whether whoever asks may wait for what is done here.

        Not at the end of the interpreter, when the thread is gone already, nor in the child of a
        fork, nor in the thread itself: the collector may drop somebody's generator anywhere.
        """
        is_own = current_thread() is self._thread
        return self._thread.is_alive() and not is_own and not sys.is_finalizing()

    def done(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What comes of a coroutine, once it has ended."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # Ctrl-C ends the waiting alone
            raise

    def close(self) -> None:
        """End the thread, and what it still does."""
        if self.can_be_waited_for:
            self.done(_cancel_tasks())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        elif current_thread() is self._thread:
            # What is open is closed by the loop as it is collected.
            self._loop.call_later(_LAST_SECONDS, self._loop.stop)


async def _cancel_tasks() -> None:
    """Break off whatever else goes on in this event loop."""
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
        """See `async_wire.AsyncSocket.say`."""
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
