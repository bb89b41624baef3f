"""Looking at a queue from an event loop, which waits for no database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from nodegraph.jobs.queue.errors import QueueUnreachable
from nodegraph.jobs.queue.reader import QueueView

P = ParamSpec("P")
T = TypeVar("T")
PATIENCE = 20.0
"""Seconds for an answer: longer than a connection takes to be known as lost."""


class QueueReads:
    """Looks at a queue, for an event loop.

    A file tells of a job within ten microseconds, which is less than a thread is called in, so that
    is done at once. A database is asked in threads of their own: it may hang.

    Args:
        threads: How many looks at a database go on at a time.
        patience: Seconds to wait for a database.
    """

    def __init__(self, queue: QueueView, threads: int = 8, *, patience: float = PATIENCE) -> None:
        self._queue = queue
        self._threads = (
            ThreadPoolExecutor(threads, thread_name_prefix="nodegraph-looks")
            if queue.is_shared
            else None
        )
        self._patience = patience
        self._is_open = True

    async def run(self, look: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """What a look gives.

        Raises:
            QueueUnreachable: It takes too long.
        """
        if self._threads is None:
            return look(*args, **options)
        # With what the request is known by, for what is logged there.
        call = partial(copy_context().run, look, *args, **options)
        future = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            await asyncio.wait({future}, timeout=self._patience)
            if future.done():
                return future.result()
        finally:
            future.cancel()
        raise QueueUnreachable(str(self._queue.location), f"no answer for {self._patience:g} s")

    async def changed(self, change: Future[T]) -> T:
        """What a change of the queue came to; one that nobody waits for any more, and that isn't
        begun, isn't made.

        Raises:
            QueueUnreachable: It takes too long.
        """
        future = asyncio.wrap_future(change)
        if self._threads is None:
            return await future
        try:
            await asyncio.wait({future}, timeout=self._patience)
            if future.done():
                return future.result()
            what = "it isn't made" if change.cancel() else "it may be made all the same"
        finally:
            future.cancel()
        raise QueueUnreachable(
            str(self._queue.location), f"no answer to a change for {self._patience:g} s, {what}"
        )

    def then(self, look: Callable[[], T], act: Callable[[Future[T]], None]) -> None:
        """Call a function on the loop with what a look gave or raised: at once, or later."""
        if not self._is_open:
            return
        if self._threads is not None:
            loop = asyncio.get_running_loop()

            def on_done(done: Future[T]) -> None:
                # A loop that was closed meanwhile has nobody left who could be told.
                if not loop.is_closed():
                    loop.call_soon_threadsafe(act, done)

            self._threads.submit(look).add_done_callback(on_done)
            return
        future: Future[T] = Future()
        try:
            future.set_result(look())
        except Exception as error:  # noqa: BLE001 - it is raised where the future is looked at
            future.set_exception(error)
        act(future)

    def close(self) -> None:
        """Begin no more looks."""
        self._is_open = False
        if self._threads is not None:
            self._threads.shutdown(wait=False)
