"""A run as a stream: what happens, one event after the other, and its result last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from queue import SimpleQueue
from typing import TYPE_CHECKING

from nodegraph.core.events import Event
from nodegraph.engine.result import RunResult
from nodegraph.observe.listeners import combine_listeners
from nodegraph.session.ongoing import BackgroundTask
from nodegraph.session.scripts import Script, ScriptOptions, WorkflowLike, check_result

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nodegraph.session.scripts import ScriptKeywords


class Stream:
    """A run's events and then its result: for ``for``, and for ``async for``.

    The run begins with the loop. Leaving the loop early ends the run at its next step.
    """

    def __init__(self, script: Script, script_options: ScriptOptions) -> None:
        self._script = script
        self._script_options = script_options

    def _begin(self, listener: Callable[[Event | None], None]) -> BackgroundTask[RunResult]:
        options = self._script_options.options
        running = self._script.begin(
            options.with_changes(listener=combine_listeners([options.listener, listener]))
        )
        running.future.add_done_callback(lambda _: listener(None))
        return running

    def __iter__(self) -> Iterator[Event | RunResult]:
        events: SimpleQueue[Event | None] = SimpleQueue()
        running = self._begin(events.put)
        try:
            while (event := events.get()) is not None:
                yield event
            yield check_result(running.wait(), self._script_options.check)
        finally:
            running.stop()

    async def __aiter__(self) -> AsyncIterator[Event | RunResult]:
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def tell(event: Event | None) -> None:
            try:
                loop.call_soon_threadsafe(events.put_nowait, event)
            except RuntimeError:
                if not loop.is_closed():
                    raise
                # Whoever listened has left, and closed the event loop; the run is ending.

        running = self._begin(tell)
        try:
            while (event := await events.get()) is not None:
                yield event
            yield check_result(await running.wait_async(), self._script_options.check)
        finally:
            running.stop()


def stream(workflow: WorkflowLike, **options: Unpack[ScriptKeywords]) -> Stream:
    """Run a workflow and hear of all that happens, as it happens.

    Args:
        workflow: A `Workflow`, the dictionary of one, or a file's path.
        options: Those of `run_async`; there is no display.
    Returns:
        To be looped over, by ``for`` or ``async for``: an `Event` after the other, then the
        `RunResult`.
    Raises:
        InvalidFile, InvalidWorkflow, InvalidValue, TypeError: See `run_async`.
    """
    script_options = ScriptOptions.of(options)
    return Stream(script_options.script(workflow), script_options)
