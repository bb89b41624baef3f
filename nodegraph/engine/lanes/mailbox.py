"""Bringing results from worker threads to the event loop, many with one wake-up."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from typing import Any

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
            self.loop.call_soon_threadsafe(self._empty)
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
