"""Control of a run from outside: it is cancelled, paused or resumed, and its nodes notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from threading import Lock

from nodegraph.errors import Cancelled

Callback = Callable[[], object]


class CancelToken:
    """Control of one run, from any thread or a signal handler.

    A cancelled run stays so; a paused one may be resumed or cancelled. Nodes notice at their next
    step.

    It takes no lock that a signal handler could find taken by the very thread that it interrupts:
    flags are set first and those who wait are woken then, so that whoever begins to wait in
    between sees the flag.
    """

    def __init__(self) -> None:
        self._cancelled = False
        self._paused = False
        self._reason = ""
        self._callbacks: list[Callback] = []
        self._watchers: list[Callback] = []
        self._gates: list[Lock] = []

    @property
    def is_set(self) -> bool:
        """Whether the run is to stop."""
        return self._cancelled

    @property
    def is_paused(self) -> bool:
        """Whether the run is to wait; not once it is to stop."""
        return self._paused and not self._cancelled

    @property
    def is_interrupted(self) -> bool:
        """Whether the run is to stop or to wait."""
        return self._cancelled or self._paused

    @property
    def reason(self) -> str:
        """Why the run was cancelled; empty if nothing was said."""
        return self._reason

    @property
    def waiting(self) -> int:
        """How many nodes wait for the paused run to go on."""
        return len(self._gates)

    def cancel(self, reason: str = "") -> None:
        """Ask the run to stop; paused or not.

        Args:
            reason: Why, such as ``deadline of 30 s passed``; the first one counts.
        """
        if self._cancelled:
            return
        self._reason = reason
        self._cancelled = True
        self._open_gates()
        self._call(self._callbacks)
        self._call(self._watchers)

    def pause(self) -> None:
        """Ask the run to wait: nothing new begins, and running nodes stop at their next step."""
        if self.is_interrupted:
            return
        self._paused = True
        self._call(self._watchers)

    def resume(self) -> None:
        """Let a paused run go on."""
        if not self.is_paused:
            return
        self._paused = False
        self._open_gates()
        self._call(self._watchers)

    def error(self) -> Cancelled:
        """What a node of the cancelled run raises."""
        because = f": {self._reason}" if self._reason else ""
        return Cancelled(f"the run was cancelled{because}")

    def check(self) -> None:
        """Raise `Cancelled` if the run is to stop."""
        if self._cancelled:
            raise self.error()

    def wait_or_raise(
        self, stepping_out: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        """Wait as long as the run is paused, then raise `Cancelled` if it is to stop.

        In the thread of an event loop it doesn't wait, as all else there would wait too.

        Args:
            stepping_out: What is held by nobody during the wait, such as a place in a lane.
        """
        while self.is_paused and not _runs_event_loop():
            with stepping_out():
                self._wait()
                # Not after it: a cancelled run needs no place again, and might wait long for one.
                self.check()
                # Inside, as who is cancelled needs no place any more.
                self.check()
        self.check()

    def _wait(self) -> None:
        while self.is_paused:
            gate = Lock()
            gate.acquire()
            self._gates.append(gate)
            # It may have been resumed before the gate was there to be opened.
            if self.is_paused:
                gate.acquire()

    def _open_gates(self) -> None:
        # Not `while self._gates`: two threads may open them at once.
        with suppress(IndexError):
            while True:
                self._gates.pop().release()

    @contextmanager
    def on_cancel(self, callback: Callback) -> Iterator[None]:
        """Inside the `with`, call back when cancelled, in the cancelling thread.

        At once, if that has happened already.
        """
        self._callbacks.append(callback)
        try:
            if self.is_set:
                callback()
            yield
        finally:
            self._callbacks.remove(callback)

    @contextmanager
    def on_change(self, callback: Callback) -> Iterator[None]:
        """Inside the `with`, call back when cancelled, paused or resumed, in that thread.

        At once, if the run is to stop or to wait already. By the time of the call the state may
        have changed again: look at `is_set` and `is_paused` there.
        """
        self._watchers.append(callback)
        try:
            if self.is_interrupted:
                callback()
            yield
        finally:
            self._watchers.remove(callback)

    @staticmethod
    def _call(callbacks: list[Callback]) -> None:
        for callback in tuple(callbacks):
            callback()


def _runs_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
