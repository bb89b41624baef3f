"""Read a queue for an event loop: single reads, and a tail of its events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import EventPage, JobEvent, JobQueue
from nodegraph.jobs.queue.errors import QueueUnreachable
from nodegraph.jobs.queue.reader import QueueView

EventsListener = Callable[[Sequence[JobEvent]], None]

_LOG = logging.getLogger(__name__)
_PAGE = 500
"""Events that are read at once; others get their turn on the event loop in between."""
_AGAIN = 0.5
"""Seconds after which a queue that couldn't be read is read again."""
_ROUND_AGAIN_SECONDS = 5.0
_TOGETHER_SECONDS = 0.05
"""Between two rounds, so that many jobs that end at once are one reason for a round."""


class EventTail:
    """Reads the events that each commit of a queue adds, and hands them to all listeners.

    It is made on the event loop on which its listeners are called. Reading a file takes some 40
    microseconds and waits for nobody, so it isn't worth a thread; a database has one.

    Args:
        queue: That it follows, from its present end on.
    """

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._listeners: list[EventsListener] = []
        self._is_called = False
        self._timer: asyncio.TimerHandle | None = None
        self._thread = (
            ThreadPoolExecutor(1, thread_name_prefix="nodegraph-tail") if queue.is_shared else None
        )
        self._reading: asyncio.Task[None] | None = None
        self._is_missed = False
        self._is_ill = False
        # Listening begins first, so that no commit falls in between.
        self._end = queue.listen(self._committed)
        self.newest = queue.newest_event()
        """The number of the last event that listeners were told."""

    def listen(self, listener: EventsListener) -> Callable[[], None]:
        """Have a function called with new events; with none after a commit without any.

        It must be quick. Listeners are called in the order in which they came.

        Returns:
            What ends it.
        """
        self._listeners = [*self._listeners, listener]

        def end() -> None:
            self._listeners = [each for each in self._listeners if each is not listener]

        return end

    async def run_rounds(
        self,
        run_round: Callable[[], Awaitable[float]],
        is_of_interest: Callable[[JobEvent], bool],
        wake: asyncio.Event,
        problem: str,
    ) -> None:
        """Do something again and again: after events, and at times. Ends when it is cancelled.

        Args:
            run_round: Does it, and returns the seconds after which it is due again at the latest.
            is_of_interest: Whether an event is a reason. A commit without events is one as well.
            wake: Is set for another reason.
            problem: Is logged if it fails, such as ``webhooks cannot be sent now``. It is then
                tried again.
        """

        def note(events: Sequence[JobEvent]) -> None:
            if not events or any(is_of_interest(event) for event in events):
                wake.set()

        end = self.listen(note)
        try:
            while True:
                wait = _ROUND_AGAIN_SECONDS
                try:
                    wait = await run_round()
                except NodegraphError as error:
                    _LOG.warning("%s: %s", problem, error)
                except Exception:  # noqa: BLE001 - the next round is another one
                    _LOG.exception("%s", problem)
                await _wait_until(wake, wait)
                await asyncio.sleep(_TOGETHER_SECONDS)
                wake.clear()
        finally:
            end()

    def close(self) -> None:
        """Follow the queue no more."""
        self._end()
        self._listeners = []
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    def _committed(self) -> None:
        # In the queue's thread: commits that come while the loop is busy are read together.
        if not self._is_called:
            self._is_called = True
            self._loop.call_soon_threadsafe(self._read)

    def _read(self) -> None:
        # Before reading, as what is committed while it reads may not be in what it sees.
        self._is_called = False
        self._timer = None
        if not self._listeners:
            return
        if self._thread is None:
            try:
                self._tell_all(self._page())
            except NodegraphError as error:
                self._failed(error)
        elif self._reading is None:
            self._reading = self._loop.create_task(self._read_database(self._thread))
        else:
            self._is_missed = True

    async def _read_database(self, thread: ThreadPoolExecutor) -> None:
        try:
            self._tell_all(await self._loop.run_in_executor(thread, self._page))
        except NodegraphError as error:
            self._failed(error)
        finally:
            self._reading = None
        if self._is_missed:
            self._is_missed = False
            self._committed()

    def _page(self) -> EventPage:
        return self._queue.events_after(self.newest, limit=_PAGE)

    def _failed(self, error: NodegraphError) -> None:
        if not self._is_ill:
            _LOG.warning("the events of the job queue cannot be read: %s", error)
        self._is_ill = True
        self._timer = self._loop.call_later(_AGAIN, self._read)

    def _tell_all(self, page: EventPage) -> None:
        self._is_ill = False
        self.newest = page.last
        for listener in self._listeners:
            self._tell(listener, page.events)
        if not page.is_complete:
            self._committed()

    def _tell(self, listener: EventsListener, events: Sequence[JobEvent]) -> None:
        try:
            listener(events)
        except Exception:  # noqa: BLE001 - the others are told all the same
            _LOG.exception("a listener of the job queue's events failed")


async def _wait_until(event: asyncio.Event, seconds: float) -> None:
    # Not `asyncio.wait_for`: before Python 3.12 it returns the answer of a wait that just ended
    # when it is cancelled, and the cancellation is lost. The server would then never stop.
    waiting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait([waiting], timeout=seconds)
    finally:
        waiting.cancel()


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
            what = "it is not applied" if change.cancel() else "it may still be applied"
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
