"""The sessions that `nodegraph.run` and its like share.

What a node or a listener runs has a session of its own, as who waits for a run may not be what the
run waits for.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401 - which can't be imported once the process ends
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import wait
from threading import Lock
from typing import TypeVar

from nodegraph.core.nesting import NESTING
from nodegraph.errors import InvalidValue
from nodegraph.session.ongoing import BackgroundTask
from nodegraph.session.session import Session
from nodegraph.session.session_options import SessionOptions
from nodegraph.session.standing_session import SharedSession

Result = TypeVar("Result")

_DEEPEST = 8
"""Runs within runs; more are taken for a node that calls itself for ever."""


class SharedSessions:
    """Standing sessions, each for what the one before can't serve without a wait for itself.

    The first serves scripts; the second what nodes and listeners of its runs call, and scripts that
    wish for something else meanwhile, and so on. A run thus waits for later sessions alone, so
    that no two wait for each other.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew, also in a forked process, which has none of the threads."""
        self._lock = Lock()
        self._sessions: list[SharedSession] = []

    def begin(
        self, options: SessionOptions, work: Callable[[Session], Awaitable[Result]]
    ) -> BackgroundTask[Result]:
        """Begin some work with a session that is as wished.

        Raises:
            InvalidValue: Too many runs wait for this one already.
        """
        depth = self._depth()
        if depth >= _DEEPEST:
            raise InvalidValue(
                "a node or a listener runs a node that runs another, and so on",
                given=f"{depth} runs that wait for one another",
                expected=f"at most {_DEEPEST}",
                hint="Answer with an `Expand`: its nodes belong to the run that goes on.",
            )
        with self._lock:
            while len(self._sessions) < depth + 2:
                self._sessions.append(SharedSession(len(self._sessions) + 1))
            first, second = self._sessions[depth : depth + 2]
            return (first if first.can_start_now(options) else second).begin(options, work)

    def query(self, options: SessionOptions, question: Callable[[Session], Result]) -> Result:
        """What a session that is as wished answers, without a run.

        Raises:
            InvalidValue: See `begin`.
        """

        async def answered(session: Session) -> Result:
            return question(session)

        return self.begin(options, answered).wait()

    def _depth(self) -> int:
        here = [each.depth for each in self._sessions if each.is_current_thread]
        return here[0] if here else NESTING.get().depth

    def finish(self) -> None:
        """Wait until all that was begun has ended, then close; as Python does with threads."""
        while futures := [future for each in list(self._sessions) for future in each.futures]:
            wait(futures)
        self.close()

    def close(self) -> None:
        """Let go of the sessions with their weights and results; the next call makes another.

        What goes on is ended at its next step.

        Raises:
            InvalidValue: A node or a listener calls it, whose own end it would wait for.
        """
        if self._depth():
            raise InvalidValue(
                "a node or a listener can't close the session that runs it",
                hint="Call `nodegraph.close` once the run has ended.",
            )
        sessions = list(self._sessions)
        for each in sessions:
            each.stop()
        for each in sessions:
            each.close()


SHARED_SESSIONS = SharedSessions()
"""That of this process."""
# Before Python's own thread pools refuse work, which they do before `atexit` is heard.
getattr(threading, "_register_atexit", atexit.register)(SHARED_SESSIONS.finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SHARED_SESSIONS.reset)


def close() -> None:
    """Let go of what `nodegraph.run` and its like keep in memory: weights, results, threads.

    The next call loads anew what it needs.
    """
    SHARED_SESSIONS.close()
