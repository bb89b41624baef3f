"""Waiting for what an event loop runs, from code that is none of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

Result = TypeVar("Result")


def wait_for(running: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine, whether or not an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(running)
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def noted() -> Result:
        task = asyncio.current_task()
        assert task is not None
        started.append((asyncio.get_running_loop(), task))
        return await running

    with ThreadPoolExecutor(1, thread_name_prefix="nodegraph-run") as thread:
        waiting = thread.submit(copy_context().run, asyncio.run, noted())
        try:
            return waiting.result()
        except KeyboardInterrupt:
            # It reached this thread, not the one that runs: that one ends at its next step.
            for loop, task in started:
                loop.call_soon_threadsafe(task.cancel)
            raise
