"""Threads of lanes, and the mailbox that brings their results to the event loop.

This costs less than `concurrent.futures`: there is no future in between, and threads that are awake
take new work before others are woken.
"""

from __future__ import annotations

import atexit
import os
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from threading import Lock, Thread
from typing import Any

from nodegraph.core.plugins import scoped_context

Done = Callable[[Any, BaseException | None], None]
Then = Callable[[], None]


class Mailbox:
    """Results on their way to one event loop.

    Waking a loop costs more than all else about a result, so one wake-up brings all results that
    arrive until the loop gets to them.

    Attributes:
        loop: Where the results go.
        is_emptying: Whether the loop is handing results on at this moment.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self.is_emptying = False
        self._results: deque[tuple[Done, Any, BaseException | None, Then | None]] = deque()
        self._afterwards: dict[Then, None] = {}
        self._is_awake = False
        # Not the thread's that posts: what results lead to is the work of this loop's session.
        self._context = scoped_context()

    def post(
        self, done: Done, result: Any, error: BaseException | None, then: Then | None = None
    ) -> bool:
        """Let `done` have a result on the loop; from any thread.

        Args:
            then: Called once all results that are there have been handed on.
        Returns:
            False if the loop was closed: nobody is there to be told.
        """
        if self.loop.is_closed():
            self._results.clear()
            return False
        self._results.append((done, result, error, then))
        if self._is_awake:
            # Set from the wake-up until the loop looks at the results, so it will see this one.
            return True
        self._is_awake = True
        try:
            self.loop.call_soon_threadsafe(self._empty, context=self._context)
        except RuntimeError:
            # Closed this very moment.
            self._results.clear()
            return False
        return True

    def after(self, then: Then) -> None:
        """Call something once the results that are being handed on are; on the loop."""
        self._afterwards[then] = None

    def _empty(self) -> None:
        self._is_awake = False
        self.is_emptying = True
        try:
            # Not those that come meanwhile: the loop has other things to do as well.
            for _ in range(len(self._results)):
                done, result, error, then = self._results.popleft()
                if then is not None:
                    self._afterwards[then] = None
                done(result, error)
                del done, result, error
        finally:
            self.is_emptying = False
            afterwards, self._afterwards = self._afterwards, {}
            if self._results and not self._is_awake:
                # One of them raised; the rest isn't lost.
                self._is_awake = True
                self.loop.call_soon(self._empty)
            for then in afterwards:
                then()


class Mailboxes:
    """The mailbox of the event loop in use; loops may follow one another."""

    def __init__(self) -> None:
        self._last: Mailbox | None = None

    def of(self, loop: AbstractEventLoop) -> Mailbox:
        """The mailbox of a loop."""
        if self._last is None or self._last.loop is not loop:
            self._last = Mailbox(loop)
        return self._last


Callback = Callable[[], object]
ThreadTask = Callable[[], Callback]
"""What it returns is called once its thread is free for other work."""


class _Next(Enum):
    """What a thread does that has nothing to do."""

    SLEEP = "sleep"
    LOOK = "look for more"
    END = "end"


class WorkerThreads:
    """Threads that come into being as work needs them.

    One thread is woken at a time; before it works, it wakes the next one if there is more to do. So
    work that takes no time is done by few threads, and work that waits by as many as it takes.

    A thread is idle before it tells what its work gave, so that whoever hears of it and has more
    work uses the same thread. The work itself brings its context: what it sets in that of a thread
    would reach the next one.

    The threads don't keep the process alive, yet it doesn't end in the middle of their work: at
    exit each may finish what it is doing.

    Args:
        name: Start of the threads' names.
        keep: How many idle threads are kept.
    """

    def __init__(self, name: str, keep: int) -> None:
        self._name = name
        self._keep = keep
        self._lock = Lock()
        self._todo: deque[ThreadTask] = deque()
        self._idle: list[_Worker] = []
        self._is_waking = False
        self._made = 0
        self._closed = False

    def run(self, work: ThreadTask) -> None:
        """Run work at once, in an idle thread or a new one. It must not raise, nor set context
        variables outside of its own context.

        Raises:
            RuntimeError: There can be no more threads.
        """
        with self._lock:
            self._todo.append(work)
            worker = self._one_to_wake()
        try:
            self._wake(worker)
        except RuntimeError:
            with self._lock:
                # Unless a thread has taken it meanwhile.
                if work in self._todo:
                    self._todo.remove(work)
                    raise

    def _one_to_wake(self) -> _Worker | None:
        """The next thread, new or idle; None if one is waking up and will see to the rest."""
        if self._is_waking:
            return None
        self._is_waking = True
        if self._idle:
            # The one that ran last: it may not even have fallen asleep yet.
            return self._idle.pop()
        self._made += 1
        return _Worker(self, f"{self._name}-{self._made}")

    def _wake(self, worker: _Worker | None) -> None:
        if worker is not None:
            try:
                worker.wake()
            except RuntimeError:
                self._is_waking = False
                raise

    def take(self, *, was_woken: bool) -> ThreadTask | None:
        """What a thread is to do, if others haven't done it already."""
        with self._lock:
            if was_woken:
                self._is_waking = False
            if not self._todo:
                return None
            work = self._todo.popleft()
            worker = self._one_to_wake() if self._todo else None
        # Where there can be no more threads, those that there are do the rest.
        with suppress(RuntimeError):
            self._wake(worker)
        return work

    def next_action(self, worker: _Worker) -> _Next:
        """A thread has nothing to do, or is about to tell what its work gave."""
        with self._lock:
            if self._todo:
                return _Next.LOOK
            if self._closed or len(self._idle) >= self._keep:
                return _Next.END
            self._idle.append(worker)
            return _Next.SLEEP

    def close(self) -> None:
        """End the idle threads; the others end when their work does."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.wake()


class _Worker:
    """One thread.

    It sleeps on a pipe. Unlike releasing a lock, writing to one lets go of the interpreter, so that
    the thread can go on at once: woken while another holds the interpreter, it would only fall
    asleep again.
    """

    def __init__(self, threads: WorkerThreads, name: str) -> None:
        self._threads = threads
        self._bell: int | None = None
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def wake(self) -> None:
        """Let it look for work; its thread starts the first time.

        Raises:
            RuntimeError: There can be no more threads.
        """
        if self._bell is not None:
            os.write(self._bell, b"!")
        else:
            self._start()

    def _start(self) -> None:
        try:
            self._ear, self._bell = os.pipe()
        except OSError as error:
            raise RuntimeError(f"no pipe for another thread: {error}") from error
        _running.add(self, self._threads)
        try:
            self._thread.start()
        except RuntimeError:
            self._end()
            raise

    def _end(self) -> None:
        """Nobody wakes it any more."""
        assert self._bell is not None
        os.close(self._ear)
        os.close(self._bell)
        _running.remove(self)

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _run(self) -> None:
        was_woken = True
        try:
            while True:
                work = self._threads.take(was_woken=was_woken)
                callback = None if work is None else work()
                # Nothing of it may outlive it in an idle thread.
                del work
                then = self._threads.next_action(self)
                if callback is not None:
                    callback()
                del callback
                if then is _Next.END:
                    return
                was_woken = then is _Next.SLEEP
                if was_woken:
                    os.read(self._ear, 1)
        finally:
            self._end()


class _Running:
    """The threads of the process, so that they may finish their work before it ends."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._workers: dict[_Worker, WorkerThreads] = {}
        self._is_registered = False

    def add(self, worker: _Worker, threads: WorkerThreads) -> None:
        """A thread begins."""
        with self._lock:
            self._workers[worker] = threads
            if not self._is_registered:
                self._is_registered = True
                atexit.register(self._finish)

    def remove(self, worker: _Worker) -> None:
        """A thread ends."""
        with self._lock:
            self._workers.pop(worker, None)

    def _finish(self) -> None:
        with self._lock:
            workers = dict(self._workers)
        for threads in set(workers.values()):
            threads.close()
        for worker in workers:
            worker.join()


_running = _Running()
