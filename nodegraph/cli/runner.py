"""Running workflows one after the other, watched."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from threading import Thread, current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING, Any

from nodegraph.cli.event_lines import EventLines
from nodegraph.cli.output import CANCELLED
from nodegraph.cli.seeds import Variation
from nodegraph.observe.lines import Silent
from nodegraph.observe.listeners import combine_listeners

if TYPE_CHECKING:
    from nodegraph.cli.distributed_run import ClusterContext
    from nodegraph.core.events import Listener
    from nodegraph.engine.cancel import CancelToken
    from nodegraph.engine.options import RunOptions
    from nodegraph.engine.result import RunResult
    from nodegraph.session.session import Session


@dataclass(frozen=True)
class RunListeners:
    """Who is told of the runs.

    Attributes:
        display: Shows people how the runs go on.
        lines: Prints events for programs.
        listener_factories: Make a listener for a run of that name, each.
    """

    display: Silent
    lines: EventLines | None = None
    listener_factories: Sequence[Callable[[str], Listener]] = ()

    def start(self, title: str, workflow: str, at: int) -> Listener | None:
        """A run starts; what is returned is told of its events.

        Args:
            title: Tells it from the others, where there are several.
            workflow: The workflow's title.
            at: Which of the runs it is, from 0.
        """
        self.display.start(title)
        name = ", ".join(text for text in (workflow, title) if text)
        if self.lines is not None:
            self.lines.run = at
        lines = self.lines.show if self.lines is not None else None
        return combine_listeners(
            [self.display.show, lines, *(make(name) for make in self.listener_factories)]
        )


class Runner:
    """Runs variations one after the other, until one fails or the user has had enough.

    Args:
        helping: Has others compute along with each run, if any do.
    """

    def __init__(
        self,
        session: Session,
        options: RunOptions,
        watchers: RunListeners,
        helping: ClusterContext | None = None,
    ) -> None:
        self._session = session
        self._helping = helping
        self._options = options
        self._watchers = watchers

    def run_all(
        self, variations: Sequence[Variation], *, keep_stdout_clean: bool
    ) -> list[tuple[Variation, RunResult]]:
        """Run them; `keep_stdout_clean` sends what nodes print to stderr."""
        import asyncio

        gc.enable()  # the command line's start turns it off
        with ExitStack() as stack:
            if keep_stdout_clean:
                stack.enter_context(redirect_stdout(sys.stderr))
            shown = stack.enter_context(self._watchers.display)
            interrupts = stack.enter_context(Interrupts(shown.say))
            return asyncio.run(self._run_all(variations, interrupts))

    async def _run_all(
        self, variations: Sequence[Variation], interrupts: Interrupts
    ) -> list[tuple[Variation, RunResult]]:
        from nodegraph.engine.cancel import CancelToken

        runs: list[tuple[Variation, RunResult]] = []
        for at, variation in enumerate(variations):
            token = CancelToken()
            with interrupts.cancel_on_signal(token):
                if interrupts.is_interrupted:
                    break
                title = _title(at, variation, len(variations))
                listener = self._watchers.start(title, variation.workflow.title, at)
                options = self._options.with_changes(listener=listener, cancel=token)
                workflow = variation.workflow
                helping = self._helping(workflow, token) if self._helping else nullcontext()
                async with helping:
                    result = await self._session.run_async(variation.workflow, options)
            runs.append((variation, result))
            if not result.is_ok:
                break
        return runs


def _title(at: int, variation: Variation, planned: int) -> str:
    if planned == 1:
        return ""
    several = f"run {at + 1} of {planned}"
    return f"{several}, {variation.title}" if variation.title else several


_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h\n"


class Interrupts:
    """Takes SIGINT and SIGTERM over, inside its `with`.

    Args:
        tell: Called with a message for the user; must be safe to call from any thread.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.is_interrupted = False
        self._tell = tell
        self._token: CancelToken | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if current_thread() is main_thread():  # Python allows handlers to no other
            for number in _SIGNALS:
                # What was started in the background of a script is not to be interrupted.
                if signal.getsignal(number) != signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def cancel_on_signal(self, token: CancelToken) -> Iterator[None]:
        """Inside, the first signal cancels `token`."""
        self._token = token
        try:
            yield
        finally:
            # The event loop that the token wakes is about to be closed.
            self._token = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.is_interrupted:
            _exit_immediately()
        self.is_interrupted = True
        if self._token is not None:
            self._token.cancel()
        # Not from here: a signal may come while the terminal's lock is held by this very thread.
        message = "Stopping at the next step. Press Ctrl-C again to end at once."
        Thread(target=self._tell, args=(message,), daemon=True).start()


def _exit_immediately() -> None:
    if sys.stderr.isatty():
        os.write(sys.stderr.fileno(), _SHOW_CURSOR)
    os._exit(CANCELLED)
