"""Asking a place that may hang, so that nobody who asks hangs with it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from threading import Event, Lock, Thread
from time import monotonic
from typing import Generic, TypeVar

from nodegraph.store.remote.place import Unreachable

T = TypeVar("T")
ReportProgress = Callable[[], None]
"""Is called by what asks as often as it gets on."""
_FIRST, _LONGEST = 1.0, 30.0
"""Seconds for which a place that didn't answer isn't asked: twice as long each time."""


class CircuitBreaker:
    """Calls of a place, each in a thread of its own. A mounted folder whose server is gone keeps a
    thread for as long as it likes; who waits for that is told so in time, and who comes later at
    once, until the place lives again.

    Args:
        patience: Seconds without any progress, after which a place counts as away.
        clock: Seconds, from any moment on.
    """

    def __init__(self, patience: float = 10.0, clock: Callable[[], float] = monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._lock = Lock()
        self._hanging: list[Event] = []
        self._pause = _FIRST
        self._again: float | None = None

    def call(self, call: Callable[[ReportProgress], T], seconds: float = 0.0) -> T:
        """What a call gives, or raises.

        Args:
            seconds: That it may be silent for beyond what is patience with all.
        Raises:
            Unreachable: It hangs, or others do.
        """
        self._check()
        pending = _Call(call, self._clock)
        # Not of a pool: the process has to be able to end while it hangs.
        run = copy_context().run
        Thread(target=run, args=(pending.make,), name="nodegraph-place", daemon=True).start()
        patience = self._patience + seconds
        while not pending.done.wait(max(0.0, pending.last_progress + patience - self._clock())):
            if self._clock() - pending.last_progress >= patience:
                self._lost(pending.done)
                raise Unreachable(f"no answer for {patience:g} s")
        if self._again is not None:
            self._lives()
        return pending.outcome()

    def _check(self) -> None:
        with self._lock:
            if self._again is None:
                return
            self._hanging = [each for each in self._hanging if not each.is_set()]
            now = self._clock()
            if self._hanging or now < self._again:
                raise Unreachable("it didn't answer, and is asked again later")
            # One tries; others hear of it.
            self._again = now + self._patience

    def _lost(self, done: Event) -> None:
        with self._lock:
            self._hanging.append(done)
            self._again = self._clock() + self._pause
            self._pause = min(2 * self._pause, _LONGEST)

    def _lives(self) -> None:
        with self._lock:
            self._again, self._pause = None, _FIRST


class _Call(Generic[T]):
    """One call, made in a thread and waited for in another.

    Attributes:
        done: Is set at its end.
        last_progress: When it last got on.
    """

    def __init__(self, call: Callable[[ReportProgress], T], clock: Callable[[], float]) -> None:
        self._call = call
        self._clock = clock
        self._given: list[T] = []
        self._error: BaseException | None = None
        self.done = Event()
        self.last_progress = clock()

    def make(self) -> None:
        try:
            self._given.append(self._call(self._goes_on))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error
        finally:
            self.done.set()

    def _goes_on(self) -> None:
        self.last_progress = self._clock()

    def outcome(self) -> T:
        if self._error is not None:
            raise self._error
        return self._given[0]
