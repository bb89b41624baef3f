"""Processes that tests start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import Popen
from threading import Timer
from typing import Any

PATIENCE = 300.0
"""Seconds for what takes a second or ten on a machine that has nothing else to do."""


@contextmanager
def killed_after(process: Popen[Any], seconds: float = PATIENCE) -> Iterator[None]:
    """Bound every wait for a process inside of the `with`, for its end or a line of it, too.

    It is killed after so many seconds, so that what it prints ends and a test fails that would
    wait for ever.
    """
    timer = Timer(seconds, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
