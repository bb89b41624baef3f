"""Run coroutines on another event loop, and wait for them from threads or other loops."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Generic, TypeVar

from nodegraph.core.context import PROGRESS_CALLBACK, report_progress
from nodegraph.errors import Cancelled

Result = TypeVar("Result")


def wait_for(running: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine, whether or not an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _run(running)
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def noted() -> Result:
        task = asyncio.current_task()
        assert task is not None
        started.append((asyncio.get_running_loop(), task))
        return await running

    with ThreadPoolExecutor(1, thread_name_prefix="nodegraph-run") as thread:
        waiting = thread.submit(copy_context().run, asyncio.run, noted())
        try:
            return waiting.result()
        except KeyboardInterrupt:
            # It reached this thread, not the one that runs: that one ends at its next step.
            for loop, task in started:
                loop.call_soon_threadsafe(task.cancel)
            raise


def _run(running: Coroutine[Any, Any, Result]) -> Result:
    results: list[Result] = []

    async def collect() -> None:
        results.append(await running)

    # Not as the task's own result: at its end asyncio puts the handler of Ctrl-C back, and in
    # comparing handlers Python writes the task out as text, with a summary of all that it gave.
    asyncio.run(collect())
    return results[0]


_POLL_SECONDS = 0.1
"""Seconds between two looks whether who waits for a run was stopped meanwhile."""


class BackgroundTask(Generic[Result]):
    """Work on another event loop.

    Attributes:
        future: Done when the work has ended, also where it was stopped.
    """

    def __init__(
        self,
        work: Coroutine[Any, Any, Result],
        loop: asyncio.AbstractEventLoop,
        ended: Callable[[BackgroundTask[Any]], object],
    ) -> None:
        self.future: Future[Result] = Future()
        self._loop = loop
        self._ended = ended
        self._task: asyncio.Task[Result] | None = None
        loop.call_soon_threadsafe(self._start, work)

    def _start(self, work: Coroutine[Any, Any, Result]) -> None:
        self._task = self._loop.create_task(work)
        self._task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Result]) -> None:
        self._ended(self)  # first, as who waits for the future may begin something else at once
        if task.cancelled():
            self.future.cancel()
            self.future.set_running_or_notify_cancel()
        elif (error := task.exception()) is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(task.result())

    def wait(self) -> Result:
        """Its result. Ctrl-C ends it at its next step, and so does the end of who asks for it.

        Raises:
            Cancelled: It was stopped from elsewhere.
        """
        is_in_node = PROGRESS_CALLBACK.get() is not None
        try:
            while wait([self.future], _POLL_SECONDS if is_in_node else None).not_done:
                report_progress(0, 0)
        except BaseException:
            self.stop()
            wait([self.future])
            raise
        with translate_cancellation():
            return self.future.result()

    async def wait_async(self) -> Result:
        """The same on another event loop; cancelling the task that waits ends the work, too.

        Raises:
            Cancelled: It was stopped from elsewhere, which is no cancelling of the task that waits.
        """
        waiting = asyncio.wrap_future(self.future)
        try:
            while not waiting.done():  # a notebook's kernel sees an interrupt once its loop wakes
                await asyncio.wait([waiting], timeout=_POLL_SECONDS)
        except asyncio.CancelledError:
            self.stop()
            await asyncio.wait([waiting])
            _ = waiting.cancelled() or waiting.exception()  # as nobody looks at it any more
            raise
        if waiting.cancelled():
            raise _stopped()
        return waiting.result()

    def stop(self) -> None:
        """End it at its next step."""
        if not self.future.done():
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


@contextmanager
def translate_cancellation() -> Iterator[None]:
    """Tell in words that what is waited for in here was stopped from elsewhere.

    Raises:
        Cancelled: It was.
    """
    try:
        yield
    except CancelledError:
        raise _stopped() from None


def _stopped() -> Cancelled:
    return Cancelled("the run was stopped before its end", hint="Run it again.")
