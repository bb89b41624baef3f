"""A session that stays from call to call, on an event loop in a thread of its own.

So runs may be begun from anywhere: a script, several threads, or a notebook, where an event loop
runs already.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future, wait
from contextlib import asynccontextmanager
from threading import Lock, Thread
from typing import Any, TypeVar

from nodegraph.core.nesting import NESTING
from nodegraph.session.ongoing import BackgroundTask
from nodegraph.session.session import Session
from nodegraph.session.session_options import SessionOptions

Result = TypeVar("Result")


class SharedSession:
    """One session at a time, as the last call wished for it.

    Calls that wish for the same overlap; one that wishes for something else waits for these.
    Weights and results stay in memory until settings or packs change, or until `close`.

    Args:
        depth: Of what its runs call; see `Nesting`.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._session: Session | None = None
        self._options: SessionOptions | None = None
        self._users = 0
        self._changed: asyncio.Condition | None = None
        self._ongoing: dict[BackgroundTask[Any], SessionOptions] = {}

    @property
    def futures(self) -> list[Future[Any]]:
        """Of what goes on."""
        return [each.future for each in list(self._ongoing)]

    @property
    def is_current_thread(self) -> bool:
        """Whether this thread is that of its event loop."""
        return threading.current_thread() is self._thread

    def can_start_now(self, options: SessionOptions) -> bool:
        """Whether nothing goes on that such a wish would have to wait for."""
        return all(other == options for other in list(self._ongoing.values()))

    def begin(
        self, options: SessionOptions, work: Callable[[Session], Awaitable[Result]]
    ) -> BackgroundTask[Result]:
        """Begin some work with a session that is as wished."""

        async def served() -> Result:
            NESTING.set(NESTING.get().with_depth(self.depth))
            async with self._turn(options) as session:
                return await work(session)

        with self._lock:
            loop = self._running_loop()
            ongoing = BackgroundTask(served(), loop, self._note_end)
            self._ongoing[ongoing] = options
        return ongoing

    def _note_end(self, ended: BackgroundTask[Any]) -> None:
        with self._lock:
            del self._ongoing[ended]

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._changed = asyncio.Condition()
            run = self._loop.run_forever
            self._thread = Thread(target=run, name="nodegraph-session", daemon=True)
            self._thread.start()
        return self._loop

    @asynccontextmanager
    async def _turn(self, options: SessionOptions) -> AsyncIterator[Session]:
        assert self._changed is not None
        async with self._changed:
            await self._changed.wait_for(lambda: not self._users or self._options == options)
            session = self._prepare_session(options)
            self._users += 1
        try:
            yield session
        finally:
            async with self._changed:
                self._users -= 1
                self._changed.notify_all()

    def _prepare_session(self, options: SessionOptions) -> Session:
        """The session as wished; nobody uses it, or all wish for the same."""
        if self._options == options and self._session is not None:
            return self._session
        if self._session is not None and (
            self._options is None or not options.can_reuse(self._options)
        ):
            self._close_session()
        if self._session is None:
            self._session = Session(
                options.settings, packs=options.packs, nodes=options.nodes, inputs=options.inputs
            )
        else:
            self._session.take(nodes=options.nodes, inputs=options.inputs)
        self._options = options
        return self._session

    def _close_session(self) -> None:
        session, self._session, self._options = self._session, None, None
        if session is not None:
            session.close()

    def stop(self) -> None:
        """End what goes on at its next step."""
        for each in list(self._ongoing):
            each.stop()

    def close(self) -> None:
        """Let go of the session with its weights and results; the next call makes another.

        What goes on is ended at its next step.
        """
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
            ongoing = list(self._ongoing)
        if loop is None or thread is None:
            return
        for each in ongoing:
            each.stop()
        wait([each.future for each in ongoing])
        asyncio.run_coroutine_threadsafe(self._close_on_loop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    async def _close_on_loop(self) -> None:
        self._close_session()
