"""Running workflows one after the other, watched."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodegraph.cli.event_lines import EventLines
from nodegraph.cli.interrupt import Interrupts
from nodegraph.cli.seeds import Variation
from nodegraph.observe.lines import Silent
from nodegraph.observe.listeners import together

if TYPE_CHECKING:
    from nodegraph.cli.helping import Helping
    from nodegraph.core.events import Listener
    from nodegraph.engine.options import RunOptions
    from nodegraph.engine.result import RunResult
    from nodegraph.session.session import Session


@dataclass(frozen=True)
class Watchers:
    """Who is told of the runs.

    Attributes:
        shown: Shows people how the runs go on.
        lines: Prints events for programs.
        others: Make a listener for a run of that name, each.
    """

    shown: Silent
    lines: EventLines | None = None
    others: Sequence[Callable[[str], Listener]] = ()

    def start(self, title: str, workflow: str, at: int) -> Listener | None:
        """A run starts; what is returned is told of its events.

        Args:
            title: Tells it from the others, where there are several.
            workflow: The workflow's title.
            at: Which of the runs it is, from 0.
        """
        self.shown.start(title)
        name = ", ".join(text for text in (workflow, title) if text)
        if self.lines is not None:
            self.lines.run = at
        lines = self.lines.show if self.lines is not None else None
        return together([self.shown.show, lines, *(make(name) for make in self.others)])


class Runner:
    """Runs variations one after the other, until one fails or the user has had enough.

    Args:
        helping: Has others compute along with each run, if any do.
    """

    def __init__(
        self,
        session: Session,
        options: RunOptions,
        watchers: Watchers,
        helping: Helping | None = None,
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
            shown = stack.enter_context(self._watchers.shown)
            interrupts = stack.enter_context(Interrupts(shown.say))
            return asyncio.run(self._run_all(variations, interrupts))

    async def _run_all(
        self, variations: Sequence[Variation], interrupts: Interrupts
    ) -> list[tuple[Variation, RunResult]]:
        from nodegraph.engine.cancel import CancelToken

        runs: list[tuple[Variation, RunResult]] = []
        for at, variation in enumerate(variations):
            token = CancelToken()
            with interrupts.stopping(token):
                if interrupts.came:
                    break
                title = _title(at, variation, len(variations))
                listener = self._watchers.start(title, variation.workflow.title, at)
                options = self._options.but(listener=listener, cancel=token)
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
