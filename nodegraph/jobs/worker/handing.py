"""Handing something on to an event loop from the thread that listens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


def hand_on(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
    """Have the loop call a function; nothing happens if the loop is closed: all is over then."""
    try:
        loop.call_soon_threadsafe(act)
    except RuntimeError:
        if not loop.is_closed():
            raise
