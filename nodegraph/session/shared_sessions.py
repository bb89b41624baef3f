"""Long-lived sessions that `nodegraph.run` and other module functions share.

A run may start in a script, in any thread, or in a notebook, where an event loop already runs. A
run that a node or listener starts has its own session, because the outer run waits for it: in one
session each would wait for the other.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures.thread  # noqa: F401 - it cannot be imported once the process ends
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Thread
from typing import Any, TypeVar

from nodegraph.core.context import NESTING
from nodegraph.errors import InvalidValue
from nodegraph.session.background_task import BackgroundTask
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings, check_kinds, input_folder, load_settings


@dataclass(frozen=True)
class SessionOptions:
    """Options of a shared session.

    Attributes:
        inputs: Folder for relative input paths, if the settings do not name one.
        working_folder: Current folder, which contains the outputs unless the settings name one.
    """

    settings: Settings
    packs: tuple[Path, ...] = ()
    nodes: tuple[Callable[..., Any], ...] = ()
    inputs: Path | None = None
    working_folder: Path | None = None

    @classmethod
    def of(
        cls,
        settings: Settings | None,
        packs: Sequence[str | Path],
        nodes: Sequence[Callable[..., Any]],
        inputs: str | Path | None,
    ) -> SessionOptions:
        """Return the options of a call, with the current settings of file and environment.

        Raises:
            InvalidFile: The settings are invalid.
            InvalidValue: An argument has a wrong type.
        """
        check_kinds(settings, packs, nodes)
        pack_paths = tuple(Path(path).absolute() for path in packs)
        folder = input_folder(inputs)
        return cls(settings or load_settings(), pack_paths, tuple(nodes), folder, Path.cwd())

    def can_reuse(self, other: SessionOptions) -> bool:
        """Return whether a session with other options can be reused with new nodes and folders."""
        return (self.settings, self.packs) == (other.settings, other.packs)


Result = TypeVar("Result")


class SharedSession:
    """A session that is replaced when a call has other options.

    Calls with the same options overlap. A call with other options waits for them. Weights and
    results stay in memory until settings or packs change, or until `close`.

    Args:
        depth: Nesting depth of the calls of its runs; see `Nesting`.
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
        """Futures of the current tasks."""
        return [each.future for each in list(self._ongoing)]

    @property
    def is_current_thread(self) -> bool:
        """Whether this thread is that of its event loop."""
        return threading.current_thread() is self._thread

    def can_start_now(self, options: SessionOptions) -> bool:
        """Return whether work with these options can start without a wait."""
        return all(other == options for other in list(self._ongoing.values()))

    def begin(
        self, options: SessionOptions, work: Callable[[Session], Awaitable[Result]]
    ) -> BackgroundTask[Result]:
        """Start work in a session with these options."""

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
        """Return the session with these options; all its current users have the same options."""
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
        """Stop the current tasks at their next step."""
        for each in list(self._ongoing):
            each.stop()

    def close(self) -> None:
        """Close the session and release its weights and results; the next call opens another.

        Current tasks stop at their next step.
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


_DEEPEST = 8
"""Largest depth of nested runs. More are treated as infinite recursion of a node."""


class SharedSessions:
    """Shared sessions, each for calls that would make the previous one wait for itself.

    The first session serves scripts. The second serves calls of nodes and listeners of its runs,
    and scripts with other options at the same time, and so on. A run waits only for later
    sessions, so that no two wait for each other.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Remove all sessions, also in a forked process, which has none of their threads."""
        self._lock = Lock()
        self._sessions: list[SharedSession] = []

    def begin(
        self, options: SessionOptions, work: Callable[[Session], Awaitable[Result]]
    ) -> BackgroundTask[Result]:
        """Start work in a session with these options.

        Raises:
            InvalidValue: Too many runs already wait for this one.
        """
        depth = self._depth()
        if depth >= _DEEPEST:
            raise InvalidValue(
                "a node or a listener runs a node that runs another, and so on",
                given=f"{depth} runs that wait for each other",
                expected=f"at most {_DEEPEST}",
                hint="Return an `Expand` from the node: its nodes become part of the current run.",
            )
        with self._lock:
            while len(self._sessions) < depth + 2:
                self._sessions.append(SharedSession(len(self._sessions) + 1))
            first, second = self._sessions[depth : depth + 2]
            return (first if first.can_start_now(options) else second).begin(options, work)

    def query(self, options: SessionOptions, question: Callable[[Session], Result]) -> Result:
        """Return the answer of a session with these options to a question, without a run.

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
        """Wait until all tasks have ended, then close, as Python does with threads."""
        while futures := [future for each in list(self._sessions) for future in each.futures]:
            wait(futures)
        self.close()

    def close(self) -> None:
        """Close the sessions and release their weights and results; the next call opens another.

        Current tasks stop at their next step.

        Raises:
            InvalidValue: A node or a listener of a run calls it: a deadlock.
        """
        if self._depth():
            raise InvalidValue(
                "a node or a listener cannot close the session that runs it",
                hint="Call `nodegraph.close` once the run has ended.",
            )
        sessions = list(self._sessions)
        for each in sessions:
            each.stop()
        for each in sessions:
            each.close()


SHARED_SESSIONS = SharedSessions()
"""Shared sessions of this process."""
# Before Python's own thread pools refuse work, which is before `atexit` functions run.
getattr(threading, "_register_atexit", atexit.register)(SHARED_SESSIONS.finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SHARED_SESSIONS.reset)


def close() -> None:
    """Release what `nodegraph.run` and related functions keep: weights, results and threads.

    The next call loads what it needs again.
    """
    SHARED_SESSIONS.close()
