"""Processes that tests start."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from subprocess import Popen
from threading import Timer
from typing import Any

PATIENCE = 300.0
"""Seconds for what takes a second or ten on a machine that has nothing else to do."""


@contextmanager
def killed_after(
    process: Popen[Any], seconds: float = PATIENCE, *, group: bool = False
) -> Iterator[None]:
    """Bound every wait for a process inside of the `with`, for its end or a line of it, too.

    It is killed after so many seconds, so that what it prints ends and a test fails that would
    wait for ever.

    Args:
        group: Kill all of the session that it leads: those that it forked may hold its pipes.
    """
    kill = partial(os.killpg, process.pid, signal.SIGKILL) if group else process.kill
    timer = Timer(seconds, kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
