"""What happens before the first request and after the last one."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any

from fastapi import FastAPI

from nodegraph.server.operations.upkeep import Upkeep
from nodegraph.server.services import Services, ended

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the services and look after what they keep; then close them."""
    services: Services = app.state.services
    await services.open()
    upkeep = asyncio.create_task(Upkeep(services).run(), name="upkeep")
    try:
        with _heard(services.stop_soon):
            yield
    finally:
        await ended(upkeep)
        await services.close()


@contextmanager
def _heard(stop: Callable[[], None]) -> Iterator[None]:
    """Inside, a signal that ends the process is heard before the web server acts on it.

    That server waits for answers that are on their way; one that follows a job would never end.
    """
    if threading.current_thread() is not threading.main_thread():  # as tests run it
        yield
        return
    loop = asyncio.get_running_loop()
    before: dict[int, Any] = {number: signal.getsignal(number) for number in _SIGNALS}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)
        if callable(before[number]):
            before[number](number, frame)

    heard = [number for number in _SIGNALS if callable(before[number])]
    for number in heard:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in heard:
            if signal.getsignal(number) is handle:
                signal.signal(number, before[number])
